"""Unusual stores: where shelves and antennas stand if not where a planner would put them."""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum

from devices.site.model import Point
from simulators.catalogue import Material
from simulators.layout import Layout, Passage


class AntennaPlan(StrEnum):
    """How antennas are placed."""

    SPREAD = "spread"
    """Shared out by area, looking straight down."""
    BORDERS = "borders"
    """On the sales floor, in pairs either side of the passages between zones: what lies there is heard by both."""
    STEERED = "steered"
    """One array for each reader, in the middle of what its antennas would cover; its beams look there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanShape:
    """What is unusual about a store; nothing, by default."""

    antennas: AntennaPlan = AntennaPlan.SPREAD
    """How antennas are placed."""
    border_shelves: bool = False
    """Whether shelves stand at the borders between zones, a quarter of a metre inside."""
    wall_share: float = 0.0
    """Share of the shelves that stand side by side in one zone."""
    materials: tuple[Material, ...] = ()
    """What goods are made of, in turn, instead of what the catalogue says."""
    neighbour_m: float = 0.0
    """Depth of the neighbouring shop behind the right-hand wall, metres; 0 where there is none."""
    scale_share: float | None = None
    """Share of the shelves of tagged goods that have a scale; about one in five, here and there, where absent."""


def border_place(layout: Layout, zone: int, number: int, count: int, *, margin: float) -> Point:
    """Return the place of one of `count` things that stand along a zone's passages.

    Args:
        layout: The floor.
        zone: Zone number.
        number: Which of them, from 0.
        count: How many there are in the zone.
        margin: How far inside they stand, metres.
    """
    edges = [layout.passages[pair] for pair in sorted(layout.passages) if pair[0] == zone]
    edge = edges[number % len(edges)]
    on_edge = len(range(number % len(edges), count, len(edges)))
    x, y = layout.rectangles[zone].inset(edge.point((number // len(edges) + 0.5) / on_edge), margin)
    return round(x, 2), round(y, 2)


def border_antennas(
    layout: Layout, zones: Collection[int], count: int, *, apart_m: float = 1.0
) -> list[tuple[int, float, float]]:
    """Place antennas in pairs either side of the passages between zones, the longest passages first.

    Args:
        layout: The floor.
        zones: Only passages between two of these.
        count: How many; one fewer if odd.
        apart_m: Metres between the two of a pair.

    Returns:
        Zone number, x and y of each antenna, by zone.
    """
    passages = {(a, b): passage for (a, b), passage in layout.passages.items() if a < b and a in zones and b in zones}
    pairs_at = dict.fromkeys(passages, 0)
    for _ in range(count // 2):
        covered = {zone for pair, pairs in pairs_at.items() if pairs for zone in pair}
        pairs_at[max(passages, key=lambda pair: _need(pair, passages[pair], pairs_at[pair], covered))] += 1
    placed = []
    for (a, b), pairs in pairs_at.items():
        for number in range(pairs):
            middle = passages[a, b].point((number + 0.5) / pairs)
            placed += [(zone, *layout.rectangles[zone].inset(middle, apart_m / 2)) for zone in (a, b)]
    return sorted((zone, round(x, 2), round(y, 2)) for zone, x, y in placed)


def _need(pair: tuple[int, int], passage: Passage, pairs: int, covered: set[int]) -> tuple[int, float, int]:
    length = math.dist(passage.start, passage.end)
    return (len(set(pair) - covered), length / (pairs + 1), -pair[0])


def steered(places: Sequence[tuple[str, float, float]], height_m: float) -> list[tuple[float, float, float, float]]:
    """Return x, y, azimuth and downtilt (degrees) of beams that look from the middle of some places at each of them.

    Args:
        places: Zone, x and y of what each beam looks at.
        height_m: How far above the goods the array hangs, metres.
    """
    x = round(sum(place[1] for place in places) / len(places), 2)
    y = round(sum(place[2] for place in places) / len(places), 2)
    beams = []
    for _, goal_x, goal_y in places:
        flat = math.dist((x, y), (goal_x, goal_y))
        azimuth = math.degrees(math.atan2(goal_y - y, goal_x - x)) if flat else 0.0
        beams.append((x, y, round(azimuth, 1), round(math.degrees(math.atan2(height_m, flat)), 1)))
    return beams
