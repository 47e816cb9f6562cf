"""`tagtide sql`, `tagtide questions`, `tagtide tail`: asking and watching what has landed."""

import sys
import time
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import pyarrow as pa
import typer
from rich.console import Console
from rich.table import Table

from analytics.answers import to_csv, to_json_lines
from analytics.schemas import TABLES
from deploy.answer_view import print_answer
from deploy.commands.options import Data, Kafka, stop_on_signals
from devices.errors import UsageError

TAIL_POLL_S = 0.5
"""How often `tail` looks for a new commit: half an epoch."""


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
    query: Annotated[str, typer.Argument(help="A question's name (`tagtide questions`), or SQL.", show_default=False)],
    data: Data,
    style: Annotated[Format, typer.Option("--format", "-f", help="How to print.")] = Format.TABLE,
    parameters: Annotated[
        list[str] | None, typer.Option("--param", "-p", help="NAME=VALUE for a question's `$NAME`.")
    ] = None,
) -> None:
    """Ask a named question or a SQL query of the lake.

    Example: tagtide sql --data DIR where-is -p epc=3034

    Example: tagtide sql --data DIR "SELECT reader, count(*) FROM reads GROUP BY 1"
    """
    from analytics.query import ask, connect

    given = dict(_pair(text) for text in parameters or [])
    answer = ask(connect(data), query, given)
    match style:
        case Format.TABLE:
            print_answer(Console(highlight=False), answer)
        case Format.CSV:
            sys.stdout.write(to_csv(answer))
        case Format.JSON:
            sys.stdout.write(to_json_lines(answer))


def _pair(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator:
        raise UsageError(f"--param {text} is not NAME=VALUE")
    return name, value


def questions() -> None:
    """List the named questions, with their parameters."""
    from analytics.questions import load_questions

    table = Table(header_style="bold")
    table.add_column("name", no_wrap=True)
    table.add_column("question")
    table.add_column("parameters")
    for question in load_questions().values():
        shown = ", ".join(f"{name}={default or ''}" for name, default in question.parameters.items())
        table.add_row(question.name, question.title, shown)
    Console().print(table)


def tail(
    stream: Annotated[str, typer.Argument(help=f"One of: {', '.join(TABLES)}.", show_default=False)],
    data: Annotated[Path | None, typer.Option("--data", "-d", help="Directory of the lake.")] = None,
    kafka: Kafka = None,
) -> None:
    """Print new rows of a stream as they land, one JSON object a line, until interrupted.

    With --data it follows the lake from now on; with --kafka it begins at the oldest record that the Kafka topic of
    the same name keeps.
    """
    if stream not in TABLES:
        raise UsageError(f"there is no stream '{stream}'", hint=f"streams: {', '.join(TABLES)}")
    if (data is None) == (kafka is None):
        raise UsageError("give either --data or --kafka")
    stop = stop_on_signals()
    follow = _follow_lake(stream, data) if data is not None else _follow_kafka(stream, kafka or "")
    for rows in follow:
        sys.stdout.write(to_json_lines(rows))
        sys.stdout.flush()
        if stop():
            return


def _follow_lake(stream: str, data: Path) -> Iterator[pa.Table]:
    from analytics.follow import LakeFollower

    follower = LakeFollower(data, stream)
    while True:
        yield follower.new_rows()
        time.sleep(TAIL_POLL_S)


def _follow_kafka(stream: str, bootstrap: str) -> Iterator[pa.Table]:
    from devices.schemas import STREAMS
    from ingest.kafka_source import KafkaSource, KafkaSourceConfig

    if stream not in STREAMS:
        raise UsageError(f"'{stream}' is derived by jobs and not a Kafka topic", hint="follow the lake: --data DIR")
    source = KafkaSource(KafkaSourceConfig(bootstrap_servers=bootstrap, group_id="tagtide-tail"))
    while True:
        chunks = source.poll(max_rows=10_000, timeout_s=TAIL_POLL_S)
        yield pa.Table.from_batches([chunk.batch(stream) for chunk in chunks], schema=STREAMS[stream])
