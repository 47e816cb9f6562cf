"""The rows of all timed streams of a chunk, and its clock marks, as columns in the order of the edge log."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from analytics.steps.clocks import MARK, NEVER, Codes, Flags, Times
from analytics.steps.derived import microseconds
from analytics.steps.row_keys import Keys, row_keys
from devices.chunk import Chunk, ClockMark
from devices.observations import SourceKind
from devices.schemas import STREAMS

STREAM_ORDER = ("reads", "readings", "device_events", "business_events")
"""Streams that have a time, in the order in which rows of one edge offset and index are taken. Their places are the
row kinds of `clocks.py`."""

Speaker = tuple[int, str, str]
"""Who a row is of: stream by its place in `STREAM_ORDER`, source kind, source. Each has a clock of its own, for
streams of one device may write the same clock differently (local time in one, UTC in the other)."""

_NOT_SENT = {"site", "event_time", "received_time", "event_time_source", "late", "edge_id", "edge_offset", "edge_index"}
_KEY_COLUMNS: dict[str, tuple[str, ...]] = {
    stream: ("source", "event_id")
    if stream == "business_events"
    else tuple(name for name in STREAMS[stream].names if name not in _NOT_SENT)
    for stream in STREAM_ORDER
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Columns in row order."""

    kind: Codes
    """Place of the row's stream in `STREAM_ORDER`, or `MARK`."""
    clock: npt.NDArray[np.int32]
    """Number of the row's speaker; -1 for marks."""
    received_us: Times
    """When it was received."""
    reader_us: Times
    """What the device's clock said, or `NEVER`."""
    edge_offset: Times
    """Place in the edge log."""
    edge_index: Times
    """Place in its publication."""
    key: Keys
    """What the device sent, as one number."""
    comparable: Flags
    """Rows that have something of their own, by which a repeat can be told from another row."""
    _order: npt.NDArray[np.int64]
    _begins: Mapping[str, int]

    @property
    def count(self) -> int:
        """Rows and marks."""
        return int(self.kind.size)

    def of_stream(self, stream: str, values: npt.NDArray[Any], count: int) -> npt.NDArray[Any]:
        """Return what belongs to one stream's rows, in that stream's order, of values in row order."""
        back = np.empty_like(values)
        back[self._order] = values
        return back[self._begins[stream] : self._begins[stream] + count]


def gather(batches: Mapping[str, pa.RecordBatch], chunk: Chunk, speakers: dict[Speaker, int]) -> Rows:
    """Bring a chunk's rows and marks into row order.

    Args:
        batches: The chunk's streams that have rows.
        chunk: The chunk.
        speakers: Numbers of speakers; new ones are added.
    """
    parts = [_mark_columns(chunk.clock)]
    begins, begin = {}, len(chunk.clock)
    for place, stream in enumerate(STREAM_ORDER):
        if stream in batches:
            parts.append(_stream_columns(place, batches[stream], speakers))
            begins[stream] = begin
            begin += batches[stream].num_rows
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    edge_offset, edge_index = columns[_COLUMNS.index("edge_offset")], columns[_COLUMNS.index("edge_index")]
    if chunk.last_offset - chunk.first_offset < 2**31:
        order = np.argsort(((edge_offset - chunk.first_offset) << 31) + edge_index, kind="stable")
    else:  # offsets jump where a run of the bridge begins: the sum would not fit into 64 bits
        order = np.lexsort((edge_index, edge_offset))
    return Rows(**dict(zip(_COLUMNS, (column[order] for column in columns), strict=True)), _order=order, _begins=begins)


_COLUMNS = ("kind", "clock", "received_us", "reader_us", "edge_offset", "edge_index", "key", "comparable")


def _mark_columns(marks: tuple[ClockMark, ...]) -> tuple[npt.NDArray[Any], ...]:
    count = len(marks)
    return (
        np.full(count, MARK, dtype=np.int8),
        np.full(count, -1, dtype=np.int32),
        np.array([mark.received_us for mark in marks], dtype=np.int64),
        np.full(count, NEVER, dtype=np.int64),
        np.array([mark.edge_offset for mark in marks], dtype=np.int64),
        np.zeros(count, dtype=np.int64),
        np.zeros(count, dtype=np.uint64),
        np.zeros(count, dtype=np.bool_),
    )


def _stream_columns(kind: int, batch: pa.RecordBatch, speakers: dict[Speaker, int]) -> tuple[npt.NDArray[Any], ...]:
    stream = STREAM_ORDER[kind]
    reader_time = batch.column("reader_time")
    timed = reader_time.is_valid().to_numpy(zero_copy_only=False)
    if stream == "business_events":
        comparable = np.ones(batch.num_rows, dtype=np.bool_)
    else:
        comparable = timed | batch.column("source_seq").is_valid().to_numpy(zero_copy_only=False)
    return (
        np.full(batch.num_rows, kind, dtype=np.int8),
        _speaker_numbers(kind, batch, speakers),
        microseconds(batch.column("received_time")),
        np.where(timed, microseconds(reader_time), NEVER) if timed.any() else np.full(batch.num_rows, NEVER),
        batch.column("edge_offset").to_numpy(),
        batch.column("edge_index").to_numpy().astype(np.int64),
        row_keys(batch, _KEY_COLUMNS[stream], stream=stream),
        comparable,
    )


def _speaker_numbers(kind: int, batch: pa.RecordBatch, speakers: dict[Speaker, int]) -> npt.NDArray[np.int32]:
    """Return each row's speaker, giving new ones the next numbers."""
    fixed = {"reads": SourceKind.READER, "business_events": SourceKind.FEED}.get(STREAM_ORDER[kind])
    source = batch.column("reader" if fixed is SourceKind.READER else "source").dictionary_encode()
    codes = source.indices.to_numpy().astype(np.int64)
    kinds = [fixed]
    if fixed is None:
        source_kind = batch.column("source_kind").dictionary_encode()
        kinds = source_kind.dictionary.to_pylist()
        codes += len(source.dictionary) * source_kind.indices.to_numpy().astype(np.int64)
    pairs = [(str(a_kind), a_source) for a_kind in kinds for a_source in source.dictionary.to_pylist()]
    numbers: npt.NDArray[np.int32] = np.full(len(pairs), -1, dtype=np.int32)
    for code in np.flatnonzero(np.bincount(codes, minlength=len(pairs))).tolist():
        numbers[code] = speakers.setdefault((kind, *pairs[code]), len(speakers))
    found: npt.NDArray[np.int32] = numbers[codes]
    return found


def changes(values: npt.NDArray[Any]) -> Iterator[tuple[int, int]]:
    """Yield the stretches of equal values, as first place and end."""
    if not values.size:
        return
    edges = [0, *(np.flatnonzero(np.diff(values)) + 1).tolist(), values.size]
    yield from pairwise(edges)
