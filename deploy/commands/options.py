"""Options that several commands share, so that they are named and explained once."""

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from deploy.supervisor import SUPERVISOR_VARIABLE

SiteFiles = Annotated[
    list[Path],
    typer.Option("--site", "-s", help="Site file (TOML); give it once for each site.", show_default=False),
]
SiteFile = Annotated[Path, typer.Option("--site", "-s", help="Site file (TOML).", show_default=False)]
Data = Annotated[
    Path,
    typer.Option("--data", "-d", help="Directory of edge log, checkpoints and lake.", show_default=False),
]
Mqtt = Annotated[
    str,
    typer.Option(
        "--mqtt",
        "-m",
        help="MQTT broker, `mqtt://[user@]host[:port]` or `mqtts://...`. "
        "The password comes from the environment: TAGTIDE_MQTT_PASSWORD.",
    ),
]
Kafka = Annotated[
    str | None,
    typer.Option("--kafka", "-k", help="Kafka bootstrap servers, `host:port[,host:port]`.", show_default=False),
]
Subscribe = Annotated[
    list[str],
    typer.Option(
        "--subscribe",
        help="MQTT topic filter; give it several times for several. The default takes everything, so that a "
        "mistyped topic shows up as a reject instead of silence.",
    ),
]
DEFAULT_MQTT = "mqtt://127.0.0.1:1883"
DEFAULT_SUBSCRIBE = ["#"]


def stop_on_signals() -> Callable[[], bool]:
    """Return a function that tells whether to stop: after SIGTERM or SIGINT, or when our supervisor is gone.

    Ctrl-C reaches a whole process group, so a supervised process gets SIGINT from the terminal and SIGTERM from its
    supervisor: both ask for the same orderly end. A second Ctrl-C ends the process at once.
    """
    stopping = threading.Event()
    interrupted = threading.Event()
    supervisor = int(os.environ.get(SUPERVISOR_VARIABLE, "0"))

    def handle(number: int, _frame: object) -> None:
        if number == signal.SIGINT:
            if interrupted.is_set():
                raise SystemExit(128 + number)
            interrupted.set()
        stopping.set()

    signal.signal(signal.SIGTERM, handle)
    signal.signal(signal.SIGINT, handle)
    return lambda: stopping.is_set() or (supervisor != 0 and os.getppid() != supervisor)
