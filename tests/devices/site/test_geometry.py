"""Questions of place have one answer, also on a border."""

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from devices.site import Antenna, Reader, Site, SiteGeometry, Zone, ZoneKind
from devices.site.model import Point


def zone(name: str, *corners: Point) -> Zone:
    return Zone(id=name, kind=ZoneKind.SALES_FLOOR, polygon=corners)


def box(name: str, x: float, y: float, wide: float, high: float) -> Zone:
    return zone(name, (x, y), (x + wide, y), (x + wide, y + high), (x, y + high))


# west | east above south, with a wall of 20 cm between west and south, and an L around a yard on the right
SITE = Site(
    id="s",
    zones=(
        box("west", 0, 0, 4, 4),
        box("east", 4, 0, 6, 4),
        box("south", 0, -3.2, 4, 3),
        zone("ell", (20, 0), (30, 0), (30, 1), (21, 1), (21, 10), (20, 10)),
    ),
    readers=(
        Reader(
            id="r",
            profile="impinj",
            mqtt_topic="t",
            antennas=(Antenna(port=1, x=1, y=1), Antenna(port=2, x=7, y=5)),
        ),
    ),
)
GEOMETRY = SiteGeometry(SITE)


@pytest.mark.parametrize(
    ("x", "y", "expected"),
    [
        (1, 1, "west"),
        (4, 1, "west"),  # on the border of two zones: the first in the file
        (4.0005, 1, "east"),  # inside one zone, within a millimetre of the other
        (0, 0, "west"),
        (-0.0005, 1, "west"),
        (-0.002, 1, None),
        (2, -0.1, None),
        (25, 5, None),
        (20.5, 5, "ell"),
    ],
)
def test_zone_at(x: float, y: float, expected: str | None) -> None:
    assert GEOMETRY.zone_at(x, y) == expected


@given(st.lists(st.tuples(st.floats(-1, 31), st.floats(-4, 11)), max_size=30))
def test_many_points_answer_as_a_slow_search_does(points: list[Point]) -> None:
    found = GEOMETRY.zones_at(np.array([x for x, _ in points]), np.array([y for _, y in points]))
    for (x, y), number in zip(points, found, strict=True):
        at = shapely.Point(x, y)
        inside = [index for index, polygon in enumerate(GEOMETRY.polygons) if polygon.contains(at)]
        near = [index for index, polygon in enumerate(GEOMETRY.polygons) if polygon.distance(at) <= 0.001]
        assert number == (inside + near + [-1])[0]


def test_shared_borders_are_measured_across_a_thin_wall() -> None:
    border = GEOMETRY.border_m()
    assert border == pytest.approx(border.T)
    assert border[0, 1] == pytest.approx(4.0, abs=0.01)
    assert border[0, 2] == pytest.approx(4.0, abs=0.01)
    assert border[1, 2] == 0.0  # they only meet in a corner
    assert border[3].sum() == 0.0
    assert GEOMETRY.neighbours("west") in (("east", "south"), ("south", "east"))


def test_distances_centroids_and_bounds() -> None:
    distances = GEOMETRY.antenna_distances_m()
    assert distances.shape == (2, 4)
    assert distances[0] == pytest.approx([0.0, 3.0, 1.2, 19.0])
    assert distances[1, 1] == pytest.approx(1.0)
    nearest = GEOMETRY.nearest_zone(7, 5)
    assert nearest is not None
    assert nearest[0] == "east"
    assert nearest[1] == pytest.approx(1.0)
    assert GEOMETRY.centroid("west") == (2.0, 2.0)
    x, y = GEOMETRY.centroid("ell")
    assert GEOMETRY.zone_at(x, y) == "ell"  # the centroid of an L lies outside it
    assert GEOMETRY.area_m2("ell") == pytest.approx(19.0)
    assert GEOMETRY.bounds() == (0.0, -3.2, 30.0, 10.0)


def test_a_site_without_zones_answers_too() -> None:
    empty = SiteGeometry(Site(id="s"))
    assert empty.zone_at(0, 0) is None
    assert empty.nearest_zone(0, 0) is None
    assert empty.border_m().shape == (0, 0)
    assert empty.bounds() == (0.0, 0.0, 0.0, 0.0)
