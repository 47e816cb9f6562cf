"""The clock that receive times come from: the machine's, but not its leaps before they have lasted. No I/O.

Receive times bound event times: a clock that is set forward by hours, for a minute, would carry a site's time hours
ahead, and everything that comes until then would be late. So a step forward is followed only once it has lasted; until
then time goes on as it did. A clock that was wrong from the start (a box without a battery, before NTP has answered) is
right that much later. A step back is followed at once: it lets nothing be late that would not be so anyway.

```
follows  -> (wall clock leaps ahead of the one that never goes back) doubts
doubts   -> (the leap is taken back) follows
doubts   -> (it has lasted) follows, by the new time; told
```
"""

import time
from collections.abc import Callable

from devices.events import Event, EventLevel, OnEvent, ignore

STEP_US = 5_000_000
"""A difference up to this is followed at once: NTP slews and small steps. Ten times the network delay that the arrival
step takes for none."""

LASTING_US = 300_000_000
"""How long a leap has to last: five minutes, in which whoever mistyped a date has seen it."""


def monotonic_us() -> int:
    """Return microseconds of a clock that never goes back and counts while the machine sleeps, where there is one."""
    return time.clock_gettime_ns(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)) // 1000


class ReceiveClock:
    """Gives receive times."""

    def __init__(
        self,
        *,
        wall_us: Callable[[], int] = lambda: time.time_ns() // 1000,
        monotonic_us: Callable[[], int] = monotonic_us,
        on_event: OnEvent = ignore,
    ) -> None:
        """Begin by believing the machine's clock.

        Args:
            wall_us: The machine's clock, microseconds since the epoch.
            monotonic_us: A clock that never goes back, microseconds.
            on_event: Told of leaps.
        """
        self._wall_us = wall_us
        self._monotonic_us = monotonic_us
        self._on_event = on_event
        self._offset_us = wall_us() - monotonic_us()
        self._leap: tuple[int, int] | None = None  # by how much, and since when

    def now_us(self) -> int:
        """Return the receive time of what is received now, microseconds since the epoch, UTC."""
        now_us = self._monotonic_us()
        error_us = self._wall_us() - now_us - self._offset_us
        if error_us <= STEP_US:
            self._offset_us += error_us
            self._leap = None
        else:
            self._doubt(error_us, now_us)
        return now_us + self._offset_us

    def _doubt(self, error_us: int, now_us: int) -> None:
        if self._leap is None or abs(error_us - self._leap[0]) > STEP_US:
            self._leap = error_us, now_us
            text = (
                f"this machine's clock was set forward by {error_us / 1e6:.0f} s: receive times follow if that lasts"
                f" {LASTING_US // 60_000_000} minutes"
            )
            self._on_event(Event(level=EventLevel.WARNING, code="clock_set_forward", text=text))
        elif now_us - self._leap[1] >= LASTING_US:
            self._offset_us += error_us
            self._leap = None
            text = f"receive times follow the machine's clock, {error_us / 1e6:.0f} s ahead of the former"
            self._on_event(Event(level=EventLevel.WARNING, code="clock_followed", text=text))
