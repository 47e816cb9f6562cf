"""The edge log's file: made, recognised, locked, and its errors translated. What is in it is `ingest.edge_log`'s."""

import contextlib
import fcntl
import os
import sqlite3
import uuid
from collections.abc import Iterator
from pathlib import Path

from devices.errors import EdgeLogError
from ingest.errors import EdgeLogForeignError, EdgeLogInUseError, EdgeLogUnavailableError

SCHEMA_VERSION = 1
"""Version of the tables below; kept in the file's `user_version`."""

_APPLICATION_ID = 0x54544C47  # "TTLG", in the file's header: how we know a log of ours
_BUSY_TIMEOUT_S = 5.0  # longest wait for another process's commit; theirs take milliseconds
_CHECKPOINT_PAGES = 4000  # 16 MB of WAL between checkpoints: large enough to merge writes, 20 ms to copy
_WAL_BYTES_KEPT = 64 * 2**20  # what the WAL file may keep of the disk after a burst

_TABLES = """
CREATE TABLE publications (
    edge_offset INTEGER PRIMARY KEY,
    received_us INTEGER NOT NULL,
    topic TEXT NOT NULL,
    qos INTEGER NOT NULL,
    retained INTEGER NOT NULL,
    payload BLOB NOT NULL
);
CREATE TABLE cursors (name TEXT PRIMARY KEY, edge_offset INTEGER NOT NULL);
CREATE TABLE notes (key TEXT PRIMARY KEY, value TEXT NOT NULL);
"""
_PASSING = {
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_READONLY: "the file or its folder is read-only",
    sqlite3.SQLITE_BUSY: "another process holds it locked",
    sqlite3.SQLITE_LOCKED: "another process holds it locked",
    sqlite3.SQLITE_IOERR: "the disk reports an error",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened",
    sqlite3.SQLITE_PERM: "permission is denied",
}
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def connect(path: Path) -> sqlite3.Connection:
    """Open the file so that every commit waits for the disk."""
    connection = sqlite3.connect(path, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
    connection.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES_KEPT}")
    return connection


def create(path: Path) -> None:
    """Build a whole, empty log under another name and put it in place; of two creators the first one wins."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with contextlib.closing(connect(draft)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(_TABLES)
            connection.execute("INSERT INTO notes VALUES ('edge_id', ?)", (uuid.uuid4().hex,))
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
        _place(draft, path)
    finally:
        for suffix in ("", "-wal", "-shm"):
            draft.with_name(draft.name + suffix).unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _place(draft: Path, path: Path) -> None:
    try:
        os.link(draft, path)
    except FileExistsError:
        return
    except OSError:  # a file system without hard links
        if not path.exists():
            draft.rename(path)


def check(connection: sqlite3.Connection, path: Path) -> None:
    """Make sure that the file is an edge log of this release's format.

    Raises:
        EdgeLogForeignError: It is not.
    """
    (application_id,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application_id != _APPLICATION_ID:
        raise EdgeLogForeignError(
            f"{path} is not an edge log of Tagtide", hint="give another --data directory, or move that file away"
        )
    if version != SCHEMA_VERSION:
        raise EdgeLogForeignError(
            f"{path} has format {version}, this release reads format {SCHEMA_VERSION}",
            hint="use the release of Tagtide that wrote it",
        )


def lock(path: Path) -> int:
    """Take the writer's lock beside a log; closing the returned descriptor, or dying, gives it back.

    Raises:
        EdgeLogInUseError: Another process has it.
    """
    lock_path = path.with_name(path.name + ".lock")
    descriptor = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as cause:
        holder = os.read(descriptor, 32).decode("ascii", "replace").strip() or "unknown"
        os.close(descriptor)
        raise EdgeLogInUseError(
            f"{path} is being written by another process (process id {holder})",
            hint="stop the other bridge or replay, or give this one another --data directory",
        ) from cause
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"{os.getpid()}\n".encode("ascii"))
    return descriptor


@contextlib.contextmanager
def errors_of(path: Path) -> Iterator[None]:
    """Turn what SQLite and the file system raise into our own errors, with what to do next."""
    try:
        yield
    except sqlite3.Error as cause:
        code = getattr(cause, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        if code in _DAMAGED:
            raise EdgeLogForeignError(
                f"{path} is damaged or not an edge log: {cause}",
                hint="move the file away and keep it for examination; the next start creates a new one",
            ) from cause
        if code in _PASSING:
            raise EdgeLogUnavailableError(
                f"{path} cannot be used now, {_PASSING[code]}: {cause}",
                hint="free space on that disk, or mend its permissions; it is tried again",
            ) from cause
        raise EdgeLogError(f"{path}: {cause}") from cause
    except OSError as cause:
        raise EdgeLogUnavailableError(
            f"{path} cannot be used now: {cause.strerror or cause}",
            hint="check that the folder exists and that this user may write to it",
        ) from cause
