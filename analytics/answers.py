"""Answers as text: CSV, JSON lines, and rows for a terminal table. Times are ISO 8601 in UTC, null is empty."""

import base64
import datetime as dt
import io
from collections.abc import Iterator

import msgspec
import pyarrow as pa
import pyarrow.csv as pa_csv


def to_csv(answer: pa.Table) -> str:
    """Return an answer as CSV with a header; bytes as base64."""
    plain = [
        pa.array([_text(value) for value in column.to_pylist()], pa.string()) if _needs_text(column.type) else column
        for column in answer.columns
    ]
    sink = io.BytesIO()
    pa_csv.write_csv(pa.Table.from_arrays(plain, names=answer.column_names), sink)
    return sink.getvalue().decode()


def to_json_lines(answer: pa.Table) -> str:
    """Return an answer as one JSON object a line."""
    encoder = msgspec.json.Encoder(enc_hook=str)
    return "".join(encoder.encode(_plain(row)).decode() + "\n" for row in answer.to_pylist())


def to_text_rows(answer: pa.Table) -> Iterator[list[str]]:
    """Yield an answer's rows for people: short times, floats to 4 significant places."""
    for row in answer.to_pylist():
        yield [_short(value) for value in row.values()]


def _needs_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_timestamp(kind))


def _plain(row: dict[str, object]) -> dict[str, object]:
    return {name: _iso(value) if isinstance(value, dt.datetime) else value for name, value in row.items()}


def _text(value: object) -> str | None:
    match value:
        case None:
            return None
        case bytes():
            return base64.b64encode(value).decode()
        case dt.datetime():
            return _iso(value)
        case _:
            return msgspec.json.encode(value, enc_hook=str).decode()


def _short(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
        case dt.datetime():
            return value.strftime("%Y-%m-%d %H:%M:%S")
        case bytes():
            return value[:40].decode("utf-8", "backslashreplace") + ("..." if len(value) > 40 else "")
        case _:
            return str(value)


def _iso(value: dt.datetime) -> str:
    return value.isoformat(timespec="microseconds").replace("+00:00", "Z")
