"""The edge log as a bridge uses it: what it refuses for now is a value, it is kept within its bounds, and trimmed.

Whoever writes has to know three things of the log: whether it took what it was given, whether it can take more, and
what may wait until it can. What no later attempt would mend - damage, a second writer - is raised.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

from devices.errors import EdgeLogError, Recovery
from devices.publication import Publication
from ingest.bridge_report import BridgeStats
from ingest.edge_log import EdgeLog
from ingest.limits import Bound, EdgeLogLimits, reached_bound
from ingest.window import HoldReason

T = TypeVar("T")

_HOLDS = {
    Bound.BYTES: (
        HoldReason.LOG_FULL,
        "the edge log is at its bound (--edge-log-gib) and its consumers still need all of it",
    ),
    Bound.DISK: (HoldReason.DISK_LOW, "the edge log's disk has less room than it has to keep (--disk-free-gib)"),
    Bound.AGE: (
        HoldReason.BACKLOG_OLD,
        "what the edge log's consumers still need goes further back than its bound (--backlog-days)",
    ),
}
_BOUND_REASONS = {reason for reason, _ in _HOLDS.values()}

_TRIM_EVERY_ROWS = 2_500  # half of what one trim drops, so that trimming keeps up with any inflow
_TRIM_EVERY_US = 1_000_000


class LogKeeper:
    """Keeps one edge log, for the one who writes it."""

    def __init__(self, log: EdgeLog, limits: EdgeLogLimits, stats: BridgeStats) -> None:
        """Keep a log within bounds; nothing is asked of it yet.

        Args:
            log: The log.
            limits: Its bounds.
            stats: Where refusals and trimmed rows are counted.
        """
        self._log = log
        self._limits = limits
        self._stats = stats
        self._trim_in_rows = 0
        self._trim_at_us = 0

    def append(self, publications: Sequence[Publication]) -> EdgeLogError | None:
        """Store publications; return why that is refused now, `None` where they are stored.

        Raises:
            EdgeLogError: The log is damaged.
        """
        try:
            self._log.append(publications)
        except EdgeLogError as error:
            if error.recovery is not Recovery.RETRY:
                raise
            self._stats.log_refusals += 1
            return error
        return None

    def attempt(self, ask: Callable[[EdgeLog], T]) -> T | None:
        """Ask the log for something that can wait; `None` where it cannot now.

        Raises:
            EdgeLogError: The log is damaged.
        """
        try:
            return ask(self._log)
        except EdgeLogError as error:
            if error.recovery is not Recovery.RETRY:
                raise
            self._stats.log_refusals += 1
            return None

    def bound(self, holding_for: HoldReason | None) -> tuple[HoldReason, str] | None:
        """Return why the log can take no more as it is, in a word and in a sentence; `None` where it can.

        Args:
            holding_for: Why nothing is read at the moment: who holds goes on only when there is room to spare.
        """
        use = self.attempt(lambda log: log.use())
        if use is None:
            return HoldReason.LOG_UNAVAILABLE, "the edge log cannot be asked how full it is"
        reached = reached_bound(use, self._limits, holding=holding_for in _BOUND_REASONS)
        return None if reached is None else _HOLDS[reached]

    def count(self, rows: int) -> None:
        """Count rows that were stored: trimming has to keep up with them."""
        self._trim_in_rows -= rows

    def trim(self, now_us: int, *, at_once: bool = False) -> bool:
        """Drop what nobody needs any more, now and then or at once; return whether it was the time for it."""
        if not at_once and self._trim_in_rows > 0 and now_us < self._trim_at_us:
            return False
        self._trim_in_rows = _TRIM_EVERY_ROWS
        self._trim_at_us = now_us + _TRIM_EVERY_US
        self._stats.trimmed += self.attempt(lambda log: log.trim(self._limits)) or 0
        return True
