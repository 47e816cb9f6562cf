"""Following a lake table: the rows of each new commit, once, whatever compaction does meanwhile.

A Delta commit names the files it added and whether they change data. Compaction rewrites files without changing
data, so a follower that takes only the data-changing additions sees each row once, in commit order.
"""

from pathlib import Path
from urllib.parse import unquote

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError

from analytics.data_directory import DataDirectory
from analytics.lake import lake_schema
from devices.errors import LakeError


class _Add(msgspec.Struct):
    path: str
    dataChange: bool  # noqa: N815 - Delta's own name
    partitionValues: dict[str, str | None]  # noqa: N815 - Delta's own name


class _Action(msgspec.Struct):
    add: _Add | None = None


class LakeFollower:
    """Reads what is committed to a table from now on."""

    def __init__(self, data: Path, table: str) -> None:
        """Start behind a table's newest commit.

        Raises:
            LakeError: There is no such table there.
        """
        self._path = DataDirectory(data).lake / table
        self._schema = lake_schema(table)
        try:
            self._version = DeltaTable(str(self._path)).version()
        except TableNotFoundError as error:
            raise LakeError(
                f"there is no lake table {self._path}", hint="name the --data directory of a running Tagtide"
            ) from error

    def new_rows(self) -> pa.Table:
        """Return the rows committed since the last call; an empty table where there are none.

        Raises:
            LakeError: It was not called for so long that commits which it has not seen are gone from the log.
        """
        tables = [self._schema.empty_table()]
        self._check_followed()
        while (log := self._log_of(self._version + 1)).exists():
            self._version += 1
            for line in log.read_bytes().splitlines():
                added = msgspec.json.decode(line, type=_Action).add
                if added is not None and added.dataChange:
                    tables.append(self._rows(added))
        return pa.concat_tables(tables)

    def _check_followed(self) -> None:
        """See that the next commit is still in the log, if there has been one."""
        newest = max((int(path.stem) for path in self._log_of(0).parent.glob("[0-9]*.json")), default=0)
        if newest > self._version and not self._log_of(self._version + 1).exists():
            raise LakeError(
                f"commits {self._version + 1} and on of {self._path} were not followed in time",
                hint="start `tagtide tail` again; what it missed is in the lake",
                code="lake_followed_too_late",
            )

    def _log_of(self, version: int) -> Path:
        return self._path / "_delta_log" / f"{version:020}.json"

    def _rows(self, added: _Add) -> pa.Table:
        stored = pq.ParquetFile(self._path / unquote(added.path)).read()
        columns = [
            stored[field.name]
            if field.name in stored.column_names
            else pa.array([added.partitionValues[field.name]] * stored.num_rows, pa.string()).cast(field.type)
            for field in self._schema
        ]
        return pa.Table.from_arrays(columns, schema=self._schema)
