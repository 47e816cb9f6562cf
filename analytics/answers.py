"""Answers as text: CSV, JSON lines, and rows for a terminal table.

Times are ISO 8601 with microseconds, with a `Z` where they are UTC; intervals are ISO 8601 durations; bytes are
base64. Null is null in JSON and nothing between the commas in CSV, where an empty text is `""`. Nested values are JSON
in all three. JSON knows no NaN and no infinity: they are null there.
"""

import base64
import datetime as dt
import io
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from devices.errors import QuestionError

_ROWS_AT_ONCE = 20_000
"""Rows that are turned into text together: some MB, so that an answer of millions need not be there as text at once."""
_BYTES_SHOWN = 40
"""Of a payload, this much is shown in a table."""

_encoder = msgspec.json.Encoder(decimal_format="number", enc_hook=str)
_Convert = Callable[[Any], object]


def to_csv(answer: pa.Table) -> str:
    """Return an answer as CSV with a header."""
    return "".join(csv_parts(answer))


def csv_parts(answer: pa.Table) -> Iterator[str]:
    """Yield an answer as CSV, the header first, then some thousands of rows at a time.

    Raises:
        QuestionError: A column holds values that cannot be written.
    """
    if not answer.num_columns:
        return
    for start in range(0, max(1, answer.num_rows), _ROWS_AT_ONCE):
        part = answer.slice(start, _ROWS_AT_ONCE)
        columns = [
            _as_csv(name, column.combine_chunks()) for name, column in zip(part.column_names, part.columns, strict=True)
        ]
        sink = io.BytesIO()
        options = pa_csv.WriteOptions(include_header=start == 0)
        pa_csv.write_csv(pa.Table.from_arrays(columns, names=part.column_names), sink, options)
        yield sink.getvalue().decode()


def to_json_lines(answer: pa.Table) -> str:
    """Return an answer as one JSON object a line."""
    return "".join(json_parts(answer))


def json_parts(answer: pa.Table) -> Iterator[str]:
    """Yield an answer as one JSON object a line, some thousands of lines at a time.

    Raises:
        QuestionError: A column holds values that cannot be written.
    """
    for start in range(0, answer.num_rows, _ROWS_AT_ONCE):
        part = answer.slice(start, _ROWS_AT_ONCE)
        names = part.column_names
        columns = [_values(name, column) for name, column in zip(names, part.columns, strict=True)]
        rows = (dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True))
        yield _encoder.encode_lines(rows).decode()


def to_text_rows(answer: pa.Table) -> Iterator[list[str]]:
    """Yield an answer's rows for people: short times, floats to 4 significant places, control characters escaped."""
    columns = [
        _times(column, "%Y-%m-%d %H:%M:%S", unit="s").to_pylist()
        if pa.types.is_timestamp(column.type)
        else _values(name, column)
        for name, column in zip(answer.column_names, answer.columns, strict=True)
    ]
    for row in zip(*columns, strict=True):
        yield [_short(value) for value in row]


def _as_csv(name: str, column: pa.Array) -> pa.Array:
    """Return a column as pyarrow writes it into CSV, or as text where it cannot or would do so in a way of its own."""
    kind = column.type
    if pa.types.is_timestamp(kind):
        return _iso_times(column)
    if _is_plain(kind):
        return column
    return pa.array([_text(value) for value in _values(name, column)], pa.string())


def _is_plain(kind: pa.DataType) -> bool:
    is_one_of = pa.types
    return bool(
        is_one_of.is_null(kind)
        or is_one_of.is_boolean(kind)
        or is_one_of.is_integer(kind)
        or is_one_of.is_floating(kind)
        or is_one_of.is_decimal(kind)
        or is_one_of.is_string(kind)
        or is_one_of.is_date(kind)
        or (is_one_of.is_dictionary(kind) and is_one_of.is_string(kind.value_type))
    )


def _text(value: object) -> str | None:
    match value:
        case None:
            return None
        case str():
            return value
        case bytes():
            return base64.b64encode(value).decode()
        case _:
            return _encoder.encode(value).decode()


def _values(name: str, column: pa.ChunkedArray | pa.Array) -> list[object]:
    """Return a column as values that JSON has a form for."""
    kind = column.type
    if pa.types.is_timestamp(kind):
        column = _iso_times(column)
    elif pa.types.is_date(kind) or pa.types.is_time(kind):
        column = column.cast(pa.string())
    try:
        values: list[object] = column.to_pylist()
    except (ValueError, OverflowError) as error:  # times beyond Python's years 1 to 9999
        raise QuestionError(
            f"column {name} holds a value that cannot be written: {error}",
            hint=f"cast it in the query: {name}::VARCHAR",
        ) from error
    convert = _converter(column.type)
    if convert is None:
        return values
    return [None if value is None else convert(value) for value in values]


def _converter(kind: pa.DataType) -> _Convert | None:
    """Return what turns a value of a type into one that JSON has a form for; `None` where it has one."""
    if pa.types.is_timestamp(kind):
        return _iso
    if pa.types.is_interval(kind):
        return _duration
    if pa.types.is_map(kind):
        return _of_map(_converter(kind.item_type) or _same)
    if pa.types.is_struct(kind):
        return _of_struct({field.name: _converter(field.type) or _same for field in kind})
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return _of_list(_converter(kind.value_type) or _same)
    return None


def _same(value: object) -> object:
    return value


def _of_list(convert: _Convert) -> _Convert:
    return lambda values: [None if value is None else convert(value) for value in values]


def _of_struct(converters: dict[str, _Convert]) -> _Convert:
    return lambda fields: {name: None if value is None else converters[name](value) for name, value in fields.items()}


def _of_map(convert: _Convert) -> _Convert:
    return lambda pairs: {str(key): None if value is None else convert(value) for key, value in pairs}


def _iso(value: dt.datetime) -> str:
    return value.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _iso_times(column: pa.ChunkedArray | pa.Array) -> pa.ChunkedArray | pa.Array:
    """Return a column of times as `_iso` gives them, whatever their year."""
    return _times(column, "%Y-%m-%dT%H:%M:%S" + ("Z" if column.type.tz else ""), unit="us")


def _times(column: pa.ChunkedArray | pa.Array, pattern: str, *, unit: str) -> pa.ChunkedArray | pa.Array:
    zoned = pa.timestamp(unit, column.type.tz)
    # By way of integers, which are UTC: so nothing has to be known of time zones, and no machine has to have a list.
    return pc.strftime(column.cast(zoned, safe=False).cast(pa.int64()).cast(pa.timestamp(unit)), format=pattern)


def _duration(value: pa.MonthDayNano) -> str:
    """Return an interval as an ISO 8601 duration; each part has its own sign."""
    parts = [f"{value.months}M"] if value.months else []
    if value.days:
        parts.append(f"{value.days}D")
    if value.nanoseconds:
        parts.append(f"T{Decimal(value.nanoseconds).scaleb(-9).normalize():f}S")
    return "P" + ("".join(parts) or "T0S")


def _short(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
    return _printable(_short_text(value))


def _short_text(value: object) -> str:
    match value:
        case bytes():
            return value[:_BYTES_SHOWN].decode("utf-8", "backslashreplace") + (
                "..." if len(value) > _BYTES_SHOWN else ""
            )
        case dict() | list():
            return _encoder.encode(value).decode()
        case _:
            return str(value)


def _printable(text: str) -> str:
    """Escape what would move a terminal's cursor or change its colours; line ends stay."""
    if text.isprintable():
        return text
    return "".join(
        character
        if character.isprintable() or character == "\n"
        else character.encode("unicode_escape").decode("ascii")
        for character in text
    )
