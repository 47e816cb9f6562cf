"""Promise: `tagtide sql` and `tagtide questions` answer what can be answered, and help with what cannot."""

import csv
import io
import json
import subprocess
from pathlib import Path

import pytest

from analytics.questions import load_questions
from deploy.supervisor import tagtide_command
from tests.deploy.command_line import tagtide


@pytest.mark.parametrize("name", sorted(load_questions()))
def test_every_question_fits_a_pipe(stored: Path, name: str) -> None:
    ended = tagtide("sql", "--data", stored, name)
    assert ended.code == 0
    assert len({len(line) for line in ended.out.splitlines()}) == 1, "a row of the table is one line"


def test_an_old_name_answers_and_says_the_new_one(stored: Path) -> None:
    ended = tagtide("sql", "--data", stored, "gate-passages", "--format", "csv")
    assert ended.out == tagtide("sql", "--data", stored, "seen-at-antennas", "--format", "csv").out
    assert "gate-passages is called seen-at-antennas now" in ended.err
    explained = tagtide("questions", "gate-passages").out
    assert "Name: seen-at-antennas, formerly gate-passages." in explained


@pytest.mark.parametrize("name", ["where-is", "rejects-by-reason"])
def test_every_format_says_the_same(stored: Path, name: str) -> None:
    printed = {style: tagtide("sql", "--data", stored, name, "--format", style) for style in ("table", "csv", "json")}
    assert {ended.code for ended in printed.values()} == {0}
    rows = [json.loads(line) for line in printed["json"].out.splitlines()]
    in_csv = list(csv.DictReader(io.StringIO(printed["csv"].out)))
    assert len(rows) == len(in_csv) > 0
    assert list(rows[0]) == list(in_csv[0])
    # Piped, a row of the table is one line: head, column names, rule, rows, end.
    assert len(printed["table"].out.splitlines()) == len(rows) + 4


def test_a_parameter_reaches_the_question(stored: Path) -> None:
    ended = tagtide("sql", "--data", stored, "zone-contents", "-p", "zone=floor.a", "-f", "json")
    assert {json.loads(line)["zone"] for line in ended.out.splitlines()} == {"floor.a"}


def test_all_restricts_nothing(stored: Path) -> None:
    everything = tagtide("sql", "--data", stored, "where-is", "-f", "csv").out
    assert (
        tagtide("sql", "--data", stored, "where-is", "-p", "epc=all", "-p", "site=all", "-f", "csv").out == everything
    )
    assert tagtide("sql", "--data", stored, "where-is", "-p", "site=none", "-f", "csv").out != everything


def test_a_parameter_reaches_sql(stored: Path) -> None:
    ended = tagtide("sql", "--data", stored, "SELECT $a || $b AS both", "-p", "a=1=2", "-p", "$b=", "-f", "json")
    assert ended.out == '{"both":"1=2"}\n'


@pytest.mark.parametrize(
    ("query", "code", "said"),
    [
        ("where-iz", 1, 'there is no question "where-iz", did you mean "where-is"?'),
        ("reads", 1, '"reads" is a table, not a question'),
        ("where is", 1, 'did you mean "where-is"'),
        ("xyzzy", 1, "`tagtide questions` lists them"),
        ("", 1, "the query is empty"),
        ("  ", 1, "the query is empty"),
        ("/* nothing */", 1, "the query is empty"),
        ("SELEC 1", 1, "syntax error"),
        ("SELECT * FROM redas", 1, "docs/tables.md"),
        ("SELECT epc FROM reads", 1, "docs/tables.md"),
        ("SELECT 1/0 + 'x'", 1, "DuckDB refuses"),
        ("SELECT $zone", 1, "--param zone=VALUE"),
    ],
)
def test_a_query_that_does_not_run(stored: Path, query: str, code: int, said: str) -> None:
    ended = tagtide("sql", "--data", stored, query)
    assert (ended.code, ended.out) == (code, "")
    assert ended.err.startswith("error (question_failed): ")
    assert said in ended.err


@pytest.mark.parametrize(
    ("parameter", "code", "said"),
    [
        ("zone", 2, "not NAME=VALUE"),
        ("=x", 2, "not NAME=VALUE"),
        ("zoen=x", 1, 'no parameter "zoen", did you mean "zone"?'),
        ("colour=x", 1, "it has: "),
    ],
)
def test_a_parameter_that_cannot_be(stored: Path, parameter: str, code: int, said: str) -> None:
    ended = tagtide("sql", "--data", stored, "zone-contents", "--param", parameter)
    assert ended.code == code
    assert said in ended.err
    assert "  hint: " in ended.err


def test_a_parameter_that_the_sql_does_not_have(stored: Path) -> None:
    ended = tagtide("sql", "--data", stored, "SELECT 1", "--param", "a=1")
    assert ended.code == 1
    assert "the query has no parameter $a" in ended.err


@pytest.mark.parametrize("style", ["table", "csv", "json"])
@pytest.mark.parametrize("query", ["SET threads = 1", "CREATE TABLE mine (a INT)", "SELECT * FROM alerts LIMIT 0"])
def test_an_answer_without_rows_or_columns(stored: Path, query: str, style: str) -> None:
    ended = tagtide("sql", "--data", stored, query, "--format", style)
    assert (ended.code, ended.err) == (0, "")


def test_columns_of_the_same_name_are_all_there(stored: Path) -> None:
    query = "SELECT 1 AS a, 2 AS a, 3 AS a_1"
    assert tagtide("sql", "--data", stored, query, "-f", "json").out == '{"a":1,"a_1":2,"a_1_1":3}\n'
    assert tagtide("sql", "--data", stored, query, "-f", "csv").out == '"a","a_1","a_1_1"\n1,2,3\n'
    assert tagtide("sql", "--data", stored, query).code == 0


def test_show_tables_lists_what_is_documented_and_nothing_else(stored: Path) -> None:
    listed = tagtide("sql", "--data", stored, "SHOW TABLES", "--format", "csv").out.split()
    documented = (Path(__file__).parent.parent.parent / "docs" / "tables.md").read_text()
    assert [
        name for name in listed[1:] if f"## {name[1:-1]} " not in documented and f"`{name[1:-1]}(" not in documented
    ] == []


def test_the_list_of_questions(stored: Path) -> None:
    del stored
    page = tagtide("questions").out
    for question in load_questions().values():
        assert [line for line in page.splitlines() if question.name in line and question.title in line], question.name


@pytest.mark.parametrize("name", sorted(load_questions()))
def test_a_question_is_explained(name: str) -> None:
    page = tagtide("questions", name).out
    question = load_questions()[name]
    assert page.startswith(f"{question.title}\n")
    assert question.description in page
    for parameter, meaning in question.parameter_meanings.items():
        assert f"--param {parameter}=...  {meaning} (default: {question.parameters[parameter] or 'all'})" in page


@pytest.mark.slow
def test_a_reader_that_stops_reading_is_no_error(stored: Path) -> None:
    """`tagtide sql ... | head -1`: more comes than a pipe holds, and nobody takes it."""
    for style in ("csv", "json", "table"):
        query = tagtide_command("sql", "--data", str(stored), "SELECT * FROM range(9000)", "--format", style)
        with subprocess.Popen(query, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            assert process.stdout.read(1)
            process.stdout.close()
            assert process.stderr.read() == b"", style
        assert process.returncode == 0, style
