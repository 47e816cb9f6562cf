"""What a bridge tells: its counters, its readers, its edge log, its broker."""

import time
from collections.abc import Mapping, Sequence

from deploy.telemetry.consumer_lag import received_after
from deploy.telemetry.monitoring import Look
from deploy.telemetry.process_figures import tell_disk
from deploy.telemetry.report import Told
from devices.observations import SourceKind
from devices.site.model import Site
from ingest.bridge import BridgeConfig
from ingest.bridge_report import BridgeState, BridgeStats
from ingest.broker_log import BrokerRefusal
from ingest.edge_log import EdgeLog
from ingest.limits import EdgeLogLimits
from ingest.mqtt_loss import LossCode
from ingest.window import HoldReason

BRIDGE_ROUND_S = 60.0
"""A round of the bridge takes 0.1 s, and as long as a commit: a disk that needs a minute for one hangs."""

READERS_MAX = 500
"""Readers that are exported one by one: two series each. A store has some tens; more are only counted."""

SOURCES_MAX = 500
"""Scales, sensors and business systems that are exported one by one; more are only counted."""


class ReaderTopics:
    """Which readers a bridge expects, and by which topics it knows them."""

    def __init__(self, sites: Sequence[Site], since: float) -> None:
        """Take the readers of some sites.

        Args:
            sites: The bridge's sites.
            since: When the bridge started, Unix time: no reader was silent for longer, as far as it knows.
        """
        readers = [(site.id, reader) for site in sites for reader in site.readers]
        self.configured = len(readers)
        """How many there are."""
        self._since = since
        self._topics = {
            (site, reader.id): (reader.mqtt_topic, *reader.status_mqtt_topics) for site, reader in readers[:READERS_MAX]
        }

    def tell(self, told: Told, seen_us: Mapping[str, int], now: float) -> None:
        """Add when each reader was last heard.

        Args:
            told: Where to.
            seen_us: Newest receive time of each topic, microseconds since the epoch.
            now: Unix time.
        """
        told.put("tagtide_readers_configured", self.configured)
        told.put("tagtide_readers_unlisted", self.configured - len(self._topics))
        for (site, reader), topics in self._topics.items():
            last = max((seen_us.get(topic, 0) for topic in topics), default=0) / 1e6
            if last:
                told.put("tagtide_reader_last_seen_timestamp_seconds", last, site, reader)
            told.put("tagtide_reader_silent_seconds", max(0.0, now - (last or self._since)), site, reader)


class SourceTopics:
    """What else a bridge expects: scales of shelves, sensors, business systems, and by which topics it knows them."""

    def __init__(self, sites: Sequence[Site]) -> None:
        """Take what some sites have beside readers."""
        topics: dict[tuple[str, str, str], list[str]] = {}
        for site in sites:
            for topic, source in site.sources():
                if source.kind is not SourceKind.READER:
                    topics.setdefault((source.site, source.kind.value, source.id), []).append(topic)
        self.configured = len(topics)
        """How many there are."""
        self._topics = dict(list(topics.items())[:SOURCES_MAX])

    def tell(self, told: Told, seen_us: Mapping[str, int]) -> None:
        """Add when each was last heard.

        Args:
            told: Where to.
            seen_us: Newest receive time of each topic, microseconds since the epoch.
        """
        told.put("tagtide_sources_configured", self.configured)
        told.put("tagtide_sources_unlisted", self.configured - len(self._topics))
        for labels, topics in self._topics.items():
            last = max(seen_us.get(topic, 0) for topic in topics) / 1e6
            if last:
                told.put("tagtide_source_last_seen_timestamp_seconds", last, *labels)


def bridge_looks(stats: BridgeStats, config: BridgeConfig, log: EdgeLog, sites: Sequence[Site]) -> list[Look]:
    """Return what adds the parts of a bridge's report."""
    readers = ReaderTopics(sites, time.time())
    sources = SourceTopics(sites)
    return [
        lambda told: tell_bridge(told, stats, str(config.mqtt_url)),
        lambda told: readers.tell(told, dict(stats.heard_us), time.time()),
        lambda told: sources.tell(told, dict(stats.heard_us)),
        lambda told: tell_edge_log(told, log, config.log),
        lambda told: tell_disk(told, "bridge", log.path.parent),
    ]


_COUNTS = {
    "tagtide_bridge_publications_received_total": "received",
    "tagtide_bridge_received_bytes_total": "received_bytes",
    "tagtide_bridge_publications_redelivered_total": "redelivered",
    "tagtide_bridge_publications_oversized_total": "oversized",
    "tagtide_bridge_publications_stored_total": "stored",
    "tagtide_bridge_publications_from_journal_total": "taken_from_journal",
    "tagtide_bridge_publications_acknowledged_total": "acknowledged",
    "tagtide_bridge_store_failures_total": "log_refusals",
    "tagtide_bridge_holds_total": "holds",
    "tagtide_bridge_clock_records_total": "clock_records",
    "tagtide_bridge_publications_left_to_broker_total": "left_to_broker",
    "tagtide_edge_log_publications_trimmed_total": "trimmed",
    "tagtide_broker_reconnects_total": "reconnects",
    "tagtide_broker_sessions_lost_total": "sessions_lost",
    "tagtide_broker_subscriptions_refused_total": "subscriptions_refused",
}


_SUBSCRIPTION = {True: "subscribed", False: "the broker refuses the subscription", None: "not subscribed yet"}
_HOLDS = {
    HoldReason.LOG_FULL: "the edge log is at its bound",
    HoldReason.DISK_LOW: "too little of the edge log's disk is free",
    HoldReason.BACKLOG_OLD: "what consumers of the edge log still need goes too far back",
    HoldReason.LOG_UNAVAILABLE: "the edge log cannot be written",
}


def tell_bridge(told: Told, stats: BridgeStats, broker: str) -> None:
    """Add a bridge's counters and state, and whether it has its broker and takes what comes.

    Args:
        told: Where to.
        stats: The bridge's.
        broker: Its broker, for people; without a password.
    """
    for name, attribute in _COUNTS.items():
        told.put(name, getattr(stats, attribute))
    for state in BridgeState:
        told.put("tagtide_bridge_state", stats.state is state, state.value)
    for code in LossCode:
        told.put("tagtide_broker_losses_total", stats.losses.get(code, 0), code.value)
    for refusal in BrokerRefusal:
        told.put("tagtide_broker_refusals_total", stats.broker_refusals.get(refusal, 0), refusal.value)
    told.put("tagtide_broker_connected", stats.connected)
    told.check(
        "broker_connected",
        ok=stats.connected,
        says=f"connected to {broker}" if stats.connected else f"not connected to {broker}: {stats.problem}",
        do="see that the broker runs, that this machine reaches it, and that it lets this bridge in",
    )
    told.check(
        "broker_subscribed",
        ok=not stats.connected or stats.subscribed is not False,
        says=_SUBSCRIPTION[stats.subscribed],
        do="let this bridge's user read its topics in the broker's access rules (deploy/mosquitto/README.md)",
    )
    told.check(
        "edge_log_takes",
        ok=stats.hold_reason is None,
        says="the edge log takes what comes"
        if stats.hold_reason is None
        else f"nothing is read from the broker, which holds what comes: {_HOLDS[HoldReason(stats.hold_reason)]}",
        do="free disk space, or mend the consumer that is behind (tagtide_edge_log_cursor_offset shows which); "
        "receiving goes on by itself",
    )


def tell_edge_log(told: Told, log: EdgeLog, limits: EdgeLogLimits) -> None:
    """Add what the edge log holds and how far its consumers are.

    Raises:
        EdgeLogError: It cannot be read now.
    """
    told.put("tagtide_edge_log_bytes", log.stored_bytes)
    told.put("tagtide_edge_log_limit_bytes", limits.stored_bytes_max)
    told.put("tagtide_edge_log_publications", log.count_after(0))
    told.put("tagtide_edge_log_last_offset", log.last_offset)
    oldest_us = received_after(log, 0)
    told.put("tagtide_edge_log_oldest_age_seconds", 0 if oldest_us is None else max(0.0, time.time() - oldest_us / 1e6))
    for consumer, offset in log.cursors().items():
        told.put("tagtide_edge_log_cursor_offset", offset, consumer)
