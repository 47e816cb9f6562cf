"""Every metric that Tagtide exports: name, type, labels, meaning. `docs/operations.md` shows the same table.

Names follow Prometheus: base units, `_total` for counters, which begin at 0 whenever their process starts. Labels are
of bounded size: sites and readers come from site files and are cut at a stated number; everything else is a closed
set. Nothing is ever labelled by EPC, topic or free text.
"""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """Types of metrics."""

    COUNTER = "counter"
    """Only rises while its process runs."""
    GAUGE = "gauge"
    """A value now."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric."""

    name: str
    """Full name, as it is scraped."""
    kind: Kind
    """Its type."""
    meaning: str
    """What it says, in one line."""
    labels: tuple[str, ...] = ()
    """Names of its labels."""


def _counter(name: str, meaning: str, *labels: str) -> Metric:
    return Metric(f"tagtide_{name}_total", Kind.COUNTER, meaning, labels)


def _gauge(name: str, meaning: str, *labels: str) -> Metric:
    return Metric(f"tagtide_{name}", Kind.GAUGE, meaning, labels)


PROCESSES = (
    _gauge("build_info", "Always 1; the labels say what runs.", "version", "python"),
    _gauge("component_up", "1 while the process reports and its main loop goes round.", "component"),
    _counter("component_restarts", "Times that a process was started again.", "component"),
    _gauge("component_progress_age_seconds", "Time since the process's main loop last went round.", "component"),
    _gauge("process_start_time_seconds", "When the process started, Unix time.", "component"),
    _gauge("process_resident_memory_bytes", "Memory of the process.", "component"),
    _counter("process_cpu_seconds", "Processor time of the process, user and system.", "component"),
    _gauge("process_open_fds", "Open file descriptors of the process.", "component"),
    _gauge("process_max_fds", "Most that it may open.", "component"),
    _gauge("disk_free_bytes", "Free on the disk of the process's data directory.", "component"),
    _gauge("disk_size_bytes", "Size of that disk.", "component"),
    _counter("telemetry_failures", "Times that a part of a report could not be had.", "component"),
    _counter("http_requests", "Requests answered by the HTTP endpoint.", "path", "code"),
)

BRIDGE = (
    _counter("bridge_publications_received", "Publications that arrived from the broker."),
    _counter("bridge_received_bytes", "Payload bytes of these."),
    _counter("bridge_publications_redelivered", "Of these, flagged by the broker as delivered before (DUP)."),
    _counter("bridge_publications_oversized", "Of these, larger than a publication may be: cut, and kept as rejects."),
    _counter("bridge_publications_stored", "Publications committed to the edge log."),
    _counter(
        "bridge_publications_from_journal",
        "Publications that a broker had acknowledged before it died, and that only its journal still had.",
    ),
    _counter("bridge_publications_acknowledged", "PUBACKs given to the connection, after the commit."),
    _counter("bridge_store_failures", "Commits that the disk refused; each is tried again."),
    _counter("bridge_holds", "Times that the bridge stopped reading because the edge log took no more."),
    _counter("bridge_clock_records", "Clock records written while nothing came."),
    _counter(
        "bridge_publications_left_to_broker",
        "Publications of connections that ended while the bridge was holding and had no room; the broker has them.",
    ),
    _gauge("bridge_state", "1 for the state that the bridge is in, 0 for the others.", "state"),
    _gauge("broker_connected", "1 while the bridge is connected to the MQTT broker."),
    _counter("broker_reconnects", "Connections to the broker after the first."),
    _counter(
        "broker_refusals",
        "Clients that the broker has refused, by kind, as its own log says; 0 without --broker-log.",
        "kind",
    ),
    _counter("broker_losses", "Connections that ended, and attempts that failed, by kind of loss.", "kind"),
    _counter("broker_sessions_lost", "Times that the broker had forgotten our session: what it held may be lost."),
    _counter("broker_subscriptions_refused", "Subscriptions that the broker did not grant."),
    _gauge("readers_configured", "Readers in the site files of this bridge."),
    _gauge("readers_unlisted", "Of these, beyond the number that is exported one by one."),
    _gauge(
        "reader_last_seen_timestamp_seconds",
        "When the reader's newest publication arrived, Unix time; absent before the first since the bridge's start.",
        "site",
        "reader",
    ),
    _gauge(
        "reader_silent_seconds",
        "Time since the reader's newest publication, or since the bridge's start before the first.",
        "site",
        "reader",
    ),
    _gauge("sources_configured", "Scales, sensors and business systems in the site files of this bridge."),
    _gauge("sources_unlisted", "Of these, beyond the number that is exported one by one."),
    _gauge(
        "source_last_seen_timestamp_seconds",
        "When the newest publication of a scale (kind shelf), sensor or business system (feed) arrived, Unix time;"
        " absent before the first since the bridge's start.",
        "site",
        "kind",
        "source",
    ),
)

EDGE_LOG = (
    _gauge("edge_log_bytes", "Bytes of the edge log that hold data."),
    _gauge("edge_log_limit_bytes", "Bytes that it may hold; at the bound the bridge stops acknowledging."),
    _gauge("edge_log_publications", "Publications that it keeps."),
    _gauge("edge_log_last_offset", "Edge offset of the newest publication."),
    _gauge("edge_log_oldest_age_seconds", "Age of the oldest publication that is kept."),
    _gauge("edge_log_cursor_offset", "Everything up to this edge offset is released by the consumer.", "consumer"),
    _counter("edge_log_publications_trimmed", "Old publications dropped from the edge log after their release."),
)

CONSUMERS = (
    _gauge("consumer_lag_publications", "Publications in the edge log that the consumer is not done with.", "consumer"),
    _gauge("consumer_lag_seconds", "Age of the oldest of these; 0 where there is none.", "consumer"),
)

FORWARDER = (
    _counter("forwarder_publications_read", "Publications read from the edge log, repeats counted again."),
    _counter("forwarder_publications_repeated", "Of these, read before by an earlier producer: sent again."),
    _counter("forwarder_rows_sent", "Decoded rows given to Kafka's client, repeats counted again.", "stream"),
    _counter("forwarder_records_sent", "Records given to Kafka's client."),
    _counter("forwarder_records_delivered", "Records that Kafka has acknowledged."),
    _counter("forwarder_sent_bytes", "Bytes of their values, before compression."),
    _counter("forwarder_chunks_delivered", "Chunks that are in Kafka, whole."),
    _counter("forwarder_sessions", "Producers started: more than one means that one had failed."),
    _counter("forwarder_failures", "Producers that failed or could not be started, by error code.", "code"),
    _counter("forwarder_cursor_failures", "Times that the cursor in the edge log could not be moved; tried again."),
    _gauge("forwarder_connected", "1 while Kafka takes what comes."),
    _gauge("forwarder_state", "1 for the state that the forwarder is in, 0 for the others.", "state"),
)

JOBS = (
    _counter("jobs_rows_decoded", "Decoded rows taken in.", "stream"),
    _counter("jobs_repeats_dropped", "Of these, repeats of earlier ones, dropped.", "stream"),
    _counter("jobs_rows_landed", "Rows committed to the lake; repeated epochs count again.", "table"),
    _counter("jobs_rows_late", "Of these, rows that came later than the watermark.", "stream"),
    _counter("jobs_rejects", "Rejects landed, by reason (docs/rejects.md).", "reason"),
    _counter("jobs_device_events", "Device events landed, by kind.", "event"),
    _counter(
        "jobs_device_loss_events",
        "Device events that tell of a loss: overflow, gap, dropped, session_lost.",
        "site",
        "event",
    ),
    _counter("jobs_device_reports_lost", "Reports that these say were lost before they reached us.", "site", "event"),
    _counter("jobs_epochs_committed", "Epochs committed to the lake."),
    _counter("jobs_epochs_repeated", "Epochs computed again after a restart."),
    _counter("jobs_checkpoints", "Checkpoints of state written."),
    _gauge("jobs_checkpoint_age_seconds", "Age of the oldest epoch that no checkpoint covers; 0 where there is none."),
    _gauge("jobs_state", "1 for the state that the jobs are in, 0 for the others.", "state"),
    _gauge(
        "jobs_landed_through_timestamp_seconds",
        "Receive time through which everything of the site is landed, Unix time; clock records of an idle site count.",
        "site",
    ),
    _gauge("jobs_event_time_timestamp_seconds", "Newest event time of a read of the site, Unix time.", "site"),
    _counter("kafka_source_records", "Records that the jobs read from Kafka."),
    _counter("kafka_source_records_foreign", "Of these, records that are not ours: skipped."),
    _counter("kafka_source_rows_lost", "Rows that Kafka no longer held, or that were damaged there.", "kind"),
    _counter("kafka_source_gaps", "Times that chunks between two others were no longer in Kafka."),
    _gauge("kafka_source_lag_records", "Records that Kafka holds behind what the jobs have taken."),
    _gauge("kafka_source_connected", "1 while Kafka answers the jobs."),
)

CATALOGUE: tuple[Metric, ...] = (*PROCESSES, *BRIDGE, *EDGE_LOG, *CONSUMERS, *FORWARDER, *JOBS)
"""Every metric."""

BY_NAME = {metric.name: metric for metric in CATALOGUE}
"""Every metric by its name."""
