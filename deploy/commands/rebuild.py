"""`tagtide rebuild`: the lake once more, from what is kept of the past."""

from pathlib import Path
from typing import Annotated

import typer

from deploy.commands.connections import KafkaConfigFile, kafka_access
from deploy.commands.options import Data, Kafka, SiteFiles, stop_on_signals
from deploy.named_files import data_at, sites_of
from deploy.printing import say

INTERRUPTED = 130


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("rebuild")(rebuild)


def rebuild(
    site: SiteFiles,
    data: Data,
    into: Annotated[
        Path, typer.Option("--into", metavar="NEW", help="Data directory of the new lake.", show_default=False)
    ],
    kafka: Kafka = None,
    kafka_config: KafkaConfigFile = None,
) -> None:
    """Compute the lake anew from the edge log of a data directory, or from Kafka, into another directory.

    For a lake that was lost, a decoder that was mended or a site file that was corrected. Everything that is kept is
    decoded and computed again, up to where it ends now; the old lake stays as it is, and a bridge and jobs that run
    meanwhile go on. How far back it goes is how far the edge log (--edge-log-hours of the bridge) or Kafka keeps
    things; where that is not from the beginning, it says so.

    ```text
    tagtide rebuild --site store.toml --data DIR --into NEW
    tagtide rebuild --site store.toml --data DIR --into NEW --kafka kafka-1:9092
    ```
    """
    from deploy.rebuilding import RebuildJob

    cluster = kafka_access(kafka, kafka_config, tell=say)
    job = RebuildJob(sites=sites_of(site), data=data_at(data), into=data_at(into), kafka=cluster)
    if not job.run(stop_on_signals()):
        raise typer.Exit(INTERRUPTED)
