"""What a device says about itself, in our own JSON: a document of type `status`."""

import msgspec

from devices.documents import extra_json
from devices.observations import DeviceEvent, DeviceEventKind
from devices.shapes import Antenna, Count, Shape
from devices.tagtide.time import TimeUs, time_of

_FOUND_BY_US = {
    DeviceEventKind.GAP,
    DeviceEventKind.SILENT,
    DeviceEventKind.RESUMED,
    DeviceEventKind.CLOCK,
    DeviceEventKind.REPEAT,
    DeviceEventKind.AWAY,
    DeviceEventKind.SESSION_LOST,
}
_STATUSES = {kind.value for kind in DeviceEventKind if kind not in _FOUND_BY_US}


class _Status(msgspec.Struct, kw_only=True):
    status: str
    time: str | None = None
    time_us: TimeUs | None = None
    antenna: Antenna | None = None
    since: str | None = msgspec.field(default=None, name="from")
    until: str | None = None
    count: Count | None = None
    seq: Count | None = None
    detail: dict[str, object] | None = None


_SHAPE = Shape(_Status)


def device_event(fields: dict[str, object]) -> DeviceEvent:
    """Decode a document of type `status`.

    Args:
        fields: The document without its type. A status that we do not know is `other`, with the word in `detail`.

    Raises:
        DecodeError: A field is not what it should be.
    """
    status, unknown = _SHAPE.take(fields)
    detail = (status.detail or {}) | unknown
    event = status.status
    if event not in _STATUSES:
        event, detail = DeviceEventKind.OTHER.value, {"status": status.status} | detail
    time_us = time_of(status.time, status.time_us)
    return DeviceEvent(
        event=event,
        antenna=status.antenna,
        reader_time_us=time_us,
        event_time_source="received" if time_us is None else "read",
        from_us=time_of(status.since, None),
        until_us=time_of(status.until, None),
        count=status.count,
        source_seq=status.seq,
        detail=extra_json(detail) if detail else None,
    )
