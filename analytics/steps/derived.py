"""Rows that steps derive from other rows: what they are keyed by, and how they are written.

A derived row is caused by one row of the edge log, and takes over its edge offset and receive time. Its own index
is negative and made of the cause's index and of what it tells, so that no two derived rows of a table share a key,
however a chunk was cut and whichever step wrote them.
"""

from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from devices.schemas import DEVICE_EVENTS, TIMESTAMP

DERIVED = "derived"
"""`event_time_source` of derived rows: nobody sent them, their time follows from other rows."""


class Telling(IntEnum):
    """What a derived device event tells about the row that caused it."""

    CLOCK_OF_READS = 0
    CLOCK_OF_READINGS = 1
    CLOCK_OF_DEVICE_EVENTS = 2
    REPEAT_OF_READS = 3
    REPEAT_OF_READINGS = 4
    REPEAT_OF_DEVICE_EVENTS = 5
    REPEAT_OF_BUSINESS_EVENTS = 6
    GAP_BEFORE_READ = 7
    GAP_BEFORE_DEVICE_EVENT = 8
    GAP_BEFORE_READING = 9
    DROPPED = 10
    SILENT = 11
    RESUMED = 12


_TELLINGS_LIMIT = 16
"""Room for tellings of one row. Indexes are 32 bits, so a publication may hold 2**27 rows: no broker carries that."""


def derived_index(edge_index: int, telling: Telling) -> int:
    """Return the `edge_index` of a derived row.

    Args:
        edge_index: Index of the row that caused it, 0 and up.
        telling: What it tells.

    Returns:
        A negative index, different for each pair.
    """
    return -(edge_index * _TELLINGS_LIMIT + telling + 1)


def device_event_rows(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Return derived device events as a table, in `table_of`'s manner."""
    return table_of([{"event_time_source": DERIVED, "late": False, **row} for row in rows], DEVICE_EVENTS)


def table_of(rows: Sequence[Mapping[str, Any]], schema: pa.Schema) -> pa.Table:
    """Return a few rows as a table; columns that a row does not name are null, times are integer microseconds."""
    columns = []
    for column in schema:
        values = [row.get(column.name) for row in rows]
        is_time = column.type == TIMESTAMP
        columns.append(pa.array(values, pa.int64()).cast(TIMESTAMP) if is_time else pa.array(values, column.type))
    return pa.Table.from_arrays(columns, schema=schema)


def microseconds(column: pa.Array) -> npt.NDArray[np.int64]:
    """Return a timestamp column as integer microseconds, without copying; what stands under a null is arbitrary."""
    return np.frombuffer(column.buffers()[1], dtype=np.int64)[column.offset : column.offset + len(column)]


def timestamps(values: npt.NDArray[np.int64]) -> pa.Array:
    """Return integer microseconds as a timestamp column, without copying."""
    return pa.Array.from_buffers(TIMESTAMP, values.size, [None, pa.py_buffer(np.ascontiguousarray(values))])
