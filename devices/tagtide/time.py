"""When, in our own JSON: `time` is text with a zone, `time_us` an integer; at most one of them is given."""

from typing import Annotated

import msgspec

from devices.errors import DecodeError
from devices.timestamps import TIME_US_MAX, TIME_US_MIN, parse_timestamp_us

TimeUs = Annotated[int, msgspec.Meta(ge=TIME_US_MIN, lt=TIME_US_MAX)]
"""Microseconds since the epoch."""


def time_of(time: str | None, time_us: int | None) -> int | None:
    """Return the time in microseconds since the epoch, or `None` where none is given.

    Raises:
        DecodeError: `time_ambiguous` for both; what `parse_timestamp_us` raises.
    """
    if time is None:
        return time_us
    if time_us is not None:
        raise DecodeError("both time and time_us are given", code="time_ambiguous", hint="send one of them")
    return parse_timestamp_us(time)
