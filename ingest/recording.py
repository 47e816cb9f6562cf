"""Recording: from a broker into a capture file, until told to stop.

A capture is a copy for people and tests: publications are acknowledged when they are written to the file's buffer,
the file is synced every second, and the broker is asked to remember nothing when we are gone.
"""

import random
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

from devices.errors import CaptureError
from devices.publication import Publication
from ingest.capture import CaptureWriter
from ingest.mqtt_client import SessionConfig
from ingest.mqtt_loss import ConnectionLoss
from ingest.mqtt_packets import Delivery
from ingest.mqtt_security import MqttSecurity
from ingest.mqtt_session import MqttSession
from ingest.mqtt_url import MqttUrl, parse_mqtt_url

_TURN_S = 0.1  # how soon a stop is noticed
_SYNC_EVERY_S = 1.0


def record(
    mqtt_url: str | MqttUrl,
    path: Path | str,
    *,
    security: MqttSecurity | None = None,
    topic_filters: Sequence[str] = ("#",),
    seconds_max: float | None = None,
    publications_max: int | None = None,
    stop: Callable[[], bool] = lambda: False,
    on_event: Callable[[str], None] = lambda _: None,
    clock: Callable[[], int] = lambda: time.time_ns() // 1000,
) -> int:
    """Write what a broker carries to a new capture.

    Args:
        mqtt_url: The broker.
        path: File to write; gzipped where its name ends in `.gz`.
        security: Certificates and password.
        topic_filters: What to subscribe to.
        seconds_max: Stop after this long.
        publications_max: Stop after this many.
        stop: Asked ten times a second.
        on_event: Told what happens with the connection, for people.
        clock: Receive time, microseconds since the epoch, UTC.

    Returns:
        How many publications were written.

    Raises:
        CaptureError: The file is there already, or cannot be written.
        MqttUrlError: The address cannot work.
    """
    url = parse_mqtt_url(mqtt_url) if isinstance(mqtt_url, str) else mqtt_url
    if Path(path).exists():
        raise CaptureError(f"{path} is there already", hint="give another name, or remove it first")
    with CaptureWriter(path) as writer:
        recorder = _Recorder(
            url,
            writer,
            security=security or MqttSecurity(),
            topic_filters=tuple(topic_filters),
            publications_max=publications_max,
            on_event=on_event,
            clock=clock,
        )
        ends_at = None if seconds_max is None else time.monotonic() + seconds_max
        while not (stop() or recorder.is_full or (ends_at is not None and time.monotonic() >= ends_at)):
            recorder.turn()
        recorder.close()
        return writer.publications


class _Recorder:
    """Writes what a session delivers."""

    def __init__(
        self,
        url: MqttUrl,
        writer: CaptureWriter,
        *,
        security: MqttSecurity,
        topic_filters: tuple[str, ...],
        publications_max: int | None,
        on_event: Callable[[str], None],
        clock: Callable[[], int],
    ) -> None:
        self._url = url
        self._writer = writer
        self._topic_filters = topic_filters
        self._publications_max = publications_max
        self._on_event = on_event
        self._clock = clock
        self._acks: list[int] = []
        self._lost_reason: str | None = None
        self._synced_at = time.monotonic()
        config = SessionConfig(
            url=url, client_id=f"tagtide-cap-{uuid.uuid4().hex[:8]}", clean_session=True, security=security
        )
        self._session = MqttSession(config, self, rng=random.Random())  # noqa: S311 - jitter
        on_event(f"connecting to {url}")

    @property
    def is_full(self) -> bool:
        """Whether as much was written as was asked for."""
        return self._publications_max is not None and self._writer.publications >= self._publications_max

    def turn(self) -> None:
        """Read and write for a while."""
        self._session.turn(may_read=lambda: not self.is_full, holding=False, wait_s=_TURN_S)
        self._session.acknowledge(self._acks)
        self._acks.clear()
        if time.monotonic() - self._synced_at > _SYNC_EVERY_S:
            self._writer.flush()
            self._synced_at = time.monotonic()

    def close(self) -> None:
        """Acknowledge what is written and leave."""
        self._session.close()

    def on_connected(self, *, session_present: bool) -> None:
        """Subscribe."""
        del session_present  # we ask for none
        self._session.subscribe(self._topic_filters)
        self._lost_reason = None
        self._on_event(f"connected to {self._url}")

    def on_lost(self, loss: ConnectionLoss, retry_in_s: float) -> None:
        """Drop the acknowledgements of the connection that ended; of a row of failures, tell those of a new reason."""
        self._acks.clear()
        if loss.reason != self._lost_reason:
            self._lost_reason = loss.reason
            text = f"no connection to {self._url}: {loss}; trying again and again, first in {retry_in_s:.1f} s"
            self._on_event(text)

    def on_subscribed(self, *, refused: bool) -> None:
        """Tell a refusal."""
        if refused:
            self._on_event(f"{self._url} refuses the subscription to {', '.join(self._topic_filters)}")

    def on_delivery(self, delivery: Delivery) -> None:
        """Write a publication."""
        publication = Publication(
            topic=delivery.topic,
            payload=delivery.payload,
            received_us=self._clock(),
            qos=delivery.qos,
            retained=delivery.retained,
        )
        self._writer.write(publication)
        if delivery.packet_id:
            self._acks.append(delivery.packet_id)

    def on_published(self, packet_id: int) -> None:
        """Nothing is published here."""
        raise AssertionError(f"PUBACK {packet_id} for a recorder")
