"""The lake: one Delta Lake table per stream, and the rule by which nothing is written twice.

An epoch's rows go into each table with one commit that also records `(writer, epoch)`. delta-rs only *keeps*
that pair, it does not refuse a repeat, so `Lake.commit` does, in this order:

1. load the table, read the writer's last epoch from it;
2. if that is this epoch or a later one, the rows are already there: done;
3. write with *the same handle*. Should another process have written as the same writer meanwhile, delta-rs
   refuses the commit, because that handle is stale; the caller starts again from its journal.

A crash between two tables leaves the epoch in some of them. The runner then computes the same epoch again and
step 2 skips where it is already in. So the guarantee needs epochs that are the same when repeated, which is the
journal's and the steps' part.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import CommitProperties, DeltaTable, Field, Transaction, WriterProperties, write_deltalake
from deltalake.exceptions import DeltaError, TableNotFoundError

from analytics.schemas import PARTITION_TIME, TABLES
from devices.errors import LakeError, Recovery

FREE_BYTES_LEFT_ALONE = 64 << 20
"""A commit is not begun with less free disk than this: an epoch is at most some tens of MB, and a disk filled to
the last byte would leave no room for the journal that says how far we are."""

COMPACTION_COMMITS = 100
"""A table is compacted after this many commits. At one commit a second that is every 100 s: at most about 100
small files a partition, which DuckDB opens in some tens of milliseconds."""

VACUUM_HOURS = 1
"""Files that compaction replaced are kept this long for readers that listed them before."""

_DELTA_CONFIGURATION = {
    # Commits older than this leave the log when a table is compacted. Every commit lists the log: with 100 files in it
    # that takes 17 ms, with 2,000 of them 46 ms and with a day's 86,400 it would be a second (measured), of which an
    # epoch has one for each table. Writers' epochs live on in the log's checkpoint; readers need only the newest state.
    "delta.logRetentionDuration": "interval 10 minutes",
    # Files that compaction replaced stay named in the log's checkpoint for this long: a week by default, 600,000 names.
    "delta.deletedFileRetentionDuration": "interval 1 hours",
    "delta.checkpointInterval": "100",
}


def lake_schema(table: str) -> pa.Schema:
    """Return the schema of a lake table: its stream's, with the `date` partition column."""
    return TABLES[table].append(pa.field("date", pa.date32(), nullable=False))


class Lake:
    """Delta tables below one directory, written by one named writer."""

    def __init__(self, directory: Path, *, writer: str) -> None:
        """Open the lake, creating its tables where they do not exist.

        Args:
            directory: Folder of the tables, one sub-folder each.
            writer: Name under which epochs are recorded. One process at a time writes under a name.

        Raises:
            LakeError: The directory cannot be written, or a table is not one of ours.
        """
        self.directory = directory
        self.writer = writer
        self._tables = {name: self._open_or_create(name) for name in TABLES}
        self._commits_since_compaction = dict.fromkeys(TABLES, 0)

    def _open_or_create(self, name: str) -> DeltaTable:
        path = self.directory / name
        try:
            path.mkdir(parents=True, exist_ok=True)
            if DeltaTable.is_deltatable(str(path)):
                return _configured(_checked(DeltaTable(str(path)), name))
            return DeltaTable.create(
                str(path),
                schema=lake_schema(name),
                partition_by=["date", "site"],
                name=name,
                configuration=_DELTA_CONFIGURATION,
            )
        except (OSError, DeltaError) as error:
            raise LakeError(f"cannot open the lake table {path}: {error}", hint="check disk and permissions") from error

    def table_ids(self) -> dict[str, str]:
        """Return the identifier that each table was given when it was made."""
        return {name: str(table.metadata().id) for name, table in self._tables.items()}

    def committed_epoch(self, table: str) -> int:
        """Return the last epoch of this writer in a table, 0 before any."""
        return self._tables[table].transaction_version(self.writer) or 0

    def commit(self, epoch: int, rows: Mapping[str, pa.Table]) -> int:
        """Land an epoch's rows, each table in one commit; harmless to repeat.

        Args:
            epoch: Number of the epoch, 1 and up, rising.
            rows: Rows by table name, without the `date` column.

        Returns:
            How many rows were written now, not counting tables that already had the epoch.

        Raises:
            LakeError: With `Recovery.RETRY` where the disk is full or a write failed: the same call may succeed later.
                With `Recovery.HALT` where another process writes under the same name.
        """
        self._check_room()
        return sum(self._commit_table(name, epoch, table) for name, table in sorted(rows.items()) if table.num_rows)

    def _check_room(self) -> None:
        free = shutil.disk_usage(self.directory).free
        if free < FREE_BYTES_LEFT_ALONE:
            raise _retry(f"only {free >> 20} MiB are free on the disk of {self.directory}: holding new rows back")

    def _commit_table(self, name: str, epoch: int, rows: pa.Table) -> int:
        handle = self._tables[name]
        try:
            handle.update_incremental()
            if (handle.transaction_version(self.writer) or 0) >= epoch:
                return 0
            write_deltalake(
                handle,
                _with_date(rows, name),
                mode="append",
                commit_properties=CommitProperties(
                    app_transactions=[Transaction(self.writer, epoch)], max_commit_retries=0
                ),
                writer_properties=WriterProperties(compression="ZSTD", compression_level=1),
            )
        except (OSError, DeltaError) as error:
            if "Concurrent transaction" in str(error):
                raise LakeError(
                    f"another process writes {name} as '{self.writer}'",
                    hint="stop the other `tagtide jobs` on this data directory",
                    code="lake_second_writer",
                ) from error
            raise _retry(f"cannot commit epoch {epoch} to {name}: {error}") from error
        self._commits_since_compaction[name] += 1
        return int(rows.num_rows)

    def maintain(self) -> dict[str, int]:
        """Compact tables that have gathered many small files, and drop files that were replaced long enough ago.

        Returns:
            How many files were merged, by table; only tables that were due.
        """
        merged: dict[str, int] = {}
        for name, commits in self._commits_since_compaction.items():
            if commits >= COMPACTION_COMMITS:
                merged[name] = self.compact(name)
        return merged

    def compact(self, name: str) -> int:
        """Merge a table's small files and drop replaced ones; return how many files were merged."""
        handle = self._tables[name]
        handle.update_incremental()
        metrics = handle.optimize.compact()
        handle.vacuum(retention_hours=VACUUM_HOURS, enforce_retention_duration=False, dry_run=False)
        handle.cleanup_metadata()
        self._commits_since_compaction[name] = 0
        return int(metrics["numFilesRemoved"])


def snapshot_files(directory: Path, table: str) -> list[str]:
    """Return the Parquet files of a table's current snapshot; empty where the table does not exist yet."""
    try:
        return sorted(DeltaTable(str(directory / table)).file_uris())
    except TableNotFoundError:
        return []
    except (OSError, DeltaError) as error:
        raise LakeError(f"cannot read the lake table {directory / table}: {error}") from error


def _checked(table: DeltaTable, name: str) -> DeltaTable:
    """Return a table with every column of ours: those that may be null are added to one that an older release made."""
    found = {field.name for field in table.schema().fields}
    added = [field for field in lake_schema(name) if field.name not in found and field.nullable]
    if added:
        table.alter.add_columns([Field.from_arrow(field) for field in added])
    expected = set(lake_schema(name).names)
    if missing := expected - found - {field.name for field in added}:
        raise LakeError(
            f"the lake table {name} lacks {', '.join(sorted(missing))}",
            hint="this lake was written by an older Tagtide: replay the edge log into a new data directory",
            code="lake_schema_mismatch",
        )
    return table


def _configured(table: DeltaTable) -> DeltaTable:
    """Bring a table that an older release made to today's settings."""
    found = table.metadata().configuration
    if any(found.get(key) != value for key, value in _DELTA_CONFIGURATION.items()):
        table.alter.set_table_properties(_DELTA_CONFIGURATION)
    return table


def _with_date(rows: pa.Table, name: str) -> pa.Table:
    dates = pc.cast(rows[PARTITION_TIME[name]], pa.date32())
    return rows.cast(TABLES[name]).append_column(lake_schema(name).field("date"), dates)


def _retry(message: str) -> LakeError:
    error = LakeError(message, hint="free disk space; writing goes on by itself")
    error.recovery = Recovery.RETRY
    return error
