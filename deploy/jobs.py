"""The jobs' daemon: a runner with its telemetry, from a source of records into the lake."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, cast

from analytics.data_directory import DataDirectory
from analytics.runner import Runner
from deploy.assembly import open_runner
from deploy.connections import KafkaAccess
from deploy.logs import Log
from deploy.reporting import Status
from deploy.start_up import tell_journal
from deploy.supervisor import tell_started
from deploy.telemetry.jobs_figures import JOBS_ROUND_S, edge_log_look, jobs_looks, kafka_look
from deploy.telemetry.monitoring import Look, Monitoring
from deploy.telemetry.report import Progress
from devices.site.model import Site
from ingest.edge_log import EdgeLog

if TYPE_CHECKING:
    from ingest.kafka_source import KafkaSource

Stop = Callable[[], bool]


def run_jobs(
    data: DataDirectory,
    sites: Sequence[Site],
    *,
    kafka: KafkaAccess | None,
    stop: Stop,
    log: Log,
    monitoring: Monitoring | None = None,
) -> None:
    """Run the jobs until told to stop.

    Raises:
        JournalError: Another process runs these jobs, or the disk refuses.
        LakeError, EdgeLogError, ForwardError: These cannot be opened.
        TagtideError: Something that trying again does not mend.
    """
    monitoring = monitoring or Monitoring()
    progress = Progress(JOBS_ROUND_S)
    with contextlib.closing(open_runner(sites, data, kafka=kafka, on_event=log)) as runner:
        named = f"{'site' if len(sites) == 1 else 'sites'} {', '.join(site.id for site in sites)}"
        origin = "the edge log" if kafka is None else f"Kafka at {kafka.cluster().bootstrap_servers}"
        log.tell("jobs_started", f"{named}; from {origin} into {data.lake}")
        tell_started()
        tell_journal(log, runner)
        rows = runner.stats.rows
        status = Status(log, lambda: {name: rows.get(name, 0) for name in ("reads", "rejects", "locations")})

        def stopping() -> bool:
            progress.note()
            status.maybe()
            return stop()

        with _source_look(runner, data, kafka) as source:
            looks = jobs_looks(runner.stats, [site.id for site in sites], data.root, source)
            with monitoring.reporting("jobs", progress, looks):
                runner.run(stopping)
    log.tell("jobs_stopped", "stopped; everything that was taken in is committed")


@contextlib.contextmanager
def _source_look(runner: Runner, data: DataDirectory, kafka: KafkaAccess | None) -> Iterator[Look]:
    if kafka is not None:
        source = cast("KafkaSource", runner.source)
        yield kafka_look(source.stats, kafka.cluster().bootstrap_servers)
        return
    with contextlib.closing(EdgeLog.open(data.edge)) as log:  # the runner's own is busy while it reads
        yield edge_log_look(runner.stats, log)
