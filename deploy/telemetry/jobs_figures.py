"""What the jobs tell: rows in and out, epochs, checkpoints, how current they are, and whether they can write."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from analytics.landing_report import LOSSES, LandingReport
from analytics.runner_parts import RunnerStats
from analytics.schemas import TABLES
from deploy.telemetry.consumer_lag import tell_lag
from deploy.telemetry.monitoring import Look
from deploy.telemetry.process_figures import tell_disk
from deploy.telemetry.report import Told
from devices.schemas import STREAMS
from ingest.edge_log import EdgeLog
from ingest.edge_source import offset_of

if TYPE_CHECKING:
    from ingest.kafka_source import KafkaSourceStats

JOBS_ROUND_S = 300.0
"""A round of the jobs takes a second or two; compiling kernels on a new machine or merging a day's files, a minute."""

SITES_MAX = 500
"""Sites that are exported one by one: eight series each."""

LAG_RECORDS_MAX = 50_000
"""Jobs that read Kafka are catching up, and not ready, with more records waiting than this: some 10 s of a fleet."""

_STATES = ("recovering", "running", "holding", "stopped")


def jobs_looks(stats: RunnerStats, sites: Sequence[str], data: Path, source: Look) -> list[Look]:
    """Return what adds the parts of the jobs' report.

    Args:
        stats: The runner's.
        sites: Identifiers of the sites that it runs.
        data: The data directory.
        source: Adds what is known of where records come from: `edge_log_look` or `kafka_look`.
    """
    return [
        lambda told: tell_runner(told, stats),
        lambda told: tell_landing(told, stats.landing, sites),
        source,
        lambda told: tell_disk(told, "jobs", data),
    ]


def edge_log_look(stats: RunnerStats, log: EdgeLog) -> Look:
    """Return what tells how far the jobs are behind the edge log."""
    return lambda told: tell_lag(told, "jobs", log, 0 if stats.position is None else offset_of(stats.position))


def kafka_look(stats: "KafkaSourceStats", kafka: str) -> Look:
    """Return what tells how far the jobs are behind Kafka, and whether it answers."""

    def look(told: Told) -> None:
        told.put("tagtide_kafka_source_records_total", stats.records)
        told.put("tagtide_kafka_source_records_foreign_total", stats.foreign)
        told.put("tagtide_kafka_source_lag_records", stats.lag_records)
        told.put("tagtide_kafka_source_gaps_total", stats.assembly.gaps)
        told.put("tagtide_kafka_source_rows_lost_total", stats.assembly.rows_gone, "gone")
        told.put("tagtide_kafka_source_rows_lost_total", stats.assembly.rows_undecodable, "damaged")
        told.put("tagtide_kafka_source_connected", stats.problem is None)
        told.check(
            "kafka_answers",
            ok=stats.problem is None,
            says=f"Kafka at {kafka} answers" if stats.problem is None else f"Kafka at {kafka}: {stats.problem}",
            do="see that Kafka runs and is reachable from here; reading goes on by itself",
        )
        told.check(
            "caught_up",
            ok=stats.lag_records <= LAG_RECORDS_MAX,
            says=f"{stats.lag_records:,} records wait in Kafka",
            do="after an outage it catches up by itself: see that the number falls; if it does not, run the jobs of "
            "some sites on another machine",
        )

    return look


def tell_runner(told: Told, stats: RunnerStats, monotonic: Callable[[], float] = time.monotonic) -> None:
    """Add epochs, checkpoints, landed rows, and whether the lake takes them."""
    for state in _STATES:
        told.put("tagtide_jobs_state", stats.state == state, state)
    told.put("tagtide_jobs_epochs_committed_total", stats.epochs)
    told.put("tagtide_jobs_epochs_repeated_total", stats.repeated_epochs)
    told.put("tagtide_jobs_checkpoints_total", stats.checkpoints)
    since_s = stats.uncheckpointed_since_s
    told.put("tagtide_jobs_checkpoint_age_seconds", 0 if since_s is None else monotonic() - since_s)
    _by(told, "tagtide_jobs_rows_landed_total", stats.rows, TABLES)
    told.check(
        "landing",
        ok=stats.problem is None,
        says="lake and journal take what comes" if stats.problem is None else f"nothing is landed: {stats.problem}",
        do="free disk space, or mend what the message names; landing goes on by itself",
    )
    told.check(
        "recovered",
        ok=stats.state != "recovering",
        says="epochs planned before the restart are being repeated" if stats.state == "recovering" else "recovered",
        do="wait: it takes seconds, and as long as the source of records does not answer",
    )


def tell_landing(told: Told, landing: LandingReport, sites: Sequence[str]) -> None:
    """Add what came in and what landed, by stream, reason and site.

    Args:
        told: Where to.
        landing: The runner's counts.
        sites: The sites that it runs.
    """
    _by(told, "tagtide_jobs_rows_decoded_total", landing.decoded, STREAMS)
    _by(told, "tagtide_jobs_repeats_dropped_total", landing.repeats, STREAMS)
    _by(told, "tagtide_jobs_rows_late_total", landing.late, (name for name in STREAMS if name != "rejects"))
    for reason, count in dict(landing.rejects).items():
        told.put("tagtide_jobs_rejects_total", count, reason)
    for event, count in dict(landing.device_events).items():
        told.put("tagtide_jobs_device_events_total", count, event)
    for site in sites[:SITES_MAX]:
        for kind in LOSSES:
            key = (site, kind.value)
            told.put("tagtide_jobs_device_loss_events_total", landing.loss_rows.get(key, 0), *key)
            told.put("tagtide_jobs_device_reports_lost_total", landing.lost.get(key, 0), *key)
        for name, newest_us in (
            ("tagtide_jobs_landed_through_timestamp_seconds", landing.received_us.get(site)),
            ("tagtide_jobs_event_time_timestamp_seconds", landing.event_us.get(site)),
        ):
            if newest_us is not None:
                told.put(name, newest_us / 1e6, site)


def _by(told: Told, name: str, counts: Mapping[str, int], known: Iterable[str]) -> None:
    """Add a counter for every value of a label that there is, also those that are still 0."""
    for label in known:
        told.put(name, counts.get(label, 0), label)
