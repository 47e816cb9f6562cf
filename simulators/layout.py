"""The floor of the simulated store: touching rectangular zones, walls with doors, and the ways between them.

Three strips from back to front: receiving, back room and fitting room behind walls; rows of sales floor areas that
flow into each other; point of sale and exit. Rectangles keep every straight walk between two points of a zone
inside it, so that the truth about a carried item's zone is exact.
"""

from collections import deque
from dataclasses import dataclass

import numpy as np

from devices.errors import UsageError
from devices.site.model import Point, Wall, Zone, ZoneKind

DEPARTMENTS = ("denim", "basics", "men", "women", "outdoor", "kids", "shoes", "accessories")
"""Parts of the sales floor, in the order in which areas are given to them."""

MINIMUM_ZONES = 7
"""Fewer zones than this leave no sales floor to speak of."""

_BACK_DEPTH_M = 5.0
_FRONT_DEPTH_M = 3.6
_OUTER_LOSS_DB = 8.0  # brick or double plasterboard on metal studs, one way
_FITTING_LOSS_DB = 3.0  # single board
_DOOR_M = 1.4
_GATE_M = 2.4  # between receiving and back room: a pallet truck passes


@dataclass(frozen=True, slots=True, kw_only=True)
class Rectangle:
    """An axis-parallel rectangle in metres."""

    x0: float
    """Left edge."""
    y0: float
    """Lower edge."""
    x1: float
    """Right edge."""
    y1: float
    """Upper edge."""

    @property
    def area(self) -> float:
        """Area in square metres."""
        return (self.x1 - self.x0) * (self.y1 - self.y0)

    def inset(self, point: Point, margin: float) -> Point:
        """Return the nearest point that is at least `margin` metres inside."""
        x = min(max(point[0], self.x0 + margin), self.x1 - margin)
        y = min(max(point[1], self.y0 + margin), self.y1 - margin)
        return x, y

    def spot(self, rng: np.random.Generator, margin: float = 0.4) -> Point:
        """Draw a point at least `margin` metres inside."""
        u, v = rng.random(2).tolist()
        return (
            self.x0 + margin + u * (self.x1 - self.x0 - 2 * margin),
            self.y0 + margin + v * (self.y1 - self.y0 - 2 * margin),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """Where one walks from one zone into another: a piece of their common edge."""

    start: Point
    """One end."""
    end: Point
    """The other end."""

    def point(self, share: float) -> Point:
        """Return the point at a share of the way from start to end."""
        return (
            self.start[0] + share * (self.end[0] - self.start[0]),
            self.start[1] + share * (self.end[1] - self.start[1]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Zones with their ways and walls."""

    width: float
    """Metres."""
    depth: float
    """Metres."""
    zones: tuple[Zone, ...]
    """Zones; the index is the zone's number."""
    rectangles: tuple[Rectangle, ...]
    """Their rectangles, by number."""
    departments: dict[str, tuple[int, ...]]
    """Zone numbers of each department."""
    passages: dict[tuple[int, int], Passage]
    """Passage from zone to zone, both ways."""
    walls: tuple[Wall, ...]
    """Wall lines, doors left open."""
    next_zone: dict[tuple[int, int], int]
    """(from, to) to the next zone on the shortest way."""

    def of_kind(self, kind: ZoneKind) -> int:
        """Return the number of the first zone of a kind."""
        return next(number for number, zone in enumerate(self.zones) if zone.kind is kind)

    def route(self, start: int, goal: int) -> list[int]:
        """Return the zones on the way, both ends included."""
        way = [start]
        while way[-1] != goal:
            way.append(self.next_zone[way[-1], goal])
        return way


def build_layout(*, zone_count: int, width: float, depth: float) -> Layout:
    """Divide a store of the given size into touching zones.

    Args:
        zone_count: Number of zones, at least `MINIMUM_ZONES`.
        width: Metres, x.
        depth: Metres, y; the exit is at y = 0.

    Returns:
        The layout. It depends on nothing but the arguments.

    Raises:
        UsageError: There are too few zones.
    """
    if zone_count < MINIMUM_ZONES:
        raise UsageError(
            f"a store needs {MINIMUM_ZONES} zones or more, not {zone_count}", hint=f"ask for {MINIMUM_ZONES} zones"
        )
    named = [*_back_strip(width, depth), *_floor(zone_count - 5, width, depth), *_front_strip(width)]
    zones = tuple(
        Zone(id=name, kind=kind, polygon=_corners(rectangle), name=title) for name, kind, title, rectangle in named
    )
    rectangles = tuple(rectangle for *_, rectangle in named)
    floor = [number for number, zone in enumerate(zones) if zone.kind is ZoneKind.SALES_FLOOR]
    passages, walls = _borders(zones, rectangles)
    return Layout(
        width=width,
        depth=depth,
        zones=zones,
        rectangles=rectangles,
        departments={name: _department(place, floor) for place, name in enumerate(DEPARTMENTS)},
        passages=passages,
        walls=walls,
        next_zone=_ways(len(zones), passages),
    )


def _department(place: int, floor: list[int]) -> tuple[int, ...]:
    return tuple(floor[place :: len(DEPARTMENTS)]) or (floor[place % len(floor)],)


_Named = tuple[str, ZoneKind, str, Rectangle]


def _back_strip(width: float, depth: float) -> list[_Named]:
    low, a, b = depth - _BACK_DEPTH_M, round(0.24 * width, 1), round(0.72 * width, 1)
    return [
        ("receiving", ZoneKind.RECEIVING, "Receiving dock", Rectangle(x0=0.0, y0=low, x1=a, y1=depth)),
        ("back_room", ZoneKind.BACK_ROOM, "Back room", Rectangle(x0=a, y0=low, x1=b, y1=depth)),
        ("fitting_room", ZoneKind.FITTING_ROOM, "Fitting rooms", Rectangle(x0=b, y0=low, x1=width, y1=depth)),
    ]


def _front_strip(width: float) -> list[_Named]:
    middle = round(0.55 * width, 1)
    return [
        (
            "point_of_sale",
            ZoneKind.POINT_OF_SALE,
            "Tills",
            Rectangle(x0=0.0, y0=0.0, x1=middle, y1=_FRONT_DEPTH_M),
        ),
        ("exit", ZoneKind.EXIT, "Entrance and exit", Rectangle(x0=middle, y0=0.0, x1=width, y1=_FRONT_DEPTH_M)),
    ]


def _floor(count: int, width: float, depth: float) -> list[_Named]:
    rows = 1 if count < 4 else 2 if count <= 8 else 3
    per_row = [count // rows + (row < count % rows) for row in range(rows)]
    low, high = _FRONT_DEPTH_M, depth - _BACK_DEPTH_M
    edges_y = [round(low + (high - low) * row / rows, 1) for row in range(rows)] + [high]
    named: list[_Named] = []
    for row, columns in enumerate(per_row):
        edges_x = _uneven(columns, width, shift=row)
        for column in range(columns):
            department = DEPARTMENTS[len(named) % len(DEPARTMENTS)]
            again = len(named) // len(DEPARTMENTS)
            name = f"floor.{department}" + (f"-{again + 1}" if again else "")
            rectangle = Rectangle(x0=edges_x[column], y0=edges_y[row], x1=edges_x[column + 1], y1=edges_y[row + 1])
            named.append((name, ZoneKind.SALES_FLOOR, department.capitalize(), rectangle))
    return named


def _uneven(columns: int, width: float, *, shift: int) -> list[float]:
    """Cut a row so that areas differ in width and rows do not line up."""
    shares = [1.0 + 0.25 * (((column + shift) % 3) - 1) for column in range(columns)]
    edges = [0.0]
    for share in shares[:-1]:
        edges.append(round(edges[-1] + width * share / sum(shares), 1))
    return [*edges, width]


def _corners(r: Rectangle) -> tuple[Point, ...]:
    return ((r.x0, r.y0), (r.x1, r.y0), (r.x1, r.y1), (r.x0, r.y1))


def _common_edge(a: Rectangle, b: Rectangle) -> tuple[Point, Point] | None:
    for x in {a.x0, a.x1} & {b.x0, b.x1}:
        low, high = max(a.y0, b.y0), min(a.y1, b.y1)
        if high - low > 0.05:
            return (x, low), (x, high)
    for y in {a.y0, a.y1} & {b.y0, b.y1}:
        low, high = max(a.x0, b.x0), min(a.x1, b.x1)
        if high - low > 0.05:
            return (low, y), (high, y)
    return None


def _borders(
    zones: tuple[Zone, ...], rectangles: tuple[Rectangle, ...]
) -> tuple[dict[tuple[int, int], Passage], tuple[Wall, ...]]:
    """Open, wall off or door each common edge."""
    passages: dict[tuple[int, int], Passage] = {}
    walls: list[Wall] = []
    back_edges = [n for n, zone in enumerate(zones) if zone.kind is ZoneKind.BACK_ROOM]
    door_of = _doors(zones, rectangles, back_edges[0])
    for a in range(len(zones)):
        for b in range(a + 1, len(zones)):
            edge = _common_edge(rectangles[a], rectangles[b])
            if edge is None:
                continue
            loss = _wall_loss_db(zones[a].kind, zones[b].kind)
            if loss is None:
                if _length(edge) >= 1.0:
                    passages[a, b] = passages[b, a] = _trimmed(edge, 0.3)
                continue
            gap = door_of.get((a, b))
            if gap is None:
                walls.append(Wall(start=edge[0], end=edge[1], loss_db=loss))
                continue
            door = _middle(edge, gap)
            passages[a, b] = passages[b, a] = _trimmed((door.start, door.end), 0.2)
            walls.append(Wall(start=edge[0], end=door.start, loss_db=loss))
            walls.append(Wall(start=door.end, end=edge[1], loss_db=loss))
    return passages, tuple(walls)


def _doors(zones: tuple[Zone, ...], rectangles: tuple[Rectangle, ...], back_room: int) -> dict[tuple[int, int], float]:
    """Choose which walled edges get a door: one to each walled room, to the floor area with the longest edge."""
    kinds = [zone.kind for zone in zones]
    receiving, fitting = kinds.index(ZoneKind.RECEIVING), kinds.index(ZoneKind.FITTING_ROOM)
    doors = {_pair(receiving, back_room): _GATE_M}
    for room in (back_room, fitting):
        lengths = {
            floor: _length(edge)
            for floor, kind in enumerate(kinds)
            if kind is ZoneKind.SALES_FLOOR and (edge := _common_edge(rectangles[room], rectangles[floor]))
        }
        doors[_pair(room, max(lengths, key=lambda floor: (lengths[floor], -floor)))] = _DOOR_M
    return doors


def _pair(a: int, b: int) -> tuple[int, int]:
    return (a, b) if a < b else (b, a)


def _wall_loss_db(a: ZoneKind, b: ZoneKind) -> float | None:
    rooms = {ZoneKind.RECEIVING, ZoneKind.BACK_ROOM}
    if a in rooms or b in rooms:
        return _OUTER_LOSS_DB
    if ZoneKind.FITTING_ROOM in (a, b):
        return _FITTING_LOSS_DB
    return None


def _length(edge: tuple[Point, Point]) -> float:
    return abs(edge[1][0] - edge[0][0]) + abs(edge[1][1] - edge[0][1])


def _trimmed(edge: tuple[Point, Point], margin: float) -> Passage:
    return _middle(edge, _length(edge) - 2 * margin)


def _middle(edge: tuple[Point, Point], length: float) -> Passage:
    share = 0.5 * max(0.0, 1.0 - length / _length(edge))
    whole = Passage(start=edge[0], end=edge[1])
    return Passage(start=whole.point(share), end=whole.point(1.0 - share))


def _ways(count: int, passages: dict[tuple[int, int], Passage]) -> dict[tuple[int, int], int]:
    """Find the first step of every shortest way, breadth first from each goal."""
    neighbours: dict[int, list[int]] = {zone: [] for zone in range(count)}
    for a, b in passages:
        neighbours[a].append(b)
    step: dict[tuple[int, int], int] = {}
    for goal in range(count):
        seen, queue = {goal}, deque([goal])
        while queue:
            here = queue.popleft()
            for there in sorted(neighbours[here]):
                if there not in seen:
                    seen.add(there)
                    step[there, goal] = here
                    queue.append(there)
    return step
