"""What a forwarder tells: its counters, whether Kafka takes what comes, and how far behind the edge log it is."""

from deploy.telemetry.consumer_lag import tell_lag
from deploy.telemetry.monitoring import Look
from deploy.telemetry.report import Told
from ingest.edge_log import EdgeLog
from ingest.forward_report import ForwarderState, ForwarderStats

FORWARD_ROUND_S = 120.0
"""A round of the forwarder takes milliseconds; looking for Kafka and its topics takes up to about a minute."""

_COUNTS = {
    "tagtide_forwarder_publications_read_total": "publications",
    "tagtide_forwarder_publications_repeated_total": "repeated_publications",
    "tagtide_forwarder_records_sent_total": "records_sent",
    "tagtide_forwarder_records_delivered_total": "records_delivered",
    "tagtide_forwarder_sent_bytes_total": "bytes_sent",
    "tagtide_forwarder_chunks_delivered_total": "chunks",
    "tagtide_forwarder_sessions_total": "sessions",
    "tagtide_forwarder_cursor_failures_total": "cursor_refusals",
}


def forward_looks(stats: ForwarderStats, log: EdgeLog, kafka: str) -> list[Look]:
    """Return what adds the parts of a forwarder's report."""
    return [
        lambda told: tell_forwarder(told, stats, kafka),
        lambda told: tell_lag(told, "forward", log, stats.cursor),
    ]


def tell_forwarder(told: Told, stats: ForwarderStats, kafka: str) -> None:
    """Add a forwarder's counters and state.

    Args:
        told: Where to.
        stats: The forwarder's.
        kafka: Where Kafka is, for people.
    """
    for name, attribute in _COUNTS.items():
        told.put(name, getattr(stats, attribute))
    for state in ForwarderState:
        told.put("tagtide_forwarder_state", stats.state is state, state.value)
    for stream, count in dict(stats.rows).items():
        told.put("tagtide_forwarder_rows_sent_total", count, stream)
    for code, count in dict(stats.failures).items():
        told.put("tagtide_forwarder_failures_total", count, code)
    connected = stats.state is ForwarderState.FORWARDING or (
        stats.state is ForwarderState.CONNECTING and stats.sessions > 0  # its topics are there; nothing was sent yet
    )
    told.put("tagtide_forwarder_connected", connected)
    told.check(
        "kafka_takes",
        ok=connected,
        says=f"Kafka at {kafka} takes what comes" if connected else f"Kafka at {kafka} is away: {stats.problem}",
        do="see that Kafka runs and is reachable from here; until then the edge log keeps all, within its bounds",
    )
