"""MQTT 3.1.1 packets in a stream of bytes: publications are decoded here, everything else is cut out whole. No I/O.

Publications are what a bridge receives by the thousand. paho takes four reads from the socket and fifty calls for
each (measured: 40 us of 54); cut from what one read brought, they cost three. All other packets go to paho.
"""

import msgspec

from devices.oversized import KEPT_BYTES

_PUBLISH = 3  # packet type, in the upper half of a packet's first byte
_REMAINING_LENGTH_MAX = 2**28  # MQTT 3.1.1, 2.2.3: no body of a packet is longer
_TOPICS_MAX = 10_000  # decoded topics that are remembered: a site has some hundred


class MalformedPacketError(Exception):
    """What arrived is no MQTT. Only the connection can end; its argument says what is wrong."""


class Delivery(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One publication as a broker delivers it."""

    topic: str
    r"""MQTT topic; bytes in it that are not UTF-8 stay visible as `\xff`."""
    payload: bytes
    """Payload, byte for byte."""
    qos: int
    """Quality of service, 0 to 2."""
    packet_id: int
    """What an acknowledgement names; 0 at QoS 0."""
    redelivered: bool
    """Whether the broker says that it may have delivered this before (DUP)."""
    retained: bool
    """Whether the broker had kept it from an earlier time."""
    cut_from_bytes: int | None = None
    """How large the payload was, where only its beginning is here; `None` where it is whole."""


class PacketBuffer:
    """Takes bytes in any portions and gives packets out, in order."""

    def __init__(self, *, payload_bytes_max: int | None = None) -> None:
        """Begin empty.

        Args:
            payload_bytes_max: Of a larger payload only the beginning is kept, and memory is bounded by this; `None`
                keeps all of any.
        """
        self._payload_bytes_max = payload_bytes_max if payload_bytes_max is not None else _REMAINING_LENGTH_MAX
        self._cut_from_bytes: int | None = None  # the packet at the position has, or had, so large a payload
        self._passing_bytes = 0  # of it, what is still to come and is not kept
        self._bytes = b""
        self._position = 0
        self._pieces: list[bytes] = []
        self._pieces_bytes = 0
        self._missing_bytes = 0  # of the packet at the position, as far as its length is known
        self._topics: dict[bytes, str] = {}

    def clear(self) -> None:
        """Forget everything: a connection has ended."""
        self._bytes = b""
        self._position = self._pieces_bytes = self._missing_bytes = self._passing_bytes = 0
        self._cut_from_bytes = None
        self._pieces.clear()

    def feed(self, data: bytes) -> None:
        """Add what was read from the connection."""
        if self._passing_bytes:
            passed = min(self._passing_bytes, len(data))
            self._passing_bytes -= passed
            data = data[passed:]
            if not data:
                return
        self._pieces.append(data)
        self._pieces_bytes += len(data)
        if self._pieces_bytes >= self._missing_bytes:  # else a large packet is still coming: join its pieces once
            self._bytes = b"".join((self._bytes[self._position :], *self._pieces))
            self._position = self._pieces_bytes = self._missing_bytes = 0
            self._pieces.clear()

    def next_delivery(self) -> Delivery | None:
        """Return the next packet if it is a publication and whole.

        Raises:
            MalformedPacketError: It breaks the protocol.
        """
        whole = self._packet()
        if whole is None or self._bytes[self._position] >> 4 != _PUBLISH:
            return None
        begin, end = whole
        data = self._bytes
        flags = data[self._position]
        qos = flags >> 1 & 3
        topic_end = begin + 2 + int.from_bytes(data[begin : begin + 2], "big")
        payload_begin = topic_end + 2 if qos else topic_end
        packet_id = int.from_bytes(data[topic_end:payload_begin], "big")
        if payload_begin > end or qos == 3 or (qos and not packet_id):
            raise MalformedPacketError("a PUBLISH packet breaks the protocol")
        raw_topic = data[begin + 2 : topic_end]
        self._position = end
        cut_from_bytes, self._cut_from_bytes = self._cut_from_bytes, None
        return Delivery(
            topic=self._topics.get(raw_topic) or self._topic(raw_topic),
            payload=data[payload_begin:end] if cut_from_bytes is None else data[payload_begin:end][:KEPT_BYTES],
            cut_from_bytes=cut_from_bytes,
            qos=qos,
            packet_id=packet_id,
            redelivered=bool(flags & 8),
            retained=bool(flags & 1),
        )

    def next_other(self) -> bytes | None:
        """Return the bytes of the next packet if it is whole and not a publication.

        Raises:
            MalformedPacketError: It breaks the protocol.
        """
        whole = self._packet()
        if whole is None or self._bytes[self._position] >> 4 == _PUBLISH:
            return None
        _, end = whole
        packet = self._bytes[self._position : end]
        self._position = end
        return packet

    def _packet(self) -> tuple[int, int] | None:
        """Return where the body of the next packet begins and ends; `None` if it is not whole."""
        data, position = self._bytes, self._position
        if len(data) - position < 2:
            return None
        length = data[position + 1]
        begin = position + 2
        if length & 0x80:
            length &= 0x7F
            for shift in (7, 14, 21):
                if begin >= len(data):
                    return None
                digit = data[begin]
                begin += 1
                length |= (digit & 0x7F) << shift
                if not digit & 0x80:
                    break
            else:
                raise MalformedPacketError("a packet's length has more than four bytes")
        end = begin + length
        if length > self._payload_bytes_max and data[position] >> 4 == _PUBLISH:
            end = self._cut(begin, end)
        if end > len(data) or self._passing_bytes:
            self._missing_bytes = max(0, end - len(data))
            return None
        return begin, end

    def _cut(self, begin: int, end: int) -> int:
        """Where a publication's payload is larger than we take, keep its beginning and pass over the rest.

        Returns:
            Where its body ends in the buffer.
        """
        data = self._bytes
        if len(data) < begin + 2:
            return end
        topic_bytes = int.from_bytes(data[begin : begin + 2], "big")
        payload_begin = begin + 2 + topic_bytes + (2 if data[self._position] & 6 else 0)
        payload_bytes = end - payload_begin
        if payload_bytes <= self._payload_bytes_max:
            return end
        kept_end = min(end, payload_begin + KEPT_BYTES)
        if self._cut_from_bytes is not None:
            return kept_end  # the rest is being passed over, or has been
        if len(data) >= end:
            self._cut_from_bytes = payload_bytes
            return end
        if len(data) >= kept_end:
            self._cut_from_bytes = payload_bytes
            self._passing_bytes = end - len(data)
            self._bytes = data[:kept_end]
        return kept_end

    def _topic(self, raw: bytes) -> str:
        topic = raw.decode("utf-8", "backslashreplace")
        if len(self._topics) >= _TOPICS_MAX:
            self._topics.clear()
        self._topics[raw] = topic
        return topic
