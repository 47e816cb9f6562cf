"""DuckDB over the lake: a view per table, views of the site files, and the named questions.

Views read the Parquet files of each table's current Delta snapshot, so a query sees whole epochs only. No DuckDB
extension is needed. Where a table keeps revisions (`locations`), the view shows the last one of each key.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb
import pyarrow as pa

from analytics.data_directory import DataDirectory
from analytics.lake import lake_schema, snapshot_files
from analytics.schemas import TABLES
from devices.errors import QuestionError
from devices.site.model import Site
from devices.site.table import did_you_mean

SITE_VIEWS: dict[str, pa.Schema] = {
    "sites": pa.schema([("site", pa.string()), ("name", pa.string()), ("timezone", pa.string())]),
    "zones": pa.schema([("site", pa.string()), ("zone", pa.string()), ("name", pa.string()), ("kind", pa.string())]),
    "readers": pa.schema(
        [
            ("site", pa.string()),
            ("reader", pa.string()),
            ("antenna", pa.int64()),
            ("zone", pa.string()),
            ("profile", pa.string()),
        ]
    ),
    "gates": pa.schema(
        [
            ("site", pa.string()),
            ("gate", pa.string()),
            ("name", pa.string()),
            ("kind", pa.string()),
            ("inside_zone", pa.string()),
            ("outside_zone", pa.string()),
        ]
    ),
    "shelf_plan": pa.schema(
        [
            ("site", pa.string()),
            ("shelf", pa.string()),
            ("zone", pa.string()),
            ("gtin", pa.string()),
            ("unit_grams", pa.float64()),
            ("capacity_units", pa.int64()),
            ("minimum_units", pa.int64()),
        ]
    ),
}
"""Views of the site files, with their columns."""

SHARED_VIEWS: dict[str, str] = {
    "newest": """
        SELECT max(time) AS now_time
        FROM (
            SELECT max(event_time) AS time FROM reads
            UNION ALL SELECT max(event_time) FROM readings
            UNION ALL SELECT max(event_time) FROM device_events
            UNION ALL SELECT max(event_time) FROM business_events
            UNION ALL SELECT max(as_of_time) FROM locations
            UNION ALL SELECT max(as_of_time) FROM inventory
            UNION ALL SELECT max(from_time) FROM shelves
            UNION ALL SELECT max(event_time) FROM alerts
            UNION ALL SELECT max(as_of_time) FROM radio_laws
            UNION ALL SELECT max(as_of_time) FROM passages
            UNION ALL SELECT max(as_of_time) FROM aggregations
            UNION ALL SELECT max(as_of_time) FROM counts
        )
    """,
    "sold": """
        SELECT site, epc_hex
        FROM business_events
        WHERE epc_hex IS NOT NULL AND event IN ('sale', 'transfer_out', 'return', 'transfer_in')
        GROUP BY site, epc_hex
        HAVING arg_max(event, (event_time, edge_offset, edge_index)) IN ('sale', 'transfer_out')
    """,
}
"""What several questions share: `newest`, the time that "now" is in an answer, so that a replayed day answers alike;
`sold`, the items that business events say have left."""

_REVISED: dict[str, str] = {
    "locations": "site, epc_hex, from_time",
    "aggregations": "site, parent_epc_hex, child_epc_hex, from_time",
}
"""Tables with revisions, and their key."""

_NAME = re.compile(r"[\w-]+")
"""A query that is one word is a question's name, not SQL."""


def connect(data: Path) -> duckdb.DuckDBPyConnection:
    """Open DuckDB with a view over each lake table of a data directory.

    Args:
        data: The `--data` directory.

    Returns:
        An in-memory DuckDB connection, time zone UTC.

    Raises:
        QuestionError: There is no lake there.
        LakeError: A table cannot be read.
    """
    directory = DataDirectory(data)
    if not directory.lake.is_dir():
        raise QuestionError(
            f"{data} is a file" if data.is_file() else f"there is no lake in {data}",
            hint="name the --data directory of `tagtide up`, `tagtide replay` or `tagtide demo`",
            code="lake_missing",
        )
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    for table in TABLES:
        _create_view(connection, table, snapshot_files(directory.lake, table))
    create_views(connection, directory.sites())
    return connection


def _create_view(connection: duckdb.DuckDBPyConnection, table: str, files: list[str]) -> None:
    source = _kept(connection, table, lake_schema(table).empty_table())
    if files:
        listed = ", ".join(_quoted(file) for file in files)
        stored = f"read_parquet([{listed}], union_by_name = true, hive_partitioning = true, "
        stored += "hive_types = {'date': DATE, 'site': VARCHAR})"
        columns = ", ".join(f'"{name}"' for name in lake_schema(table).names)
        # By name, beside a table that has every column: files of an older release lack those that came later.
        source = f"(SELECT {columns} FROM (FROM {source} UNION ALL BY NAME FROM {stored}))"  # noqa: S608 - our own column names
    key = _REVISED.get(table)
    latest = "" if key is None else f" QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY revision DESC) = 1"
    connection.execute(f'CREATE VIEW "{table}" AS SELECT * FROM {source}{latest}')  # noqa: S608 - our own names


def _kept(connection: duckdb.DuckDBPyConnection, name: str, rows: pa.Table) -> str:
    """Copy rows into a table that `SHOW TABLES` does not list, and return its name."""
    connection.execute("CREATE SCHEMA IF NOT EXISTS behind_views")
    connection.register("_rows", rows)
    connection.execute(f'CREATE OR REPLACE TABLE behind_views."{name}" AS SELECT * FROM _rows')  # noqa: S608 - our own names
    connection.unregister("_rows")
    return f'behind_views."{name}"'


def create_views(connection: duckdb.DuckDBPyConnection, sites: list[Site]) -> None:
    """Create `SITE_VIEWS` from site files, and `SHARED_VIEWS`; the tables must be there."""
    rows: dict[str, list[tuple[object, ...]]] = {
        "sites": [(site.id, site.name, site.timezone) for site in sites],
        "zones": [(site.id, zone.id, zone.name or zone.id, zone.kind.value) for site in sites for zone in site.zones],
        "readers": [
            (site.id, reader.id, antenna.port, antenna.zone, reader.profile)
            for site in sites
            for reader in site.readers
            for antenna in reader.antennas
        ],
        "gates": [
            (site.id, gate.id, gate.name or gate.id, gate.kind.value, gate.inside_zone, gate.outside_zone)
            for site in sites
            for gate in site.gates
        ],
        "shelf_plan": [
            (site.id, shelf.id, shelf.zone, shelf.gtin, shelf.unit_grams, shelf.capacity_units, shelf.minimum_units)
            for site in sites
            for shelf in site.shelves
        ],
    }
    for name, schema in SITE_VIEWS.items():
        columns = zip(*rows[name], strict=True) if rows[name] else [()] * len(schema)
        arrays = [pa.array(list(column), field.type) for column, field in zip(columns, schema, strict=True)]
        source = _kept(connection, name, pa.Table.from_arrays(arrays, schema=schema))
        connection.execute(f'CREATE OR REPLACE VIEW "{name}" AS SELECT * FROM {source}')  # noqa: S608 - our own names
    for name, sql in SHARED_VIEWS.items():
        connection.execute(f'CREATE OR REPLACE VIEW "{name}" AS {sql}')


def ask(connection: duckdb.DuckDBPyConnection, query: str, parameters: Mapping[str, str] | None = None) -> pa.Table:
    """Answer a named question or a SQL query.

    Args:
        connection: From `connect`.
        query: A question's name, or SQL.
        parameters: Values for the question's `$name`s, `all` where nothing is to be restricted; those left out take the
            question's defaults.

    Returns:
        The answer as an Arrow table.

    Raises:
        QuestionError: No such question, an unknown parameter, or SQL that DuckDB refuses.
    """
    given = dict(parameters or {})
    name = query.strip()
    if not _NAME.fullmatch(name):
        return _run(connection, query, given)
    from analytics.questions import ALL, find_question, load_questions

    question = find_question(name)
    if question is None:
        raise _no_question(name, list(load_questions()))
    if unknown := sorted(given.keys() - question.parameters.keys()):
        raise QuestionError(
            f'question "{name}" has no parameter "{unknown[0]}"{did_you_mean(unknown[0], question.parameters)}',
            hint=f"it has: {', '.join(question.parameters) or 'none'}; `tagtide questions {name}` explains them",
        )
    wanted = {parameter: None if value == ALL else value for parameter, value in given.items()}
    return _run(connection, question.sql, {**question.parameters, **wanted})


def _no_question(name: str, questions: Sequence[str]) -> QuestionError:
    views = [*TABLES, *SITE_VIEWS, *SHARED_VIEWS]
    if name in views:
        return QuestionError(f'"{name}" is a table, not a question', hint=f'give SQL: "SELECT * FROM {name} LIMIT 20"')  # noqa: S608 - an example to copy
    return QuestionError(
        f'there is no question "{name}"{did_you_mean(name, questions)}',
        hint="`tagtide questions` lists them; or give SQL",
    )


def _run(connection: duckdb.DuckDBPyConnection, sql: str, parameters: Mapping[str, object]) -> pa.Table:
    try:
        _check_statements(sql, parameters)
        relation = connection.sql(sql, params=dict(parameters) or None)
        answer = pa.table({}) if relation is None else relation.to_arrow_table()
    except duckdb.Error as error:
        raise QuestionError(f"DuckDB refuses the query: {error}", hint=_sql_hint(sql, error)) from error
    return answer.rename_columns(_unique(answer.column_names))


def _check_statements(sql: str, parameters: Mapping[str, object]) -> None:
    statements = duckdb.extract_statements(sql)
    if not statements:
        raise QuestionError(
            "the query is empty", hint="`tagtide questions` lists what can be asked by name; or give SQL"
        )
    used = {name for statement in statements for name in statement.named_parameters}
    if unused := sorted(parameters.keys() - used):
        raise QuestionError(f"the query has no parameter ${unused[0]}", hint="leave --param out, or use it in the SQL")
    if missing := sorted(used - parameters.keys()):
        raise QuestionError(f"the query's ${missing[0]} has no value", hint=f"--param {missing[0]}=VALUE")


def _sql_hint(sql: str, error: duckdb.Error) -> str | None:
    """Return what helps with SQL that does not run: a question's name that was meant, or where columns are listed."""
    if isinstance(error, duckdb.ParserException):
        from analytics.questions import load_questions

        meant = did_you_mean("-".join(sql.split()), load_questions()) if len(sql.split()) <= 4 else ""
        return f"for a question{meant}" if meant else None
    if isinstance(error, duckdb.CatalogException | duckdb.BinderException):
        return 'docs/tables.md has every table and column; so do "SHOW TABLES" and "DESCRIBE reads"'
    return None


def _unique(names: Sequence[str]) -> list[str]:
    """Number columns of the same name, so that JSON keeps each."""
    taken: dict[str, None] = {}
    for name in names:
        candidate, number = name, 0
        while candidate in taken:
            number += 1
            candidate = f"{name}_{number}"
        taken[candidate] = None
    return list(taken)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
