"""What daemons tell: life-cycle lines and a status line now and then, on standard error."""

import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime

STATUS_INTERVAL_S = 10.0
"""How often a status line may come."""


def teller(name: str) -> Callable[[str], None]:
    """Return a function that prints one time-stamped line under a component's name."""

    def tell(text: str) -> None:
        stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        # One write a line: the children of `tagtide up` share this file.
        sys.stderr.write(f"{stamp} {name:<7} {text}\n")
        sys.stderr.flush()

    return tell


class Status:
    """A status line every few seconds, with rates since the last one."""

    def __init__(
        self,
        tell: Callable[[str], None],
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
            self._tell(", ".join(parts) + suffix)
        self._last, self._last_at = counts, now
