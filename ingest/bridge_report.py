"""What a bridge tells about itself: its state and its counters, beside its events (`devices.events`)."""

from dataclasses import dataclass, field
from enum import StrEnum

from devices.events import Event as BridgeEvent
from devices.events import EventLevel

__all__ = ["HEARD_TOPICS_MAX", "BridgeEvent", "BridgeState", "BridgeStats", "EventLevel"]

HEARD_TOPICS_MAX = 10_000
"""Topics whose newest publication is remembered: some MB at most. A site has two for each device."""


class BridgeState(StrEnum):
    """What the bridge does now."""

    CONNECTING = "connecting"
    """There is no connection to the broker; it is being tried."""
    RECEIVING = "receiving"
    """Connected, and storing what arrives."""
    HOLDING = "holding"
    """The edge log cannot take more: nothing is read, the broker holds what comes."""
    STOPPED = "stopped"
    """Not running."""


@dataclass(slots=True, kw_only=True)
class BridgeStats:
    """What the bridge has done since it was made."""

    state: BridgeState = BridgeState.STOPPED
    """What it does now."""
    received: int = 0
    """Publications that arrived."""
    received_bytes: int = 0
    """Payload bytes of these."""
    oversized: int = 0
    """Of these, larger than is taken: their beginning is stored, and they become rejects."""
    redelivered: int = 0
    """Of these, flagged by the broker as delivered before (DUP)."""
    left_to_broker: int = 0
    """Publications of connections that ended while holding, for which there was no room: the broker has them."""
    stored: int = 0
    """Publications in the edge log."""
    taken_from_journal: int = 0
    """Publications that a broker had acknowledged before it died, and that only its journal still had."""
    acknowledged: int = 0
    """PUBACKs given to the connection."""
    clock_records: int = 0
    """Idle clock records written."""
    trimmed: int = 0
    """Old publications dropped from the edge log."""
    reconnects: int = 0
    """Connections after the first."""
    connections_lost: int = 0
    """Connections that ended, and attempts that failed."""
    losses: dict[str, int] = field(default_factory=dict)
    """The same by kind (`ingest.mqtt_loss.LossCode`): refused logins and certificates are kinds of their own."""
    broker_refusals: dict[str, int] = field(default_factory=dict)
    """Whom else the broker has refused, by kind (`ingest.broker_log.BrokerRefusal`); only where its log is heard."""
    sessions_lost: int = 0
    """Times the broker had forgotten our session: what it held for us may be lost."""
    subscriptions_refused: int = 0
    """Subscriptions that the broker did not grant."""
    log_refusals: int = 0
    """Commits that failed; they are tried again."""
    holds: int = 0
    """Times the bridge stopped reading because the edge log could not take more, by whatever reason."""
    hold_reason: str | None = None
    """Why it holds now, a value of `ingest.window.HoldReason`; `None` while it does not."""
    connected: bool = False
    """Whether the broker has accepted the connection; a bridge that holds is connected too."""
    subscribed: bool | None = None
    """Whether the broker granted the subscription; `None` before its first answer."""
    problem: str | None = None
    """Why there is no connection, for people; `None` while there is one."""
    heard_us: dict[str, int] = field(default_factory=dict)
    """Receive time of the newest publication of each MQTT topic, microseconds since the epoch. Of at most
    `HEARD_TOPICS_MAX` topics: more cannot be a site's, and their names are the publishers' choice."""

    @property
    def holding(self) -> bool:
        """Whether nothing is read because the edge log cannot take more."""
        return self.state is BridgeState.HOLDING
