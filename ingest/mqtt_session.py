"""One MQTT 3.1.1 connection at a time, kept up and driven from one thread: the adapter around paho-mqtt.

```
   away --reconnect delay over--> connecting --CONNACK--> connected --close--> closed
    ^                                |                        |
    +--------------------------------+------------------------+   lost: refused, timed out, closed by the broker
```

paho runs with an external loop: the caller calls `turn` again and again, and decides before each publication whether
it may be delivered. Not reading is the only brake there is (neither paho nor Mosquitto 2.0.11 bounds what is in
flight), and it must not end the connection:

* paho would take an unread PINGRESP for a dead broker, so while nothing is read its keep-alive is left alone, and we
  send the pings ourselves;
* a broker that goes away is noticed all the same (`POLLRDHUP`, or a ping that cannot be sent);
* a connection that begins meanwhile reads its CONNACK and no further.

What is read is cut into packets by `ingest.mqtt_packets`: publications go straight to the caller, all others to paho.
Acknowledgements are given to `acknowledge` in any number and written in one `send` per turn.

When a connection ends, what had arrived by then is delivered first, and past any brake: a broker that was killed has
sent it to us before it acknowledged it to its sender, so ours may be the only copy. If the broker lives, it delivers
it again.
"""

import contextlib
import random
import struct
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import paho.mqtt.client as paho

from ingest.errors import BrokerError, MqttSecurityError
from ingest.mqtt_client import SessionConfig, new_client
from ingest.mqtt_loss import NEEDS_A_PERSON, NO_ANSWER, ConnectionLoss, LossCode, loss_by_connack, loss_of
from ingest.mqtt_packets import Delivery, MalformedPacketError, PacketBuffer
from ingest.mqtt_url import MqttUrl
from ingest.mqtt_wire import SessionListener, Wire

DELIVERIES_PER_TURN = 1000
"""Publications delivered in one turn before anything is written: 10 ms of work, well below any keep-alive."""

_UNSENT_BYTES_MAX = 64 * 2**10  # 16,000 acknowledgements: a broker that takes none of them is read no further
_REST_BYTES_MAX = 32 * 2**20  # of a connection that ended; Linux holds 6 MB a socket, unless it was told otherwise
_CONNACK_TIMEOUT_S = 10.0
_REFUSED_S_MAX = 30.0  # longest delay where somebody has to mend something: a broker logs each attempt
_STEADY_S = 10.0  # a connection that lasts this long starts the reconnect delays afresh
_PINGREQ = b"\xc0\x00"
_DISCONNECT = b"\xe0\x00"


class MqttSession:
    """The session; every call must come from the same thread."""

    def __init__(
        self,
        config: SessionConfig,
        listener: SessionListener,
        *,
        rng: random.Random,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        open_wire: Callable[[SessionConfig], Wire] = new_client,
    ) -> None:
        """Prepare; the first `turn` connects.

        Args:
            config: How to connect.
            listener: Told what happens.
            rng: Jitter of reconnect delays.
            monotonic: Seconds, of a clock that never goes back.
            sleep: Waits while there is no connection, seconds.
            open_wire: Makes what carries the bytes.
        """
        self.connected = False
        """Whether the broker has accepted the connection."""
        self.last_loss: ConnectionLoss | None = None
        """Why there is no connection, or was none before this one."""
        self._config = config
        self._listener = listener
        self._rng = rng
        self._monotonic = monotonic
        self._sleep = sleep
        self._client = self._new_wire(open_wire)
        self._unsent = bytearray()
        self._unsent_cut = False  # the last send ended inside a packet of ours: nothing else may be written
        self._packets = PacketBuffer(payload_bytes_max=config.payload_bytes_max)
        self._ran_dry = True  # everything that was read from the socket has been dealt with
        self._attempts = 0
        self._open = False
        self._opened_at = 0.0
        self._next_attempt_at = 0.0
        self._pinged_at = 0.0
        self._paho_alive_from = 0.0

    def turn(self, *, may_read: Callable[[], bool], holding: bool, wait_s: float) -> bool:
        """Do what the connection needs: open it, read, write, keep it alive.

        Args:
            may_read: Asked before every packet whether one more publication may be delivered.
            holding: Whether the caller will not read for long; the pings then come from here.
            wait_s: How long to wait for something to happen, seconds.

        Returns:
            Whether everything that had arrived was read.
        """
        if not self._open:
            self._attempt(wait_s)
            return True
        reading = self._has_to_read(may_read)
        if self._wait(wait_s, reading=reading):
            self._ran_dry = self._read(may_read)
        if self._open:
            self._write()
        if self._open:
            self._keep_alive(holding=holding)
        return self._ran_dry

    def acknowledge(self, packet_ids: Iterable[int]) -> None:
        """Send PUBACKs, in this order, with the next turn."""
        self._unsent += b"".join(b"\x40\x02" + packet_id.to_bytes(2, "big") for packet_id in packet_ids)

    @property
    def is_congested(self) -> bool:
        """Whether the broker takes our packets too slowly to give it cause for more."""
        return len(self._unsent) > _UNSENT_BYTES_MAX

    def subscribe(self, topic_filters: Sequence[str], *, unqueued: Sequence[str] = ()) -> None:
        """Ask for publications at QoS 1; `on_subscribed` tells the answer.

        Args:
            topic_filters: Of which topics.
            unqueued: Further ones at QoS 0, of which the broker keeps nothing while we are away.
        """
        wanted = [(topic_filter, 1) for topic_filter in topic_filters]
        self._client.subscribe(wanted + [(topic_filter, 0) for topic_filter in unqueued])

    def unsubscribe(self, topic_filters: Sequence[str]) -> None:
        """Ask for no more publications of these topics."""
        self._client.unsubscribe(list(topic_filters))

    def publish(self, mqtt_topic: str, payload: bytes) -> int:
        """Publish at QoS 1 with the next turn; returns the packet identifier that `on_published` will name."""
        return int(self._client.publish(mqtt_topic, payload, qos=1).mid)

    def close(self, timeout_s: float = 2.0) -> None:
        """Send what is due, take leave of the broker and close the connection. The broker keeps the session."""
        if self.connected:
            deadline = self._monotonic() + timeout_s
            self._unsent += _DISCONNECT
            while self._open and (self._unsent or self._client.want_write()) and self._monotonic() < deadline:
                self._wait(deadline - self._monotonic(), reading=False)
                if self._open:
                    self._write()
            if self._open:
                self._client.read_to_the_end(max(0.0, deadline - self._monotonic()))
        self._shut()
        self.connected = False

    def _new_wire(self, open_wire: Callable[[SessionConfig], Wire]) -> Wire:
        client = open_wire(self._config)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe
        client.on_publish = self._on_publish
        return client

    def _attempt(self, wait_s: float) -> None:
        now = self._monotonic()
        if now < self._next_attempt_at:
            self._sleep(min(wait_s, self._next_attempt_at - now))
            return
        self._unsent.clear()
        self._unsent_cut = False
        self._packets.clear()
        self._ran_dry = True
        self._open = True
        self._opened_at = self._paho_alive_from = self._pinged_at = now
        try:
            self._client.reconnect()
        except (OSError, ValueError, MqttSecurityError) as cause:  # ValueError: a TLS host name that cannot be one
            self._fail(cause)

    def _has_to_read(self, may_read: Callable[[], bool]) -> bool:
        return not self.connected or (not self.is_congested and may_read())

    def _wait(self, wait_s: float, *, reading: bool) -> bool:
        """Wait until something can be read or written, and return whether something can be read."""
        if not self._client.is_open:
            self._end("connection closed")
            return False
        if reading and not self._ran_dry:
            return True
        found = self._client.wait(wait_s, reading=reading, writing=bool(self._unsent))
        if found and not reading:
            self._end("connection closed by the broker")
        return found and reading

    def _read(self, may_read: Callable[[], bool]) -> bool:
        """Deal with what has arrived; return whether that was all of it."""
        try:
            deliveries = 0
            while deliveries < DELIVERIES_PER_TURN:
                if not self._has_to_read(may_read):
                    return False
                if (delivery := self._packets.next_delivery()) is not None:
                    self._deliver(delivery)
                    deliveries += 1
                elif (packet := self._packets.next_other()) is not None:
                    self._client.handle(packet)
                elif not self._receive():
                    return True
                if not self._open:
                    return True
        except (MalformedPacketError, struct.error) as cause:  # struct.error: paho's, for a packet cut short
            self._lose(ConnectionLoss(code=LossCode.NOT_MQTT, reason=f"the broker does not speak MQTT: {cause}"))
            return True
        return False

    def _deliver(self, delivery: Delivery) -> None:
        if not self.connected:
            raise MalformedPacketError("a publication before the connection is accepted")
        self._listener.on_delivery(delivery)

    def _receive(self) -> bool:
        """Read from the socket; return whether anything came."""
        try:
            data = self._client.receive()
        except OSError as cause:
            self._fail(cause)
            return False
        if data is None:
            return False
        if not data:
            if self.connected:
                self._end("connection closed by the broker")
            else:
                self._lose(NO_ANSWER)
            return False
        self._packets.feed(data)
        return True

    def _write(self) -> None:
        """Send paho's packets and ours; a packet that was cut is finished before any other begins."""
        if self._client.want_write() and not self._unsent_cut:
            self._client.loop_write()
            if self._client.want_write():
                return
        if not self._unsent or not self._open:
            return
        try:
            sent = self._client.send(self._unsent)
        except OSError as cause:
            self._fail(cause)
            return
        if not sent:
            return
        del self._unsent[:sent]
        self._unsent_cut = bool(self._unsent)

    def _keep_alive(self, *, holding: bool) -> None:
        now = self._monotonic()
        if not self.connected:
            if now - self._opened_at > _CONNACK_TIMEOUT_S:
                self._lose(ConnectionLoss(code=LossCode.UNREACHABLE, reason="the broker does not answer"))
        elif holding:
            # A PINGRESP in front of which nothing is read would look missing to paho.
            self._paho_alive_from = now + self._config.keepalive_s / 2
            if now - self._pinged_at >= self._config.keepalive_s / 2:
                self._pinged_at = now
                self._unsent += _PINGREQ
        elif now >= self._paho_alive_from:
            self._client.loop_misc()
        if self._attempts and self.connected and now - self._opened_at > _STEADY_S:
            self._attempts = 0

    def _fail(self, cause: Exception) -> None:
        self._lose(loss_of(cause, connected=self.connected, host=self._config.url.host))

    def _end(self, reason: str) -> None:
        self._lose(ConnectionLoss(code=LossCode.CLOSED, reason=reason))

    def _lose(self, loss: ConnectionLoss) -> None:
        if not self._open:
            return
        if self.connected and loss.code is not LossCode.NOT_MQTT:
            self._take_the_rest()
        self._shut()
        self.last_loss = loss
        self.connected = False
        longest_s = _REFUSED_S_MAX if loss.code in NEEDS_A_PERSON else self._config.reconnect_s_max
        longest = min(longest_s, self._config.reconnect_s_min * 2.0**self._attempts)
        delay_s = longest * self._rng.uniform(0.5, 1.0)
        self._attempts = min(self._attempts + 1, 30)
        self._next_attempt_at = self._monotonic() + delay_s
        self._listener.on_lost(loss, delay_s)

    def _take_the_rest(self) -> None:
        """Deliver what had arrived when the connection ended; nobody is there to acknowledge it to."""
        taken_bytes = 0
        with contextlib.suppress(MalformedPacketError, OSError):
            while True:
                while (delivery := self._packets.next_delivery()) is not None:
                    self._deliver(delivery)
                if self._packets.next_other() is not None:
                    continue
                data = self._client.receive() if taken_bytes < _REST_BYTES_MAX else None
                if not data:
                    return
                taken_bytes += len(data)
                self._packets.feed(data)

    def _shut(self) -> None:
        self._open = False
        self._client.shut()

    def _on_connect(self, _client: paho.Client, _data: Any, flags: Any, reason_code: Any, _properties: Any) -> None:
        if reason_code.is_failure:
            self._lose(loss_by_connack(reason_code.value, str(reason_code)))
            return
        self.connected = True
        self._listener.on_connected(session_present=bool(flags.session_present))

    def _on_disconnect(self, _client: paho.Client, _data: Any, _flags: Any, reason_code: Any, _more: Any) -> None:
        self._end("connection lost" if reason_code is None else f"connection lost: {reason_code}")

    def _on_subscribe(self, _client: paho.Client, _data: Any, _mid: int, reason_codes: Any, _properties: Any) -> None:
        self._listener.on_subscribed(refused=any(code.is_failure for code in reason_codes))

    def _on_publish(self, _client: paho.Client, _data: Any, mid: int, _reason_code: Any, _properties: Any) -> None:
        self._listener.on_published(mid)


def connect_or_fail(
    session: MqttSession, url: MqttUrl, timeout_s: float, *, stop: Callable[[], bool] = lambda: False
) -> None:
    """Wait until a session is connected, or until told to stop.

    Raises:
        BrokerError: It is not in this time, or the broker's answer is not one that time mends.
    """
    deadline = time.monotonic() + timeout_s
    while not session.connected and not stop():
        loss = session.last_loss
        if loss is not None and loss.code in NEEDS_A_PERSON:
            raise BrokerError(f"no connection to {url}: {loss.reason}", hint=loss.hint)
        if time.monotonic() > deadline:
            why = "" if loss is None else f": {loss.reason}"
            hint = "check that the broker is running" if loss is None or loss.hint is None else loss.hint
            raise BrokerError(f"no connection to {url} in {timeout_s:g} s{why}", hint=hint)
        session.turn(may_read=lambda: False, holding=False, wait_s=0.1)
