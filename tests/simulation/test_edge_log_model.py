"""The edge log against a plain list: any order of appends, reads, trims, cursors, runs, crashes and torn files.

The real one, on SQLite, and the simulated one pass the same machine: what the simulation proves about the one rests on
its being like the other.
"""

import shutil
import tempfile
from pathlib import Path
from typing import Any, cast

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from devices.errors import EdgeLogError
from devices.publication import Publication
from ingest.edge_log import FILE_NAME, EdgeLog
from ingest.limits import EdgeLogLimits, reached_bound
from tests.simulation.disk import SimulatedDisk
from tests.simulation.edge_log import LogFile, SimulatedEdgeLog
from tests.simulation.faults import Faults

_EVERYTHING = EdgeLogLimits(stored_bytes_max=1, kept_age_s=0, disk_free_bytes_min=0)
_BY_AGE = EdgeLogLimits(kept_age_s=5, disk_free_bytes_min=0)


class LogAndModel(RuleBasedStateMachine):
    """Drives a log and keeps beside it what it must hold."""

    log: Any

    def __init__(self) -> None:
        super().__init__()
        self.now_us = 0
        self.rows: list[tuple[int, bytes]] = []
        self.cursors: dict[str, int] = {}
        self.notes: dict[str, str] = {}
        self.given: set[int] = set()
        self.run_begins_at = 0
        self.is_touched = False
        self.number = 0

    @rule(count=st.integers(0, 5), size=st.integers(0, 3000), note=st.none() | st.sampled_from("ab"))
    def append(self, count: int, size: int, note: str | None) -> None:
        publications = [self._publication(size) for _ in range(count)]
        first = self._last() + 1
        if publications:
            first = max(first, self.run_begins_at)
            self.run_begins_at = 0
        self.is_touched = True
        last = self.log.append(publications, note=None if note is None else (note, str(self.number)))
        for offset, publication in enumerate(publications, first):
            assert offset not in self.given, "an offset is given once"
            self.given.add(offset)
            self.rows.append((offset, publication.payload))
        assert last == self._last()
        if note is not None:
            self.notes[note] = str(self.number)

    @rule(name=st.sampled_from("jk"), back=st.integers(0, 6))
    def move_cursor(self, name: str, back: int) -> None:
        offset = self.rows[-1 - back][0] if back < len(self.rows) else 0
        self.log.move_cursor(name, offset)
        self.cursors[name] = max(self.cursors.get(name, 0), offset)

    @rule()
    def move_a_cursor_too_far(self) -> None:
        try:
            self.log.move_cursor("j", self._last() + 1)
        except EdgeLogError:
            return
        raise AssertionError("a cursor cannot pass the end")

    @rule(limits=st.sampled_from([_EVERYTHING, _BY_AGE]))
    def trim(self, limits: EdgeLogLimits) -> None:
        dropped = self.log.trim(limits)
        done = min(self.cursors.values(), default=0)
        assert all(offset < done for offset, _ in self.rows[:dropped]), "consumers still need what was dropped"
        if limits is _EVERYTHING:
            assert dropped == sum(offset < done for offset, _ in self.rows)
        del self.rows[:dropped]

    @rule(us=st.sampled_from([1, 1_000_000, 10_000_000, -3_000_000]))
    def time_passes(self, us: int) -> None:
        self.now_us = max(0, self.now_us + us)

    @rule(ahead=st.integers(-5, 1000))
    def a_run_begins(self, ahead: int) -> None:
        now_us = max(0, self._last() + ahead)
        self.log.begin_run(now_us)
        self.run_begins_at = now_us if self.is_touched else 0

    @rule(after=st.integers(0, 10), limit=st.integers(1, 8))
    def read_on(self, after: int, limit: int) -> None:
        place = self.rows[min(after, len(self.rows) - 1)][0] if self.rows else 0
        found = [(row.edge_offset, row.publication.payload) for row in self.log.read(place, limit, 10**9)]
        assert found == [row for row in self.rows if row[0] > place][:limit]
        if found and any(offset == place for offset, _ in self.rows):
            assert self.log.is_next(place, found[0][0])

    @rule()
    def ask_for_bounds(self) -> None:
        use = self.log.use()
        assert (reached_bound(use, _EVERYTHING) is None) == (use.stored_bytes < 1)
        assert use.backlog_age_s >= 0

    @precondition(lambda self: self.rows or self.cursors or self.notes)
    @rule()
    def crash(self) -> None:
        """The process is gone without closing; nothing that was returned from is lost."""
        self.reopen()
        self.run_begins_at = 0

    @invariant()
    def everything_is_there(self) -> None:
        assert [(row.edge_offset, row.publication.payload) for row in self.log.read(0, 10**6, 10**9)] == self.rows
        assert self.log.cursors() == self.cursors
        assert {key: self.log.note(key) for key in self.notes} == self.notes
        assert self.log.last_offset == self._last()
        for place, (offset, _) in enumerate(self.rows):
            assert self.log.count_after(offset) == len(self.rows) - place - 1
            assert self.log.received_us(offset) is not None

    def reopen(self) -> None:
        raise NotImplementedError

    def _last(self) -> int:
        return self.rows[-1][0] if self.rows else 0

    def _publication(self, size: int) -> Publication:
        self.number += 1
        return Publication(topic="t", payload=b"%d" % self.number + bytes(size), received_us=self.now_us)


class RealLog(LogAndModel):
    """SQLite. A crash copies the files as they are, as power loss would leave them, some with a torn end."""

    @initialize()
    def create(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="tagtide-model-"))
        self.generation = 0
        self.log = EdgeLog.open(self.directory / "0")

    def reopen(self) -> None:
        self._reopen(torn=b"")

    @precondition(lambda self: self.rows)
    @rule(torn=st.binary(min_size=1, max_size=6000))
    def crash_in_the_middle_of_a_write(self, torn: bytes) -> None:
        """The write that was under way left something behind the last commit."""
        self._reopen(torn=torn)
        self.run_begins_at = 0

    @precondition(lambda self: self.rows)
    @rule(data=st.data())
    def crash_inside_a_commit(self, data: st.DataObject) -> None:
        """Of a commit that did not return, any part is on the disk: all of it shows afterwards, or nothing."""
        before, first = len(self.rows), self._last() + 1
        wal = Path(f"{self.log.path}-wal")
        size = wal.stat().st_size if wal.exists() else 0
        publications = [self._publication(3000) for _ in range(3)]
        self.run_begins_at = 0
        self.log._run_begins_at = 0
        self.log.append(publications)
        written = wal.stat().st_size
        cut = data.draw(st.integers(min(size, written), written), label="bytes of the WAL that reached the disk")
        self._reopen(torn=b"", wal_bytes=cut)
        if self.log.last_offset >= first:
            assert self.log.last_offset == first + 2, "a commit is whole or absent"
            for offset, publication in enumerate(publications, first):
                self.given.add(offset)
                self.rows.append((offset, publication.payload))
        assert len(self.rows) in {before, before + 3}

    def _reopen(self, *, torn: bytes, wal_bytes: int | None = None) -> None:
        self.generation += 1
        new = self.directory / str(self.generation)
        new.mkdir()
        for suffix in ("", "-wal"):
            source = Path(f"{self.log.path}{suffix}")
            if source.exists():
                shutil.copyfile(source, new / f"{FILE_NAME}{suffix}")
        wal = new / f"{FILE_NAME}-wal"
        if wal_bytes is not None:
            with wal.open("r+b") as file:
                file.truncate(wal_bytes)
        if torn and wal.exists():
            with wal.open("ab") as file:
                file.write(torn)
        self.log.close()
        self.log = EdgeLog.open(new)

    def teardown(self) -> None:
        if hasattr(self, "directory"):
            self.log.close()
            shutil.rmtree(self.directory)


class SimulatedLog(LogAndModel):
    """The simulation's."""

    @initialize()
    def create(self) -> None:
        import random

        self.file = LogFile(SimulatedDisk(Faults(random.Random(0), among=())), "e" * 32)
        self.log = SimulatedEdgeLog(self.file)

    def reopen(self) -> None:
        self.file.writer = None
        self.log = SimulatedEdgeLog(self.file)


_SETTINGS = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
TestRealLog = cast("Any", RealLog.TestCase)
TestRealLog.settings = settings(max_examples=25, stateful_step_count=25, **cast("Any", _SETTINGS))
TestSimulatedLog = cast("Any", SimulatedLog.TestCase)
TestSimulatedLog.settings = settings(max_examples=60, stateful_step_count=30, **cast("Any", _SETTINGS))
