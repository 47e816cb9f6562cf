"""The edge log: every publication that a bridge accepted, in order, on disk before it is acknowledged.

One SQLite file, WAL, `synchronous=FULL`: a commit that returned survives a power cut. Rows carry rising offsets, from 1
on, without gaps while a bridge runs. An offset is never given twice: only rows below every cursor are ever dropped, so
the newest row always stays and the next offset follows from it. Where a run begins, offsets may jump, so that this is
true of an older copy that was put back, too (`ingest.offset_jumps`).

Consumers (the jobs, the forwarder) keep *cursors* here: the last offset that they are done with. A note is a key and
a value written in the same transaction as the rows that it speaks of: progress of a replay, what the broker owes us.

One process writes rows, held to that by an advisory lock on a file beside the log; any number read and move cursors.
An `EdgeLog` may be used by several threads; each operation holds its guard. Deciding when to store, and what to
acknowledge, is `ingest.window`'s; decoding is `devices.bulk`'s.
"""

import contextlib
import os
import shutil
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self, cast

from devices.errors import EdgeLogError
from devices.publication import LoggedPublication, Publication
from ingest.edge_log_file import check, connect, create, errors_of, lock
from ingest.errors import EdgeLogForeignError
from ingest.limits import EdgeLogLimits, EdgeLogUse, released_through
from ingest.offset_jumps import OffsetJumps, is_dense

FILE_NAME = "edge-log.sqlite"
"""Name of the log inside a data directory."""

_JUMPS = "offset_jumps"  # key of the note in which the log keeps them
_TRIM_ROWS = 5_000  # rows looked at in one trim: some 10 ms, so that the bridge can trim between two reads

_INSERT = "INSERT INTO publications (edge_offset, received_us, topic, qos, retained, payload) VALUES (?, ?, ?, ?, ?, ?)"
_READ = (
    "SELECT edge_offset, received_us, topic, qos, retained, payload FROM publications"
    " WHERE edge_offset > ? ORDER BY edge_offset LIMIT ?"
)
_NEEDED = (  # the oldest row that a consumer is not done with; of all rows where none has registered
    "SELECT received_us FROM publications WHERE edge_offset > (SELECT coalesce(min(edge_offset), 0) FROM cursors)"
    " ORDER BY edge_offset LIMIT 1"
)
_NEWEST = "SELECT received_us FROM publications ORDER BY edge_offset DESC LIMIT 1"
_OLDEST = (
    "SELECT edge_offset, received_us, length(payload) + length(topic) FROM publications"
    " WHERE edge_offset < ? ORDER BY edge_offset LIMIT ?"
)


class EdgeLog:
    """A durable, ordered log of publications with cursors and notes."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        """Take over an open connection; use `EdgeLog.open`."""
        self.path = path
        """The SQLite file."""
        self._connection = connection
        self._guard = threading.RLock()
        self._lock_file: int | None = None
        self._next_offset: int | None = None  # known while we are the writer and the last commit went well
        self._run_begins_at = 0
        self._jumps = OffsetJumps()
        self.edge_id: str = self._required_note("edge_id")
        """Identity of this log, random, given to it when it was created."""

    @classmethod
    def open(cls, directory: Path | str) -> Self:
        """Open the log of a data directory, creating it if there is none.

        Args:
            directory: The data directory, or the log's own file where the name ends in `.sqlite`.

        Raises:
            EdgeLogForeignError: The file is not an edge log, is damaged or of an unknown version.
            EdgeLogUnavailableError: The folder or file cannot be written.
        """
        path = Path(directory)
        path = path if path.suffix == ".sqlite" else path / FILE_NAME
        with errors_of(path):
            if not path.exists():
                create(path)
            connection = connect(path)
            try:
                check(connection, path)
                return cls(path, connection)
            except BaseException:
                connection.close()
                raise

    def close(self) -> None:
        """Give up the writer's lock and close the file."""
        with self._guard:
            if self._lock_file is not None:
                os.close(self._lock_file)
                self._lock_file = None
            self._connection.close()

    def claim_writer(self) -> None:
        """Become the one process that appends; asking again changes nothing.

        Raises:
            EdgeLogInUseError: Another process is the writer.
        """
        with self._guard:
            if self._lock_file is None:
                with errors_of(self.path):
                    self._lock_file = lock(self.path)

    def begin_run(self, now_us: int) -> None:
        """Become the writer, for a run that goes on above every offset that an earlier one can have given out.

        Args:
            now_us: The time, microseconds since the epoch; the offset of the run's first row, where that is further
                than the next one. A log into which nothing was ever written begins at 1.

        Raises:
            EdgeLogInUseError: Another process is the writer.
        """
        with self._guard:
            self.claim_writer()
            self._run_begins_at = 0 if self._is_untouched() else now_us

    def append(self, publications: Sequence[Publication], *, note: tuple[str, str] | None = None) -> int:
        """Store publications in one commit; on return they survive a power cut.

        Args:
            publications: What was received, in order; may be empty where only the note is wanted.
            note: A key and its new value, written in the same commit.

        Returns:
            Offset of the last publication in the log.

        Raises:
            EdgeLogInUseError: Another process is the writer.
            EdgeLogUnavailableError: Nothing of this was stored; the same call may succeed later.
            EdgeLogForeignError: The file is damaged.
        """
        with self._guard:
            self.claim_writer()
            first = self.last_offset + 1 if self._next_offset is None else self._next_offset
            notes = [] if note is None else [note]
            if self._is_untouched():
                notes.append((_JUMPS, OffsetJumps().encode()))
            self._next_offset = None  # in doubt until the commit has returned
            if publications and first < self._run_begins_at:
                jumps = self._known_jumps().with_jump(first - 1, self._run_begins_at, first_kept=self.first_offset)
                notes.append((_JUMPS, jumps.encode()))
                first = self._run_begins_at
            rows = [
                (offset, item.received_us, item.topic, item.qos, item.retained, item.payload)
                for offset, item in enumerate(publications, first)
            ]
            with self._transaction() as connection:
                connection.executemany(_INSERT, rows)
                connection.executemany("INSERT OR REPLACE INTO notes VALUES (?, ?)", notes)
            if publications:
                self._run_begins_at = 0
            self._next_offset = first + len(rows)
            return self._next_offset - 1

    def read(self, after: int, limit_rows: int, limit_bytes: int) -> list[LoggedPublication]:
        """Return the publications behind an offset, in order.

        Args:
            after: Offset behind which to begin; 0 is the beginning of what is kept.
            limit_rows: At most this many.
            limit_bytes: Stop before the payloads exceed this together; the first one is returned in any case.
        """
        with self._guard, errors_of(self.path):
            cursor = self._connection.execute(_READ, (after, limit_rows))
            try:
                found = _take(cursor, limit_bytes)
            finally:
                cursor.close()  # or the statement would keep its snapshot, and the WAL could not be checkpointed
        offsets = [row.edge_offset for row in found]
        if not is_dense(offsets, self._jumps) and not is_dense(offsets, self._known_jumps()):
            raise EdgeLogForeignError(
                f"{self.path} is damaged: rows are missing between offsets {found[0].edge_offset}"
                f" and {found[-1].edge_offset}",
                hint="move the file away and keep it for examination; the next start creates a new one",
            )
        return found

    @property
    def first_offset(self) -> int:
        """Offset of the oldest publication that is kept; 1 where the log is empty."""
        return cast("int", self._value("SELECT coalesce(min(edge_offset), 1) FROM publications"))

    @property
    def last_offset(self) -> int:
        """Offset of the newest publication; 0 where the log is empty."""
        return cast("int", self._value("SELECT coalesce(max(edge_offset), 0) FROM publications"))

    def count_after(self, offset: int) -> int:
        """Return how many publications are kept behind an offset; cheap, so that it may be asked every second."""
        first, last = max(offset + 1, self.first_offset), self.last_offset
        return 0 if last < first else last - first + 1 - self._known_jumps().skipped(first - 1, last)

    def is_next(self, offset: int, found: int) -> bool:
        """Whether nothing was ever stored between an offset and a later one that was found."""
        return found == offset + 1 or self._known_jumps().is_next(offset, found)

    def received_us(self, offset: int) -> int | None:
        """Return the receive time of the publication at an offset; `None` where it is not kept."""
        row = self._row("SELECT received_us FROM publications WHERE edge_offset = ?", offset)
        return None if row is None else cast("int", row[0])

    def newest_received_us(self) -> int | None:
        """Return the receive time of the newest publication, microseconds; `None` where the log is empty."""
        row = self._row(_NEWEST)
        return None if row is None else cast("int", row[0])

    @property
    def stored_bytes(self) -> int:
        """Bytes of the file that hold data; free pages inside it do not count."""
        pages = cast("int", self._value("PRAGMA page_count")) - cast("int", self._value("PRAGMA freelist_count"))
        return pages * cast("int", self._value("PRAGMA page_size"))

    def cursor(self, name: str) -> int:
        """Return the last offset that a consumer is done with; 0 where it never said."""
        row = self._row("SELECT edge_offset FROM cursors WHERE name = ?", name)
        return 0 if row is None else cast("int", row[0])

    def cursors(self) -> dict[str, int]:
        """Return every registered consumer with the last offset that it is done with."""
        with self._guard, errors_of(self.path):
            return dict(self._connection.execute("SELECT name, edge_offset FROM cursors ORDER BY name").fetchall())

    def move_cursor(self, name: str, offset: int) -> None:
        """Tell that a consumer is done with everything up to an offset. Cursors never go back.

        Moving to 0 registers a consumer: nothing is trimmed before it has said that it is done with it.

        Raises:
            EdgeLogError: The offset lies behind the end of the log.
        """
        with self._guard:
            if not 0 <= offset <= (last := self.last_offset):
                raise EdgeLogError(f"cursor {name} cannot move to {offset}: the log ends at {last}")
            with self._transaction() as connection:
                connection.execute(
                    "INSERT INTO cursors VALUES (?, ?) ON CONFLICT (name) DO UPDATE"
                    " SET edge_offset = max(edge_offset, excluded.edge_offset)",
                    (name, offset),
                )

    def note(self, key: str) -> str | None:
        """Return the value that was last stored under a key."""
        row = self._row("SELECT value FROM notes WHERE key = ?", key)
        return None if row is None else cast("str", row[0])

    def use(self) -> EdgeLogUse:
        """Return what the log takes now: its bytes, the room for more, and how far back its consumers are.

        Raises:
            EdgeLogUnavailableError: It cannot be asked now.
        """
        with self._guard, errors_of(self.path):
            page_size = cast("int", self._value("PRAGMA page_size"))
            free_bytes = page_size * cast("int", self._value("PRAGMA freelist_count"))
            return EdgeLogUse(
                stored_bytes=page_size * cast("int", self._value("PRAGMA page_count")) - free_bytes,
                room_bytes=shutil.disk_usage(self.path.parent).free + free_bytes,
                backlog_age_s=self._backlog_age_s(),
            )

    def _backlog_age_s(self) -> float:
        newest = self._row(_NEWEST)
        needed = self._row(_NEEDED)
        return (
            0.0 if newest is None or needed is None else max(0, cast("int", newest[0]) - cast("int", needed[0])) / 1e6
        )

    def trim(self, limits: EdgeLogLimits) -> int:
        """Drop some of the oldest rows that every consumer is done with and that age or size no longer lets us keep.

        Bounded work: call it now and then; it returns 0 when nothing is left to drop.

        Returns:
            How many rows were dropped.
        """
        with self._guard:
            self.claim_writer()
            with self._transaction() as connection:
                through = self._releasable(connection, limits)
                if not through:
                    return 0
                return connection.execute("DELETE FROM publications WHERE edge_offset <= ?", (through,)).rowcount

    def _releasable(self, connection: sqlite3.Connection, limits: EdgeLogLimits) -> int:
        (done,) = connection.execute("SELECT min(edge_offset) FROM cursors").fetchone()
        newest = connection.execute(_NEWEST).fetchone()
        if not done or newest is None:
            return 0
        oldest = connection.execute(_OLDEST, (done, _TRIM_ROWS))
        try:
            return released_through(oldest, limits, newest_us=newest[0], use=self.use())
        finally:
            oldest.close()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with errors_of(self.path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def _is_untouched(self) -> bool:
        return self._next_offset is None and self.last_offset == 0 and self.note(_JUMPS) is None

    def _known_jumps(self) -> OffsetJumps:
        try:
            self._jumps = OffsetJumps.decode(self.note(_JUMPS))
        except ValueError as cause:
            raise EdgeLogForeignError(f"{self.path} has a damaged note of its offsets' jumps") from cause
        return self._jumps

    def _row(self, sql: str, *values: str | int) -> tuple[object, ...] | None:
        with self._guard, errors_of(self.path):
            return cast("tuple[object, ...] | None", self._connection.execute(sql, values).fetchone())

    def _value(self, sql: str) -> object:
        row = self._row(sql)
        assert row is not None
        return row[0]

    def _required_note(self, key: str) -> str:
        found = self.note(key)
        if found is None:
            raise EdgeLogForeignError(f"{self.path} has no {key}: it is not a whole edge log")
        return found


def _take(cursor: sqlite3.Cursor, limit_bytes: int) -> list[LoggedPublication]:
    found: list[LoggedPublication] = []
    taken_bytes = 0
    for edge_offset, received_us, topic, qos, retained, payload in cursor:
        taken_bytes += len(payload)
        if found and taken_bytes > limit_bytes:
            break
        publication = Publication(
            topic=topic, payload=payload, received_us=received_us, qos=qos, retained=bool(retained)
        )
        found.append(LoggedPublication(edge_offset=edge_offset, publication=publication))
    return found
