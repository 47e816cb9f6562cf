"""What a running Tagtide takes: memory, descriptors and threads of its processes, and what it keeps on disk."""

import contextlib
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from analytics.data_directory import DataDirectory

_PAGE_KB = 4
_EDGE_LOG = """
SELECT
    first.edge_offset, last.edge_offset, first.received_us, last.received_us, (SELECT min(edge_offset) FROM cursors)
FROM (SELECT min(edge_offset) AS lowest, max(edge_offset) AS highest FROM publications)
LEFT JOIN publications AS first ON first.edge_offset = lowest
LEFT JOIN publications AS last ON last.edge_offset = highest
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One look at everything."""

    at_s: float
    """Since the first publication, seconds."""
    values: Mapping[str, float]
    """By name: `<process>_rss_mb`, `<process>_fds`, `<process>_threads`, `<process>_cpu_s`, and what is on disk."""


def sample(at_s: float, root_pid: int, data: DataDirectory, others: Mapping[str, int]) -> Sample:
    """Look at everything.

    Args:
        at_s: When, since the beginning.
        root_pid: Process whose children, and theirs, are looked at.
        data: The data directory.
        others: Further processes by name, such as brokers.
    """
    values: dict[str, float] = {}
    for part, pid in [*_family(root_pid), *others.items()]:
        for name, value in _process(pid).items():
            values[f"{part}_{name}"] = value
    values |= _edge_log(data.edge) | _journal(data.journal) | _lake(data.lake)
    values["disk_free_mb"] = shutil.disk_usage(data.root).free / 2**20
    return Sample(at_s=at_s, values=values)


def _family(root_pid: int) -> Iterator[tuple[str, int]]:
    """Yield our processes below one, by the `tagtide` command that each of them runs."""
    parents: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, IndexError):
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
    for pid in sorted(parents):
        ancestor: int | None = pid
        while ancestor is not None and ancestor != root_pid:
            ancestor = parents.get(ancestor)
        if ancestor is None:
            continue
        with contextlib.suppress(OSError):
            command = (Path("/proc") / str(pid) / "cmdline").read_bytes().split(b"\0")
            if b"deploy.cli" in command:
                yield command[command.index(b"deploy.cli") + 1].decode(), pid


def _process(pid: int) -> dict[str, float]:
    folder = Path("/proc") / str(pid)
    try:
        resident = int((folder / "statm").read_text().split()[1]) * _PAGE_KB / 1024
        after_name = (folder / "stat").read_text().rpartition(")")[2].split()
        return {
            "rss_mb": resident,
            "fds": len(list((folder / "fd").iterdir())),
            "threads": int(after_name[17]),
            "cpu_s": (int(after_name[11]) + int(after_name[12])) / 100,
        }
    except OSError:
        return {}


def _edge_log(folder: Path) -> dict[str, float]:
    path = folder / "edge-log.sqlite"
    with contextlib.suppress(sqlite3.Error, OSError), _read_only(path) as log:
        first, last, oldest_us, newest_us, done = log.execute(_EDGE_LOG).fetchone()
        if last is None:
            return {}
        return {
            "edge_log_mb": path.stat().st_size / 2**20,
            "edge_wal_mb": path.with_name(path.name + "-wal").stat().st_size / 2**20,
            "edge_log_rows": last - first + 1,
            "edge_log_age_s": (newest_us - oldest_us) / 1e6,
            "edge_backlog_rows": last - (done or 0),
        }
    return {}


def _journal(path: Path) -> dict[str, float]:
    with contextlib.suppress(sqlite3.Error, OSError), _read_only(path) as journal:
        size, states = journal.execute("SELECT coalesce(sum(length(state)), 0), count(*) FROM checkpoints").fetchone()
        (epochs,) = journal.execute("SELECT count(*) FROM epochs").fetchone()
        kept = sum(each.stat().st_size for each in path.parent.glob(path.name + "*"))
        return {
            "checkpoint_mb": size / 2**20,
            "checkpoint_states": states,
            "journal_epochs": epochs,
            "journal_mb": kept / 2**20,
        }
    return {}


def _lake(folder: Path) -> dict[str, float]:
    files = log_files = log_files_max = 0
    size = 0
    for table in sorted(folder.iterdir()) if folder.exists() else []:
        logged = 0
        for path in table.rglob("*"):
            with contextlib.suppress(OSError):
                if path.parent.name == "_delta_log":
                    logged += path.is_file()
                elif path.suffix == ".parquet":
                    files += 1
                    size += path.stat().st_size
        log_files += logged
        log_files_max = max(log_files_max, logged)
    return {
        "lake_files": files,
        "lake_mb": size / 2**20,
        "delta_log_files": log_files,
        "delta_log_files_of_a_table": log_files_max,
    }


@contextlib.contextmanager
def _read_only(path: Path) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)) as connection:
        yield connection
