"""Rows of a canonical stream as JSON, one object a row, and back.

Keys are the stream's column names. What is null is left out. A time is RFC 3339 text in UTC with microseconds
(`2026-11-22T15:35:31.485691Z`), or an integer of microseconds since the epoch for the few that lie outside the
years 1 to 9999. Bytes are base64. Keys that are no columns are ignored.
"""

import base64
import binascii
import functools
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from devices.schemas import STREAMS, TIMESTAMP
from ingest.kafka_errors import KafkaRecordError

# Typed scalars: for a plain number pyarrow guesses the type, which takes half a millisecond.
_TEXT_US_MIN = pa.scalar(-62_135_596_800_000_000, pa.int64())  # 0001-01-01T00:00:00Z
_TEXT_US_MAX = pa.scalar(253_402_300_799_999_999, pa.int64())  # 9999-12-31T23:59:59.999999Z
_NO_TIME = pa.scalar(None, TIMESTAMP)


def encode_rows(batch: pa.RecordBatch) -> list[bytes]:
    """Encode each row of a stream's batch as one JSON object."""
    names = batch.schema.names
    columns = [_plain(column) for column in batch.columns]
    return [
        msgspec.json.encode({name: value for name, value in zip(names, row, strict=True) if value is not None})
        for row in zip(*columns, strict=True)
    ]


def decode_rows(stream: str, values: Sequence[bytes]) -> pa.RecordBatch:
    """Decode JSON objects to a batch of a stream, one row each.

    Raises:
        KafkaRecordError: One of them is not JSON, lacks a required column, or has a value of another type.
    """
    schema = STREAMS[stream]
    decoder = _decoder(stream)
    try:
        rows = [decoder.decode(value) for value in values]
        columns = [_column([getattr(row, field.name) for row in rows], field.type) for field in schema]
        return pa.RecordBatch.from_arrays(columns, schema=schema)
    except (msgspec.MsgspecError, pa.ArrowException, binascii.Error, ValueError, RecursionError) as error:
        raise KafkaRecordError(f"a row of {stream} cannot be decoded: {error}") from error


def _plain(column: pa.Array) -> list[Any]:
    if pa.types.is_timestamp(column.type):
        return _times_as_text(column)
    if pa.types.is_binary(column.type):
        return [None if value is None else base64.b64encode(value).decode() for value in column.to_pylist()]
    plain: list[Any] = column.to_pylist()
    return plain


def _times_as_text(column: pa.Array) -> list[str | int | None]:
    numbers = column.cast(pa.int64())
    fits = pc.and_(pc.greater_equal(numbers, _TEXT_US_MIN), pc.less_equal(numbers, _TEXT_US_MAX))
    texts = pc.if_else(fits, column, _NO_TIME).cast(pa.string())
    texts = pc.replace_substring(texts, pattern=" ", replacement="T")
    return [
        number if text is None else text for text, number in zip(texts.to_pylist(), numbers.to_pylist(), strict=True)
    ]


def _column(values: list[Any], kind: pa.DataType) -> pa.Array:
    if pa.types.is_timestamp(kind):
        texts = pa.array([value if isinstance(value, str) else None for value in values], pa.string())
        numbers = pa.array([value if isinstance(value, int) else None for value in values], pa.int64())
        return pc.coalesce(texts.cast(TIMESTAMP), numbers.cast(TIMESTAMP))
    if pa.types.is_binary(kind):
        values = [None if value is None else base64.b64decode(value, validate=True) for value in values]
    return pa.array(values, kind)


@functools.cache
def _decoder(stream: str) -> msgspec.json.Decoder[Any]:
    """Return a decoder that checks every column's presence, type and range."""
    required = [(field.name, _python_type(field.type)) for field in STREAMS[stream] if not field.nullable]
    optional = [(field.name, _python_type(field.type) | None, None) for field in STREAMS[stream] if field.nullable]
    row = msgspec.defstruct(f"{stream}_row", [*required, *optional], kw_only=True, gc=False)
    return msgspec.json.Decoder(row)


def _python_type(kind: pa.DataType) -> Any:
    if pa.types.is_timestamp(kind):
        return Annotated[int, _bits(64)] | str
    if pa.types.is_integer(kind):
        return Annotated[int, _bits(kind.bit_width)]
    if pa.types.is_floating(kind):
        return float
    return bool if pa.types.is_boolean(kind) else str


def _bits(width: int) -> msgspec.Meta:
    return msgspec.Meta(ge=-(2 ** (width - 1)), le=2 ** (width - 1) - 1)
