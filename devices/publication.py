"""One MQTT publication as the bridge received it: what the edge log stores and what decoding starts from."""

import msgspec

CLOCK_TOPIC = "$tagtide/clock"
"""Reserved topic (brokers do not deliver `$` topics to `#`) of our own clock records in the edge log.

A clock record carries no payload. Its receive time says that nothing more will arrive that was received before
it: an idle bridge writes one a second so that time goes on in a silent site, and a replay ends with one."""

CAPTURE_PROBLEM_TOPIC = "$tagtide/capture-problem"
"""Reserved topic of the lines of a capture that a replay could not read.

The payload is the reason code, a line feed, and the line as it stands in the file. Decoding makes a reject of it."""


class Publication(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One MQTT publication."""

    topic: str
    """MQTT topic it was published on."""
    payload: bytes
    """Payload, byte for byte."""
    received_us: int
    """When the bridge received it, microseconds since the Unix epoch, UTC."""
    qos: int = 1
    """Quality of service it was delivered with."""
    retained: bool = False
    """Whether the broker delivered it as a retained message."""


class LoggedPublication(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A publication with its place in an edge log."""

    edge_offset: int
    """Position in the edge log, 1 and up, without gaps."""
    publication: Publication
    """What was received."""
