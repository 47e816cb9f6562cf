"""A simulated journal and a simulated lake: what the runner keeps, promising what the real ones promise."""

from collections.abc import Callable, Mapping

import pyarrow as pa

from analytics.journal import Checkpoint, EpochPlan, JournalError
from devices.errors import LakeError, Recovery
from tests.simulation.disk import DiskRefusalError, SimulatedDisk
from tests.simulation.faults import Crash, Fault, Faults


class SimulatedJournal:
    """Epoch plans and the newest checkpoint, on a simulated disk; outlives the runner."""

    def __init__(self, disk: SimulatedDisk) -> None:
        self.disk = disk
        self._plans: dict[int, EpochPlan] = {}
        self._checkpoint: Checkpoint | None = None

    def plan(self, plan: EpochPlan) -> None:
        assert plan.epoch not in self._plans, "an epoch is planned once"
        self._commit(lambda: self._plans.__setitem__(plan.epoch, plan))

    def planned_after(self, epoch: int) -> list[EpochPlan]:
        return [plan for number, plan in sorted(self._plans.items()) if number > epoch]

    def checkpoint(self, epoch: int, states: Mapping[str, bytes]) -> None:
        def apply() -> None:
            self._checkpoint = Checkpoint(plan=self._plans[epoch], states=dict(states))
            self._plans = {number: plan for number, plan in self._plans.items() if number >= epoch}

        self._commit(apply)

    def latest(self) -> Checkpoint | None:
        return self._checkpoint

    def close(self) -> None:
        pass

    def _commit(self, apply: Callable[[], None]) -> None:
        try:
            self.disk.commit(apply)
        except DiskRefusalError as cause:
            error = JournalError(f"cannot write the simulated journal: {cause}")
            error.recovery = Recovery.RETRY
            raise error from cause


class SimulatedLake:
    """Tables of rows, each commit with the number of its epoch; outlives the runner."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._epochs: dict[str, int] = {}
        self.tables: dict[str, list[pa.Table]] = {}

    def commit(self, epoch: int, rows: Mapping[str, pa.Table]) -> int:
        return sum(self._commit_table(name, epoch, table) for name, table in sorted(rows.items()) if table.num_rows)

    def _commit_table(self, name: str, epoch: int, rows: pa.Table) -> int:
        if self._epochs.get(name, 0) >= epoch:
            return 0
        if self._faults.strikes(Fault.CRASH_BEFORE_COMMIT):
            raise Crash
        if self._faults.strikes(Fault.COMMIT_REFUSED):
            raise self._refusal(name)
        self._epochs[name] = epoch
        self.tables.setdefault(name, []).append(rows)
        if self._faults.strikes(Fault.CRASH_AFTER_COMMIT):
            raise Crash
        if self._faults.strikes(Fault.COMMIT_UNKNOWN):
            raise self._refusal(name)
        return int(rows.num_rows)

    def _refusal(self, name: str) -> LakeError:
        error = LakeError(f"cannot commit to {name}")
        error.recovery = Recovery.RETRY
        return error

    def maintain(self) -> None:
        pass

    def rows(self, name: str) -> list[dict[str, object]]:
        """Return a table's rows, in the order in which they landed."""
        return [row for table in self.tables.get(name, []) for row in table.to_pylist()]
