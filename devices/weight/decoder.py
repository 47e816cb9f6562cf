"""Decoder of bare numbers: shelf scales that publish a mass in kilograms and nothing around it.

`README.md` beside this file has the topics. The last level of the MQTT topic says what the number is, because the
payload cannot; what is not named there is a mass.
"""

import math
import re

from devices.connection_text import connection_event, plain_text
from devices.documents import check_payload_size, extra_json, shown
from devices.errors import DecodeError
from devices.observations import Decoded, DeviceEvent, DeviceEventKind, Reading, Source

_NUMBER = re.compile(rb"[ \t\r\n]*([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)[ \t\r\n]*")

_NUMBER_BYTES_MAX = 64
"""A double needs 24 characters; what is longer is no number from a scale."""

_MASS_KG_MAX = 1e6
"""A thousand tonnes either way: behind it are wrong calibrations and garbled digits."""

_OTHER_PROPERTIES = {
    "raw",
    "firmware_version",
    "hardware_version",
    "scale_calibration_zero_in_raw",
    "scale_calibration_slope",
    "i2c_address",
}
"""Topics of the same scales whose numbers are no mass."""


def decode(payload: bytes, topic: str, source: Source) -> Decoded:  # noqa: ARG001  # decoders share one signature
    """Decode what a scale published.

    Args:
        payload: A decimal number as ASCII text; on a `state` topic also the plain text of a will.
        topic: MQTT topic. Its last level decides: `touched` and `state` are 0 or 1, some others are properties of
            the scale, everything else is a mass in kilograms.
        source: The scale, not used.

    Returns:
        One reading or one device event.

    Raises:
        DecodeError: The payload is not a number, or not one that its topic allows.
    """
    check_payload_size(payload)
    level = topic.rpartition("/")[2].removeprefix("$")
    value = _number(payload)
    if value is None:
        return Decoded(device_events=[_words(payload, level)])
    if level == "state":
        event = DeviceEventKind.CONNECTED if _flag(level, value) else DeviceEventKind.LOST
        return Decoded(device_events=[DeviceEvent(event=event.value)])
    if level == "touched":
        return Decoded(readings=[Reading(quantity="touched", value=_flag(level, value), unit="C62")])
    if level in _OTHER_PROPERTIES:
        return Decoded(
            device_events=[DeviceEvent(event=DeviceEventKind.OTHER.value, detail=extra_json({level: value}))]
        )
    if abs(value) > _MASS_KG_MAX:
        raise DecodeError(f"a mass of {value} kg", code="mass_invalid")
    return Decoded(readings=[Reading(quantity="mass", value=value, unit="KGM")])


def _number(payload: bytes) -> float | None:
    """Return the finite number that the payload is, or `None`: NaN and infinity are words, `1e999` is infinite."""
    found = _NUMBER.fullmatch(payload) if len(payload) <= _NUMBER_BYTES_MAX else None
    value = math.inf if found is None else float(found.group(1))
    return value if math.isfinite(value) else None


def _words(payload: bytes, level: str) -> DeviceEvent:
    if not payload.strip():
        raise DecodeError("the payload is empty", code="payload_empty")
    known = connection_event(payload)
    if known is not None:
        return known
    if level == "state":
        return DeviceEvent(event=DeviceEventKind.STATUS.value, detail=extra_json({"status": plain_text(payload)}))
    text = payload[:_NUMBER_BYTES_MAX].decode("utf-8", "backslashreplace")
    hint = "a bare decimal number is expected, such as 12.345, with a point and without a unit"
    raise DecodeError(f"{shown(text)} is not a number", code="number_invalid", hint=hint)


def _flag(level: str, value: float) -> float:
    if value not in (0.0, 1.0):
        raise DecodeError(f"{level} is {value}, 0 or 1 is expected", code=f"{level}_invalid")
    return value
