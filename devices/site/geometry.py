"""Questions of place about a site, answered with shapely: which zone, how near, which zones touch.

Rule for a point on a border: the zone that holds it inside wins; a point on the border of several zones, or up
to `BORDER_M` outside, belongs to the one of them that comes first in the site file.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import shapely
from shapely.geometry import Polygon

from devices.site.model import Antenna, Point, Site, Zone

BORDER_M = 0.001
"""A point this near a zone stands on its border: plans are not drawn finer than a millimetre."""
DOOR_M = 2.0
"""An antenna this near a zone, and in none, is taken to read in it: above a door, on the far side of a wall."""
ADJACENCY_GAP_M = 0.3
"""Zones this near each other touch: plans leave a gap for the thickness of an inner wall."""

Floats = npt.NDArray[np.float64]


def polygon_of(zone: Zone) -> Polygon:
    """Return a zone's outline as a shapely polygon."""
    return Polygon(zone.polygon)


@dataclass(frozen=True, slots=True, kw_only=True)
class AntennaPlace:
    """An antenna with its reader and its number in columnar code."""

    index: int
    """Number over all antennas of the site, in file order."""
    reader: str
    """Identifier of its reader."""
    antenna: Antenna
    """The antenna."""


class SiteGeometry:
    """The geometry of one site. Zones and antennas are numbered in file order."""

    def __init__(self, site: Site) -> None:
        self.zones = site.zones
        """The site's zones; their index is their number."""
        self.polygons: npt.NDArray[np.object_] = np.array([polygon_of(zone) for zone in site.zones], dtype=object)
        """One shapely polygon a zone."""
        self.antennas = tuple(
            AntennaPlace(index=index, reader=reader, antenna=antenna)
            for index, (reader, antenna) in enumerate(
                (reader.id, antenna) for reader in site.readers for antenna in reader.antennas
            )
        )
        """Every antenna of the site, in file order."""
        self.zone_number: dict[str, int] = {zone.id: number for number, zone in enumerate(site.zones)}
        """Zone identifier to number."""
        self._tree = shapely.STRtree(self.polygons)
        shapely.prepare(self.polygons)

    def zone_at(self, x: float, y: float) -> str | None:
        """Return the zone at a point in metres, or `None` outside all of them."""
        number = int(self.zones_at(np.array([x]), np.array([y]))[0])
        return None if number < 0 else self.zones[number].id

    def zones_at(self, x: Floats, y: Floats) -> npt.NDArray[np.int32]:
        """Return the zone numbers at many points in metres, -1 outside all zones."""
        found = np.full(len(x), -1, dtype=np.int32)
        points = shapely.points(x, y)
        point, zone = self._tree.query(points, predicate="dwithin", distance=BORDER_M)
        on_border = ~shapely.contains(self.polygons[zone], points[point])
        order = np.lexsort((zone, on_border, point))
        first_of_point, best = np.unique(point[order], return_index=True)
        found[first_of_point] = zone[order][best]
        return found

    def nearest_zone(self, x: float, y: float) -> tuple[str, float] | None:
        """Return the zone nearest to a point and its distance in metres; `None` for a site without zones."""
        if not self.zones:
            return None
        distances = shapely.distance(self.polygons, shapely.Point(x, y))
        number = int(np.argmin(distances))
        return self.zones[number].id, float(distances[number])

    def antenna_zone(self, antenna: Antenna) -> str | None:
        """Return the zone of an antenna: the assigned one, that at its place, or the nearest within `DOOR_M`."""
        zone = antenna.zone or self.zone_at(antenna.x, antenna.y)
        if zone is not None:
            return zone
        nearest = self.nearest_zone(antenna.x, antenna.y)
        return nearest[0] if nearest is not None and nearest[1] <= DOOR_M else None

    def centroid(self, zone: str) -> Point:
        """Return the middle of a zone: its centroid, or a point inside where the centroid is not."""
        polygon = self.polygons[self.zone_number[zone]]
        middle = polygon.centroid
        if not polygon.covers(middle):
            middle = polygon.representative_point()
        return float(middle.x), float(middle.y)

    def area_m2(self, zone: str) -> float:
        """Return the area of a zone in square metres."""
        return float(self.polygons[self.zone_number[zone]].area)

    def border_m(self) -> Floats:
        """Return the length in metres that each pair of zones shares, as a symmetric matrix, 0 on its diagonal.

        Borders up to `ADJACENCY_GAP_M` apart count as shared; what is no longer than that is a corner and does not.
        """
        shared = np.zeros((len(self.zones), len(self.zones)))
        for one, other in self._near_pairs():
            length = min(self._outline_near_m(one, other), self._outline_near_m(other, one))
            shared[one, other] = shared[other, one] = length
        return shared

    def neighbours(self, zone: str) -> tuple[str, ...]:
        """Return the zones that share a border with a zone, longest border first."""
        lengths = self.border_m()[self.zone_number[zone]]
        order = np.argsort(-lengths, kind="stable")
        return tuple(self.zones[number].id for number in order if lengths[number] > 0)

    def antenna_distances_m(self) -> Floats:
        """Return plan distances in metres, antennas by zones: 0 inside, else to the zone's nearest point."""
        if not self.antennas or not self.zones:
            return np.zeros((len(self.antennas), len(self.zones)))
        points = shapely.points([(place.antenna.x, place.antenna.y) for place in self.antennas])
        return np.asarray(shapely.distance(points[:, None], self.polygons[None, :]), dtype=np.float64)

    def bounds(self) -> tuple[float, float, float, float]:
        """Return the plan's extent (x low, y low, x high, y high) in metres; zeros for a site without zones."""
        if not self.zones:
            return 0.0, 0.0, 0.0, 0.0
        low_x, low_y, high_x, high_y = shapely.total_bounds(self.polygons)
        return float(low_x), float(low_y), float(high_x), float(high_y)

    def _near_pairs(self) -> list[tuple[int, int]]:
        one, other = self._tree.query(self.polygons, predicate="dwithin", distance=ADJACENCY_GAP_M)
        return [(int(a), int(b)) for a, b in zip(one, other, strict=True) if a < b]

    def _outline_near_m(self, one: int, other: int) -> float:
        # At either end of a shared border the outline turns away, and is still near for what the gap leaves.
        near = self.polygons[one].exterior.intersection(self.polygons[other].buffer(ADJACENCY_GAP_M))
        gap = float(self.polygons[one].distance(self.polygons[other]))
        length = float(near.length) - 2 * (ADJACENCY_GAP_M - gap)
        return length if length > ADJACENCY_GAP_M else 0.0
