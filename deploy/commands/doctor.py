"""`tagtide doctor`: measures what a site stands on before it is trusted."""

import shlex
import subprocess
import uuid
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
from deploy.commands.options import Kafka, SiteFiles, stop_on_signals
from deploy.named_files import data_at, sites_of
from deploy.printing import AnswerConsole, put, say
from devices.errors import TagtideError, UsageError

if TYPE_CHECKING:
    from rich.console import Console


_RESTART_TIMEOUT_S = 60.0


class ReportFormat(StrEnum):
    """How the report is printed."""

    TEXT = "text"
    JSON = "json"


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("doctor")(doctor)


def doctor(
    site: SiteFiles = [],
    mqtt: Annotated[
        str | None, typer.Option("--mqtt", "-m", metavar="URL", help="MQTT broker to examine, as for `bridge`.")
    ] = None,
    mqtt_ca: MqttCa = None,
    mqtt_cert: MqttCert = None,
    mqtt_key: MqttKey = None,
    mqtt_password_file: MqttPasswordFile = None,
    kafka: Kafka = None,
    kafka_config: KafkaConfigFile = None,
    data: Annotated[
        Path | None, typer.Option("--data", "-d", metavar="DIR", help="Data directory whose disk is examined.")
    ] = None,
    listen: Annotated[
        float, typer.Option(min=0, max=3600, metavar="S", help="Seconds to listen to the site's devices; 0 for not.")
    ] = 10.0,
    publications: Annotated[
        int,
        typer.Option(min=100, max=1_000_000, metavar="N", help="Publications in each measurement of the queue."),
    ] = 5000,
    restart_broker: Annotated[
        str | None,
        typer.Option(
            metavar="COMMAND",
            help="Command that kills the broker and starts it again, to measure what outlives that. Without it "
            "nothing is restarted.",
        ),
    ] = None,
    probe_topic: Annotated[
        str | None,
        typer.Option(metavar="TOPIC", help="MQTT topic for the probes; one below `tagtide/doctor/` where not given."),
    ] = None,
    form: Annotated[ReportFormat, typer.Option("--format", help="For people or for scripts.")] = ReportFormat.TEXT,
) -> None:
    """Measure broker, Kafka, disk, clocks and devices, and say what would lose data and how to mend it.

    The broker is measured, not trusted: how many acknowledged publications it keeps while its reader is away, or
    connected and behind; whether it still knows the session; with --restart-broker, what outlives a crash. The probes
    use a session and a topic of their own and leave nothing behind; bridge and devices are not disturbed, but for the
    restart. Takes about half a minute. Exits with 1 if there is a problem.

    ```text
    tagtide doctor --site store.toml --mqtt mqtt://broker --data DIR
    tagtide doctor --mqtt mqtt://localhost --restart-broker 'kill-and-start.sh'
    ```
    """
    from deploy.doctor.examination import Patient, examine
    from deploy.doctor.mqtt_probe import connector
    from deploy.doctor.report import healthy, json_report, print_report

    if mqtt is None and (restart_broker is not None or probe_topic is not None):
        raise UsageError("no broker was given", hint="--mqtt URL says which broker to examine")
    broker = None
    if mqtt is not None:
        broker = mqtt_access(mqtt, ca=mqtt_ca, cert=mqtt_cert, key=mqtt_key, password_file=mqtt_password_file, tell=say)
    cluster = kafka_access(kafka, kafka_config, tell=say)
    name = f"tagtide-doctor-{uuid.uuid4().hex[:8]}"
    patient = Patient(
        sites=sites_of(site) if site else (),
        connect=None if broker is None else connector(broker.url, broker.security),
        name=name,
        probe_topic=probe_topic or f"tagtide/doctor/{name}",
        publications=publications,
        listen_s=listen if site else 0.0,
        restart=None if restart_broker is None else _restarter(restart_broker),
        kafka=None if cluster is None else cluster.cluster(),
        data=None if data is None else data_at(data).root,
    )
    findings = list(examine(patient, say, stop_on_signals()))
    if form is ReportFormat.JSON:
        put(json_report(findings))
    else:
        console: Console = AnswerConsole()
        print_report(findings, console)
    if not healthy(findings):
        raise typer.Exit(1)


def _restarter(command: str) -> Callable[[], None]:
    """Return what runs the command that restarts the broker."""
    words = shlex.split(command)
    if not words:
        raise UsageError("--restart-broker is empty", hint="give a command, such as 'systemctl restart mosquitto'")

    def restart() -> None:
        try:
            subprocess.run(words, check=True, timeout=_RESTART_TIMEOUT_S)
        except (OSError, subprocess.SubprocessError) as error:
            raise TagtideError(
                f"the broker could not be restarted: {error}",
                hint="try the command by hand; it must return when the broker is on its way up",
                code="broker_restart_failed",
            ) from error

    return restart
