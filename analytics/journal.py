"""The runner's memory on disk: epochs planned before they are committed, and checkpoints of state.

One SQLite file, synchronous=FULL, held by one process at a time (a lock file beside it). Three tables:

- `epochs`: an epoch's number, the source position behind it, and for each site and edge log the last edge offset
  in it. Written *before* the epoch's first lake commit, so that whoever repeats the epoch cuts it the same way.
- `checkpoints`: the state of every site after an epoch. Written now and then; a restart loads the newest one and
  computes the later epochs again, which the lake recognises by number.
- `notes`: texts by name, such as which lake this journal belongs to.

States that fail to write leave the last whole checkpoint, since a checkpoint is one transaction.
"""

import fcntl
import os
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from devices.errors import Recovery, TagtideError

JOURNAL_VERSION = 1

_SCHEMA = """
CREATE TABLE IF NOT EXISTS epochs (
    epoch INTEGER PRIMARY KEY, position BLOB NOT NULL, through BLOB NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS checkpoints (
    epoch INTEGER, site TEXT, state BLOB NOT NULL, PRIMARY KEY (epoch, site)
) STRICT;
CREATE TABLE IF NOT EXISTS notes (name TEXT PRIMARY KEY, text TEXT NOT NULL) STRICT;
"""

Through = dict[str, dict[str, int]]
"""Per site (empty for what no site claims) and edge log, the last edge offset taken in."""


class JournalError(TagtideError):
    """The journal cannot be read or written, or belongs to another version."""

    code = "journal_failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochPlan:
    """What one epoch covers."""

    epoch: int
    """Number, 1 and up."""
    position: bytes
    """Source position behind it; opaque."""
    through: Through
    """Last edge offset in it, per site and edge log; offsets of earlier epochs stand where it adds nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """State after an epoch."""

    plan: EpochPlan
    """The epoch after which it was taken."""
    states: Mapping[str, bytes]
    """Pipeline state by site."""


class Journal:
    """Epoch plans and checkpoints in one SQLite file."""

    def __init__(self, path: Path) -> None:
        """Open the journal, creating it where there is none.

        Raises:
            JournalError: The file cannot be opened, or was written by another version.
        """
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = _locked(path.with_suffix(".lock"))
        except OSError as error:
            raise JournalError(f"cannot open the journal {path}: {error}", hint=_hint(error)) from error
        try:
            self._db = _opened(path)
        except BaseException:
            os.close(self._lock)
            raise

    def plan(self, plan: EpochPlan) -> None:
        """Record an epoch durably, before any of it is committed to the lake.

        Raises:
            JournalError: With `Recovery.RETRY`: the disk is full or failing.
        """
        with self._write() as cursor:
            cursor.execute(
                "INSERT INTO epochs VALUES (?, ?, ?)",
                (plan.epoch, plan.position, msgspec.msgpack.encode(plan.through)),
            )

    def planned_after(self, epoch: int) -> list[EpochPlan]:
        """Return the plans of later epochs, in order.

        Raises:
            JournalError: The file is damaged.
        """
        return self._plans("WHERE epoch > ? ORDER BY epoch", epoch)

    def checkpoint(self, epoch: int, states: Mapping[str, bytes]) -> None:
        """Record the state after an epoch that was planned, and forget everything older than it.

        Raises:
            JournalError: With `Recovery.RETRY`: the disk is full or failing.
        """
        with self._write() as cursor:
            cursor.execute("DELETE FROM checkpoints")
            cursor.executemany(
                "INSERT INTO checkpoints VALUES (?, ?, ?)", [(epoch, site, state) for site, state in states.items()]
            )
            cursor.execute("DELETE FROM epochs WHERE epoch < ?", (epoch,))

    def latest(self) -> Checkpoint | None:
        """Return the newest checkpoint, `None` before the first.

        Raises:
            JournalError: The file is damaged.
        """
        rows = self._rows("SELECT epoch, site, state FROM checkpoints")
        if not rows:
            return None
        epoch = rows[0][0]
        plans = self._plans("WHERE epoch = ?", epoch)
        if len(plans) != 1 or not all(
            row[0] == epoch and isinstance(row[1], str) and isinstance(row[2], bytes) for row in rows
        ):
            raise self._damaged("its checkpoint and its plans do not belong together")
        return Checkpoint(plan=plans[0], states={site: state for _, site, state in rows})

    def note(self, name: str) -> str | None:
        """Return a note, `None` where there is none.

        Raises:
            JournalError: The file is damaged.
        """
        rows = self._rows("SELECT text FROM notes WHERE name = ?", name)
        return str(rows[0][0]) if rows else None

    def keep_note(self, name: str, text: str) -> None:
        """Write a note, in the place of one of that name.

        Raises:
            JournalError: With `Recovery.RETRY`: the disk is full or failing.
        """
        with self._write() as cursor:
            cursor.execute("INSERT OR REPLACE INTO notes VALUES (?, ?)", (name, text))

    def close(self) -> None:
        """Close the file and let another process have it."""
        self._db.close()
        os.close(self._lock)

    def _plans(self, where: str, epoch: int) -> list[EpochPlan]:
        rows = self._rows(f"SELECT epoch, position, through FROM epochs {where}", epoch)  # noqa: S608  # our own text
        try:
            return [_plan(*row) for row in rows]
        except (ValueError, TypeError) as error:
            raise self._damaged(f"a plan in it cannot be read: {error}") from error

    def _rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        try:
            return self._db.execute(query, values).fetchall()
        except (sqlite3.Error, ValueError) as error:
            raise JournalError(f"cannot read the journal {self._path}: {error}", hint=_hint(error)) from error

    def _damaged(self, what: str) -> JournalError:
        return JournalError(f"the journal {self._path} is damaged: {what}", hint=_OTHER_COPY)

    def _write(self) -> "_Transaction":
        return _Transaction(self._db, self._path)


class _Transaction:
    """A write transaction that is whole or nothing, with its failure as a `JournalError`."""

    def __init__(self, db: sqlite3.Connection, path: Path) -> None:
        self._db = db
        self._path = path

    def __enter__(self) -> sqlite3.Cursor:
        return self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        try:
            self._db.execute("ROLLBACK" if kind else "COMMIT")
        except sqlite3.Error as failure:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise _retry(self._path, failure) from failure
        if isinstance(error, sqlite3.Error):
            raise _retry(self._path, error) from error


_OTHER_COPY = "put a copy of it back, or give another --data and replay into that; keep the lake: it is whole"


def _hint(error: Exception) -> str:
    if getattr(error, "sqlite_errorcode", None) in {sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT}:
        return _OTHER_COPY
    return "check disk and permissions"


def _locked(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise JournalError(
            f"another process runs the jobs of {path.parent.parent}",
            hint="stop the other `tagtide up`, `tagtide jobs` or `tagtide replay`, or give another --data",
            code="jobs_running",
        ) from error
    return descriptor


def _retry(path: Path, cause: sqlite3.Error) -> JournalError:
    error = JournalError(f"cannot write the journal {path}: {cause}", hint="free disk space; writing goes on by itself")
    error.recovery = Recovery.RETRY
    return error


def _opened(path: Path) -> sqlite3.Connection:
    db = None
    try:
        db = sqlite3.connect(path, isolation_level=None)
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        found = db.execute("PRAGMA user_version").fetchone()[0]
        if found in (0, JOURNAL_VERSION):
            db.executescript(_SCHEMA)
            db.execute(f"PRAGMA user_version={JOURNAL_VERSION}")
            return db
    except (sqlite3.Error, ValueError) as error:  # ValueError: a damaged schema whose text is not UTF-8
        if db is not None:
            db.close()
        raise JournalError(f"cannot open the journal {path}: {error}", hint=_hint(error)) from error
    db.close()
    raise JournalError(
        f"{path} has journal version {found}, this Tagtide reads {JOURNAL_VERSION}",
        hint="run the Tagtide that wrote it, or replay the edge log into a new data directory",
    )


def _plan(epoch: int, position: bytes, through: bytes) -> EpochPlan:
    if not (isinstance(epoch, int) and isinstance(position, bytes)):
        raise TypeError("number or position is of another type")
    return EpochPlan(epoch=epoch, position=position, through=msgspec.msgpack.decode(through, type=Through))
