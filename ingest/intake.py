"""What becomes of a delivery before it is stored: a publication with its receive time, counted, and cut if too large.

What the broker tells of others (its own log) is no publication of a device: it is counted and told, not stored.
"""

from devices.events import Event, EventLevel, OnEvent
from devices.oversized import oversized
from devices.publication import Publication
from ingest.bridge_report import HEARD_TOPICS_MAX, BridgeStats
from ingest.broker_log import BROKER_LOG_TOPICS, refusal_in
from ingest.mqtt_packets import Delivery

_CLOCK_STEP_US = 1_000_000  # a receive time this far before the one before it is worth a line


class Intake:
    """Takes in what a broker delivers."""

    def __init__(self, stats: BridgeStats, on_event: OnEvent, *, broker_log: bool) -> None:
        """Begin with nothing heard.

        Args:
            stats: Where everything is counted.
            on_event: Told what a person should know.
            broker_log: Whether what the broker logs is listened to.
        """
        self.last_received_us: int | None = None
        """Receive time of the newest publication, microseconds since the epoch."""
        self._stats = stats
        self._on_event = on_event
        self._broker_log = broker_log

    def is_of_broker(self, delivery: Delivery) -> bool:
        """Take note of what the broker logs; return whether the delivery was that."""
        if not self._broker_log or delivery.topic not in BROKER_LOG_TOPICS or delivery.packet_id:
            return False
        line = delivery.payload.decode("utf-8", "backslashreplace")
        refusal = refusal_in(line)
        if refusal is not None:
            self._stats.broker_refusals[refusal] = self._stats.broker_refusals.get(refusal, 0) + 1
            self._warn("broker_refused", f"the broker refused somebody ({refusal}): {line}")
        return True

    def publication(self, delivery: Delivery, received_us: int) -> Publication:
        """Return what is to be stored of a delivery.

        Args:
            delivery: What came.
            received_us: When, microseconds since the epoch.
        """
        if self.last_received_us is not None and received_us < self.last_received_us - _CLOCK_STEP_US:
            back_s = (self.last_received_us - received_us) / 1e6
            self._warn("clock_set_back", f"this machine's clock was set back by {back_s:.1f} s")
        self.last_received_us = received_us
        self._count(delivery, received_us)
        publication = Publication(
            topic=delivery.topic,
            payload=delivery.payload,
            received_us=received_us,
            qos=delivery.qos,
            retained=delivery.retained,
        )
        if delivery.cut_from_bytes is None:
            return publication
        self._stats.oversized += 1
        text = f"a publication of {delivery.cut_from_bytes:,} bytes on {delivery.topic}: only its beginning is kept"
        self._warn("publication_oversized", text)
        return oversized(publication, delivery.cut_from_bytes)

    def _count(self, delivery: Delivery, received_us: int) -> None:
        self._stats.received += 1
        self._stats.received_bytes += len(delivery.payload)
        self._stats.redelivered += delivery.redelivered
        heard_us = self._stats.heard_us
        if delivery.topic in heard_us or len(heard_us) < HEARD_TOPICS_MAX:
            heard_us[delivery.topic] = received_us

    def _warn(self, code: str, text: str) -> None:
        self._on_event(Event(level=EventLevel.WARNING, code=code, text=text))
