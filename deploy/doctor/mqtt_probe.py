"""Measures what an MQTT broker does with publications that it has acknowledged; holds no opinion about it.

Every probe has a session of its own, below a client id and a topic that nobody else uses, and leaves the broker as it
was: the session is discarded, nothing is retained. It speaks MQTT 3.1.1 with a persistent session, as the bridge does.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.reasoncodes import ReasonCode

from devices.errors import TagtideError
from ingest.mqtt_client import give_credentials
from ingest.mqtt_security import MqttSecurity
from ingest.mqtt_url import MqttUrl

QUIET_S = 1.5
"""A broker that has delivered nothing for this long, and nothing before it answers a question then, has nothing left: a
queue is handed out within milliseconds, but a busy machine stands still for seconds."""
_ANSWER_S = 15.0  # a broker that needs longer for one answer is as good as absent
_IN_FLIGHT_MAX = 200  # of the probe's own publications without PUBACK
_REFUSED = 128  # a SUBACK code from here on refuses
_NOWHERE = "tagtide/doctor/nowhere"  # an MQTT topic that nobody has subscribed to
_QOS0_SETTLE_S = 0.3  # publications at QoS 0 have no PUBACK to wait for


class BrokerSilentError(TagtideError):
    """The broker did not answer a probe."""

    code = "broker_silent"


class Connect(Protocol):
    """Makes a client of the broker, with its address and credentials set, not yet connected."""

    def __call__(self, client_id: str, *, clean_session: bool, manual_ack: bool = False) -> paho.Client:
        """Return the client, with a bounded number of publications in flight; `connect_async` has been called on it."""


def connector(url: MqttUrl, security: MqttSecurity) -> Connect:
    """Return what makes clients of a broker; it raises `MqttSecurityError` where a file of ours cannot be used."""

    def connect(client_id: str, *, clean_session: bool, manual_ack: bool = False) -> paho.Client:
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            clean_session=clean_session,
            protocol=MQTTProtocolVersion.MQTTv311,
            manual_ack=manual_ack,
        )
        client.max_inflight_messages_set(_IN_FLIGHT_MAX)
        give_credentials(client, url, security)
        client.connect_async(url.host, url.port)
        return client

    return connect


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """How many publications a broker kept for a session."""

    acknowledged: int
    """Publications that the broker took from the publisher: by PUBACK at QoS 1, handed to the network at QoS 0."""
    received: int
    """Different ones of them that the session got in the end."""
    session_present: bool = True
    """Whether the broker still knew the session."""
    in_flight: int = 0
    """Publications that came before the first of them was acknowledged; 0 where that was not the question."""

    @property
    def lost(self) -> int:
        """Acknowledged and never delivered."""
        return self.acknowledged - self.received


@dataclass(frozen=True, slots=True, kw_only=True)
class Restarted:
    """What outlived a restart of the broker while the session was away."""

    settled: Kept
    """Publications of some seconds before the restart."""
    last_moment: Kept
    """Publications acknowledged just before it."""


class Probe:
    """One client at the broker, with what it has received."""

    def __init__(self, client: paho.Client) -> None:
        self.numbers: Counter[int] = Counter()
        self.payload_bytes_max = 0
        self.session_present = False
        self.subscribed_codes: list[int] = []
        self._client = client
        self._connected = threading.Event()
        self._subscribed = threading.Event()
        self._unsubscribed = threading.Event()
        self._refused = ""
        self._failed = False
        self._last_s = time.monotonic()
        self._holding: list[tuple[int, int]] | None = None
        client.on_connect = self._on_connect
        client.on_connect_fail = self._on_connect_fail
        client.on_subscribe = self._on_subscribe
        client.on_unsubscribe = lambda *_: self._unsubscribed.set()
        client.on_message = self._on_message

    def connect(self, *, patient: bool = False) -> None:
        """Connect and wait for the CONNACK.

        Args:
            patient: The broker may be on its way up: try again where nothing listens yet.

        Raises:
            BrokerSilentError: There is none, or it refuses.
        """
        self._client.loop_start()
        deadline = time.monotonic() + _ANSWER_S
        while not self._connected.wait(0.05):
            if self._refused:
                raise BrokerSilentError(f"the broker refuses: {self._refused}")
            if self._failed and not patient:
                raise BrokerSilentError("there is no connection to the broker: nothing listens there, or TLS fails")
            if time.monotonic() > deadline:
                raise BrokerSilentError("the broker does not answer")

    def subscribe(self, topic: str, qos: int = 1) -> bool:
        """Subscribe; whether the broker grants it."""
        self._subscribed.clear()
        self._client.subscribe(topic, qos)
        if not self._subscribed.wait(_ANSWER_S):
            raise BrokerSilentError(f"the broker does not answer a subscription to {topic}")
        return all(code < _REFUSED for code in self.subscribed_codes)

    def publish(self, topic: str, numbers: range, *, qos: int = 1, payload_bytes: int = 0) -> int:
        """Publish numbered payloads; how many the broker took."""
        sent = [self._client.publish(topic, (b"%08d" % number).ljust(payload_bytes, b"."), qos) for number in numbers]
        deadline = time.monotonic() + _ANSWER_S + len(sent) / 500  # 500 a second is a broker on its knees
        for info in sent:
            if info.rc != paho.MQTT_ERR_SUCCESS:
                continue
            info.wait_for_publish(max(0.0, deadline - time.monotonic()))
        if qos == 0:
            time.sleep(_QOS0_SETTLE_S)
        return sum(info.is_published() for info in sent)

    def await_numbers(self, count: int, *, quiet_s: float = QUIET_S) -> None:
        """Wait until so many different numbers have come, or nothing comes any more."""
        self._last_s = time.monotonic()
        while len(self.numbers) < count:
            if time.monotonic() - (last_s := self._last_s) >= quiet_s:
                self._ask()
                if self._last_s == last_s:
                    return
            time.sleep(0.02)

    def _ask(self) -> None:
        """Wait for an answer to a question that changes nothing: what was on its way before it comes first."""
        self._unsubscribed.clear()
        self._client.unsubscribe(_NOWHERE)
        self._unsubscribed.wait(_ANSWER_S)

    def hold_acknowledgements(self) -> None:
        """From now on, acknowledge nothing that comes."""
        self._holding = []

    def acknowledge_held(self) -> None:
        """Acknowledge what was held, and from now on all that comes."""
        held, self._holding = self._holding or [], None
        for packet_id, qos in held:
            self._client.ack(packet_id, qos)

    def close(self) -> None:
        """Disconnect; a persistent session stays at the broker."""
        self._client.disconnect()
        self._client.loop_stop()

    def _on_connect(
        self, _client: object, _data: object, flags: paho.ConnectFlags, reason: object, _properties: object
    ) -> None:
        if getattr(reason, "is_failure", False):
            self._refused = str(reason)
            return
        self.session_present = flags.session_present
        self._connected.set()

    def _on_connect_fail(self, _client: object, _data: object) -> None:
        self._failed = True  # paho tries again; `connect` decides whether to wait for that

    def _on_subscribe(self, _client: object, _data: object, _id: int, reasons: list[ReasonCode], _more: object) -> None:
        self.subscribed_codes = [reason.value for reason in reasons]
        self._subscribed.set()

    def _on_message(self, client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        self._last_s = time.monotonic()
        self.payload_bytes_max = max(self.payload_bytes_max, len(message.payload))
        if self._holding is not None:
            self._holding.append((message.mid, message.qos))
        else:
            client.ack(message.mid, message.qos)  # of no effect where paho acknowledges by itself
        if message.payload[:8].isdigit():
            self.numbers[int(message.payload[:8])] += 1


class MqttProbes:
    """The measurements, each with a fresh session."""

    def __init__(self, connect: Connect, *, name: str, topic: str) -> None:
        """Choose names.

        Args:
            connect: Makes clients.
            name: Client id of the probe's session; a publisher has `-pub` behind it.
            topic: MQTT topic that nobody else uses.
        """
        self._connect = connect
        self._name = name
        self._topic = topic

    def round_trip(self) -> bool:
        """Whether what is published on the probe's topic comes back: else a rule of the broker forbids it.

        Raises:
            BrokerSilentError: The broker cannot be reached or does not let us in.
        """
        with self._session() as probe, self._publisher() as publisher:
            if not probe.subscribe(self._topic):
                return False
            publisher.publish(self._topic, range(1))
            probe.await_numbers(1, quiet_s=3.0)
            return bool(probe.numbers)

    def version(self) -> str | None:
        """What the broker calls itself in `$SYS/broker/version`; `None` where it does not say."""
        said: list[str] = []
        client = self._connect(f"{self._name}-pub", clean_session=True)
        probe = Probe(client)

        def note(_client: object, _data: object, message: paho.MQTTMessage) -> None:
            said.append(message.payload.decode(errors="replace"))

        client.on_message = note
        probe.connect()
        try:
            probe.subscribe("$SYS/broker/version", 0)
            deadline = time.monotonic() + 1.0
            while not said and time.monotonic() < deadline:
                time.sleep(0.02)
        finally:
            probe.close()
        return said[0] if said else None

    def kept_while_away(self, count: int, *, qos: int = 1, payload_bytes: int = 256) -> Kept:
        """Publish while the session is away, and count what it gets when it is back."""
        with self._publisher() as publisher:
            self._leave_a_session()
            acknowledged = publisher.publish(self._topic, range(count), qos=qos, payload_bytes=payload_bytes)
            return self._returned(range(count), acknowledged)

    def kept_unacknowledged(self, count: int, *, payload_bytes: int = 256) -> Kept:
        """Publish while the session is connected and acknowledges nothing, then let it acknowledge."""
        with self._session(manual_ack=True) as probe, self._publisher() as publisher:
            probe.subscribe(self._topic)
            probe.hold_acknowledgements()
            acknowledged = publisher.publish(self._topic, range(count), payload_bytes=payload_bytes)
            probe.await_numbers(count)
            in_flight = len(probe.numbers)
            probe.acknowledge_held()
            probe.await_numbers(count)
            return Kept(acknowledged=acknowledged, received=len(probe.numbers), in_flight=in_flight)

    def carries(self, payload_bytes: int) -> bool:
        """Whether a publication of this size comes through."""
        with self._session() as probe, self._publisher() as publisher:
            probe.subscribe(self._topic)
            publisher.publish(self._topic, range(1), qos=0, payload_bytes=payload_bytes)
            probe.await_numbers(1, quiet_s=5.0)
            return probe.payload_bytes_max == payload_bytes

    def restarted(self, restart: Callable[[], None], count: int, *, settle_s: float) -> Restarted:
        """Restart the broker while the session is away, and count what it gets afterwards.

        Args:
            restart: Restarts the broker and returns.
            count: Publications well before the restart, and again just before it.
            settle_s: Seconds between the two.
        """
        first, second = range(count), range(count, 2 * count)
        with self._publisher() as publisher:
            self._leave_a_session()
            early = publisher.publish(self._topic, first)
            time.sleep(settle_s)
            late = publisher.publish(self._topic, second)
            restart()
        with self._session(keep=True, patient=True) as probe:
            probe.await_numbers(2 * count, quiet_s=2 * QUIET_S)
            present, numbers = probe.session_present, set(probe.numbers)
        return Restarted(
            settled=Kept(acknowledged=early, received=len(numbers & set(first)), session_present=present),
            last_moment=Kept(acknowledged=late, received=len(numbers & set(second)), session_present=present),
        )

    def discard(self) -> None:
        """Let the broker forget the probe's session."""
        probe = Probe(self._connect(self._name, clean_session=True))
        try:
            probe.connect()
        finally:
            probe.close()

    def _leave_a_session(self) -> None:
        self.discard()
        probe = Probe(self._connect(self._name, clean_session=False))
        probe.connect()
        probe.subscribe(self._topic)
        probe.close()

    def _returned(self, numbers: range, acknowledged: int) -> Kept:
        with self._session(keep=True) as probe:
            probe.await_numbers(len(numbers))
            return Kept(
                acknowledged=acknowledged,
                received=len(probe.numbers),
                session_present=probe.session_present,
            )

    @contextmanager
    def _session(self, *, manual_ack: bool = False, keep: bool = False, patient: bool = False) -> Iterator[Probe]:
        """Yield the probe's connected session; a fresh one unless `keep`, discarded at the end."""
        if not keep:
            self.discard()
        probe = Probe(self._connect(self._name, clean_session=False, manual_ack=manual_ack))
        try:
            probe.connect(patient=patient)
            yield probe
        finally:
            probe.close()
        self.discard()

    @contextmanager
    def _publisher(self) -> Iterator[Probe]:
        probe = Probe(self._connect(f"{self._name}-pub", clean_session=True))
        try:
            probe.connect()
            yield probe
        finally:
            probe.close()
