"""Options that several commands share, so that they are named and explained once."""

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from deploy.logs import LogFormat
from deploy.supervisor import SUPERVISOR_VARIABLE
from devices.events import EventLevel

SiteFiles = Annotated[
    list[Path],
    typer.Option("--site", "-s", metavar="FILE", help="Site file (TOML); once for each site.", show_default=False),
]
SiteFile = Annotated[Path, typer.Option("--site", "-s", metavar="FILE", help="Site file (TOML).", show_default=False)]
Data = Annotated[
    Path,
    typer.Option(
        "--data", "-d", metavar="DIR", help="Directory of edge log, checkpoints and lake.", show_default=False
    ),
]
Mqtt = Annotated[
    str,
    typer.Option(
        "--mqtt",
        "-m",
        metavar="URL",
        help="MQTT broker: `mqtt://[user@]host[:port]`, or `mqtts://` for TLS. The user's password comes from "
        "--mqtt-password-file or the environment: TAGTIDE_MQTT_PASSWORD.",
    ),
]


def _checked_servers(servers: str | None) -> str | None:
    for server in servers.split(",") if servers is not None else []:
        host, _, port = server.strip().rpartition(":")
        if not host.strip("[]") or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
            raise typer.BadParameter(f"'{server}' is not host:port, for example kafka-1:9092")
    return servers


_KAFKA = typer.Option(
    "--kafka",
    "-k",
    metavar="HOSTS",
    callback=_checked_servers,
    help="Kafka: `host:port[,host:port]`.",
    show_default=False,
)
Kafka = Annotated[str | None, _KAFKA]
RequiredKafka = Annotated[str, _KAFKA]


def _checked_filters(filters: list[str]) -> list[str]:
    for text in filters:
        levels = text.split("/")
        wild = [level for level in levels if "#" in level or "+" in level]
        if not text or "\0" in text or any(level not in {"#", "+"} for level in wild) or "#" in levels[:-1]:
            raise typer.BadParameter(f"'{text}' is not an MQTT topic filter: + stands for a level, # for the rest")
        if levels[0] == "$tagtide":
            raise typer.BadParameter(f"'{text}' is for a bridge's own records: nobody else may write them")
    return filters


Subscribe = Annotated[
    list[str],
    typer.Option(
        "--subscribe",
        metavar="FILTER",
        callback=_checked_filters,
        help="MQTT topic filter; several times for several. The default takes everything, so that a mistyped topic "
        "shows up as a reject instead of silence.",
    ),
]
DEFAULT_MQTT = "mqtt://127.0.0.1:1883"
DEFAULT_SUBSCRIBE = ["#"]


Http = Annotated[
    str | None,
    typer.Option(
        "--http",
        metavar="HOST:PORT",
        help="Serve /metrics, /healthz and /readyz there, for example on 127.0.0.1:9464. Off by default; an address "
        "that other machines reach demands a token.",
        show_default=False,
    ),
]
LogStyle = Annotated[
    LogFormat, typer.Option("--log-format", help="Lines for people, or one JSON object for each event.")
]
LogLevel = Annotated[EventLevel, typer.Option("--log-level", help="Leave out what matters less than this.")]
HttpTokenFile = Annotated[
    Path | None,
    typer.Option(
        "--http-token-file",
        metavar="FILE",
        help="File with the token that requests must bear; the environment's TAGTIDE_HTTP_TOKEN otherwise.",
        show_default=False,
    ),
]


def stop_on_signals() -> Callable[[], bool]:
    """Turn SIGTERM and SIGINT into a flag; a second signal ends the process at once.

    A process that `tagtide up` has started also stops when that is gone, even if it was killed and could not say so.
    """
    stopping = threading.Event()
    supervisor = os.environ.get(SUPERVISOR_VARIABLE)

    def handle(number: int, _frame: object) -> None:
        if stopping.is_set():
            raise SystemExit(128 + number)
        stopping.set()

    def stop() -> bool:
        return stopping.is_set() or (supervisor is not None and supervisor != str(os.getppid()))

    signal.signal(signal.SIGTERM, handle)
    signal.signal(signal.SIGINT, handle)
    return stop
