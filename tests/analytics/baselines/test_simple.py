"""The two simple baselines do what their paragraph says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.baselines import BASELINES, last_read_wins, strongest_in_window
from tests.analytics.baselines.reads import Read, intervals, site_of, table_of

SITE = site_of("a", "b", "c")


def test_the_last_read_wins() -> None:
    reads = [Read(at_s=1), Read(at_s=2, antenna=2), Read(at_s=3, antenna=2), Read(at_s=9, antenna=1)]
    assert intervals(last_read_wins(table_of(reads), SITE)) == [
        ("E1", "a", 1.0, 2.0),
        ("E1", "a", 9.0, 609.0),
        ("E1", "b", 2.0, 9.0),
    ]


def test_reads_count_in_the_order_of_their_times_and_late_ones_not_at_all() -> None:
    reads = [Read(at_s=2, antenna=2), Read(at_s=1, antenna=1), Read(at_s=1.5, antenna=3, late=True)]
    assert intervals(last_read_wins(table_of(reads), SITE)) == [("E1", "a", 1.0, 2.0), ("E1", "b", 2.0, 602.0)]


def test_ten_minutes_of_silence_are_a_departure() -> None:
    reads = [Read(at_s=0), Read(at_s=600), Read(at_s=1200.001)]
    expected = [("E1", "a", 0.0, 1200.0), ("E1", "a", 1200.001, 1800.001)]
    assert intervals(last_read_wins(table_of(reads), SITE)) == expected
    assert intervals(strongest_in_window(table_of(reads), SITE)) == expected


def test_a_read_without_a_zone_shows_presence_but_no_place() -> None:
    reads = [Read(at_s=0, antenna=None), Read(at_s=1), Read(at_s=500, antenna=9), Read(at_s=900, antenna=None)]
    for baseline in (last_read_wins, strongest_in_window):
        assert intervals(baseline(table_of(reads), SITE)) == [("E1", "a", 1.0, 1500.0)]


def test_the_strongest_mean_of_ten_seconds_wins() -> None:
    reads = [
        Read(at_s=0, antenna=1, rssi_dbm=-50),
        Read(at_s=5, antenna=2, rssi_dbm=-60),  # weaker: stays in a
        Read(at_s=9.9, antenna=2, rssi_dbm=-60),
        Read(at_s=10, antenna=2, rssi_dbm=-60),  # the read at 0 has left the window: b
        Read(at_s=11, antenna=1, rssi_dbm=-60),  # as strong: stays in b
        Read(at_s=12, antenna=3, rssi_dbm=None),  # no RSSI: counts for nothing
        Read(at_s=13, antenna=1, rssi_dbm=-58),  # mean of a is -59: a
    ]
    assert intervals(strongest_in_window(table_of(reads), SITE)) == [
        ("E1", "a", 0.0, 10.0),
        ("E1", "a", 13.0, 613.0),
        ("E1", "b", 10.0, 13.0),
    ]


@given(
    st.lists(
        st.builds(
            Read,
            at_s=st.integers(0, 40).map(float),
            antenna=st.integers(1, 3),
            rssi_dbm=st.integers(-70, -60).map(float),
            epc=st.sampled_from(["E1", "E2"]),
        ),
        max_size=30,
    )
)
def test_strongest_in_window_is_what_a_slow_version_says(reads: list[Read]) -> None:
    expected = []
    for epc in sorted({read.epc for read in reads}):
        mine = sorted((read for read in reads if read.epc == epc), key=lambda read: read.at_s)
        here, changes = "", []
        for number, read in enumerate(mine):
            window = [other for other in mine[: number + 1] if other.at_s > read.at_s - 10]
            means = {}
            for zone, antenna in (("a", 1), ("b", 2), ("c", 3)):
                heard = [other.rssi_dbm for other in window if other.antenna == antenna and other.rssi_dbm is not None]
                if heard:
                    means[zone] = round(sum(heard) / len(heard), 9)
            best = max(means.values())
            if means.get(here) != best:
                here = min(zone for zone, mean in means.items() if mean == best)
                changes.append((read.at_s, here))
        ends = [time for time, _ in changes[1:]] + [mine[-1].at_s + 600]
        expected += [(epc, zone, start, end) for (start, zone), end in zip(changes, ends, strict=True) if end > start]
    assert intervals(strongest_in_window(table_of(reads), SITE)) == sorted(expected)


@pytest.mark.parametrize("name", BASELINES)
def test_no_reads_are_no_stays(name: str) -> None:
    assert BASELINES[name](table_of([]), SITE).num_rows == 0
