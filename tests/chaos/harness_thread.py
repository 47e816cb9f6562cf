"""Threads of the harness itself: one that dies of anything unforeseen ends the run, loudly, instead of going missing.

A link whose thread is gone carries nothing, and a device whose thread is gone publishes nothing: the run would look
like a system that is stuck, or worse, like one that has nothing left to lose.
"""

import threading
from collections.abc import Callable


class HarnessError(Exception):
    """A part of the harness has died: what the run found means nothing."""


class HarnessThread(threading.Thread):
    """A thread that remembers what it died of."""

    def __init__(self, name: str, work: Callable[[], None]) -> None:
        """Prepare; `start` begins.

        Args:
            name: For reports.
            work: What it does; returns when it was asked to end.
        """
        super().__init__(name=name, daemon=True)
        self._work = work
        self._died_of: BaseException | None = None

    def run(self) -> None:
        """Work; what that raises is printed as for any thread, and kept."""
        try:
            self._work()
        except BaseException as error:
            self._died_of = error
            raise

    def check(self) -> None:
        """Go on only if it has not died.

        Raises:
            HarnessError: It has; the cause is what it died of.
        """
        if self._died_of is not None:
            raise HarnessError(f"{self.name} has died of {self._died_of!r}") from self._died_of
