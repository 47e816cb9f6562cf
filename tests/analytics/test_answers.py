"""Promise: an answer of any type prints as CSV and JSON, and reads back as DuckDB and Python's csv understand it."""

import csv
import datetime as dt
import io
import json
import random
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from analytics import answers
from analytics.answers import to_csv, to_json_lines, to_text_rows
from analytics.query import ask
from devices.errors import QuestionError

UUID = "00000000-0000-0000-0000-00000000002a"
UTC_TIME = "TIMESTAMPTZ '2026-11-20 10:00:00.25+02'"
TYPES: list[tuple[str, str, object, str]] = [
    # SQL expression, as CSV field, as JSON, in a table
    ("NULL", "", None, ""),
    ("NULL::VARCHAR", "", None, ""),
    ("TRUE", "true", True, "yes"),
    ("42::TINYINT", "42", 42, "42"),
    ("18446744073709551615::UBIGINT", "18446744073709551615", 18446744073709551615, "18446744073709551615"),
    ("sum(1::BIGINT)", "1", 1, "1"),
    ("1.50::DECIMAL(5, 2)", "1.50", 1.5, "1.50"),
    ("0.25::DOUBLE", "0.25", 0.25, "0.25"),
    ("0.037316::DOUBLE", "0.037316", 0.037316, "0.03732"),
    ("1234567.8::DOUBLE", "1234567.8", 1234567.8, "1,234,568"),
    ("'nan'::DOUBLE", "nan", None, "nan"),
    ("'-inf'::DOUBLE", "-inf", None, "-inf"),
    ("'a,b'", '"a,b"', "a,b", "a,b"),
    ("'say \"hi\"'", '"say ""hi"""', 'say "hi"', 'say "hi"'),
    ("''", '""', "", ""),
    ("'Größe 日本'", '"Größe 日本"', "Größe 日本", "Größe 日本"),
    ("'a' || chr(27) || '[31m'", '"a\x1b[31m"', "a\x1b[31m", "a\\x1b[31m"),
    ("'ab'::BLOB", '"YWI="', "YWI=", "ab"),
    ("'\\xFF\\x00'::BLOB", '"/wA="', "/wA=", "\\xff\\x00"),
    ("'a'::ENUM ('a', 'b')", '"a"', "a", "a"),
    ("'00000000-0000-0000-0000-00000000002a'::UUID", f'"{UUID}"', UUID, UUID),
    ("DATE '2026-11-20'", "2026-11-20", "2026-11-20", "2026-11-20"),
    ("DATE '20000-01-01'", "20000-01-01", "20000-01-01", "20000-01-01"),
    ("TIME '10:00:00.5'", '"10:00:00.500000"', "10:00:00.500000", "10:00:00.500000"),
    (UTC_TIME, '"2026-11-20T08:00:00.250000Z"', "2026-11-20T08:00:00.250000Z", "2026-11-20 08:00:00"),
    (
        "TIMESTAMP '2026-11-20 10:00:00'",
        '"2026-11-20T10:00:00.000000"',
        "2026-11-20T10:00:00.000000",
        "2026-11-20 10:00:00",
    ),
    ("TIMESTAMP '20000-01-01'", '"20000-01-01T00:00:00.000000"', "20000-01-01T00:00:00.000000", "20000-01-01 00:00:00"),
    (
        "'2026-11-20 10:00:00.123456789'::TIMESTAMP_NS",
        '"2026-11-20T10:00:00.123456"',
        "2026-11-20T10:00:00.123456",
        "2026-11-20 10:00:00",
    ),
    ("INTERVAL '1 year 3 days 4.5 seconds'", '"P12M3DT4.5S"', "P12M3DT4.5S", "P12M3DT4.5S"),
    ("INTERVAL '0 days'", '"PT0S"', "PT0S", "PT0S"),
    ("[1, NULL, 3]", '"[1,null,3]"', [1, None, 3], "[1,null,3]"),
    ("[1, 2]::INTEGER[2]", '"[1,2]"', [1, 2], "[1,2]"),
    (
        f"[{UTC_TIME}]",
        '"[""2026-11-20T08:00:00.250000Z""]"',
        ["2026-11-20T08:00:00.250000Z"],
        '["2026-11-20T08:00:00.250000Z"]',
    ),
    ("{'a': 1, 'b': ['ab'::BLOB]}", '"{""a"":1,""b"":[""YWI=""]}"', {"a": 1, "b": ["YWI="]}, '{"a":1,"b":["YWI="]}'),
    ("MAP {'k': INTERVAL '2 days'}", '"{""k"":""P2D""}"', {"k": "P2D"}, '{"k":"P2D"}'),
    ("MAP {1: NULL}", '"{""1"":null}"', {"1": None}, '{"1":null}'),
]


@pytest.fixture(scope="module")
def database() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    return connection


@pytest.mark.parametrize(("expression", "in_csv", "in_json", "in_table"), TYPES, ids=[case[0] for case in TYPES])
def test_every_type(
    database: duckdb.DuckDBPyConnection, expression: str, in_csv: str, in_json: object, in_table: str
) -> None:
    answer = ask(database, f"SELECT {expression} AS v, 7 AS seven")
    assert to_csv(answer) == f'"v","seven"\n{in_csv},7\n'
    line = to_json_lines(answer)
    assert json.loads(line) == {"v": in_json, "seven": 7}
    assert line.endswith("\n")
    assert list(to_text_rows(answer)) == [[in_table, "7"]]


def test_duckdb_reads_back_what_it_was_asked(database: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    """DuckDB as oracle: its own readers of CSV and JSON give the answer again, nulls, quotes and times included."""
    columns = "number BIGINT, share DOUBLE, name VARCHAR, moment TIMESTAMPTZ, day DATE, good BOOLEAN, pair INTEGER[]"
    rng = random.Random(11)
    texts = [None, "", "a,b", 'x"y', "line\nbreak", "\r\n", "NULL", "ö", " spaced ", "\\N", "'"]

    def maybe(value: object) -> object:
        return None if rng.random() < 0.2 else value

    rows = [
        (
            maybe(rng.randrange(-(2**40), 2**40)),
            maybe(rng.choice([0.1, -1e300, 1 / 3, 5e-324, 123456.0])),
            rng.choice(texts),
            maybe(dt.datetime(2026, 3, 29, 1, rng.randrange(60), 0, rng.randrange(10**6), dt.UTC)),
            maybe(dt.date(2026, 3, rng.randrange(1, 32))),
            maybe(rng.random() < 0.5),
            maybe([rng.randrange(9), None]),
        )
        for _ in range(300)
    ]
    database.execute(f"CREATE OR REPLACE TABLE asked ({columns})")
    database.executemany("INSERT INTO asked VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
    answer = ask(database, "SELECT * FROM asked")
    types = (
        "{" + ", ".join(f"'{name}': '{kind}'" for name, kind in (pair.split() for pair in columns.split(", "))) + "}"
    )
    (tmp_path / "a.csv").write_text(to_csv(answer), newline="")
    (tmp_path / "a.jsonl").write_text(to_json_lines(answer))
    from_json = f"FROM read_json('{tmp_path}/a.jsonl', format = 'newline_delimited', columns = {types})"
    # Quoted is text and not null: that is how CSV tells '' from nothing.
    from_csv = (
        f"FROM read_csv('{tmp_path}/a.csv', header = true, columns = {types}, auto_detect = false, quote = '\"',"
        " escape = '\"', nullstr = '', allow_quoted_nulls = false, parallel = false)"
    )
    for read_back in (from_json, from_csv):
        assert database.execute(f"SELECT count(*) {read_back}").fetchone() == (300,)
        for one, other in ((read_back, "FROM asked"), ("FROM asked", read_back)):
            assert database.execute(f"{one} EXCEPT ALL {other}").fetchall() == []


def test_python_reads_the_csv_back() -> None:
    texts = ["plain", 'q"uote', "new\nline", "comma,", ""]
    answer = pa.table({"n": range(5), "text": texts})
    assert [row["text"] for row in csv.DictReader(io.StringIO(to_csv(answer), newline=""))] == texts


def test_no_rows() -> None:
    answer = pa.table({"a": pa.array([], pa.int64()), "b": pa.array([], pa.timestamp("us", "UTC"))})
    assert to_csv(answer) == '"a","b"\n'
    assert to_json_lines(answer) == ""
    assert list(to_text_rows(answer)) == []


def test_no_columns() -> None:
    """What a statement that is no query leaves: `SET threads = 1`."""
    assert (to_csv(pa.table({})), to_json_lines(pa.table({})), list(to_text_rows(pa.table({})))) == ("", "", [])


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 5])
def test_large_answers_are_the_same_in_parts(monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    answer = pa.table({"n": range(rows), "l": [[number] for number in range(rows)]})
    whole = to_csv(answer), to_json_lines(answer)
    monkeypatch.setattr(answers, "_ROWS_AT_ONCE", 2)
    assert (to_csv(answer), to_json_lines(answer)) == whole
    assert whole[0].count("\n") == rows + 1


def test_a_long_payload_is_cut_in_a_table_only() -> None:
    answer = pa.table({"payload": [b"x" * 1000]})
    assert list(to_text_rows(answer)) == [["x" * 40 + "..."]]
    assert len(to_csv(answer)) > 1300


def test_what_python_has_no_time_for_is_an_error_with_a_hint(database: duckdb.DuckDBPyConnection) -> None:
    answer = ask(database, "SELECT [TIMESTAMP '20000-01-01'] AS far")
    for write in (to_csv, to_json_lines, lambda table: list(to_text_rows(table))):
        with pytest.raises(QuestionError, match="column far") as caught:
            write(answer)
        assert caught.value.hint == "cast it in the query: far::VARCHAR"
