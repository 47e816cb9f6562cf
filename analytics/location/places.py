"""A site's map as numbers: antennas, zones, and the cells in which an item may lie.

An item's place is thought of as one of the *cells*: points on a square grid inside the zones, each cell wholly of one
zone, numbered zone by zone. Besides the real antennas each reader has one *reader-wide* antenna, which stands for
reads that name no antenna or a port that the site file does not know: any of that reader's antennas may have made
them.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import shapely

from devices.site.calibration import MOVED_M, AntennaSurvey, CalibrationFile
from devices.site.geometry import SiteGeometry
from devices.site.model import Antenna, Reader, Site, Wall, ZoneKind

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

CELLS_MAX = 192
"""Cells of a site at most: the location filter's work per read grows with their number. 192 cells of a 600 m2 store
are 1.8 m wide, which is finer than what RSSI at ceiling height tells apart."""
CELL_M_MIN = 1.0
"""Cells are not made smaller than this, metres."""
TAG_HEIGHT_M = 1.0
"""Height of an item above the floor: a rail or a middle shelf. RSSI does not tell height apart."""
DISTANCE_M_MIN = 0.5
"""Path-loss laws hold outside the antenna's near field only."""
DOWNTILT_DEG = 45.0
"""Tilt of an antenna that has a direction, where the site file does not say."""
WALL_LOSS_DB = 4.0
"""One-way loss of a wall, where the site file does not say: plasterboard or one layer of brick."""


RING_M = 1.2
"""What lies outside is thought of as on a ring so far beyond the outline: further off, little is heard."""
RING_STEP_M = 3.0
"""Cells of the ring are so far apart: what is heard through a wall does not say more precisely where it is;"""
RING_CELLS_MAX = 64
"""and there are so many at most."""
OUTLINE_GAP_M = 10.0
"""Parts of the floor without a zone that are no wider than this between zones belong to the site."""
OUTER_WALL_DB = 8.0
"""One-way loss of the wall around the site, where the site file draws none there: brick or concrete."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """The map of one site: `R` real antennas, `A` antennas including the reader-wide ones, `Z` zones, `M` cells."""

    zone_ids: tuple[str, ...]
    """Zone identifiers in file order."""
    exits: npt.NDArray[np.bool_]
    """Z: which zones are exits."""
    zone_reader: npt.NDArray[np.bool_]
    """Z by readers: which readers have to be alive for silence in a zone to mean anything."""
    reader_ids: tuple[str, ...]
    """Reader identifiers in file order."""
    port_antenna: npt.NDArray[np.int16]
    """Readers by port number (the last column stands for no port and ports beyond): antenna number, -1 where the
    reader has no antennas at all and its reads say nothing about place."""
    antennas: tuple[Antenna, ...]
    """R: as in the site file."""
    antenna_labels: tuple[str, ...]
    """A: `reader:port`, or `reader` for a reader-wide antenna."""
    antenna_reader: Ints
    """A: reader number."""
    antenna_members: tuple[tuple[int, ...], ...]
    """A: the real antennas that it stands for: itself, or all of its reader's."""
    antenna_xy: Floats
    """A by 2: metres. The middle of its members for a reader-wide antenna."""
    distance_m: Floats
    """R by M: from the antenna to each cell at `TAG_HEIGHT_M`."""
    off_axis_deg: Floats
    """R by M: angle between where the antenna looks and each cell."""
    wall_db: Floats
    """R by M: one-way loss of the walls between."""
    residual_db: Floats
    """R by M: what a survey found RSSI to be above physics, both ways; 0 where there was none."""
    cell_xy: Floats
    """M by 2: metres."""
    cell_m2: float
    """Area of a cell; 0 where there is one at most."""
    zone_cells: Ints
    """Z + 1: the cells of zone z are numbered `zone_cells[z]` up to but not including `zone_cells[z + 1]`."""
    outer: "Places | None" = None
    """The same antennas, and as cells a ring beyond the outline, of no zone; the walls between count as any. `None` in
    the ring itself."""

    @property
    def zones(self) -> int:
        """How many zones."""
        return len(self.zone_ids)


def map_site(site: Site) -> Places:
    """Turn a site into numbers.

    Args:
        site: A checked site; zones may be few or none, readers may have no antennas.

    Returns:
        Its map.
    """
    geometry = SiteGeometry(site)
    cell_xy, zone_cells = _lay_cells(geometry)
    antennas = tuple(antenna for reader in site.readers for antenna in reader.antennas)
    labels, readers, members = _list_antennas(site)
    xy = np.array([(antenna.x, antenna.y) for antenna in antennas]).reshape(-1, 2)
    bare = Places(
        zone_ids=tuple(zone.id for zone in site.zones),
        exits=np.array([zone.kind is ZoneKind.EXIT for zone in site.zones], dtype=np.bool_),
        zone_reader=_zone_readers(site, geometry),
        reader_ids=tuple(reader.id for reader in site.readers),
        port_antenna=_port_table(site.readers),
        antennas=antennas,
        antenna_labels=labels,
        antenna_reader=readers,
        antenna_members=members,
        antenna_xy=np.array([xy[list(own)].mean(axis=0) for own in members]).reshape(-1, 2),
        distance_m=np.empty((0, 0)),
        off_axis_deg=np.empty((0, 0)),
        wall_db=np.empty((0, 0)),
        residual_db=np.empty((0, 0)),
        cell_xy=cell_xy,
        cell_m2=_cell_m2(cell_xy),
        zone_cells=zone_cells,
    )
    return replace(measured_at(bare, site, cell_xy), outer=_beyond(bare, site, geometry))


def _beyond(bare: Places, site: Site, geometry: SiteGeometry) -> Places:
    """Return the ring of cells beyond the outline, each behind a wall."""
    if not geometry.zones:
        return measured_at(bare, site, np.zeros((0, 2)))
    half_m = OUTLINE_GAP_M / 2.0
    outline = shapely.union_all(geometry.polygons).buffer(half_m).buffer(-half_m)
    rings = [part.exterior for part in shapely.get_parts(outline.buffer(RING_M, join_style="mitre"))]
    step_m = max(RING_STEP_M, sum(ring.length for ring in rings) / RING_CELLS_MAX)
    points = np.concatenate([_along(ring, max(1, int(ring.length / step_m))) for ring in rings])
    lines = shapely.get_coordinates(shapely.shortest_line(shapely.points(points), outline))
    feet = 2.0 * lines.reshape(-1, 2, 2)[:, 1] - points
    drawn = sum((np.diagonal(_wall_losses(wall, feet, points)) for wall in site.walls), np.zeros(len(points)))
    outer = measured_at(bare, site, points)
    return replace(outer, wall_db=outer.wall_db + np.where(drawn > 0.0, 0.0, OUTER_WALL_DB))


def _along(ring: shapely.LinearRing, count: int) -> Floats:
    """Return so many points of a ring, evenly spread."""
    spots = shapely.line_interpolate_point(ring, (np.arange(count) + 0.5) / count, normalized=True)
    return np.asarray(shapely.get_coordinates(spots))


def measured_at(places: Places, site: Site, points: Floats) -> Places:
    """Return a map whose cells are some points, metres; which zones they are in is not known to it."""
    antennas = places.antennas
    xy = np.array([(antenna.x, antenna.y) for antenna in antennas]).reshape(-1, 2)
    distance_m = _each(antennas, points, _distances)
    return replace(
        places,
        distance_m=distance_m,
        off_axis_deg=_each(antennas, points, _off_axis),
        wall_db=sum((_wall_losses(wall, xy, points) for wall in site.walls), np.zeros((len(xy), len(points)))),
        residual_db=_residuals(site, points, distance_m),
        cell_xy=points,
    )


def _residuals(site: Site, points: Floats, distance_m: Floats) -> Floats:
    """Return what a survey found of each antenna at some points, both ways; 0 of those that have been moved since."""
    found = np.zeros(distance_m.shape)
    if site.surveyed is None:
        return found
    of_antenna = {(one.reader, one.port): one for one in site.surveyed.antenna}
    steeper = site.surveyed.exponent - site.surveyed.exponent_prior
    antennas = ((reader.id, antenna) for reader in site.readers for antenna in reader.antennas)
    for number, (reader, antenna) in enumerate(antennas):
        one = of_antenna.get((reader, antenna.port))
        if one is None or np.hypot(np.hypot(antenna.x - one.x, antenna.y - one.y), antenna.z - one.z) > MOVED_M:
            continue
        field = _interpolated(site.surveyed, one, points)
        found[number] = one.offset_db + field - 20.0 * steeper * np.log10(np.maximum(distance_m[number], 1.0))
    return found


def _interpolated(surveyed: CalibrationFile, one: AntennaSurvey, points: Floats) -> Floats:
    """Return an antenna's map between the points of its lattice; beyond them, what is at its edge."""
    lattice, field = surveyed.lattice, np.array(one.residual_db)
    column = np.clip((points[:, 0] - lattice.x) / lattice.step_m, 0.0, lattice.columns - 1.0)
    row = np.clip((points[:, 1] - lattice.y) / lattice.step_m, 0.0, lattice.rows - 1.0)
    left = np.minimum(column.astype(np.int64), lattice.columns - 2)
    low = np.minimum(row.astype(np.int64), lattice.rows - 2)
    right_share, high_share = column - left, row - low
    lower = field[low, left] * (1.0 - right_share) + field[low, left + 1] * right_share
    upper = field[low + 1, left] * (1.0 - right_share) + field[low + 1, left + 1] * right_share
    return np.asarray(lower * (1.0 - high_share) + upper * high_share)


def _lay_cells(geometry: SiteGeometry) -> tuple[Floats, Ints]:
    """Lay a grid as fine as `CELLS_MAX` allows over the zones; a zone that it misses gets its middle."""
    areas = np.array([geometry.area_m2(zone.id) for zone in geometry.zones])
    spacing = max(CELL_M_MIN, float(np.sqrt(areas.sum() / CELLS_MAX)))
    while True:
        cells = [_cells_of(geometry, zone.id, spacing) for zone in geometry.zones]
        if sum(len(points) for points in cells) <= max(CELLS_MAX, len(cells)):
            break
        spacing *= 1.05
    ends = np.cumsum([0, *(len(points) for points in cells)]).astype(np.int64)
    return np.concatenate([np.zeros((0, 2)), *cells]), ends


def _cells_of(geometry: SiteGeometry, zone: str, spacing: float) -> Floats:
    polygon = geometry.polygons[geometry.zone_number[zone]]
    x_low, y_low, x_high, y_high = polygon.bounds
    columns, rows = max(1, round((x_high - x_low) / spacing)), max(1, round((y_high - y_low) / spacing))
    xs = x_low + (np.arange(columns) + 0.5) * (x_high - x_low) / columns
    ys = y_low + (np.arange(rows) + 0.5) * (y_high - y_low) / rows
    points = np.array([(x, y) for y in ys for x in xs])
    inside = points[shapely.contains_xy(polygon, points[:, 0], points[:, 1])]
    return inside if len(inside) else np.array([geometry.centroid(zone)])


def _cell_m2(cell_xy: Floats) -> float:
    """Return the area of a cell: the square of how far cells are from their nearest, in the middle of all."""
    if len(cell_xy) < 2:
        return 0.0
    apart = ((cell_xy[:, None, :] - cell_xy[None, :, :]) ** 2).sum(axis=2)
    np.fill_diagonal(apart, np.inf)
    return float(np.median(apart.min(axis=1)))


def _list_antennas(site: Site) -> tuple[tuple[str, ...], Ints, tuple[tuple[int, ...], ...]]:
    labels: list[str] = []
    readers: list[int] = []
    members: list[tuple[int, ...]] = []
    for number, reader in enumerate(site.readers):
        for antenna in reader.antennas:
            members.append((len(labels),))
            labels.append(f"{reader.id}:{antenna.port}")
            readers.append(number)
    owners = tuple(readers)
    for number, reader in enumerate(site.readers):
        if reader.antennas:
            members.append(tuple(index for index, owner in enumerate(owners) if owner == number))
            labels.append(reader.id)
            readers.append(number)
    return tuple(labels), np.array(readers, dtype=np.int64), tuple(members)


def _each(antennas: tuple[Antenna, ...], cell_xy: Floats, measure: Callable[[Antenna, Floats], Floats]) -> Floats:
    return np.array([measure(antenna, cell_xy) for antenna in antennas]).reshape(len(antennas), len(cell_xy))


def _distances(antenna: Antenna, cell_xy: Floats) -> Floats:
    plan = np.hypot(cell_xy[:, 0] - antenna.x, cell_xy[:, 1] - antenna.y)
    return np.asarray(np.maximum(np.hypot(plan, antenna.z - TAG_HEIGHT_M), DISTANCE_M_MIN))


def _off_axis(antenna: Antenna, cell_xy: Floats) -> Floats:
    """Return the angle between an antenna's axis and each cell, degrees."""
    to_cell = np.column_stack(
        [cell_xy[:, 0] - antenna.x, cell_xy[:, 1] - antenna.y, np.full(len(cell_xy), TAG_HEIGHT_M - antenna.z)]
    )
    if antenna.azimuth_deg is None and antenna.downtilt_deg is None:
        axis = np.array([0.0, 0.0, -1.0])
    else:
        azimuth = np.radians(antenna.azimuth_deg or 0.0)
        tilt = np.radians(DOWNTILT_DEG if antenna.downtilt_deg is None else antenna.downtilt_deg)
        axis = np.array([np.cos(azimuth) * np.cos(tilt), np.sin(azimuth) * np.cos(tilt), -np.sin(tilt)])
    length = np.maximum(np.linalg.norm(to_cell, axis=1), 1e-6)
    return np.asarray(np.degrees(np.arccos(np.clip(to_cell @ axis / length, -1.0, 1.0))))


def _wall_losses(wall: Wall, antenna_xy: Floats, cell_xy: Floats) -> Floats:
    """Return a wall's loss where it stands between an antenna (rows) and a cell (columns), 0 elsewhere."""
    start, end = np.array(wall.start), np.array(wall.end)
    antenna_side, cell_side = _side(start, end, antenna_xy), _side(start, end, cell_xy)
    apart = antenna_side[:, None] * cell_side[None, :] < 0
    way = cell_xy[None, :, :] - antenna_xy[:, None, :]
    start_side = _cross(way, start[None, None, :] - antenna_xy[:, None, :])
    end_side = _cross(way, end[None, None, :] - antenna_xy[:, None, :])
    loss = WALL_LOSS_DB if wall.loss_db is None else wall.loss_db
    return np.where(apart & (start_side * end_side < 0), loss, 0.0)


def _side(start: Floats, end: Floats, points: Floats) -> Floats:
    return _cross(np.broadcast_to(end - start, points.shape), points - start)


def _cross(one: Floats, other: Floats) -> Floats:
    return np.asarray(one[..., 0] * other[..., 1] - one[..., 1] * other[..., 0])


def _port_table(readers: tuple[Reader, ...]) -> npt.NDArray[np.int16]:
    highest = max((antenna.port for reader in readers for antenna in reader.antennas), default=0)
    table = np.full((len(readers), highest + 2), -1, dtype=np.int16)
    following = 0
    reader_wide = sum(len(reader.antennas) for reader in readers)
    for number, reader in enumerate(readers):
        if not reader.antennas:
            continue
        table[number] = reader_wide
        reader_wide += 1
        for antenna in reader.antennas:
            table[number, antenna.port] = following
            following += 1
    return table


def _zone_readers(site: Site, geometry: SiteGeometry) -> npt.NDArray[np.bool_]:
    """Find the readers with an antenna in each zone; for a zone without any, that of the antenna nearest to it."""
    found = np.zeros((len(site.zones), len(site.readers)), dtype=np.bool_)
    number_of = {reader.id: number for number, reader in enumerate(site.readers)}
    owner = np.array([number_of[place.reader] for place in geometry.antennas], dtype=np.int64)
    distances = geometry.antenna_distances_m()
    for zone in range(len(site.zones)):
        if len(owner):
            inside = distances[:, zone] <= 0.0
            found[zone, owner[inside] if inside.any() else owner[np.argmin(distances[:, zone])]] = True
    return found
