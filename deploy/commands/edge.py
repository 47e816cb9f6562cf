"""`tagtide capture` and `tagtide replay`: traffic to files and back."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from analytics.data_directory import DataDirectory
from deploy.commands.options import DEFAULT_MQTT, Kafka, Mqtt, SiteFiles, Subscribe, stop_on_signals
from devices.errors import UsageError

CAPTURE_FILE = typer.Argument(
    help="Capture: what `mosquitto_sub -t '#' -F %j` prints; .gz is fine.", show_default=False
)


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command("capture")(capture)
    app.command("replay")(replay)


def capture(
    file: Annotated[Path, typer.Argument(help="File to write; .gz compresses it.", show_default=False)],
    mqtt: Mqtt = DEFAULT_MQTT,
    subscribe: Subscribe = ["#"],
    seconds: Annotated[float | None, typer.Option(help="Stop after this long.")] = None,
    publications: Annotated[int | None, typer.Option(help="Stop after this many publications.")] = None,
) -> None:
    """Record what a broker carries, so that it can be replayed, kept as a test, or sent with a bug report."""
    from ingest.recording import record

    console = Console(stderr=True, highlight=False)
    written = record(
        mqtt,
        file,
        topic_filters=subscribe,
        seconds_max=seconds,
        publications_max=publications,
        stop=stop_on_signals(),
        on_event=lambda text: console.print(text, markup=False),
    )
    console.print(f"{written:,} publications in {file}")


def replay(
    file: Annotated[Path, CAPTURE_FILE],
    site: SiteFiles = [],
    data: Annotated[Path | None, typer.Option("--data", "-d", help="Data directory to replay into.")] = None,
    speed: Annotated[str, typer.Option(help="`max`, or how many times faster than recorded.")] = "max",
    mqtt: Annotated[
        str | None, typer.Option("--mqtt", "-m", help="Publish to this broker instead of filling an edge log.")
    ] = None,
    kafka: Kafka = None,
    again: Annotated[
        bool, typer.Option("--again", help="Replay a capture that was replayed into --data before.")
    ] = False,
) -> None:
    """Send a capture through the whole pipeline, and return when all of it is landed and committed.

    It enters at the edge log with the recorded receive times, so history replays exactly. A replay that was cut short
    goes on where it stopped; one that was finished is not repeated without --again.

    Example: tagtide replay day.jsonl.gz --site store.toml --data data
    """
    stop = stop_on_signals()
    if mqtt is not None:
        from ingest.publishing import replay_to_broker

        result = replay_to_broker(file, mqtt, speed=speed, stop=stop)
        console = Console(stderr=True, highlight=False)
        console.print(f"{result.published:,} publications published to the broker")
        if result.problems:
            console.print(f"{result.problems:,} lines of the capture could not be read or published")
        return
    if data is None:
        raise UsageError("give --data DIR to replay into, or --mqtt URL to publish to")
    from deploy.assembly import sites_of
    from deploy.replaying import ReplayJob

    ReplayJob(capture=file, sites=sites_of(site), data=DataDirectory(data), speed=speed, kafka=kafka, again=again).run(
        stop
    )
