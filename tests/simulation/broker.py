"""A simulated MQTT broker with one persistent session, and the wire to it.

It keeps what it accepted until that is acknowledged, delivers in order, at most a window of it at once, and delivers
again what was not acknowledged when a connection ended. Faults: connections are refused or cut, with bytes of either
direction still under way; redelivery with DUP clear and under other packet identifiers; the session is forgotten; it
crashes and forgets acknowledgements that it had not saved.

`SimulatedWire` carries the bytes of both sides, in portions of any size, to the real `ingest.mqtt_session`.
"""

from collections import deque
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from tests.simulation.clock import SimulatedClock
from tests.simulation.faults import Fault, Faults

if TYPE_CHECKING:
    from collections.abc import Callable

_ID_MAX = 20  # few packet identifiers, so that stale acknowledgements meet other publications
_CONNACK, _PUBACK, _SUBACK, _PINGREQ, _DISCONNECT = 0x20, 0x40, 0x90, 0xC0, 0xE0


class Held:
    """A publication that the broker keeps for the session."""

    __slots__ = ("payload", "qos", "sent", "topic")

    def __init__(self, topic: str, payload: bytes, qos: int) -> None:
        self.topic = topic
        self.payload = payload
        self.qos = qos
        self.sent = False


class Listener:
    """What the judge hears from the broker."""

    def acknowledged(self, payload: bytes) -> None:
        """The broker took a PUBACK for a publication, and keeps it no longer."""

    def broke_protocol(self, what: str) -> None:
        """The client did what it must not."""

    def session_lost(self, payloads: list[bytes]) -> None:
        """The broker forgot the session, and these with it."""

    def connack_lost(self) -> None:
        """A connection ended before the client had read the answer to it."""


class SimulatedBroker:
    """The broker and its one session."""

    def __init__(self, faults: Faults, listener: Listener) -> None:
        self._faults = faults
        self._generator = faults.generator
        self._listener = listener
        self.inflight_max = self._generator.choice((1, 3, _ID_MAX))
        self.has_session = False
        self.is_subscribed = False
        self.queue: deque[Held] = deque()
        """Kept, not under way on this connection."""
        self.inflight: deque[tuple[int, Held]] = deque()
        """Delivered on this connection and not acknowledged, in order."""
        self._forgettable: deque[Held] = deque(maxlen=_ID_MAX)
        self._next_id = 1
        self.wire: SimulatedWire | None = None
        """The connection."""
        self.deliveries = 0

    @property
    def is_drained(self) -> bool:
        return not self.queue and not self.inflight

    def publish(self, topic: str, payload: bytes, qos: int) -> bool:
        """Take a publication from a device; return whether the session gets it."""
        if not self.is_subscribed:
            return False
        self.queue.append(Held(topic, payload, qos))
        self.pump()
        return True

    def connect(self, wire: "SimulatedWire") -> bool:
        """Accept a connection; return whether there was a session."""
        self.drop_connection()
        self.wire = wire
        present, self.has_session = self.has_session, True
        if self._faults.strikes(Fault.PACKET_IDS_CHANGED):
            self._next_id = self._generator.randint(1, _ID_MAX)
        return present

    def drop_connection(self) -> None:
        """The connection is over: what was under way waits again, in front."""
        if self.wire is not None:
            if not self.wire.is_accepted:
                self._listener.connack_lost()
            self.wire.hang_up()
            self.wire = None
        while self.inflight:
            _, held = self.inflight.pop()
            if held.qos:
                self.queue.appendleft(held)

    def lose_session(self) -> None:
        """Forget session, subscription and everything kept for it."""
        self.drop_connection()
        lost = [held.payload for held in self.queue]
        self.queue.clear()
        self._forgettable.clear()
        self.has_session = self.is_subscribed = False
        self._listener.session_lost(lost)

    def crash(self) -> None:
        """Restart from the last save: some acknowledgements are forgotten, and DUP flags with them."""
        self.drop_connection()
        count = self._generator.randint(0, len(self._forgettable))
        again = [self._forgettable.pop() for _ in range(count)][::-1]
        self.queue.extendleft(reversed(again))
        for held in self.queue:
            held.sent = held.sent and self._generator.random() < 0.5

    def subscribe(self) -> None:
        self.is_subscribed = True
        if self.wire is not None:
            self.wire.to_client += bytes((_SUBACK, 3, 0, 1, 1))

    def pump(self) -> None:
        """Deliver as much as the window allows."""
        wire = self.wire
        if wire is None or not self.is_subscribed:
            return
        while self.queue and len(self.inflight) < self.inflight_max:
            held = self.queue.popleft()
            packet_id = 0
            if held.qos:
                packet_id = self._next_id
                self._next_id = self._next_id % _ID_MAX + 1
                self.inflight.append((packet_id, held))
            dup = held.sent and not self._faults.strikes(Fault.REDELIVERY_WITHOUT_DUP)
            held.sent = True
            self.deliveries += 1
            wire.to_client += _publish(held, packet_id, dup=dup)

    def take(self, packet: bytes) -> None:
        """Take a packet from the client."""
        if packet[0] == _PUBACK:
            self._take_ack(int.from_bytes(packet[2:4], "big"))
        elif packet[0] == _DISCONNECT:
            self.drop_connection()
        elif packet[0] != _PINGREQ:
            self._listener.broke_protocol(f"sent a packet of type {packet[0]:#x}")

    def _take_ack(self, packet_id: int) -> None:
        if not self.inflight or self.inflight[0][0] != packet_id:
            due = self.inflight[0][0] if self.inflight else None
            self._listener.broke_protocol(f"acknowledged packet {packet_id} where {due} was due on this connection")
            return
        _, held = self.inflight.popleft()
        self._forgettable.append(held)
        self._listener.acknowledged(held.payload)
        self.pump()


class SimulatedWire:
    """A connection as `ingest.mqtt_session.Wire` wants it."""

    def __init__(self, broker: SimulatedBroker, faults: Faults, clock: SimulatedClock) -> None:
        self.on_connect: Callable[..., None] = lambda *_: None
        self.on_disconnect: Callable[..., None] = lambda *_: None
        self.on_subscribe: Callable[..., None] = lambda *_: None
        self.on_publish: Callable[..., None] = lambda *_: None
        self.to_client = bytearray()
        self._broker = broker
        self._faults = faults
        self._generator = faults.generator
        self._clock = clock
        self._to_broker = bytearray()
        self._is_open = False
        self._hung_up = False
        self._is_subscribing = False
        self.is_accepted = False
        """Whether the CONNACK was read."""

    @property
    def is_open(self) -> bool:
        return self._is_open

    def reconnect(self) -> None:
        self.to_client.clear()
        self._to_broker.clear()
        self._is_subscribing = self._hung_up = self.is_accepted = False
        if self._faults.strikes(Fault.CONNECTION_REFUSED):
            raise ConnectionRefusedError(111, "Connection refused")
        self._is_open = True
        present = self._broker.connect(self)
        self.to_client += bytes((_CONNACK, 2, present, 0))
        self._broker.pump()

    def hang_up(self) -> None:
        """The broker's side has ended; what is under way may or may not arrive."""
        self._hung_up = True
        self._to_broker.clear()
        if self._faults.strikes(Fault.UNREAD_BYTES_LOST):
            del self.to_client[self._generator.randint(0, len(self.to_client)) :]

    def wait(self, wait_s: float, *, reading: bool, writing: bool) -> bool:
        ready = self._hung_up or bool(reading and self.to_client)
        if not ready and not writing and not self._is_subscribing:
            self._clock.sleep(wait_s)
        return ready

    def receive(self) -> bytes | None:
        if not self.to_client:
            return b"" if self._hung_up else None
        count = len(self.to_client)
        if self._generator.random() < 0.3:
            count = self._generator.randint(1, count)
        data = bytes(self.to_client[:count])
        del self.to_client[:count]
        return data

    def handle(self, packet: bytes) -> None:
        if packet[0] == _CONNACK:
            self.is_accepted = True
            flags = SimpleNamespace(session_present=bool(packet[2]))
            self.on_connect(None, None, flags, SimpleNamespace(is_failure=False), None)
        elif packet[0] == _SUBACK:
            self.on_subscribe(None, None, 1, [SimpleNamespace(is_failure=False)], None)

    def send(self, data: bytes | bytearray) -> int:
        if self._hung_up:
            if self._faults.strikes(Fault.SENT_BYTES_LOST):
                return len(data)
            raise BrokenPipeError(32, "Broken pipe")
        count = len(data)
        if self._generator.random() < 0.2:
            count = self._generator.randint(0, count)
        if self._faults.strikes(Fault.SENT_BYTES_LOST):
            self._broker.drop_connection()  # the bytes are with the kernel, and the connection is gone
            return count
        self._to_broker += data[:count]
        while len(self._to_broker) >= 2 and len(self._to_broker) >= 2 + self._to_broker[1]:
            end = 2 + self._to_broker[1]
            packet = bytes(self._to_broker[:end])
            del self._to_broker[:end]
            self._broker.take(packet)
        return count

    def want_write(self) -> bool:
        return self._is_subscribing

    def loop_write(self) -> None:
        self._is_subscribing = False
        if not self._hung_up:
            self._broker.subscribe()
            self._broker.pump()

    def loop_misc(self) -> None:
        pass

    def subscribe(self, topic: Any) -> None:  # noqa: ARG002
        self._is_subscribing = True

    def unsubscribe(self, topic: Any) -> None:
        pass

    def publish(self, topic: str, payload: bytes, qos: int) -> Any:
        raise AssertionError(f"a bridge publishes nothing: {topic} {payload!r} {qos}")

    def read_to_the_end(self, timeout_s: float) -> None:
        pass

    def shut(self) -> None:
        if self._is_open:
            self._is_open = False
            if self._broker.wire is self:
                self._broker.drop_connection()


def _publish(held: Held, packet_id: int, *, dup: bool) -> bytes:
    topic = held.topic.encode()
    body = len(topic).to_bytes(2, "big") + topic + (packet_id.to_bytes(2, "big") if held.qos else b"") + held.payload
    length, encoded = len(body), bytearray()
    while True:
        length, digit = divmod(length, 128)
        encoded.append(digit | (0x80 if length else 0))
        if not length:
            break
    return bytes((0x30 | dup << 3 | held.qos << 1,)) + bytes(encoded) + body
