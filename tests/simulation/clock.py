"""A simulated clock: one that never goes back, and the wall clock of a machine, which does."""

_BEGINNING_US = 1_795_000_000_000_000


class SimulatedClock:
    """Time passes when somebody waits."""

    def __init__(self) -> None:
        self._now_us = 1_000_000
        self._wall_error_us = 0

    def monotonic(self) -> float:
        """Return seconds of the clock that never goes back."""
        return self._now_us / 1e6

    def true_us(self) -> int:
        """Return the true time, microseconds since the epoch."""
        return _BEGINNING_US + self._now_us

    def wall_us(self) -> int:
        """Return what the edge's wall clock says, microseconds since the epoch."""
        return _BEGINNING_US + self._now_us + self._wall_error_us

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self._now_us += max(1, round(seconds * 1e6))

    def step(self, by_us: int) -> None:
        """Set the wall clock forward or back."""
        self._wall_error_us += by_us
