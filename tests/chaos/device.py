"""A device at QoS 1 as they are built: a window of unacknowledged publications, sent again after each reconnection.

Just enough MQTT 3.1.1, by hand: what is acknowledged to the last packet matters here, and a client library's queues
would stand between. States: `connecting` -> (CONNACK) `publishing` -> (error, silence, end) `connecting`.
"""

import contextlib
import random
import select
import socket
import threading
import time

from tests.chaos.harness_thread import HarnessThread
from tests.chaos.ledger import Entry, Ledger
from tests.chaos.publications import Device, publication

WINDOW = 20
"""Unacknowledged publications at most, paho's default."""

_SILENCE_S = 5.0  # a broker that owes a PUBACK for this long is given up
_CONNECT_TIMEOUT_S = 3.0
_PAUSE_S = (0.05, 0.3)  # between attempts to connect
_TURN_S = 0.02
_PING_S = 5.0
_DUP = 0x08
_PUBACK, _PINGREQ, _DISCONNECT = 0x40, b"\xc0\x00", b"\xe0\x00"


class Publisher(HarnessThread):
    """One device in a thread."""

    def __init__(self, device: Device, port: int, ledger: Ledger, *, rate_per_s: float, seed: int) -> None:
        """Prepare; `start` begins to publish.

        Args:
            device: Who, and in which dialect.
            port: Port of the broker on this machine.
            ledger: Where publications and acknowledgements are noted.
            rate_per_s: Publications a second, while the window is open.
            seed: Of the pauses before a reconnection.
        """
        super().__init__(device.name, self._publish_until_ended)
        self._device = device
        self._port = port
        self._ledger = ledger
        self._interval_s = 1 / rate_per_s
        self._rng = random.Random(f"{seed} {device.name}")
        self._unacknowledged: dict[int, Entry] = {}
        self._number = 0
        self._packet_id = 0
        self._time_us = 0
        self._publishing = threading.Event()
        self._publishing.set()
        self._over = threading.Event()
        self.reconnections = 0
        """Connections after the first."""

    @property
    def is_idle(self) -> bool:
        """Whether it publishes nothing new and everything that it sent is acknowledged."""
        return not self._publishing.is_set() and not self._unacknowledged

    def pause(self) -> None:
        """Publish nothing new; what is unacknowledged is still sent again."""
        self._publishing.clear()

    def resume(self) -> None:
        """Publish again."""
        self._publishing.set()

    def end(self) -> None:
        """End the thread."""
        self._over.set()
        self.join()

    def _publish_until_ended(self) -> None:
        """Publish through any number of connections."""
        connections = 0
        while not self._over.is_set():
            with contextlib.suppress(OSError), self._connected() as connection:
                connections += 1
                self.reconnections = connections - 1
                self._publish(connection)
            self._over.wait(self._rng.uniform(*_PAUSE_S))

    def _connected(self) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self._port), timeout=_CONNECT_TIMEOUT_S)
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.sendall(_connect(self._device.name.encode()))
            _expect_connack(connection.recv(4))
        except BaseException:
            connection.close()
            raise
        return connection

    def _publish(self, connection: socket.socket) -> None:
        for packet_id, entry in self._unacknowledged.items():
            entry.sends += 1
            connection.sendall(_publish(entry, packet_id, flags=_DUP))
        received = b""
        next_at = heard_at = pinged_at = time.monotonic()
        while not self._over.is_set():
            now = time.monotonic()
            if self._publishing.is_set() and now >= next_at and len(self._unacknowledged) < WINDOW:
                self._send_new(connection)
                next_at = max(next_at + self._interval_s, now - _TURN_S)
            readable, _, _ = select.select([connection], [], [], self._pause_s(next_at - now))
            if readable:
                data = connection.recv(4096)
                if not data:
                    return
                received = self._take(received + data)
                heard_at = now
            elif self._unacknowledged and now - heard_at > _SILENCE_S:
                return
            elif not self._unacknowledged:
                heard_at = now
            if now - pinged_at > _PING_S:
                connection.sendall(_PINGREQ)
                pinged_at = now
        connection.sendall(_DISCONNECT)

    def _pause_s(self, due_in_s: float) -> float:
        may_send = self._publishing.is_set() and len(self._unacknowledged) < WINDOW
        return min(_TURN_S, max(0.0, due_in_s)) if may_send else _TURN_S

    def _send_new(self, connection: socket.socket) -> None:
        self._number += 1
        self._time_us = max(self._time_us + 1, time.time_ns() // 1000)
        entry = self._ledger.add(publication(self._device, self._number, self._time_us))
        while True:
            self._packet_id = self._packet_id % 65535 + 1
            if self._packet_id not in self._unacknowledged:
                break
        self._unacknowledged[self._packet_id] = entry
        entry.sends += 1
        connection.sendall(_publish(entry, self._packet_id, flags=0))

    def _take(self, received: bytes) -> bytes:
        """Deal with whole packets; return what is left of the bytes."""
        while len(received) >= 2 and len(received) >= 2 + received[1]:
            if received[0] == _PUBACK:
                entry = self._unacknowledged.pop(int.from_bytes(received[2:4], "big"), None)
                if entry is not None:
                    self._ledger.acknowledge(entry)
            received = received[2 + received[1] :]
        return received


def _expect_connack(answer: bytes) -> None:
    if answer != b"\x20\x02\x00\x00":
        raise ConnectionError(f"the broker answered {answer!r}")


def _connect(client_id: bytes) -> bytes:
    body = b"\x00\x04MQTT\x04\x02\x00\x3c" + len(client_id).to_bytes(2, "big") + client_id
    return b"\x10" + bytes([len(body)]) + body


def _publish(entry: Entry, packet_id: int, *, flags: int) -> bytes:
    topic = entry.publication.topic.encode()
    body = len(topic).to_bytes(2, "big") + topic + packet_id.to_bytes(2, "big") + entry.publication.payload
    length = len(body)
    size = bytes([length]) if length < 128 else bytes([length % 128 | 128, length // 128])
    return bytes([0x32 | flags]) + size + body
