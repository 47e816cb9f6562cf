"""Decoder of Impinj's IoT Device Interface: R700 and R720 readers, events over MQTT and from webhooks.

`README.md` beside this file has the payload's layout. The fast way takes what readers send by default and most of
what can be switched on; `_decode_part` takes everything else, such as fields of firmware to come.
"""

from functools import partial
from typing import Annotated, Literal

import msgspec

from devices.connection_text import connection_event, plain_text
from devices.documents import check_payload_size, decode_each, decode_parts, extra_json, shown
from devices.errors import DecodeError
from devices.observations import Decoded, DeviceEvent, DeviceEventKind, Source, TagRead
from devices.shapes import Antenna, Count, FrequencyKhz, PhaseDeg, Shape
from devices.tag_memory import epc_from_base64url, epc_from_hex, memory_from_base64url, memory_from_hex
from devices.timestamps import parse_timestamp_us

_EVENTS = {
    "antennaConnected": DeviceEventKind.ANTENNA_CONNECTED,
    "antennaDisconnected": DeviceEventKind.ANTENNA_DISCONNECTED,
    "antennaActivation": DeviceEventKind.ANTENNA_ACTIVE,
    "inventoryStatus": DeviceEventKind.STATUS,
    "gpiTransition": DeviceEventKind.GPI,
    "overflow": DeviceEventKind.OVERFLOW,
}


class _Tag(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, gc=False, rename="camel"):
    """`tagInventoryEvent`."""

    epc: str | None = None
    epc_hex: str | None = None
    tid: str | None = None
    tid_hex: str | None = None
    antenna: Antenna | None = msgspec.field(default=None, name="antennaPort")
    antenna_name: str | None = None
    rssi: Annotated[float, msgspec.Meta(ge=-15_000, le=3_000)] | None = msgspec.field(default=None, name="peakRssiCdbm")
    tx_power: Annotated[float, msgspec.Meta(ge=-15_000, le=10_000)] | None = msgspec.field(
        default=None, name="transmitPowerCdbm"
    )
    frequency: FrequencyKhz | None = None
    phase: PhaseDeg | None = msgspec.field(default=None, name="phaseAngle")
    last_seen_time: str | None = None
    pc: str | None = None
    xpc_hex: str | None = None


class _TagEvent(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, gc=False, rename="camel"):
    """`ReaderEvent` with a tag."""

    tag: _Tag = msgspec.field(name="tagInventoryEvent")
    event_type: Literal["tagInventory"]
    timestamp: str | None = None
    hostname: str | None = None


class _Envelope(msgspec.Struct, kw_only=True, rename="camel"):
    """Any `ReaderEvent` without its body."""

    event_type: str
    timestamp: str | None = None
    hostname: str | None = None


class _EventBody(msgspec.Struct, kw_only=True, rename="camel"):
    """What becomes columns of a device event, from any body."""

    antenna: Antenna | None = msgspec.field(default=None, name="antennaPort")
    antenna_name: str | None = None
    first_event_timestamp: str | None = None
    last_event_timestamp: str | None = None
    events_purged: Count | None = None


_TAG_EVENT = msgspec.json.Decoder(_TagEvent)
_TAG_EVENTS = msgspec.json.Decoder(list[_TagEvent])
_TAG_SHAPE = Shape(_Tag)
_ENVELOPE_SHAPE = Shape(_Envelope)
_BODY_SHAPE = Shape(_EventBody)


def decode(payload: bytes, topic: str, source: Source) -> Decoded:  # noqa: ARG001  # decoders share one signature
    """Decode what an Impinj reader published.

    Args:
        payload: One event, an array of events (empty: a webhook's keep-alive), or the plain text of a connect,
            disconnect or will message.
        topic: MQTT topic, not used.
        source: The reader; its `antenna_ports` name the ports of readers that report antennas by name.

    Returns:
        Reads, device events and rejects.

    Raises:
        DecodeError: Nothing in the payload can be decoded.

    Source:
        Impinj Reader Configuration REST API 1.7, `ReaderEvent`.
    """
    check_payload_size(payload)
    first = payload[:1]
    try:
        if first == b"{":
            return Decoded(reads=[_tag_read(source, {}, _TAG_EVENT.decode(payload))])
        if first == b"[":
            reads, rejects = decode_each(_TAG_EVENTS.decode(payload), partial(_tag_read, source, {}))
            return Decoded(reads=reads, rejects=rejects)
    except (ValueError, RecursionError):
        pass  # not the usual shape: the careful way below finds out what it is
    if payload.lstrip()[:1] in (b"{", b"[", b""):
        return decode_parts(payload, partial(_decode_part, source))
    return Decoded(device_events=[_text_event(payload)])


def _tag_read(source: Source, unknown: dict[str, object], event: _TagEvent) -> TagRead:
    tag = event.tag
    reader_time_us, event_time_source = None, "received"
    if tag.last_seen_time is not None:
        reader_time_us, event_time_source = parse_timestamp_us(tag.last_seen_time), "read"
    elif event.timestamp is not None:
        reader_time_us, event_time_source = parse_timestamp_us(event.timestamp), "report"
    antenna, extra = tag.antenna, None
    if tag.antenna_name is not None or tag.pc is not None or tag.xpc_hex is not None or event.hostname or unknown:
        antenna, extra = _antenna_and_extra(source, unknown, event)
    return TagRead(
        epc_hex=_epc(tag) if tag.epc is None or tag.epc_hex is not None else epc_from_base64url(tag.epc),
        antenna=antenna,
        reader_time_us=reader_time_us,
        event_time_source=event_time_source,
        rssi_dbm=None if tag.rssi is None else tag.rssi / 100,
        phase_deg=tag.phase,
        frequency_khz=tag.frequency,
        tx_power_dbm=None if tag.tx_power is None else tag.tx_power / 100,
        read_count=1,
        tid_hex=None if tag.tid is None and tag.tid_hex is None else _tid(tag),
        extra=extra,
    )


def _epc(tag: _Tag) -> str:
    if tag.epc_hex is None:
        raise DecodeError(
            "neither epc nor epcHex",
            code="epc_hex_missing",
            hint="enable epc in the reader's eventConfig.tagInventory",
        )
    from_hex = epc_from_hex(tag.epc_hex)
    if tag.epc is not None and epc_from_base64url(tag.epc) != from_hex:
        raise DecodeError(f"epc {shown(tag.epc)} is not epcHex {shown(tag.epc_hex)}", code="epc_disagrees")
    return from_hex


def _tid(tag: _Tag) -> str | None:
    """Return the TID; empty text, from tags that have none to give, is not a TID."""
    from_base64 = memory_from_base64url(tag.tid, "tid_invalid") if tag.tid else None
    from_hex = memory_from_hex(tag.tid_hex, "tid_invalid") if tag.tid_hex else None
    if from_base64 is not None and from_hex is not None and from_base64 != from_hex:
        raise DecodeError(f"tid {shown(tag.tid)} is not tidHex {shown(tag.tid_hex)}", code="tid_disagrees")
    return from_base64 or from_hex


def _antenna_and_extra(source: Source, unknown: dict[str, object], event: _TagEvent) -> tuple[int | None, str | None]:
    """Find the port behind an antenna name, and keep what has no column. A name that says no more is dropped."""
    tag = event.tag
    port = source.antenna_ports.get(tag.antenna_name) if tag.antenna_name is not None else None
    antenna = port if tag.antenna is None else tag.antenna
    kept: dict[str, object] = {}
    if tag.antenna_name is not None and (port is None or port != antenna):
        kept["antennaName"] = tag.antenna_name
    if tag.pc is not None:
        kept["pc"] = tag.pc
    if tag.xpc_hex is not None:
        kept["xpcHex"] = tag.xpc_hex
    if event.hostname:
        kept["hostname"] = event.hostname
    kept |= unknown
    return antenna, extra_json(kept) if kept else None


def _decode_part(source: Source, document: dict[str, object], decoded: Decoded) -> None:
    envelope, rest = _ENVELOPE_SHAPE.take(document)
    body = rest.pop(envelope.event_type + "Event", None)
    if envelope.event_type != "tagInventory":
        decoded.device_events.append(_device_event(envelope, body, rest, source))
        return
    if not isinstance(body, dict):
        raise DecodeError("tagInventoryEvent is missing", code="tag_missing")
    tag, unknown = _TAG_SHAPE.take(body)
    event = _TagEvent(tag=tag, event_type="tagInventory", timestamp=envelope.timestamp, hostname=envelope.hostname)
    decoded.reads.append(_tag_read(source, rest | unknown, event))


def _device_event(envelope: _Envelope, body: object, rest: dict[str, object], source: Source) -> DeviceEvent:
    kind = _EVENTS.get(envelope.event_type, DeviceEventKind.OTHER)
    fields, detail = _EventBody(), {}
    if kind is DeviceEventKind.OTHER or not isinstance(body, dict):
        detail = {"eventType": envelope.event_type} | ({} if body is None else {"event": body})
    else:
        fields, detail = _BODY_SHAPE.take(body)
    if "inventoryStatus" in detail:
        detail["status"] = detail.pop("inventoryStatus")
    if fields.antenna is None and fields.antenna_name is not None:
        fields.antenna = source.antenna_ports.get(fields.antenna_name)
        detail["antennaName"] = fields.antenna_name
    if envelope.hostname:
        detail["hostname"] = envelope.hostname
    detail |= rest
    return DeviceEvent(
        event=kind.value,
        antenna=fields.antenna,
        reader_time_us=_time_us(envelope.timestamp),
        event_time_source="received" if envelope.timestamp is None else "report",
        from_us=_time_us(fields.first_event_timestamp),
        until_us=_time_us(fields.last_event_timestamp),
        count=fields.events_purged,
        detail=extra_json(detail) if detail else None,
    )


def _time_us(text: str | None) -> int | None:
    return None if text is None else parse_timestamp_us(text)


def _text_event(payload: bytes) -> DeviceEvent:
    """Decode a connect, disconnect or will message: their wording is the integrator's."""
    known = connection_event(payload)
    if known is not None:
        return known
    return DeviceEvent(event=DeviceEventKind.OTHER.value, detail=extra_json({"text": plain_text(payload)}))
