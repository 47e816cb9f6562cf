"""A simulated disk: commits that are whole or absent, refused, or in doubt until the next crash."""

from collections.abc import Callable

from tests.simulation.faults import Crash, Fault, Faults

_FULL_COMMITS_MAX = 6


class DiskRefusalError(Exception):
    """Nothing was written: the disk is full, or failed."""


class SimulatedDisk:
    """Where one file with transactions of its own lies: an edge log, a journal."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._refusals_left = 0
        self.has_refused = False
        """Whether it ever was full or failed."""
        self._in_doubt: Callable[[], None] | None = None

    def commit(self, apply: Callable[[], None]) -> None:
        """Do one transaction.

        Args:
            apply: Makes the change; called where the transaction becomes durable.

        Raises:
            DiskRefusalError: It failed. After a failed fsync the change may show after the next crash all the same.
            Crash: The process ends, before or after the change became durable.
        """
        faults = self._faults
        if self._refusals_left:
            self._refusals_left -= 1
            raise DiskRefusalError("the disk is full")
        if faults.strikes(Fault.CRASH_BEFORE_COMMIT) or faults.strikes(Fault.TORN_WRITE):
            raise Crash
        if faults.strikes(Fault.DISK_FULL):
            self.has_refused = True
            self._refusals_left = faults.generator.randrange(_FULL_COMMITS_MAX)
            raise DiskRefusalError("the disk is full")
        if faults.strikes(Fault.FSYNC_FAILED):
            self.has_refused = True
            self._in_doubt = apply
            raise DiskRefusalError("the disk reports an error")
        self._in_doubt = None
        apply()
        if faults.strikes(Fault.CRASH_AFTER_COMMIT):
            raise Crash

    def crash(self) -> None:
        """The writing process is gone: what was in doubt is decided."""
        if self._in_doubt is not None and self._faults.generator.random() < 0.5:
            self._in_doubt()
        self._in_doubt = None
