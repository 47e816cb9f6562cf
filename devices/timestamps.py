"""Timestamps as payloads write them, turned to integer microseconds since the Unix epoch, UTC, once and strictly.

Accepted: `YYYY-MM-DDThh:mm:ss`, an optional fraction of any length (cut, not rounded, to microseconds), and a zone:
`Z`, `+hh:mm` or `+hhmm`. A time without a zone is refused: guessing one would move reads by hours, silently. So is
everything else that ISO 8601 allows and no device here sends, because Python versions differ in what they take.
"""

import functools
import re
from datetime import UTC, datetime, timedelta

from devices.errors import DecodeError

SECOND_US = 1_000_000

TIME_US_MIN = -86_400 * SECOND_US
"""One day before the epoch: a reader whose clock was never set counts from 1970, in a zone of its own."""
TIME_US_MAX = int(datetime(2200, 1, 1, tzinfo=UTC).timestamp()) * SECOND_US
"""Start of the year 2200: what lies behind it is a garbled number, not a time."""

_SECONDS_CACHED = 4096
"""Reads arrive in order of time, thousands to a second, so nearly all share their first 19 characters with the one
before. 4096 seconds at about 300 bytes an entry is 1.2 MB."""

_FRACTION_US = (0, 100_000, 10_000, 1_000, 100, 10)
"""What one unit of the last digit is worth, by the number of digits."""

_SIGNS = ("+", "-")
_SECOND = re.compile(r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)\.", re.ASCII)
_REST = re.compile(r"(?:\.(\d+))?(Z|[+-].+)?", re.ASCII)
_ZONE = re.compile(r"([+-])(\d\d):?(\d\d)", re.ASCII)


class TimestampError(DecodeError):
    """A timestamp cannot be read, has no zone, or lies outside `TIME_US_MIN` to `TIME_US_MAX`."""

    code = "timestamp_invalid"


def parse_timestamp_us(text: str) -> int:
    """Turn a timestamp to microseconds since the epoch.

    Args:
        text: RFC 3339, or the same with `+hhmm` for a zone. At most 9 digits of fraction are usual; more are cut.

    Returns:
        Microseconds since the Unix epoch, UTC.

    Raises:
        TimestampError: `timestamp_invalid`, `timestamp_without_zone` or `timestamp_out_of_range`.

    Source:
        RFC 3339, section 5.6. The form `+0000` is what Zebra's IoT Connector sends.
    """
    if text[-1:] == "Z":
        digits, zone_us = text[20:-1], 0
    elif text[-5:-4] in _SIGNS:
        digits, zone_us = text[20:-5], _zone_us(text[-5:])
    else:
        return _parse_unusual_us(text)
    if not digits.isdecimal():
        return _parse_unusual_us(text)
    count = len(digits)
    fraction_us = int(digits[:6]) if count >= 6 else int(digits) * _FRACTION_US[count]
    return _second_us(text[:20]) + fraction_us - zone_us


def check_time_us(time_us: int) -> int:
    """Return a time in microseconds as it is.

    Args:
        time_us: Microseconds since the Unix epoch.

    Raises:
        TimestampError: `timestamp_out_of_range`: before 1970 by more than a day, or after 2200.
    """
    if not TIME_US_MIN <= time_us < TIME_US_MAX:
        message = f"{time_us} microseconds since 1970 lies outside 1970 to 2200"
        raise TimestampError(
            message, code="timestamp_out_of_range", hint="microseconds are expected, not milliseconds or nanoseconds"
        )
    return time_us


@functools.lru_cache(maxsize=_SECONDS_CACHED)
def _second_us(text: str) -> int:
    """Return the time of a whole second, given with the point behind it."""
    found = _SECOND.fullmatch(text)
    if found is None:
        raise _unreadable(text[:-1])
    year, month, day, hour, minute, second = map(int, found.groups())
    try:
        moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError as error:
        raise _unreadable(text[:-1]) from error
    time_us = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    if not TIME_US_MIN <= time_us < TIME_US_MAX:
        raise TimestampError(f"{text[:-1]} lies outside 1970 to 2200", code="timestamp_out_of_range")
    return time_us


def _parse_unusual_us(text: str) -> int:
    """Parse what the short way above does not take: no fraction, a zone with a colon, and what is wrong."""
    second_us, rest = _second_us(text[:19] + "."), text[19:]
    found = _REST.fullmatch(rest)
    if found is None:
        raise _unreadable(text)
    digits, zone = found.groups(default="")
    if not zone:
        message, hint = f"{text[:40]!r} has no time zone", "end it with Z or +hh:mm"
        raise TimestampError(message, code="timestamp_without_zone", hint=hint)
    return second_us + int(digits[:6].ljust(6, "0")) - _zone_us(zone)


@functools.lru_cache(maxsize=256)
def _zone_us(zone: str) -> int:
    if zone == "Z":
        return 0
    found = _ZONE.fullmatch(zone)
    if found is None:
        raise _unreadable(zone)
    sign, hours, minutes = found.groups()
    if int(hours) > 23 or int(minutes) > 59:
        raise _unreadable(zone)
    offset_us = (int(hours) * 3600 + int(minutes) * 60) * SECOND_US
    return -offset_us if sign == "-" else offset_us


def _unreadable(text: str) -> TimestampError:
    return TimestampError(f"{text[:40]!r} is not a timestamp", hint="use 2026-02-26T17:13:37.432Z")
