"""A site's map as numbers: antennas, zones, and the cells in which an item may lie.

An item's place is thought of as one of the *cells*: points on a square grid inside the zones, each cell wholly of one
zone, numbered zone by zone. Besides the real antennas each reader has one *reader-wide* antenna, which stands for
reads that name no antenna or a port that the site file does not know: any of that reader's antennas may have made
them.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import shapely

from devices.site.geometry import SiteGeometry
from devices.site.model import Reader, Site, ZoneKind

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """The map of one site. `A` antennas including the reader-wide ones, `Z` zones, `M` cells."""

    zone_ids: tuple[str, ...]
    """Zone identifiers in file order."""
    exits: npt.NDArray[np.bool_]
    """Z: which zones are exits."""
    reader_ids: tuple[str, ...]
    """Reader identifiers in file order."""
    port_antenna: npt.NDArray[np.int16]
    """Readers by port number (the last column stands for no port and ports beyond): antenna number, -1 where the
    reader has no antennas at all and its reads say nothing about place."""
    antenna_labels: tuple[str, ...]
    """A: `reader:port`, or `reader` for a reader-wide antenna."""
    antenna_reader: Ints
    """A: reader number."""
    antenna_members: tuple[tuple[int, ...], ...]
    """A: the real antennas that it stands for: itself, or all of its reader's."""
    antenna_xy: Floats
    """A by 2: metres. The middle of its members for a reader-wide antenna."""
    distance_m: Floats
    """A by M: from the antenna to each cell at `TAG_HEIGHT_M`; the nearest member's for a reader-wide antenna."""
    zone_reader: npt.NDArray[np.bool_]
    """Z by readers: which readers have to be alive for silence in a zone to mean anything."""
    cell_xy: Floats
    """M by 2: metres."""
    cell_zone: Ints
    """M: zone number, rising."""

    @property
    def antennas(self) -> int:
        """How many antennas, including reader-wide ones."""
        return len(self.antenna_labels)

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
    cell_xy, cell_zone = _lay_cells(geometry)
    positions, labels, readers, members = _list_antennas(site)
    distance = np.array([[np.inf] * len(cell_xy)] * len(labels)).reshape(len(labels), len(cell_xy))
    for number, own in enumerate(members):
        for antenna in own:
            distance[number] = np.minimum(distance[number], _distances(positions[antenna], cell_xy))
    antenna_xy = np.array([positions[list(own), :2].mean(axis=0) for own in members]).reshape(-1, 2)
    return Places(
        zone_ids=tuple(zone.id for zone in site.zones),
        exits=np.array([zone.kind is ZoneKind.EXIT for zone in site.zones], dtype=np.bool_),
        reader_ids=tuple(reader.id for reader in site.readers),
        port_antenna=_port_table(site.readers),
        antenna_labels=labels,
        antenna_reader=readers,
        antenna_members=members,
        antenna_xy=antenna_xy,
        distance_m=np.maximum(distance, DISTANCE_M_MIN),
        zone_reader=_zone_readers(site, geometry),
        cell_xy=cell_xy,
        cell_zone=cell_zone,
    )


def _lay_cells(geometry: SiteGeometry) -> tuple[Floats, Ints]:
    """Lay a grid as fine as `CELLS_MAX` allows over the zones; a zone that it misses gets its middle."""
    areas = np.array([geometry.area_m2(zone.id) for zone in geometry.zones])
    spacing = max(CELL_M_MIN, float(np.sqrt(areas.sum() / CELLS_MAX))) if len(areas) else CELL_M_MIN
    while True:
        cells = [_cells_of(geometry, zone.id, spacing) for zone in geometry.zones]
        if sum(len(points) for points in cells) <= max(CELLS_MAX, len(cells)):
            break
        spacing *= 1.05
    zone_of = np.repeat(np.arange(len(cells)), [len(points) for points in cells]).astype(np.int64)
    return np.concatenate([np.zeros((0, 2)), *cells]), zone_of


def _cells_of(geometry: SiteGeometry, zone: str, spacing: float) -> Floats:
    polygon = geometry.polygons[geometry.zone_number[zone]]
    x_low, y_low, x_high, y_high = polygon.bounds
    columns, rows = max(1, round((x_high - x_low) / spacing)), max(1, round((y_high - y_low) / spacing))
    xs = x_low + (np.arange(columns) + 0.5) * (x_high - x_low) / columns
    ys = y_low + (np.arange(rows) + 0.5) * (y_high - y_low) / rows
    points = np.array([(x, y) for y in ys for x in xs])
    inside = points[shapely.contains_xy(polygon, points[:, 0], points[:, 1])]
    return inside if len(inside) else np.array([geometry.centroid(zone)])


def _list_antennas(site: Site) -> tuple[Floats, tuple[str, ...], Ints, tuple[tuple[int, ...], ...]]:
    positions: list[tuple[float, float, float]] = []
    labels: list[str] = []
    readers: list[int] = []
    members: list[tuple[int, ...]] = []
    for number, reader in enumerate(site.readers):
        for antenna in reader.antennas:
            members.append((len(labels),))
            positions.append((antenna.x, antenna.y, antenna.z))
            labels.append(f"{reader.id}:{antenna.port}")
            readers.append(number)
    for number, reader in enumerate(site.readers):
        if reader.antennas:
            members.append(tuple(index for index, owner in enumerate(readers[: len(positions)]) if owner == number))
            labels.append(reader.id)
            readers.append(number)
    return (
        np.array(positions).reshape(-1, 3),
        tuple(labels),
        np.array(readers, dtype=np.int64),
        tuple(members),
    )


def _distances(position: Floats, cell_xy: Floats) -> Floats:
    plan = np.hypot(cell_xy[:, 0] - position[0], cell_xy[:, 1] - position[1])
    return np.asarray(np.hypot(plan, position[2] - TAG_HEIGHT_M))


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
    """Readers with an antenna in the zone; for a zone without any, the reader of the antenna nearest to it."""
    found = np.zeros((len(site.zones), len(site.readers)), dtype=np.bool_)
    number_of = {reader.id: number for number, reader in enumerate(site.readers)}
    owner = np.array([number_of[place.reader] for place in geometry.antennas], dtype=np.int64)
    distances = geometry.antenna_distances_m()
    for zone in range(len(site.zones)):
        if len(owner):
            inside = distances[:, zone] <= 0.0
            found[zone, owner[inside] if inside.any() else owner[np.argmin(distances[:, zone])]] = True
    return found
