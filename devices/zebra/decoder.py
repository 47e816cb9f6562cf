"""Decoder of Zebra's IoT Connector: FX7500, FX9600, ATR7000, FXR60 and FXR90, and the RFD40 and RFD90 sleds.

`README.md` beside this file has the payload's layout. Tag data, management events, Bluetooth advertisements and
plain-text wills may share one topic; the shape and the `type` tell them apart, never the topic.
"""

from functools import partial
from typing import Annotated

import msgspec

from devices.connection_text import connection_event
from devices.documents import check_payload_size, decode_each, decode_parts, extra_json, json_object, shared_extra
from devices.errors import DecodeError
from devices.observations import Decoded, DeviceEvent, DeviceEventKind, Source, TagRead
from devices.shapes import Antenna, Count, RssiDbm, Shape
from devices.tag_memory import TagMemoryError, epc_from_hex, memory_from_hex
from devices.timestamps import check_time_us, parse_timestamp_us
from devices.zebra.heartbeat import dropped_count

_MANAGEMENT = {
    "heartbeat": DeviceEventKind.HEARTBEAT,
    "gpi": DeviceEventKind.GPI,
    "gpo": DeviceEventKind.GPO,
    "error": DeviceEventKind.ERROR,
    "warning": DeviceEventKind.WARNING,
    "firmwareupdateprogress": DeviceEventKind.FIRMWARE,
    "ble_data": DeviceEventKind.BLE,
}
"""Event types in lower case; everything else that is no tag data is `other`."""

_ChannelMhz = Annotated[float, msgspec.Meta(ge=0, le=10_000)]
_PhaseDeg = Annotated[float, msgspec.Meta(ge=-360, le=360)]


class _Tag(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, gc=False):
    """`data` of a tag data event, or an element of a sled's `tagData`."""

    epc_hex: str = msgspec.field(name="idHex")
    source_seq: Count | None = msgspec.field(default=None, name="eventNum")
    antenna: Antenna | None = None
    rssi: RssiDbm | None = msgspec.field(default=None, name="peakRssi")
    read_count: Count | None = msgspec.field(default=None, name="reads")
    phase: _PhaseDeg | None = None
    channel: _ChannelMhz | None = None
    format: str | None = None
    pc: str | None = msgspec.field(default=None, name="PC")
    crc: str | None = msgspec.field(default=None, name="CRC")
    tid: str | None = msgspec.field(default=None, name="TID")


class _TagEvent(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, gc=False):
    """Tag data event of a fixed reader."""

    data: _Tag
    timestamp: str | None = None
    type: str | None = None


class _Envelope(msgspec.Struct, kw_only=True):
    """Any event without its `data`."""

    type: str
    timestamp: str | None = None
    source_seq: Count | None = msgspec.field(default=None, name="eventNum")


class _ZoneHistory(msgspec.Struct, kw_only=True):
    """`zoneHistory` of directionality mode."""

    timestamp: Count
    """Milliseconds since the epoch, unlike everywhere else."""


_TAG_EVENT = msgspec.json.Decoder(_TagEvent)
_TAG_EVENTS = msgspec.json.Decoder(list[_TagEvent])
_TAG_SHAPE = Shape(_Tag)
_ENVELOPE_SHAPE = Shape(_Envelope)
_ZONE_HISTORY_SHAPE = Shape(_ZoneHistory)

_SLED_NAMES = {"seenCount": "reads"}
"""Fields that sleds name differently. Their EPC has two names, see `_sled_tag`."""
_SLED_LISTS = ("data", "tagData", "barcodeData")


def decode(payload: bytes, topic: str, source: Source) -> Decoded:  # noqa: ARG001  # decoders share one signature
    """Decode what a Zebra reader published.

    Args:
        payload: One event, an array of events, several documents behind one another, or the plain text of a will.
        topic: MQTT topic, not used.
        source: The reader, not used: antennas are numbered.

    Returns:
        Reads, device events and rejects.

    Raises:
        DecodeError: Nothing in the payload can be decoded.

    Source:
        Zebra IoT Connector, tag data and management events; RFD40/RFD90 MQTT API, `dataEVT`.
    """
    check_payload_size(payload)
    first = payload[:1]
    try:
        if first == b"{":
            return Decoded(reads=[_fixed_reader_tag({}, _TAG_EVENT.decode(payload))])
        if first == b"[":
            reads, rejects = decode_each(_TAG_EVENTS.decode(payload), partial(_fixed_reader_tag, {}))
            return Decoded(reads=reads, rejects=rejects)
    except (ValueError, RecursionError):
        pass  # not the usual shape: the careful way below finds out what it is
    known = connection_event(payload)
    if known is not None:
        return Decoded(device_events=[known])
    return decode_parts(payload, _decode_part)


def _fixed_reader_tag(unknown: dict[str, object], event: _TagEvent) -> TagRead:
    return _tag_read(event.data, event.timestamp, "read", unknown)


def _tag_read(tag: _Tag, timestamp: str | None, time_source: str, unknown: dict[str, object]) -> TagRead:
    tid, extra = None, None
    if tag.tid is not None or tag.pc is not None or tag.crc is not None or unknown or tag.format != "epc":
        tid, extra = _tid_and_extra(tag, unknown)
    return TagRead(
        epc_hex=epc_from_hex(tag.epc_hex),
        antenna=tag.antenna,
        reader_time_us=None if timestamp is None else parse_timestamp_us(timestamp),
        event_time_source="received" if timestamp is None else time_source,
        rssi_dbm=tag.rssi,
        phase_deg=tag.phase if tag.phase is None or tag.phase >= 0 else tag.phase + 360,
        frequency_khz=None if tag.channel is None else round(tag.channel * 1000),
        read_count=tag.read_count,
        tid_hex=tid,
        source_seq=tag.source_seq,
        extra=extra,
    )


def _tid_and_extra(tag: _Tag, unknown: dict[str, object]) -> tuple[str | None, str | None]:
    """Keep what has no column. A TID that could not be read is an error text in its place, and is kept as such."""
    kept: dict[str, object] = {}
    if tag.format not in (None, "epc"):
        kept["format"] = tag.format
    if tag.pc is not None:
        kept["PC"] = tag.pc
    if tag.crc is not None:
        kept["CRC"] = tag.crc
    tid = None
    if tag.tid:
        try:
            tid = memory_from_hex(tag.tid, "tid_invalid")
        except TagMemoryError:
            kept["TID"] = tag.tid
    kept |= unknown
    return tid, extra_json(kept) if kept else None


def _decode_part(document: dict[str, object], decoded: Decoded) -> None:
    data = document.get("data")
    if isinstance(data, dict) and "idHex" in data:
        decoded.reads.append(_tag_document(document, data))
    elif isinstance(data, dict) and ("tagData" in data or "barcodeData" in data):
        _decode_sled(document, data, decoded)
    elif "Zone" in document and "type" not in document:
        decoded.device_events.append(_zone_history(document))
    else:
        decoded.device_events.append(_device_event(document))


def _tag_document(document: dict[str, object], data: dict[str, object]) -> TagRead:
    tag, unknown = _TAG_SHAPE.take(data)
    envelope, rest = _ENVELOPE_SHAPE.take({"type": "", **document})
    del rest["data"]
    return _fixed_reader_tag(rest | unknown, _TagEvent(data=tag, timestamp=envelope.timestamp))


def _decode_sled(document: dict[str, object], data: dict[str, object], decoded: Decoded) -> None:
    """Decode a sled's batch. Its one timestamp is that of the batch: a report time, not a read time."""
    envelope, rest = _ENVELOPE_SHAPE.take(document)
    more = {name: value for name, value in (rest | data).items() if name not in _SLED_LISTS}
    shared = shared_extra(more, decoded.rejects)
    tags = data.get("tagData") or []
    barcodes = data.get("barcodeData") or []
    if not isinstance(tags, list) or not isinstance(barcodes, list):
        raise DecodeError("tagData and barcodeData are to be arrays", code="shape_invalid")
    reads, rejects = decode_each(tags, partial(_sled_tag, envelope.timestamp, shared))
    decoded.reads += reads
    decoded.rejects += rejects
    scans, rejects = decode_each(barcodes, partial(_barcode, envelope))
    decoded.device_events += scans
    decoded.rejects += rejects


def _barcode(envelope: _Envelope, element: object) -> DeviceEvent:
    return _event(DeviceEventKind.OTHER, envelope, {"type": envelope.type, "barcode": element})


def _sled_tag(timestamp: str | None, shared: dict[str, object], element: object) -> TagRead:
    fields = {_SLED_NAMES.get(name, name): value for name, value in json_object(element).items()}
    epc_id, epc = fields.pop("EPCid", None), fields.pop("EPC", None)
    if epc_id is None and epc is None:
        raise DecodeError("neither EPCid nor EPC", code="epc_hex_missing")
    fields |= {"idHex": epc if epc_id is None else epc_id, "format": "epc"}
    if epc_id is not None and epc not in (None, epc_id):
        fields["EPC"] = epc
    tag, unknown = _TAG_SHAPE.take(fields)
    return _tag_read(tag, timestamp, "report", shared | unknown)


def _device_event(document: dict[str, object]) -> DeviceEvent:
    envelope, rest = _ENVELOPE_SHAPE.take(document)
    kind = _MANAGEMENT.get(envelope.type.lower(), DeviceEventKind.OTHER)
    data = rest.pop("data", None)
    detail = dict(data) if isinstance(data, dict) else ({} if data is None else {"data": data})
    if kind is DeviceEventKind.OTHER:
        detail = {"type": envelope.type, **detail}
    count = dropped_count(detail) if kind is DeviceEventKind.HEARTBEAT else None
    return _event(kind, envelope, detail | rest, count)


def _event(
    kind: DeviceEventKind, envelope: _Envelope, detail: dict[str, object], count: int | None = None
) -> DeviceEvent:
    timestamp = envelope.timestamp
    return DeviceEvent(
        event=kind.value,
        reader_time_us=None if timestamp is None else parse_timestamp_us(timestamp),
        event_time_source="received" if timestamp is None else "report",
        count=count,
        source_seq=envelope.source_seq,
        detail=extra_json(detail) if detail else None,
    )


def _zone_history(document: dict[str, object]) -> DeviceEvent:
    """Decode what an overhead reader in directionality mode says of a tag's zones; the tag is not named in it."""
    history, detail = _ZONE_HISTORY_SHAPE.take(document)
    return DeviceEvent(
        event=DeviceEventKind.OTHER.value,
        reader_time_us=check_time_us(history.timestamp * 1000),
        event_time_source="report",
        detail=extra_json(detail),
    )
