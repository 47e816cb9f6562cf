"""Where an item lies: in its zone where that is sure, with a radius that grows with doubt."""

import numpy as np
import pytest

from analytics.location import radio
from analytics.location.places import Floats, map_site
from analytics.location.position import locate
from devices.site.model import Antenna, Reader, Site, Zone, ZoneKind

SITE = Site(
    id="s",
    zones=(
        Zone(id="west", kind=ZoneKind.SALES_FLOOR, polygon=((0, 0), (10, 0), (10, 10), (0, 10))),
        Zone(id="east", kind=ZoneKind.SALES_FLOOR, polygon=((10, 0), (20, 0), (20, 10), (10, 10))),
    ),
    readers=(
        Reader(
            id="r",
            profile="tagtide",
            mqtt_topic="r",
            antennas=(Antenna(port=1, x=5, y=5, zone="west"), Antenna(port=2, x=15, y=5, zone="east")),
        ),
    ),
)
PLACES = map_site(SITE)
TABLES = radio.tabulate(PLACES, radio.physics(PLACES))


def at(levels: list[float], *, reads: float, zone: int, sure: float, shelf_cell: int = 0, shelf: float = 0.0) -> Floats:
    heard = np.array([[np.isfinite(level) for level in levels]])
    found = locate(
        PLACES,
        TABLES,
        np.array([[0, 1]], dtype=np.int16),
        np.where(heard, reads, 0.0).astype(np.float32),
        np.array([levels], dtype=np.float32),
        np.array([zone], dtype=np.int32),
        np.array([sure], dtype=np.float32),
        np.array([[shelf_cell]], dtype=np.int16),
        np.array([[shelf]], dtype=np.float32),
    )
    return np.asarray(found[0])


def test_an_item_under_an_antenna_lies_there() -> None:
    x, y, radius = at([-45.0, np.nan], reads=20.0, zone=0, sure=0.99)
    assert (x, y) == (pytest.approx(5.0, abs=1.0), pytest.approx(5.0, abs=1.0))
    assert 0.5 < radius < 5.0


def test_it_lies_in_the_zone_that_is_reported() -> None:
    """Kin and history may say east where reads alone do not: then it lies in the part of east that fits them best."""
    x, _, _ = at([-50.0, -60.0], reads=5.0, zone=1, sure=1.0)
    assert x > 10.0


def test_goods_are_expected_at_their_shelf() -> None:
    """The reads leave open where in the zone; the plan does not. Reads that are sure outweigh it."""
    far = int(np.argmax(np.hypot(*(PLACES.cell_xy - [1.0, 1.0]).T) < 1.0))
    vague, planned = (
        at([-58.0, np.nan], reads=2.0, zone=0, sure=0.95, shelf_cell=far, shelf=share) for share in (0.0, 0.8)
    )
    assert np.hypot(*(planned[:2] - 1.0)) < np.hypot(*(vague[:2] - 1.0)) - 1.0
    assert planned[2] != vague[2]


def test_the_radius_grows_with_doubt() -> None:
    radii = [at([-50.0, np.nan], reads=20.0, zone=0, sure=sure)[2] for sure in (0.99, 0.85, 0.6)]
    assert radii == sorted(radii)
    assert radii[-1] > radii[0] + 1.0


def test_without_reads_it_may_be_anywhere_in_its_zone() -> None:
    x, y, radius = at([np.nan, np.nan], reads=0.0, zone=0, sure=1.0)
    assert (x, y) == (pytest.approx(5.0, abs=0.3), pytest.approx(5.0, abs=0.3))
    # Of a square 10 m wide, a circle about its middle that holds 90 % has a radius of 5.6 m.
    assert radius == pytest.approx(5.6, abs=0.5)
