"""Receive times do not follow a clock that leaps ahead before that has lasted; they follow everything else."""

from ingest.receive_clock import LASTING_US, ReceiveClock

HOURS_US = 3 * 3_600_000_000


class Clocks:
    def __init__(self) -> None:
        self.monotonic = 0
        self.error = 0
        self.told: list[str] = []
        self.clock = ReceiveClock(
            wall_us=lambda: 10**15 + self.monotonic + self.error,
            monotonic_us=lambda: self.monotonic,
            on_event=lambda event: self.told.append(event.code),
        )

    def after(self, us: int) -> int:
        """Return how far the receive time is from the true time, some time later."""
        self.monotonic += us
        return self.clock.now_us() - 10**15 - self.monotonic


def test_a_leap_that_is_taken_back_is_never_seen() -> None:
    clocks = Clocks()
    clocks.error = HOURS_US
    assert [clocks.after(60_000_000) for _ in range(4)] == [0, 0, 0, 0]
    clocks.error = 0
    assert clocks.after(LASTING_US) == 0
    assert clocks.told == ["clock_set_forward"]


def test_a_leap_that_lasts_is_followed_and_told() -> None:
    clocks = Clocks()
    clocks.error = HOURS_US
    assert clocks.after(1) == 0
    assert clocks.after(LASTING_US) == HOURS_US
    assert clocks.after(1) == HOURS_US
    assert clocks.told == ["clock_set_forward", "clock_followed"]


def test_another_leap_begins_its_own_wait() -> None:
    clocks = Clocks()
    clocks.error = HOURS_US
    clocks.after(LASTING_US - 1)
    clocks.error = 2 * HOURS_US
    assert clocks.after(2) == 0
    assert clocks.after(LASTING_US) == 2 * HOURS_US


def test_small_steps_and_steps_back_are_followed_at_once() -> None:
    clocks = Clocks()
    for error in (4_000_000, 8_000_000, -HOURS_US, -HOURS_US + 1):
        clocks.error = error
        assert clocks.after(1) == error
    assert clocks.told == []
