"""A paced publisher: QoS 1, each second's publications spread over it, PUBACKs counted."""

import select
import socket
import time
from collections.abc import Sequence

from tests.bench.publisher import connect_packet, publish_packet

_UNACKNOWLEDGED_MAX = 5_000
"""Below Mosquitto's shipped limit for a publisher: then we wait for it."""
_SLICES = 20
"""A second is sent in so many parts."""


class PacedPublisher:
    """One connection to the broker."""

    def __init__(self, port: int) -> None:
        self._connection = socket.create_connection(("127.0.0.1", port))
        self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connection.sendall(connect_packet(b"soak-publisher"))
        answer = self._connection.recv(4)
        assert answer[:1] == b"\x20", f"the broker answered {answer!r}"
        self._left = b""
        self.sent = 0
        """Publications sent."""
        self.acknowledged = 0
        """Publications that the broker acknowledged."""

    def second(self, publications: Sequence[tuple[str, bytes]], begins: float) -> None:
        """Send a second's publications, evenly, and return when it is over.

        Args:
            publications: Topics and payloads.
            begins: When the second begins, by `time.monotonic`.
        """
        for part in range(_SLICES):
            first, end = (len(publications) * at // _SLICES for at in (part, part + 1))
            packets = [
                publish_packet(topic, payload, 1 + (self.sent + index) % 65535)
                for index, (topic, payload) in enumerate(publications[first:end])
            ]
            self._connection.sendall(b"".join(packets))
            self.sent += len(packets)
            while self.sent - self.acknowledged > _UNACKNOWLEDGED_MAX:
                self._take_acknowledgements(1.0)
            ends = begins + (part + 1) / _SLICES
            while (left := ends - time.monotonic()) > 0:
                self._take_acknowledgements(left)

    def finish(self, timeout_s: float = 60.0) -> None:
        """Wait until everything is acknowledged, and take leave."""
        deadline = time.monotonic() + timeout_s
        while self.acknowledged < self.sent and time.monotonic() < deadline:
            self._take_acknowledgements(0.5)
        assert self.acknowledged == self.sent, f"{self.sent - self.acknowledged} publications are not acknowledged"
        self._connection.sendall(b"\xe0\x00")
        self._connection.close()

    def _take_acknowledgements(self, wait_s: float) -> None:
        ready, _, _ = select.select([self._connection], [], [], wait_s)
        if ready:
            received = self._left + self._connection.recv(1 << 16)
            self.acknowledged += len(received) // 4
            self._left = received[len(received) // 4 * 4 :]
