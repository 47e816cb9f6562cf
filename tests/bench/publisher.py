"""A publisher that costs almost nothing: QoS 1 PUBLISH packets encoded beforehand, a window of unacknowledged ones.

A client library would take more time than what is measured here; this speaks just enough MQTT 3.1.1 (OASIS standard,
sections 3.1 to 3.4) to publish and to count PUBACKs.
"""

import socket
from collections.abc import Sequence

WINDOW = 2000
"""Unacknowledged publications at most: under Mosquitto's shipped limit of in-flight messages."""


def publish_all(port: int, publications: Sequence[tuple[str, bytes]]) -> None:
    """Publish everything with QoS 1 and return when the broker has acknowledged it all."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(connect_packet(b"bench-publisher"))
        _expect(connection, 4, 0x20)
        sent = acknowledged = 0
        left = b""
        while acknowledged < len(publications):
            ahead = publications[sent : min(len(publications), acknowledged + WINDOW)]
            if ahead:
                packets = [
                    publish_packet(topic, payload, 1 + (sent + n) % 65535) for n, (topic, payload) in enumerate(ahead)
                ]
                connection.sendall(b"".join(packets))
                sent += len(ahead)
            received = left + connection.recv(1 << 16)
            acknowledged += len(received) // 4
            left = received[len(received) // 4 * 4 :]
        connection.sendall(b"\xe0\x00")


def connect_packet(client_id: bytes) -> bytes:
    """Return a CONNECT for a clean session, keep-alive 60 s."""
    body = b"\x00\x04MQTT\x04\x02\x00\x3c" + len(client_id).to_bytes(2, "big") + client_id
    return b"\x10" + _length(len(body)) + body


def publish_packet(topic: str, payload: bytes, packet_id: int) -> bytes:
    """Return a PUBLISH at QoS 1."""
    name = topic.encode()
    body_length = 2 + len(name) + 2 + len(payload)
    return b"".join(
        [
            b"\x32",
            _length(body_length),
            len(name).to_bytes(2, "big"),
            name,
            packet_id.to_bytes(2, "big"),
            payload,
        ]
    )


def _length(count: int) -> bytes:
    out = bytearray()
    while True:
        count, low = divmod(count, 128)
        out.append(low | (0x80 if count else 0))
        if not count:
            return bytes(out)


def _expect(connection: socket.socket, size: int, kind: int) -> None:
    answer = connection.recv(size)
    assert answer[:1] == bytes([kind]), f"the broker answered {answer!r}"
