"""`tagtide sql`, `tagtide questions`, `tagtide tail`: asking and watching what has landed."""

import itertools
import sys
import time
from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import pyarrow as pa
import typer
from rich.table import Table

from analytics.schemas import TABLES
from deploy.commands.connections import KafkaConfigFile, kafka_access
from deploy.commands.options import Data, Kafka, stop_on_signals
from deploy.connections import KafkaAccess
from deploy.printing import AnswerConsole, put, say
from devices.errors import QuestionError, UsageError
from devices.site.table import did_you_mean

if TYPE_CHECKING:
    from analytics.questions import Question

TAIL_POLL_S = 0.5
"""How often `tail` looks for a new commit: half an epoch."""

PIPED_WIDTH = 240
"""Columns of the list of questions where no terminal says how many there are: a line for each."""


class Format(StrEnum):
    """How answers are printed."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command("sql")(sql)
    app.command("questions")(questions)
    app.command("tail")(tail)


def sql(
    query: Annotated[
        str,
        typer.Argument(metavar="QUERY", help="A question's name (`tagtide questions`), or SQL.", show_default=False),
    ],
    data: Data,
    style: Annotated[Format, typer.Option("--format", "-f", help="How to print.")] = Format.TABLE,
    parameters: Annotated[
        list[str] | None,
        typer.Option("--param", "-p", metavar="NAME=VALUE", help="Value for the `$NAME` of a question or of the SQL."),
    ] = None,
) -> None:
    """Ask a named question or a SQL query of the lake. Times are UTC.

    docs/tables.md has every table and column; the SQL is DuckDB's.

    ```text
    tagtide sql --data DIR where-is --param epc=3034257BF7194E4000001A85
    tagtide sql --data DIR "SELECT zone, count(*) FROM locations GROUP BY 1"
    tagtide sql --data DIR replenish --format csv > replenish.csv
    ```
    """
    from analytics.answers import csv_parts, json_parts
    from analytics.query import ask, connect
    from deploy.answer_view import print_answer

    given = dict(_pair(text) for text in parameters or [])
    answer = ask(connect(data), query, given)
    _tell_new_name(query.strip())
    if style is Format.TABLE:
        print_answer(AnswerConsole(), answer)
        return
    for part in csv_parts(answer) if style is Format.CSV else json_parts(answer):
        put(part)


def _tell_new_name(name: str) -> None:
    """Say so where a question was asked by a name that it once had."""
    from analytics.questions import find_question

    question = find_question(name)
    if question is not None and question.name != name:
        say(f"{name} is called {question.name} now: {question.title}", label="note")


def _pair(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator or not name:
        raise UsageError(f"--param {text} is not NAME=VALUE", hint="for example --param zone=floor.denim")
    return name.removeprefix("$"), value


def questions(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Explain this one.", show_default=False)] = None,
) -> None:
    """List the named questions with their parameters, or explain one.

    ```text
    tagtide questions where-is
    ```
    """
    from analytics.questions import find_question, load_questions

    known = load_questions()
    if name is None:
        _list(known.values())
        return
    question = find_question(name)
    if question is None:
        raise QuestionError(f'there is no question "{name}"{did_you_mean(name, known)}', hint="tagtide questions")
    console = AnswerConsole()
    lines = [question.title, question.description] if question.description else [question.title]
    lines += [f"Name: {question.name}, formerly {', '.join(question.formerly)}."] if question.formerly else []
    lines += [
        f"  --param {parameter}=...  {question.parameter_meanings[parameter]} (default: {default or 'all'})"
        for parameter, default in question.parameters.items()
    ]
    for line in lines:
        console.print(line, markup=False, soft_wrap=not console.is_terminal)


def _list(known: "Iterable[Question]") -> None:
    table = Table(header_style="bold")
    table.add_column("about", no_wrap=True)
    table.add_column("name", no_wrap=True, style="bold")
    table.add_column("question")
    table.add_column("parameters")
    for subject, questions_of in itertools.groupby(known, key=lambda question: question.subject):
        table.add_section()
        for at, question in enumerate(questions_of):
            table.add_row(subject if at == 0 else "", question.name, question.title, ", ".join(question.parameters))
    console = AnswerConsole()
    if not console.is_terminal:
        console.width = PIPED_WIDTH
    console.print(table)
    if console.is_terminal:
        say("`tagtide questions NAME` explains a question and its parameters")


def tail(
    stream: Annotated[str, typer.Argument(metavar="STREAM", help=f"One of: {', '.join(TABLES)}.", show_default=False)],
    data: Annotated[
        Path | None, typer.Option("--data", "-d", metavar="DIR", help="Follow the lake in this data directory.")
    ] = None,
    kafka: Kafka = None,
    kafka_config: KafkaConfigFile = None,
) -> None:
    """Print new rows of a stream as they land, one JSON object a line, until interrupted.

    With --data it follows the lake; with --kafka the Kafka topic of the same name, on which the streams that jobs
    compute are not.

    ```text
    tagtide tail locations --data DIR
    ```
    """
    from analytics.answers import json_parts

    if stream not in TABLES:
        raise UsageError(
            f'there is no stream "{stream}"{did_you_mean(stream, TABLES)}', hint=f"streams: {', '.join(TABLES)}"
        )
    if (data is None) == (kafka is None):
        raise UsageError("give either --data or --kafka", hint="tagtide tail reads --data DIR")
    stop = stop_on_signals()
    cluster = kafka_access(kafka, kafka_config, tell=say)
    follow = _follow_kafka(stream, cluster) if cluster is not None else _follow_lake(stream, data or Path())
    if sys.stderr.isatty():
        say(f"following {stream} from now on; Ctrl-C ends")
    for rows in follow:
        for part in json_parts(rows):
            put(part)
        if stop():
            return


def _follow_lake(stream: str, data: Path) -> Iterator[pa.Table]:
    from analytics.follow import LakeFollower

    follower = LakeFollower(data, stream)
    while True:
        yield follower.new_rows()
        time.sleep(TAIL_POLL_S)


def _follow_kafka(stream: str, kafka: KafkaAccess) -> Iterator[pa.Table]:
    from ingest.kafka_tail import follow_stream

    return follow_stream(kafka.cluster(), stream)
