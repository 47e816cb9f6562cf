"""What an operator sets of a bridge."""

from dataclasses import dataclass, field
from pathlib import Path

from devices.documents import PAYLOAD_BYTES_MAX
from ingest.limits import EdgeLogLimits
from ingest.mqtt_security import MqttSecurity
from ingest.mqtt_url import MqttUrl
from ingest.window import WindowLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeConfig:
    """Settings of a bridge."""

    mqtt_url: MqttUrl
    """The broker."""
    topic_filters: tuple[str, ...] = ("#",)
    """What to subscribe to. Everything, by default: a mistyped topic becomes a reject that can be seen."""
    client_id: str | None = None
    """Name of the session at the broker; made from the edge log's identity where not given."""
    keepalive_s: int = 30
    """A silent connection is pinged after this long, seconds."""
    security: MqttSecurity = field(default_factory=MqttSecurity)
    """Certificates and password for the broker."""
    broker_log: bool = False
    """Whether to listen to what Mosquitto logs, and tell and count whom it refuses (`ingest.broker_log`)."""
    payload_bytes_max: int = PAYLOAD_BYTES_MAX
    """Of a larger payload only the beginning is stored, and it becomes a reject: what no decoder takes anyhow. The
    shipped broker lets through 10 MiB, a reader's largest report (10,000 reads of 100 bytes) is 1 MB."""
    broker_journal: Path | None = None
    """Folder in which the broker's journal plugin writes (`ingest.broker_journal`); `None` where it has none."""
    window: WindowLimits = field(default_factory=WindowLimits)
    """Bounds of what may wait for its commit."""
    log: EdgeLogLimits = field(default_factory=EdgeLogLimits)
    """Bounds of the edge log."""
