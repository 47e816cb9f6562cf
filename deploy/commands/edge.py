"""`tagtide capture` and `tagtide replay`: traffic to files and back."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from deploy.commands.connections import (
    KafkaConfigFile,
    MqttCa,
    MqttCert,
    MqttKey,
    MqttPasswordFile,
    kafka_access,
    mqtt_access,
)
from deploy.commands.options import DEFAULT_MQTT, DEFAULT_SUBSCRIBE, Kafka, Mqtt, SiteFiles, Subscribe, stop_on_signals
from deploy.connections import MqttAccess
from deploy.named_files import data_at, sites_of
from deploy.printing import say
from devices.errors import UsageError

CAPTURE_FILE = typer.Argument(
    metavar="CAPTURE", help="What `mosquitto_sub -t '#' -F %j` prints; .gz is fine.", show_default=False
)
INTERRUPTED = 130


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command("capture")(capture)
    app.command("replay")(replay)


def capture(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="File to write; .gz compresses it.", show_default=False)],
    mqtt: Mqtt = DEFAULT_MQTT,
    mqtt_ca: MqttCa = None,
    mqtt_cert: MqttCert = None,
    mqtt_key: MqttKey = None,
    mqtt_password_file: MqttPasswordFile = None,
    subscribe: Subscribe = DEFAULT_SUBSCRIBE,
    seconds: Annotated[float | None, typer.Option(min=0, metavar="S", help="Stop after this long.")] = None,
    publications: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Stop after this many publications.")
    ] = None,
) -> None:
    """Record what a broker carries, so that it can be replayed, kept as a test, or sent with a bug report.

    ```text
    tagtide capture hour.jsonl.gz --mqtt mqtt://broker --seconds 3600
    ```
    """
    from ingest.recording import record

    broker = mqtt_access(mqtt, ca=mqtt_ca, cert=mqtt_cert, key=mqtt_key, password_file=mqtt_password_file, tell=say)
    written = record(
        broker.url,
        file,
        security=broker.security,
        topic_filters=subscribe,
        seconds_max=seconds,
        publications_max=publications,
        stop=stop_on_signals(),
        on_event=say,
    )
    say(f"{written:,} publications in {file}")


def replay(
    file: Annotated[Path, CAPTURE_FILE],
    site: SiteFiles = [],
    data: Annotated[
        Path | None, typer.Option("--data", "-d", metavar="DIR", help="Data directory to replay into.")
    ] = None,
    speed: Annotated[str, typer.Option(metavar="X", help="`max`, or how many times faster than recorded.")] = "max",
    mqtt: Annotated[
        str | None,
        typer.Option("--mqtt", "-m", metavar="URL", help="Publish to this broker instead of filling an edge log."),
    ] = None,
    mqtt_ca: MqttCa = None,
    mqtt_cert: MqttCert = None,
    mqtt_key: MqttKey = None,
    mqtt_password_file: MqttPasswordFile = None,
    kafka: Kafka = None,
    kafka_config: KafkaConfigFile = None,
    again: Annotated[
        bool, typer.Option("--again", metavar="", help="Replay a capture that was replayed into --data before.")
    ] = False,
) -> None:
    """Send a capture through the whole pipeline, and return when all of it is landed and committed.

    It enters at the edge log with the recorded receive times, so history replays exactly. A replay that was cut short
    goes on where it stopped; one that was finished is not repeated without --again.

    ```text
    tagtide replay day.jsonl.gz --site store.toml --data DIR
    ```
    """
    stop = stop_on_signals()
    if mqtt is not None:
        if data is not None or kafka is not None:
            raise UsageError(
                "--mqtt publishes to a broker: --data and --kafka have no meaning beside it",
                hint=f"tagtide replay {file} --mqtt {mqtt}",
            )
        broker = mqtt_access(mqtt, ca=mqtt_ca, cert=mqtt_cert, key=mqtt_key, password_file=mqtt_password_file, tell=say)
        _replay_to_broker(file, broker, speed, stop)
        return
    if data is None:
        raise UsageError(
            "give --data DIR to replay into, or --mqtt URL to publish to",
            hint=f"tagtide replay {file} --site FILE --data DIR",
        )
    from deploy.replaying import ReplayJob

    cluster = kafka_access(kafka, kafka_config, tell=say)
    job = ReplayJob(capture=file, sites=sites_of(site), data=data_at(data), speed=speed, kafka=cluster, again=again)
    if not job.run(stop):
        raise typer.Exit(INTERRUPTED)


def _replay_to_broker(file: Path, mqtt: MqttAccess, speed: str, stop: Callable[[], bool]) -> None:
    from ingest.capture import open_capture
    from ingest.publishing import replay_to_broker

    open_capture(file).close()  # before a broker is waited for
    result = replay_to_broker(file, mqtt.url, security=mqtt.security, speed=speed, stop=stop)
    say(f"{result.published:,} publications published to the broker")
    if result.problems:
        lines = "1 line" if result.problems == 1 else f"{result.problems:,} lines"
        say(f"{lines} of the capture could not be read or published")
    if stop():
        raise typer.Exit(INTERRUPTED)
