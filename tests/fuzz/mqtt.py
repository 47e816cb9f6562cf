"""MQTT packets: any bytes give packets or the end of the connection, in whatever portions they come."""

import random

from ingest.mqtt_packets import Delivery, MalformedPacketError, PacketBuffer
from tests.fuzz.target import Outcome, hold

_OTHERS = [
    b"\x20\x02\x00\x00",
    b"\x90\x03\x00\x01\x01",
    b"\xd0\x00",
    b"\x40\x02\x00\x01",
    b"\x20\x03\x01\x00\x00",
    b"\xe0\x00",
]
_TOPICS = [b"a", b"a/b", b"", b"\xff\xfe", b"\x00", b"t" * 65_535, "ü/水".encode(), b"\xed\xa0\x80"]


class MqttTarget:
    """Our own cutting of a stream of MQTT 3.1.1 into packets."""

    name = "mqtt"
    reads = "what a broker sends on the wire"

    def make(self, rng: random.Random) -> bytes:
        """Return packets behind one another, some of them spoilt."""
        parts = [self._packet(rng) for _ in range(rng.randrange(1, 6))]
        data = bytearray(b"".join(parts))
        if rng.random() < 0.5:
            for _ in range(rng.randrange(1, 4)):
                at = rng.randrange(len(data) + 1)
                data[at : at + rng.randrange(3)] = rng.randbytes(rng.randrange(4))
        return bytes(data)

    def check(self, data: bytes) -> Outcome:
        """Cut the stream as a whole, byte by byte, and in portions."""
        whole, fault = _cut([data])
        hold((whole, fault) == _cut([data]), "the same bytes give other packets the second time")
        portions = [data[at : at + 7] for at in range(0, len(data), 7)]
        if len(data) <= 400:
            hold((whole, fault) == _cut([bytes([byte]) for byte in data]), "byte by byte, other packets come")
        if len(data) <= 3_000:
            hold((whole, fault) == _cut(portions), "in portions, other packets come")
        for packet in whole:
            if isinstance(packet, Delivery):
                packet.topic.encode()
                hold(packet.qos in (0, 1, 2), f"qos is {packet.qos}")
                hold((packet.qos == 0) == (packet.packet_id == 0), f"packet id {packet.packet_id} at QoS {packet.qos}")
        return Outcome(rows=len(whole), rejects=["malformed"] if fault else [])

    def settle(self) -> None:
        """Nothing is about several streams."""

    def _packet(self, rng: random.Random) -> bytes:
        if rng.random() < 0.3:
            return rng.choice(_OTHERS)
        qos = rng.randrange(4)
        topic = rng.choice(_TOPICS[:-3] if rng.random() < 0.05 else [b"a/b", b"\xff", b""])
        body = len(topic).to_bytes(2, "big") + topic + (rng.randbytes(2) if qos else b"")
        body += rng.randbytes(rng.choice([0, 1, 20, 200]))
        first = 0x30 | rng.choice([0, 8]) | qos << 1 | rng.randrange(2)
        return bytes([first]) + _length(len(body), rng) + body


def _length(count: int, rng: random.Random) -> bytes:
    if rng.random() < 0.05:
        return rng.choice([b"\xff\xff\xff\xff\x7f", b"\x80\x80\x80\x80", b"\xff\xff\xff\x7f", b"\x80\x00", b"\x00"])
    encoded = bytearray()
    while True:
        count, digit = divmod(count, 128)
        encoded.append(digit | (0x80 if count else 0))
        if not count:
            return bytes(encoded)


def _cut(portions: list[bytes]) -> tuple[list[Delivery | bytes], bool]:
    """Return the packets of a stream, and whether it ended with a fault."""
    buffer = PacketBuffer()
    found: list[Delivery | bytes] = []
    try:
        for portion in portions:
            buffer.feed(portion)
            while True:
                packet = buffer.next_delivery()
                other = buffer.next_other() if packet is None else packet
                if other is None:
                    break
                found.append(other)
    except MalformedPacketError:
        return found, True
    return found, False
