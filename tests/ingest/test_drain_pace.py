"""Promise: a backlog shrinks at a bounded rate, and a forwarder that keeps up is never slowed down."""

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from ingest.drain_pace import DrainPace

TURN_S = 0.05
"""A forwarder's turn while nothing comes."""


def run(pace: DrainPace, *, seconds: float, backlog: int, live: Callable[[float], float], size: int) -> list[int]:
    """Return how many publications wait after each turn, for a forwarder that reads all that it may."""
    now_s, waiting, came, left = 0.0, backlog, 0.0, []
    while now_s < seconds:
        now_s += TURN_S
        came += live(now_s) * TURN_S
        arrived, came = int(came), came - int(came)
        waiting += arrived
        may_bytes = pace.may_read(now_s, waiting)
        rows = waiting if may_bytes is None else min(waiting, -(-may_bytes // size) if may_bytes else 0)
        if rows:
            pace.read(rows, rows * size)
        waiting -= rows
        left.append(waiting)
    return left


def test_a_backlog_drains_at_the_rate_on_top_of_what_comes_in() -> None:
    for live in (0, 20, 5_000):
        left = run(DrainPace(1e6, now_s=0.0), seconds=10, backlog=20_000, live=lambda _, rate=live: rate, size=1_000)  # type: ignore[misc]
        drained = (20_000 - left[-1]) * 1_000 / 10
        assert 0.95e6 < drained < 1.15e6, live


def test_who_keeps_up_is_not_slowed_down_however_much_comes_in() -> None:
    left = run(DrainPace(1e6, now_s=0.0), seconds=20, backlog=0, live=lambda s: 200 if s < 10 else 50_000, size=1_000)
    assert max(left[:200]) == 0
    assert left[-1] < 5_000, "ten times the drain's rate is forwarded as it comes, a tenth of a second behind"


def test_what_comes_in_while_kafka_is_away_is_backlog() -> None:
    pace = DrainPace(1e6, now_s=0.0)
    assert pace.may_read(1.0, 10) is not None
    pace.read(10, 10_000)

    pace.stand_still()
    may_bytes = pace.may_read(60.0, 100_000)

    assert may_bytes is not None
    assert may_bytes <= 1e6, "a second's allowance, not the hundred megabytes that came meanwhile"


def test_a_backlog_is_read_in_portions_worth_a_chunk() -> None:
    pace, waiting, taken = DrainPace(1e6, now_s=0.0), 10**6, []
    for turn in range(1, 1_000):
        may_bytes = pace.may_read(turn / 1_000, waiting)
        if may_bytes:
            taken.append(may_bytes)
            pace.read(may_bytes // 100, may_bytes // 100 * 100)
            waiting -= may_bytes // 100
    assert min(taken) >= 1e5
    assert len(taken) <= 11


def test_an_allowance_is_not_saved_for_hours() -> None:
    pace = DrainPace(1e6, now_s=0.0)
    pace.read(1, 100)
    assert pace.may_read(1.0, 0) is not None
    may_bytes = pace.may_read(36_000.0, 10**6)
    assert may_bytes is not None
    assert may_bytes <= 1e6 + 10**6 * 100, "a second's worth, and what came in"


def test_without_a_bound_everything_may_be_read() -> None:
    assert DrainPace(None, now_s=0.0).may_read(0.0, 10**9) is None


@given(
    sizes=st.lists(st.integers(1, 10**7), min_size=1, max_size=50),
    rate=st.integers(10**3, 10**8),
    backlog=st.integers(1, 10**6),
)
def test_it_always_goes_on(sizes: list[int], rate: int, backlog: int) -> None:
    """Whatever was read, even one publication far beyond the allowance, reading goes on after a while."""
    pace, now_s = DrainPace(float(rate), now_s=0.0), 0.0
    for size in sizes:
        pace.may_read(now_s, backlog)
        pace.read(1, size)
        now_s += size / rate + 2.0
        assert pace.may_read(now_s, backlog) != 0
