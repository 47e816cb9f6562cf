"""The truth file: where every item really was. CSV, plain or gzipped, with a header line.

Columns: `epc_hex,zone,x,y,from_us,until_us`. A row holds over `[from_us, until_us)`, microseconds since the Unix
epoch, UTC. An empty zone means off site; x and y are metres and may be empty. Rows of one item do not overlap; a time
that no row of an item covers counts as off site. Several rows in the same zone in a row are one stay.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from devices.errors import TagtideError

TRUTH = pa.schema(
    [
        pa.field("epc_hex", pa.string(), nullable=False),
        pa.field("zone", pa.string(), nullable=False),
        pa.field("x", pa.float64()),
        pa.field("y", pa.float64()),
        pa.field("from_us", pa.int64(), nullable=False),
        pa.field("until_us", pa.int64(), nullable=False),
    ]
)
"""Columns of a truth file."""


class TruthError(TagtideError):
    """A truth file cannot be read or contradicts itself."""

    code = "truth_invalid"


def read_truth(path: Path | str) -> pa.Table:
    """Read a truth file.

    Args:
        path: CSV file; gzipped where its name ends in `.gz`.

    Returns:
        A table in `TRUTH` form, by item and time, EPCs in upper case.

    Raises:
        TruthError: The file cannot be read, lacks a column, or has a row that cannot be true.
    """
    convert = pacsv.ConvertOptions(
        column_types=TRUTH, include_columns=TRUTH.names, null_values=[""], strings_can_be_null=False
    )
    try:
        table = pacsv.read_csv(str(path), convert_options=convert)
    except (OSError, pa.ArrowException) as error:
        text = str(error).splitlines()[0]
        raise TruthError(
            f"{path} is not a truth file: {text}", hint=f"its header is {','.join(TRUTH.names)}"
        ) from error
    return check_truth(table, str(path))


def read_truth_file(path: Path | str, columns: pa.Schema, about: str) -> pa.Table:
    """Read a truth about something else than places: CSV with a header that has some columns.

    Args:
        path: The file; gzipped where its name ends in `.gz`.
        columns: Which columns; others are passed over.
        about: What it is about, for errors.

    Raises:
        TruthError: The file cannot be read or lacks a column.
    """
    convert = pacsv.ConvertOptions(column_types=columns, include_columns=columns.names)
    try:
        return pacsv.read_csv(str(path), convert_options=convert)
    except (OSError, pa.ArrowException) as error:
        text = str(error).splitlines()[0]
        raise TruthError(
            f"{path} is no truth about {about}: {text}", hint=f"its header is {','.join(columns.names)}"
        ) from error


def write_truth(path: Path | str, truth: pa.Table) -> None:
    """Write a truth file.

    Args:
        path: Where; gzipped where its name ends in `.gz`.
        truth: A table in `TRUTH` form.
    """
    with pa.output_stream(str(path), compression="detect") as stream:
        pacsv.write_csv(truth.select(TRUTH.names), stream, pacsv.WriteOptions(quoting_style="needed"))


def check_truth(table: pa.Table, name: str = "truth") -> pa.Table:
    """Check that a truth can be true, and put it in order of item and time.

    Args:
        table: Columns of `TRUTH`.
        name: How errors name it.

    Raises:
        TruthError: A row has no EPC or time, ends before it begins, or overlaps another of its item.
    """
    columns = [pc.utf8_upper(table[field.name]) if field.name == "epc_hex" else table[field.name] for field in TRUTH]
    table = pa.table([column.cast(field.type) for column, field in zip(columns, TRUTH, strict=True)], schema=TRUTH)
    for column in ("epc_hex", "zone", "from_us", "until_us"):
        _refuse_first(table, pc.is_null(table[column]), name, f"has no {column}")
    _refuse_first(table, pc.equal(table["epc_hex"], ""), name, "has no epc_hex")
    _refuse_first(table, pc.less_equal(table["until_us"], table["from_us"]), name, "ends before it begins")
    table = table.sort_by([("epc_hex", "ascending"), ("from_us", "ascending")])
    if table.num_rows > 1:
        item = table["epc_hex"].combine_chunks().dictionary_encode().indices.to_numpy()
        early = table["from_us"].to_numpy()[1:] < table["until_us"].to_numpy()[:-1]
        overlaps = np.concatenate([[False], (item[1:] == item[:-1]) & early])
        _refuse_first(table, pa.array(overlaps), name, "overlaps the row before it of the same item")
    return table


def truth_of(rows: Sequence[tuple[str, str, int, int]]) -> pa.Table:
    """Make a truth of (epc_hex, zone, from_us, until_us), without places."""
    table = pa.table(
        {
            "epc_hex": pa.array([row[0] for row in rows], pa.string()),
            "zone": pa.array([row[1] for row in rows], pa.string()),
            "x": pa.nulls(len(rows), pa.float64()),
            "y": pa.nulls(len(rows), pa.float64()),
            "from_us": pa.array([row[2] for row in rows], pa.int64()),
            "until_us": pa.array([row[3] for row in rows], pa.int64()),
        },
        schema=TRUTH,
    )
    return check_truth(table)


def _refuse_first(table: pa.Table, wrong: pa.Array, name: str, what: str) -> None:
    found = pc.index(wrong, value=True).as_py()
    if found >= 0:
        row = table.slice(found, 1).to_pylist()[0]
        raise TruthError(
            f"{name}: row of item {row['epc_hex']!r} in zone {row['zone']!r} from {row['from_us']} to "
            f"{row['until_us']} {what}",
            hint="a truth file has one row per item and interval, and intervals of one item do not overlap",
        )
