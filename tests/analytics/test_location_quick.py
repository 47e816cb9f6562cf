"""What spares the location step work must not change what it finds: each shortcut against the long way."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.location.cells import likeliest, pool_zones
from analytics.location.places import map_site
from analytics.location.policy import AT_HOME_MIN, PASSING_LOG_ODDS, policy_of
from analytics.location.radio import RSSI_LOW_DBM, physics, tabulate
from analytics.location.tracks import TRACK, _fits, _log_stay
from devices.site.model import Antenna, Reader, Site, Zone, ZoneKind

SITE = Site(
    id="s",
    zones=tuple(
        Zone(id=name, kind=ZoneKind.SALES_FLOOR, polygon=((x, 0.0), (x + 9, 0.0), (x + 9, 8.0), (x, 8.0)))
        for x, name in ((0.0, "a"), (9.0, "b"), (18.0, "c"))
    ),
    readers=(
        Reader(
            id="r",
            profile="tagtide",
            mqtt_topic="t",
            antennas=tuple(Antenna(port=n + 1, x=9.0 * n + 4, y=4.0) for n in range(3)),
        ),
    ),
)
PLACES = map_site(SITE)
TABLES = tabulate(PLACES, physics(PLACES))
ANTENNAS = st.integers(0, 2)


@given(
    antenna=ANTENNAS,
    level=st.floats(-94.0, -30.0, width=32),
    weights=st.lists(st.floats(0.0, 60.0, width=32), min_size=3, max_size=3),
    means=st.lists(st.floats(-90.0, -35.0, width=32) | st.just(math.nan), min_size=3, max_size=3),
    cell=st.integers(0, len(PLACES.cell_xy) - 1),
)
def test_what_fits_without_logarithms_fits_with_them(
    antenna: int, level: float, weights: list[float], means: list[float], cell: int
) -> None:
    """And the other way round but for a hair: what fits by more than the margin is not missed."""
    track = np.zeros(1, dtype=TRACK)[0]
    track["settled_antenna"][:3], track["settled_weight"][:3], track["settled_dbm"][:3] = range(3), weights, means
    track["cell"] = cell
    slot = antenna if weights[antenna] > 0.05 else -1
    total, rssi, rssi_bin = np.float32(sum(weights)), np.float32(level), round(level - RSSI_LOW_DBM)
    newcomer, stay = TABLES.newcomer[antenna, rssi_bin], _log_stay(track, slot, antenna, rssi, total, TABLES)
    fits = _fits(track, slot, antenna, rssi_bin, rssi, total, TABLES)
    assert not fits or stay >= newcomer
    assert fits or stay < newcomer + 1e-3


def test_a_read_without_rssi_is_left_to_logarithms() -> None:
    track = np.zeros(1, dtype=TRACK)[0]
    assert not _fits(track, -1, 0, 80, np.float32(math.nan), np.float32(9.0), TABLES)


@pytest.mark.parametrize("sensitivity", [0.0, 0.3, 0.5, 0.8, 1.0])
def test_a_doubt_that_is_passed_over_could_not_have_told_of_a_move(sensitivity: float) -> None:
    """Even if its reads were sure of one other zone, and the settled reads of the same for all they leave."""
    policy = policy_of(sensitivity)
    odds = math.exp(PASSING_LOG_ODDS)
    other = (1.0 - policy.at_home + odds) / (1.0 + odds)
    assert other <= min(policy.in_doubt, policy.arrived, policy.moved, policy.revised) + 1e-9
    assert policy.at_home >= AT_HOME_MIN


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=40))
def test_the_likeliest_is_the_first_of_the_largest(values: list[float]) -> None:
    floats = np.array(values, dtype=np.float32)
    assert likeliest(floats) == floats.argmax()


@given(st.lists(st.integers(1, 13), min_size=1, max_size=9), st.integers(0, 2**32 - 1))
def test_zones_of_any_number_of_cells_are_summed(sizes: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    zone_cells = np.cumsum([0, *sizes])
    cells = rng.uniform(0.0, 1.0, zone_cells[-1]).astype(np.float32)
    factors, zones = rng.uniform(0.1, 3.0, len(sizes)).astype(np.float32), np.zeros(len(sizes), dtype=np.float32)
    place, _ = pool_zones(cells, zone_cells, factors, np.zeros(0, np.int16), np.zeros(0, np.float32), zones)
    expected = np.add.reduceat(cells, zone_cells[:-1]) * factors
    assert zones == pytest.approx(expected / expected.sum(), rel=1e-5)
    assert place == (cells * np.repeat(factors, sizes)).argmax()
