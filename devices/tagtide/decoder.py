"""Decoder of our own JSON, for readers, gateways, sensors and business systems that have no dialect here.

`README.md` beside this file is the specification that an integrator writes against. A document's `type` says what
it is: `read`, `reads`, `measurement`, `status` or `business`.
"""

from collections.abc import Callable
from functools import partial

import msgspec

from devices.connection_text import connection_event
from devices.documents import (
    check_payload_size,
    decode_each,
    decode_parts,
    extra_json,
    json_object,
    shared_extra,
    shown,
)
from devices.errors import DecodeError
from devices.observations import Decoded, Source, TagRead
from devices.shapes import Antenna, Count, FrequencyKhz, PhaseDeg, PowerDbm, RssiDbm, Shape
from devices.tag_memory import epc_from_hex, memory_from_hex
from devices.tagtide.business import business_events
from devices.tagtide.measurement import reading
from devices.tagtide.status import device_event
from devices.tagtide.time import TimeUs, time_of


class _Read(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, gc=False):
    epc_hex: str = msgspec.field(name="epc")
    antenna: Antenna | None = None
    time: str | None = None
    time_us: TimeUs | None = None
    rssi: RssiDbm | None = msgspec.field(default=None, name="rssi_dbm")
    rssi_linear: float | None = None
    phase: PhaseDeg | None = msgspec.field(default=None, name="phase_deg")
    frequency: FrequencyKhz | None = msgspec.field(default=None, name="frequency_khz")
    tx_power: PowerDbm | None = msgspec.field(default=None, name="tx_power_dbm")
    read_count: Count | None = None
    tid: str | None = None
    seq: Count | None = None


class _Defaults(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, gc=False):
    """What a batch says of all its reads that do not say it themselves."""

    antenna: Antenna | None = None
    time: str | None = None
    time_us: TimeUs | None = None
    frequency: FrequencyKhz | None = msgspec.field(default=None, name="frequency_khz")
    tx_power: PowerDbm | None = msgspec.field(default=None, name="tx_power_dbm")


class _ReadDocument(_Read, tag_field="type", tag="read", kw_only=True, forbid_unknown_fields=True, gc=False):
    """A single read."""


class _ReadsDocument(_Defaults, tag_field="type", tag="reads", kw_only=True, forbid_unknown_fields=True):
    """A batch."""

    reads: list[_Read]


_DOCUMENT = msgspec.json.Decoder(_ReadDocument | _ReadsDocument)
_READ_SHAPE = Shape(_Read)
_DEFAULTS_SHAPE = Shape(_Defaults)
_NO_DEFAULTS = _Defaults()


def decode(payload: bytes, topic: str, source: Source) -> Decoded:  # noqa: ARG001  # decoders share one signature
    """Decode a payload in Tagtide's own JSON.

    Args:
        payload: One document, an array of documents, documents behind one another, or the plain text of a will.
        topic: MQTT topic, not used.
        source: Who published, not used: documents may say everything from anyone.

    Returns:
        Reads, readings, device events, business events and rejects.

    Raises:
        DecodeError: Nothing in the payload can be decoded.
    """
    check_payload_size(payload)
    try:
        document = _DOCUMENT.decode(payload)
    except (ValueError, RecursionError):
        pass  # not reads, or not the usual shape: the careful way below finds out what it is
    else:
        if isinstance(document, _ReadsDocument):
            reads, rejects = decode_each(document.reads, _with_defaults(document, {}))
            return Decoded(reads=reads, rejects=rejects)
        return Decoded(reads=[_tag_read(_NO_DEFAULTS, None, {}, document)])
    known = connection_event(payload)
    if known is not None:
        return Decoded(device_events=[known])
    return decode_parts(payload, _decode_part)


def _with_defaults(defaults: _Defaults, unknown: dict[str, object]) -> Callable[[_Read], TagRead]:
    time_us = time_of(defaults.time, defaults.time_us)
    return partial(_tag_read, defaults, time_us, unknown)


def _tag_read(defaults: _Defaults, report_time_us: int | None, unknown: dict[str, object], read: _Read) -> TagRead:
    reader_time_us, event_time_source = read.time_us, "read"
    if read.time is not None:
        reader_time_us = time_of(read.time, read.time_us)
    elif reader_time_us is None:
        reader_time_us = report_time_us
        event_time_source = "received" if report_time_us is None else "report"
    return TagRead(
        epc_hex=epc_from_hex(read.epc_hex),
        antenna=defaults.antenna if read.antenna is None else read.antenna,
        reader_time_us=reader_time_us,
        event_time_source=event_time_source,
        rssi_dbm=read.rssi,
        rssi_linear=read.rssi_linear,
        phase_deg=read.phase,
        frequency_khz=defaults.frequency if read.frequency is None else read.frequency,
        tx_power_dbm=defaults.tx_power if read.tx_power is None else read.tx_power,
        read_count=read.read_count,
        tid_hex=None if read.tid is None else memory_from_hex(read.tid, "tid_invalid"),
        source_seq=read.seq,
        extra=extra_json(unknown) if unknown else None,
    )


def _decode_part(document: dict[str, object], decoded: Decoded) -> None:
    fields = dict(document)
    kind = fields.pop("type", None)
    if kind == "read" or (kind is None and "epc" in fields):
        decoded.reads.append(_read_of(_NO_DEFAULTS, None, {}, fields))
    elif kind == "reads" or (kind is None and "reads" in fields):
        _decode_batch(fields, decoded)
    elif kind == "measurement":
        decoded.readings.append(reading(fields))
    elif kind == "status":
        decoded.device_events.append(device_event(fields))
    elif kind == "business":
        decoded.business_events += business_events(fields)
    else:
        message, code = (
            ("type is missing", "type_missing") if kind is None else (f"type is {shown(kind)}", "type_unknown")
        )
        hint = "a type is one of read, reads, measurement, status and business"
        raise DecodeError(message, code=code, hint=hint)


def _decode_batch(fields: dict[str, object], decoded: Decoded) -> None:
    elements = fields.pop("reads", None)
    if not isinstance(elements, list):
        raise DecodeError("reads is to be an array", code="reads_invalid")
    defaults, unknown = _DEFAULTS_SHAPE.take(fields)
    shared = shared_extra(unknown, decoded.rejects)
    report_time_us = time_of(defaults.time, defaults.time_us)
    reads, rejects = decode_each(elements, partial(_read_of, defaults, report_time_us, shared))
    decoded.reads += reads
    decoded.rejects += rejects


def _read_of(
    defaults: _Defaults, report_time_us: int | None, batch_unknown: dict[str, object], element: object
) -> TagRead:
    read, unknown = _READ_SHAPE.take(json_object(element))
    return _tag_read(defaults, report_time_us, batch_unknown | unknown, read)
