"""A measured value, in our own JSON: a document of type `measurement`."""

import re

import msgspec

from devices.documents import extra_json, shown
from devices.errors import DecodeError
from devices.observations import Reading
from devices.shapes import Count, Shape
from devices.tagtide.time import TimeUs, time_of

_UNITS = {
    "mass": ("KGM", 1e6),
    "temperature": ("CEL", 1e4),
    "illuminance": ("LUX", 1e6),
    "relative_humidity": ("P1", 1e3),
    "count": ("C62", 1e12),
    "battery": ("VLT", 1e3),
    "touched": ("C62", 1.0),
}
"""Known quantities: their unit, and a magnitude that no working sensor reports."""

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_UNIT_CODE = re.compile(r"[A-Z0-9]{2,3}")


class _Measurement(msgspec.Struct, kw_only=True):
    quantity: str
    value: float
    unit: str | None = None
    time: str | None = None
    time_us: TimeUs | None = None
    seq: Count | None = None


_SHAPE = Shape(_Measurement)


def reading(fields: dict[str, object]) -> Reading:
    """Decode a document of type `measurement`.

    Args:
        fields: The document without its type. The unit of a known quantity may be left out.

    Raises:
        DecodeError: A field is not what it should be, the unit is not the quantity's, or the value is absurd.
    """
    measurement, unknown = _SHAPE.take(fields)
    time_us = time_of(measurement.time, measurement.time_us)
    return Reading(
        quantity=measurement.quantity,
        value=measurement.value,
        unit=_checked_unit(measurement),
        reader_time_us=time_us,
        event_time_source="received" if time_us is None else "read",
        source_seq=measurement.seq,
        extra=extra_json(unknown) if unknown else None,
    )


def _checked_unit(measurement: _Measurement) -> str:
    quantity, unit = measurement.quantity, measurement.unit
    known = _UNITS.get(quantity)
    if known is None:
        if _NAME.fullmatch(quantity) is None:
            raise DecodeError(f"quantity is {shown(quantity)}", code="quantity_invalid", hint="use snake_case")
        if unit is None or _UNIT_CODE.fullmatch(unit) is None:
            raise DecodeError(
                f"unit of {quantity} is {shown(unit)}", code="unit_invalid", hint="use a UN/ECE Recommendation 20 code"
            )
        return unit
    expected, limit = known
    if unit not in (None, expected):
        raise DecodeError(f"{quantity} in {shown(unit)}", code="unit_invalid", hint=f"send {quantity} in {expected}")
    if abs(measurement.value) > limit:
        raise DecodeError(f"{quantity} of {measurement.value} {expected}", code="value_invalid")
    return expected
