"""Packets come out of a stream as they went in, whatever the portions in which it arrives."""

import inspect
import itertools
import struct
import tracemalloc

import paho.mqtt.client as paho
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.oversized import KEPT_BYTES
from ingest.mqtt_packets import Delivery, MalformedPacketError, PacketBuffer

CONNACK = b"\x20\x02\x00\x00"
PINGRESP = b"\xd0\x00"
SUBACK = b"\x90\x03\x00\x01\x01"


def packet(first: int, body: bytes) -> bytes:
    digits = []
    length = len(body)
    while True:
        digits.append(length % 128 | (128 if length >= 128 else 0))
        length //= 128
        if not length:
            return bytes([first, *digits]) + body


def publish(delivery: Delivery) -> bytes:
    topic = delivery.topic.encode()
    packet_id = struct.pack("!H", delivery.packet_id) if delivery.qos else b""
    first = 0x30 | delivery.redelivered << 3 | delivery.qos << 1 | delivery.retained
    return packet(first, struct.pack("!H", len(topic)) + topic + packet_id + delivery.payload)


def drain(buffer: PacketBuffer) -> list[Delivery | bytes]:
    found: list[Delivery | bytes] = []
    while (one := buffer.next_delivery() or buffer.next_other()) is not None:
        found.append(one)
    return found


def delivery(payload: bytes = b"x", *, qos: int = 1, topic: str = "a/b") -> Delivery:
    return Delivery(topic=topic, payload=payload, qos=qos, packet_id=7 if qos else 0, redelivered=False, retained=False)


deliveries = st.builds(
    Delivery,
    topic=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20),
    payload=st.one_of(st.binary(max_size=300), st.integers(0, 40_000).map(bytes)),
    qos=st.just(1),
    packet_id=st.integers(1, 65535),
    redelivered=st.booleans(),
    retained=st.booleans(),
)


def test_a_publication_and_what_stands_between_two() -> None:
    buffer = PacketBuffer()
    buffer.feed(CONNACK + publish(delivery()) + PINGRESP + publish(delivery(b"", qos=0)) + SUBACK)
    assert drain(buffer) == [CONNACK, delivery(), PINGRESP, delivery(b"", qos=0), SUBACK]


@settings(deadline=None)
@given(
    packets=st.lists(st.one_of(deliveries, st.sampled_from([CONNACK, PINGRESP, SUBACK])), max_size=8),
    cuts=st.lists(st.integers(0, 50_000), max_size=12),
    rest=st.binary(max_size=1),
)
def test_any_portions_give_the_same_packets(packets: list[Delivery | bytes], cuts: list[int], rest: bytes) -> None:
    stream = b"".join(one if isinstance(one, bytes) else publish(one) for one in packets) + rest
    buffer = PacketBuffer()
    found: list[Delivery | bytes] = []
    edges = [0, *sorted(cut for cut in cuts if cut < len(stream)), len(stream)]
    for begin, end in itertools.pairwise(edges):
        buffer.feed(stream[begin:end])
        found += drain(buffer)
    assert found == packets


def test_one_byte_at_a_time() -> None:
    stream = [publish(delivery(bytes(300))), PINGRESP, publish(delivery(b"", qos=0))]
    buffer = PacketBuffer()
    found = []
    for byte in b"".join(stream):
        buffer.feed(bytes([byte]))
        found += drain(buffer)
    assert found == [delivery(bytes(300)), PINGRESP, delivery(b"", qos=0)]


def test_a_large_payload_in_small_portions_is_joined_once() -> None:
    large = delivery(bytes(20_000_000))
    stream = publish(large)
    buffer = PacketBuffer()
    for begin in range(0, len(stream), 65536):
        assert buffer.next_delivery() is None
        buffer.feed(stream[begin : begin + 65536])
    assert buffer.next_delivery() == large


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_packets_or_malformed_or_wait_for_more(data: bytes) -> None:
    buffer = PacketBuffer()
    buffer.feed(data)
    try:
        taken = drain(buffer)
    except MalformedPacketError:
        return
    assert sum(len(one) if isinstance(one, bytes) else 4 for one in taken) <= len(data)


@pytest.mark.parametrize(
    "data",
    [
        b"\x30\x00",
        b"\x30\x01\x00",
        b"\x32\x03\x00\x05a",
        b"\x32\x03\x00\x01a",
        packet(0x36, b"\x00\x01a\x00\x07x"),
        b"\x30\xff\xff\xff\xff\x01",
    ],
)
def test_what_breaks_the_protocol_is_said(data: bytes) -> None:
    buffer = PacketBuffer()
    buffer.feed(data)
    with pytest.raises(MalformedPacketError):
        buffer.next_delivery()


def test_a_topic_that_is_not_utf8_stays_visible() -> None:
    buffer = PacketBuffer()
    buffer.feed(packet(0x30, b"\x00\x03a/\xff1"))
    found = buffer.next_delivery()
    assert found is not None
    assert (found.topic, found.payload) == ("a/\\xff", b"1")


def test_clearing_forgets_half_a_packet() -> None:
    buffer = PacketBuffer()
    buffer.feed(publish(delivery(bytes(1000)))[:500])
    buffer.clear()
    buffer.feed(publish(delivery()))
    assert drain(buffer) == [delivery()]


def test_paho_reads_through_the_method_that_the_session_replaces() -> None:
    assert "self._sock_recv(" in inspect.getsource(paho.Client._packet_read)
    assert list(inspect.signature(paho.Client._sock_recv).parameters) == ["self", "bufsize"]
    assert "_sock_recv" not in inspect.getsource(paho.Client.reconnect)


@settings(max_examples=30)
@given(
    sizes=st.lists(st.one_of(st.integers(0, 200), st.integers(65_000, 300_000)), min_size=1, max_size=4),
    qos=st.sampled_from([0, 1]),
    portion=st.sampled_from([1_000, 65_536, 10**7]),
    limit=st.sampled_from([100, 70_000, 100_000]),
)
def test_of_a_payload_over_the_limit_the_beginning_is_kept(
    sizes: list[int], qos: int, portion: int, limit: int
) -> None:
    """Whatever the portions, and the neighbours come out whole."""
    sent = [delivery(bytes(range(256)) * (size // 256) + bytes(size % 256), qos=qos) for size in sizes]
    stream = b"".join(publish(one) + PINGRESP for one in sent)
    buffer = PacketBuffer(payload_bytes_max=limit)
    found: list[Delivery | bytes] = []
    for begin in range(0, len(stream), portion):
        buffer.feed(stream[begin : begin + portion])
        found += drain(buffer)
    assert found[1::2] == [PINGRESP] * len(sent)
    for one, whole in zip(found[::2], sent, strict=True):
        assert isinstance(one, Delivery)
        assert (one.topic, one.packet_id) == (whole.topic, whole.packet_id)
        if len(whole.payload) > limit:
            assert one.cut_from_bytes == len(whole.payload)
            assert one.payload == whole.payload[:KEPT_BYTES]
        else:
            assert (one.cut_from_bytes, one.payload) == (None, whole.payload)


def test_a_huge_payload_takes_no_memory() -> None:
    """MQTT allows 256 MB, and a broker that is not ours may let it through."""
    size = 50 * 2**20
    empty = publish(delivery(b""))
    header = packet(empty[0], bytes(len(empty) - 2 + size))[:5]  # with the length of a packet that large
    buffer = PacketBuffer(payload_bytes_max=2**20)
    tracemalloc.start()
    buffer.feed(header + empty[2:])
    for _ in range(size // 2**16):
        assert buffer.next_delivery() is None
        buffer.feed(bytes(2**16))
    buffer.feed(publish(delivery(b"next")))
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    first, second = drain(buffer)
    assert isinstance(first, Delivery)
    assert (first.cut_from_bytes, first.payload) == (size, bytes(KEPT_BYTES))
    assert second == delivery(b"next")
    assert peak_bytes < 2**20


def test_a_connection_that_ends_amid_a_huge_payload_leaves_nothing() -> None:
    buffer = PacketBuffer(payload_bytes_max=100)
    buffer.feed(publish(delivery(bytes(200_000)))[:150_000])
    assert drain(buffer) == []
    buffer.clear()
    buffer.feed(publish(delivery(b"new")))
    assert drain(buffer) == [delivery(b"new")]
