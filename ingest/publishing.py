"""Publishing a capture to a broker again, as the readers in it did, at QoS 1.

Publications leave in the order of the file over one connection, so each topic keeps its order. Receive times become
those of now, since whoever receives them stamps them anew; retained flags are not set again, so a replay leaves
nothing behind on the broker. After a lost connection, what was not acknowledged is sent again.
"""

import random
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from devices.publication import Publication
from ingest.capture import CaptureProblem, read_capture
from ingest.mqtt_client import SessionConfig
from ingest.mqtt_loss import ConnectionLoss
from ingest.mqtt_packets import Delivery
from ingest.mqtt_security import MqttSecurity
from ingest.mqtt_session import MqttSession, connect_or_fail
from ingest.mqtt_url import MqttUrl, parse_mqtt_url
from ingest.replay import MAX_SPEED, Pace, checked_speed

_IN_FLIGHT_MAX = 1000  # publications without PUBACK: bounds memory, and what a reconnect sends twice
_BURST = 100  # publications between two looks at the socket
_CONNECT_TIMEOUT_S = 15.0
_DRAIN_TIMEOUT_S = 5.0  # told to stop: how long to wait for PUBACKs of a broker that is connected and silent
_TURN_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishResult:
    """What a replay to a broker did."""

    published: int
    """Publications that the broker acknowledged."""
    problems: int
    """Lines of the capture that could not be read, or whose topic cannot be published on."""


def replay_to_broker(
    capture: Path | str,
    mqtt_url: str | MqttUrl,
    *,
    security: MqttSecurity | None = None,
    speed: str | float = MAX_SPEED,
    stop: Callable[[], bool] = lambda: False,
) -> PublishResult:
    """Publish a capture and return when the broker has acknowledged all of it.

    Args:
        capture: The file, plain or gzipped.
        mqtt_url: The broker.
        security: Certificates and password.
        speed: `max`, or how many times faster than recorded.
        stop: Asked now and then; what is on its way is still waited for, some seconds at most.

    Raises:
        BrokerError: The broker is not there, or refuses us.
        CaptureError: The capture cannot be opened.
        MqttUrlError: The address cannot work.
        UsageError: `speed` is neither `max` nor a positive number.
    """
    url = parse_mqtt_url(mqtt_url) if isinstance(mqtt_url, str) else mqtt_url
    pace = Pace(checked_speed(speed), time.sleep, time.monotonic)
    publisher = _Publisher(url, security or MqttSecurity(), pace)
    try:
        publisher.connect(stop)
        publisher.publish_all(read_capture(capture), stop)
    finally:
        publisher.close()
    return PublishResult(published=publisher.acknowledged, problems=publisher.problems)


class _Publisher:
    """Sends publications with a bounded number on their way."""

    def __init__(self, url: MqttUrl, security: MqttSecurity, pace: Pace) -> None:
        self.acknowledged = 0
        self.problems = 0
        self._sent = 0
        self._pace = pace
        config = SessionConfig(
            url=url,
            client_id=f"tagtide-pub-{uuid.uuid4().hex[:8]}",
            clean_session=True,
            unacknowledged_max=_IN_FLIGHT_MAX,
            security=security,
        )
        self._session = MqttSession(config, self, rng=random.Random())  # noqa: S311 - jitter
        self._url = url

    def connect(self, stop: Callable[[], bool]) -> None:
        """Wait for the broker."""
        connect_or_fail(self._session, self._url, _CONNECT_TIMEOUT_S, stop=stop)

    def publish_all(self, entries: Iterator[Publication | CaptureProblem], stop: Callable[[], bool]) -> None:
        """Send everything and wait for the last PUBACK; told to stop, wait for a while."""
        for entry in entries:
            if isinstance(entry, CaptureProblem):
                self.problems += 1
                continue
            while (due_in_s := self._pace.wait_s(entry.received_us)) > 0 and not stop():
                self._turn(min(due_in_s, _TURN_S))
            while self._sent - self.acknowledged >= _IN_FLIGHT_MAX or not self._session.connected:
                self._turn(_TURN_S)
                if stop():
                    break
            if stop():
                break
            self._send(entry)
        stopped_at: float | None = None
        while self.acknowledged < self._sent and not (stop() and not self._session.connected):
            if stopped_at is None and stop():
                stopped_at = time.monotonic()
            if stopped_at is not None and time.monotonic() - stopped_at > _DRAIN_TIMEOUT_S:
                break
            self._turn(_TURN_S)

    def close(self) -> None:
        """Leave the broker."""
        self._session.close()

    def _send(self, publication: Publication) -> None:
        try:
            self._session.publish(publication.topic, publication.payload)
        except ValueError:  # an empty topic, or one with a wildcard in it
            self.problems += 1
            return
        self._sent += 1
        if self._sent % _BURST == 0:
            self._turn(0.0)

    def _turn(self, wait_s: float) -> None:
        self._session.turn(may_read=lambda: True, holding=False, wait_s=wait_s)

    def on_connected(self, *, session_present: bool) -> None:
        """Nothing to do: paho sends again what was not acknowledged."""

    def on_lost(self, loss: ConnectionLoss, retry_in_s: float) -> None:
        """Nothing to do: the session connects again."""

    def on_subscribed(self, *, refused: bool) -> None:
        """Nothing is subscribed to here."""

    def on_delivery(self, delivery: Delivery) -> None:
        """Nothing is received here."""

    def on_published(self, packet_id: int) -> None:
        """Count an acknowledgement."""
        del packet_id
        self.acknowledged += 1
