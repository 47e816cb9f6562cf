"""What a bridge says of itself in the edge log: when it was not listening, and what that may have cost.

A reader whose reads stop while nobody listens is not silent, and a broker that forgot our session may have thrown
away what it held for us. Both are known to the bridge alone, so it writes them where everything else stands: as a
record on a reserved topic, in its place between what came before and what came after. Decoding makes device events
of it, for every site that the edge serves.
"""

import msgspec

from devices.errors import DecodeError
from devices.observations import DeviceEvent, DeviceEventKind, Source, SourceKind

BRIDGE_TOPIC = "$tagtide/bridge"
"""Reserved topic (brokers do not deliver `$` topics to `#`) of a bridge's records about itself."""

BRIDGE = "bridge"
"""Identifier of the bridge as a source; `edge_id` says which bridge of a site it was."""

_TIMES_END_US = 253_402_300_800_000_000  # year 10000: what tables can hold


class AwayRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The bridge listens again."""

    from_us: int
    """Until when it had listened, by its own clock: the last thing that it received, or when its connection ended."""
    until_us: int
    """Since when it listens again."""
    reason: str
    """`stopped` (the bridge was not running), `disconnected` (no connection to the broker) or `holding` (the edge log
    could not take more)."""
    session_lost: bool = False
    """Whether the broker had forgotten our session: what it held for us may be lost, nobody knows how much."""


def away_payload(record: AwayRecord) -> bytes:
    """Return the payload of a record."""
    return msgspec.json.encode(record)


def bridge_source(site: str) -> Source:
    """Return the bridge as a source of a site's device events."""
    return Source(site=site, kind=SourceKind.BRIDGE, id=BRIDGE, profile="tagtide")


def bridge_events(payload: bytes) -> list[DeviceEvent]:
    """Return the device events that a record stands for: `away`, and `session_lost` where it says so.

    Raises:
        DecodeError: It is not such a record.
    """
    try:
        record = msgspec.json.decode(payload, type=AwayRecord)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise DecodeError(f"not a record of a bridge: {error}", code="bridge_record_invalid") from error
    if not 0 <= record.from_us <= record.until_us < _TIMES_END_US:
        raise DecodeError("a bridge's record whose times cannot be", code="bridge_record_invalid")
    detail = msgspec.json.encode({"reason": record.reason}).decode()
    kinds = [DeviceEventKind.AWAY, *([DeviceEventKind.SESSION_LOST] if record.session_lost else [])]
    return [
        DeviceEvent(event=kind.value, from_us=record.from_us, until_us=record.until_us, detail=detail) for kind in kinds
    ]
