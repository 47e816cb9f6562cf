"""What daemons tell of how it goes: a status line now and then."""

import time
from collections.abc import Callable

from devices.events import Event, EventLevel, OnEvent

STATUS_INTERVAL_S = 10.0
"""How often a status line may come."""


class Status:
    """A status line every few seconds, with rates since the last one."""

    def __init__(
        self,
        tell: OnEvent,
        counts: Callable[[], dict[str, int]],
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin to count.

        Args:
            tell: Takes the line.
            counts: What is counted, by name; rising.
            monotonic: Clock, seconds.
        """
        self._tell = tell
        self._counts = counts
        self._monotonic = monotonic
        self._last_at = monotonic()
        self._last = counts()

    def maybe(self, suffix: str = "") -> None:
        """Print the line if it is time and something changed."""
        now = self._monotonic()
        passed_s = now - self._last_at
        if passed_s < STATUS_INTERVAL_S:
            return
        counts = self._counts()
        if counts != self._last:
            parts = [
                f"{value:,} {name} (+{(value - self._last.get(name, 0)) / passed_s:,.0f}/s)"
                for name, value in counts.items()
            ]
            text = ", ".join(parts) + suffix
            fields = {name.replace(" ", "_"): value for name, value in counts.items()}
            self._tell(Event(level=EventLevel.INFO, code="status", text=text, fields=fields))
        self._last, self._last_at = counts, now
