"""A simulated edge log: the same promises as `ingest.edge_log.EdgeLog`, on a simulated disk.

It passes the same model-based tests as the real one (`test_edge_log_model.py`), and keeps for the judge everything that
was ever durable in it.
"""

import bisect
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from devices.errors import EdgeLogError
from devices.publication import LoggedPublication, Publication
from ingest.errors import EdgeLogInUseError, EdgeLogUnavailableError
from ingest.limits import EdgeLogLimits, EdgeLogUse, released_through
from ingest.offset_jumps import OffsetJumps
from tests.simulation.disk import DiskRefusalError, SimulatedDisk

_ROW_BYTES = 24


class LogCopy(NamedTuple):
    """A backup of a log."""

    rows: tuple[LoggedPublication, ...]
    cursors: dict[str, int]
    notes: dict[str, str]
    jumps: OffsetJumps


class LogFile:
    """What is durable of an edge log, whoever has it open."""

    def __init__(self, disk: SimulatedDisk, edge_id: str) -> None:
        self.disk = disk
        self.edge_id = edge_id
        self.rows: list[LoggedPublication] = []
        self.offsets: list[int] = []
        self.stored_bytes = 0
        self.cursors: dict[str, int] = {}
        self.jumps = OffsetJumps()
        self.is_touched = False
        self.notes: dict[str, str] = {}
        self.writer: object | None = None
        self.history: list[LoggedPublication] = []
        """Every row that was ever durable."""
        self.payloads: Counter[bytes] = Counter()
        """How often each payload became durable."""

    def last_offset(self) -> int:
        return self.offsets[-1] if self.offsets else 0

    def copied(self) -> "LogCopy":
        """Return a backup."""
        return LogCopy(tuple(self.rows), dict(self.cursors), dict(self.notes), self.jumps)

    def put_back(self, copy: "LogCopy") -> None:
        """Restore a backup: everything later is gone from the log."""
        self.rows = list(copy.rows)
        self.offsets = [row.edge_offset for row in copy.rows]
        self.stored_bytes = sum(_size(row.publication) for row in copy.rows)
        self.cursors, self.notes, self.jumps = dict(copy.cursors), dict(copy.notes), copy.jumps

    def append(self, rows: Sequence[LoggedPublication], note: tuple[str, str] | None) -> None:
        self.is_touched = True
        self.rows += rows
        self.history += rows
        for row in rows:
            self.offsets.append(row.edge_offset)
            self.stored_bytes += _size(row.publication)
            self.payloads[row.publication.payload] += 1
        if note is not None:
            self.notes[note[0]] = note[1]

    def drop(self, count: int) -> None:
        self.stored_bytes -= sum(_size(row.publication) for row in self.rows[:count])
        del self.rows[:count]
        del self.offsets[:count]


class SimulatedEdgeLog:
    """One process's handle of a log."""

    path = Path("simulated")

    def __init__(self, file: LogFile, on_cursor: Callable[[str, int], None] = lambda _name, _offset: None) -> None:
        self.file = file
        self.edge_id = file.edge_id
        self._on_cursor = on_cursor
        self._run_begins_at = 0

    def close(self) -> None:
        if self.file.writer is self:
            self.file.writer = None

    def claim_writer(self) -> None:
        if self.file.writer not in (None, self):
            raise EdgeLogInUseError("another process writes this log")
        self.file.writer = self

    def begin_run(self, now_us: int) -> None:
        self.claim_writer()
        if self.file.is_touched:
            self._run_begins_at = now_us

    def append(self, publications: Sequence[Publication], *, note: tuple[str, str] | None = None) -> int:
        self.claim_writer()
        first = self.file.last_offset() + 1
        if publications and first < self._run_begins_at:
            self.file.jumps = self.file.jumps.with_jump(first - 1, self._run_begins_at, first_kept=self.first_offset)
            first = self._run_begins_at
        rows = [
            LoggedPublication(edge_offset=offset, publication=item) for offset, item in enumerate(publications, first)
        ]
        self._commit(lambda: self.file.append(rows, note))
        return self.file.last_offset()

    def read(self, after: int, limit_rows: int, limit_bytes: int) -> list[LoggedPublication]:
        begin = bisect.bisect_right(self.file.offsets, after)
        found = self.file.rows[begin : begin + limit_rows]
        taken = 0
        for count, row in enumerate(found):
            taken += len(row.publication.payload)
            if count and taken > limit_bytes:
                return found[:count]
        return found

    @property
    def first_offset(self) -> int:
        return self.file.offsets[0] if self.file.offsets else 1

    @property
    def last_offset(self) -> int:
        return self.file.last_offset()

    @property
    def stored_bytes(self) -> int:
        return self.file.stored_bytes

    def newest_received_us(self) -> int | None:
        return self.file.rows[-1].publication.received_us if self.file.rows else None

    def count_after(self, offset: int) -> int:
        return len(self.file.offsets) - bisect.bisect_right(self.file.offsets, offset)

    def is_next(self, offset: int, found: int) -> bool:
        return self.file.jumps.is_next(offset, found)

    def received_us(self, offset: int) -> int | None:
        found = self.read(offset - 1, 1, 1)
        return found[0].publication.received_us if found and found[0].edge_offset == offset else None

    def cursor(self, name: str) -> int:
        return self.file.cursors.get(name, 0)

    def cursors(self) -> dict[str, int]:
        return dict(self.file.cursors)

    def move_cursor(self, name: str, offset: int) -> None:
        if not 0 <= offset <= (last := self.file.last_offset()):
            raise EdgeLogError(f"cursor {name} cannot move to {offset}: the log ends at {last}")
        before = self.file.cursors.get(name, 0)
        self._on_cursor(name, offset)
        self._commit(lambda: self.file.cursors.__setitem__(name, max(before, offset)))

    def note(self, key: str) -> str | None:
        return self.file.notes.get(key)

    def use(self) -> EdgeLogUse:
        age_us = 0
        if self.file.rows:
            done = min(self.file.cursors.values(), default=0)
            needed = self.read(done, 1, 1)
            newest_us = self.file.rows[-1].publication.received_us
            age_us = max(0, newest_us - needed[0].publication.received_us) if needed else 0
        return EdgeLogUse(stored_bytes=self.file.stored_bytes, room_bytes=2**50, backlog_age_s=age_us / 1e6)

    def trim(self, limits: EdgeLogLimits) -> int:
        self.claim_writer()
        done = min(self.file.cursors.values(), default=0)
        if not done or not self.file.rows:
            return 0
        oldest = (
            (row.edge_offset, row.publication.received_us, _size(row.publication) - _ROW_BYTES)
            for row in self.file.rows
            if row.edge_offset < done
        )
        newest_us = self.file.rows[-1].publication.received_us
        through = released_through(oldest, limits, newest_us=newest_us, use=self.use())
        count = bisect.bisect_right(self.file.offsets, through)
        if count:
            self._commit(lambda: self.file.drop(count))
        return count

    def _commit(self, apply: Callable[[], None]) -> None:
        try:
            self.file.disk.commit(apply)
        except DiskRefusalError as cause:
            raise EdgeLogUnavailableError(f"the simulated log cannot be used now: {cause}") from cause


def _size(publication: Publication) -> int:
    return len(publication.payload) + len(publication.topic) + _ROW_BYTES
