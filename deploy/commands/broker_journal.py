"""The option that names the broker's journal, for every command that runs a bridge."""

from pathlib import Path
from typing import Annotated

import typer

BrokerJournalFolder = Annotated[
    Path | None,
    typer.Option(
        "--broker-journal",
        envvar="TAGTIDE_BROKER_JOURNAL",
        metavar="DIR",
        help="Folder in which Mosquitto's journal plugin writes (deploy/mosquitto/README.md). What a broker that was "
        "killed had acknowledged, and nobody else has, is taken from there. One bridge a folder.",
        show_default=False,
    ),
]


def journal_arguments(folder: Path | None) -> list[str]:
    """Return the option as it is handed to another process."""
    return [] if folder is None else ["--broker-journal", str(folder)]
