"""The floor as cells: each lies in one zone, and knows where one gets from it in a second's walk."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simulators.layout import Layout, Passage, Rectangle
from simulators.plan import StorePlan

HEADINGS = 8
"""Directions in which somebody walks."""
OUTSIDE = -1
"""Zone of cells that are not on site."""

_WALK_M_PER_S = 0.9
_DOOR_SLACK_M = 0.6

Float64s = npt.NDArray[np.float64]
Int64s = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """Cells of the floor, column by column."""

    xy: Float64s
    """Middle of each, metres, C by 2."""
    zone: Int64s
    """Zone number of each, or `OUTSIDE`."""
    next_cell: Int64s
    """Cell that one reaches, C by `HEADINGS`; -1 where a wall is in the way."""
    step_share: Float64s
    """Probability of reaching it within a second, C by `HEADINGS`."""

    def __len__(self) -> int:
        return len(self.zone)

    def find(self, x: float, y: float, zone: int) -> int:
        """Return the cell of a zone that is nearest to a place."""
        distance = np.hypot(self.xy[:, 0] - x, self.xy[:, 1] - y) + np.where(self.zone == zone, 0.0, 1e6)
        return int(distance.argmin())


def cut_floor(plan: StorePlan, edge_m: float) -> Cells:
    """Cut every zone, and the neighbouring shop if there is one, to cells with about this edge."""
    layout = plan.layout
    rectangles = list(enumerate(layout.rectangles))
    if plan.neighbour_m:
        outside = Rectangle(x0=layout.width, y0=0.0, x1=layout.width + plan.neighbour_m, y1=layout.depth)
        rectangles.append((OUTSIDE, outside))
    places, zones = [], []
    for zone, r in rectangles:
        columns, rows = (max(1, round(length / edge_m)) for length in (r.x1 - r.x0, r.y1 - r.y0))
        for row in range(rows):
            for column in range(columns):
                places.append(
                    (r.x0 + (column + 0.5) / columns * (r.x1 - r.x0), r.y0 + (row + 0.5) / rows * (r.y1 - r.y0))
                )
                zones.append(zone)
    xy, zone_of = np.array(places), np.array(zones)
    reached = np.array(
        [
            [_walk(layout, xy, zone_of, cell, heading, edge_m=edge_m) for heading in range(HEADINGS)]
            for cell in range(len(xy))
        ]
    )
    far = np.hypot(*(xy[np.maximum(reached, 0)] - xy[:, None, :]).transpose(2, 0, 1))
    share = np.where(reached >= 0, np.minimum(1.0, _WALK_M_PER_S / np.maximum(far, 1e-9)), 0.0)
    return Cells(xy=xy, zone=zone_of, next_cell=reached, step_share=share)


def _walk(layout: Layout, xy: Float64s, zone: Int64s, cell: int, heading: int, *, edge_m: float) -> int:
    angle = 2.0 * math.pi * heading / HEADINGS
    reach = edge_m * (1.0 if heading % 2 == 0 else math.sqrt(2.0))
    goal = xy[cell] + reach * np.array([math.cos(angle), math.sin(angle)])
    if zone[cell] == OUTSIDE or not (0 <= goal[0] <= layout.width and 0 <= goal[1] <= layout.depth):
        return -1
    nearest = int(np.hypot(*(xy - goal).T).argmin())
    if nearest == cell or zone[nearest] == OUTSIDE:
        return -1
    if zone[nearest] == zone[cell]:
        return nearest
    passage = layout.passages.get((int(zone[cell]), int(zone[nearest])))
    return nearest if passage and _distance(passage, (xy[cell] + xy[nearest]) / 2) < _DOOR_SLACK_M + edge_m / 2 else -1


def _distance(passage: Passage, point: Float64s) -> float:
    start, end = np.array(passage.start), np.array(passage.end)
    along = np.clip(np.dot(point - start, end - start) / max(float(np.dot(end - start, end - start)), 1e-9), 0.0, 1.0)
    return float(np.hypot(*(point - start - along * (end - start))))
