"""DuckDB over the lake: a view per table, views of the site files, and the named questions.

Views read the Parquet files of each table's current Delta snapshot, so a query sees whole epochs only. No DuckDB
extension is needed. Where a table keeps revisions (`locations`), the view shows the last one of each key.
"""

from collections.abc import Mapping
from pathlib import Path

import duckdb
import pyarrow as pa

from analytics.data_directory import DataDirectory
from analytics.lake import lake_schema, snapshot_files
from analytics.schemas import TABLES
from devices.errors import QuestionError
from devices.site.model import Site

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

_REVISED: dict[str, str] = {"locations": "site, epc_hex, from_time"}
"""Tables with revisions, and their key."""


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
            f"there is no lake in {data}",
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
    if files:
        listed = ", ".join(_quoted(file) for file in files)
        source = f"read_parquet([{listed}], hive_partitioning = true, hive_types = {{'date': DATE, 'site': VARCHAR}})"
        columns = ", ".join(f'"{name}"' for name in lake_schema(table).names)
        source = f"(SELECT {columns} FROM {source})"  # noqa: S608 - our own column names
    else:
        connection.register(f"empty_{table}", lake_schema(table).empty_table())
        source = f"empty_{table}"
    key = _REVISED.get(table)
    latest = "" if key is None else f" QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY revision DESC) = 1"
    connection.execute(f'CREATE VIEW "{table}" AS SELECT * FROM {source}{latest}')  # noqa: S608 - our own names


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
        "shelf_plan": [
            (site.id, shelf.id, shelf.zone, shelf.gtin, shelf.unit_grams, shelf.capacity_units, shelf.minimum_units)
            for site in sites
            for shelf in site.shelves
        ],
    }
    for name, schema in SITE_VIEWS.items():
        columns = zip(*rows[name], strict=True) if rows[name] else [()] * len(schema)
        arrays = [pa.array(list(column), field.type) for column, field in zip(columns, schema, strict=True)]
        connection.register(f"_{name}", pa.Table.from_arrays(arrays, schema=schema))
        connection.execute(f'CREATE OR REPLACE VIEW "{name}" AS SELECT * FROM "_{name}"')  # noqa: S608 - our own names
    for name, sql in SHARED_VIEWS.items():
        connection.execute(f'CREATE OR REPLACE VIEW "{name}" AS {sql}')


def ask(connection: duckdb.DuckDBPyConnection, query: str, parameters: Mapping[str, str] | None = None) -> pa.Table:
    """Answer a named question or a SQL query.

    Args:
        connection: From `connect`.
        query: A question's name, or SQL.
        parameters: Values for the question's `$name`s; those left out take the question's defaults.

    Returns:
        The answer as an Arrow table.

    Raises:
        QuestionError: No such question, an unknown parameter, or SQL that DuckDB refuses.
    """
    given = dict(parameters or {})
    if len(query.split()) > 1:
        return _run(connection, query, given)
    from analytics.questions import load_questions

    questions = load_questions()
    question = questions.get(query.strip())
    if question is None:
        raise QuestionError(
            f"there is no question '{query}'", hint=f"questions: {', '.join(sorted(questions))}; or give SQL"
        )
    if unknown := given.keys() - question.parameters.keys():
        raise QuestionError(
            f"question '{query}' has no parameter {', '.join(sorted(unknown))}",
            hint=f"it has: {', '.join(question.parameters) or 'none'}",
        )
    return _run(connection, question.sql, {**question.parameters, **given})


def _run(connection: duckdb.DuckDBPyConnection, sql: str, parameters: Mapping[str, object]) -> pa.Table:
    try:
        relation = connection.sql(sql, params=dict(parameters) or None)
        return pa.table({}) if relation is None else relation.to_arrow_table()
    except duckdb.Error as error:
        raise QuestionError(f"DuckDB refuses the query: {error}") from error


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
