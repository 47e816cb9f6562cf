"""The board: the newest report of every process, with the judgement whether it is current and its process alive."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from deploy.telemetry.report import Report

STALE_S = 15.0
"""A report older than this no longer tells how things are; one comes every second. Its samples are left out then."""

START_LIMIT_S = 300.0
"""A process reports within a second or two of its start; five minutes without any report mean that it hangs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentState:
    """What the board knows of one process."""

    component: str
    """Which process."""
    report: Report | None
    """Its newest report; `None` before the first."""
    is_current: bool
    """Whether that report is new enough to be believed."""
    unprogressed_s: float
    """How long its main loop has not gone round, seconds; before the first report, how long we wait for that."""
    progress_limit_s: float
    """How long that may take."""

    @property
    def is_alive(self) -> bool:
        """Whether its main loop goes round within its bound."""
        return self.unprogressed_s <= self.progress_limit_s


class Board:
    """Where reports are put up; used by several threads."""

    def __init__(self, expected: Sequence[str], *, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Begin without any report.

        Args:
            expected: Processes that must report, in the order in which they are shown.
            monotonic: Seconds, by the clock that reports are stamped with.
        """
        self._monotonic = monotonic
        self._guard = threading.Lock()
        self._reports: dict[str, Report | None] = dict.fromkeys(expected)
        self._waiting_since_s = dict.fromkeys(expected, monotonic())
        self._restarts = dict.fromkeys(expected, 0)

    def put(self, report: Report) -> None:
        """Put up a report in place of the one before; one of another process means that it was started again."""
        with self._guard:
            before = self._reports.get(report.component)
            again = before is not None and before.pid != report.pid
            self._reports[report.component] = report
            self._restarts[report.component] = self._restarts.get(report.component, 0) + again

    def expect_again(self, component: str) -> None:
        """Tell that a child of ours was started again: what it said before counts no more."""
        with self._guard:
            self._reports[component] = None
            self._waiting_since_s[component] = self._monotonic()
            self._restarts[component] = self._restarts.get(component, 0) + 1

    def restarts(self) -> dict[str, int]:
        """Return how often each process was started again."""
        with self._guard:
            return dict(self._restarts)

    def states(self) -> list[ComponentState]:
        """Return what is known of every process."""
        now = self._monotonic()
        with self._guard:
            return [self._state(component, report, now) for component, report in self._reports.items()]

    def _state(self, component: str, report: Report | None, now: float) -> ComponentState:
        if report is None:
            return ComponentState(
                component=component,
                report=None,
                is_current=False,
                unprogressed_s=now - self._waiting_since_s.get(component, now),
                progress_limit_s=START_LIMIT_S,
            )
        return ComponentState(
            component=component,
            report=report,
            is_current=now - report.at_s <= STALE_S,
            unprogressed_s=now - report.progressed_s,
            progress_limit_s=report.progress_limit_s,
        )
