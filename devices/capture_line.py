r"""One line of a capture: what `mosquitto_sub -F %j` (or `%J`) prints, to a publication and back. No I/O.

```
{
    "tst": "2026-11-22T16:51:52.490712Z+0100",
    "topic": "a/b",
    "qos": 1,
    "retain": 0,
    "payloadlen": 9,
    "mid": 1,
    "payload": '{"x":1.5}',
}
```

What mosquitto_sub does, as version 2.0.11 was seen to do it: `tst` is local time, and its `Z` means nothing where an
offset follows; bytes that are not UTF-8 are printed as they are, so that the line is not UTF-8 either; a payload is
cut at its first NUL byte, and only `payloadlen` tells; `%J` prints the payload as a JSON value, with its spelling
changed (`1.50` becomes `1.5`), and an empty line for a payload that is no JSON. Ours adds `payload_base64` for
payloads that are not UTF-8, and older releases of mosquitto_sub print `tst` as seconds since 1970.
"""

import base64
import binascii
import json
import math
import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import msgspec

from devices.publication import Publication
from devices.timestamps import TIME_US_MAX, TIME_US_MIN

RESERVED_PREFIX = "$tagtide/"
"""Topics of our own records in the edge log. Nothing from outside may use them."""

_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:[.,](\d{1,9}))?\s*Z?\s*(?:([+-])(\d\d):?(\d\d)?)?", re.ASCII
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# A number is seconds, milliseconds, microseconds or nanoseconds: the first unit in which it lies before the year 5138.
_NUMBER_UNITS = ((1_000_000, 1, 10**11), (1_000, 1, 10**14), (1, 1, 10**17), (1, 1_000, 9 * 10**18))


class CaptureProblem(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a capture that could not be read."""

    line_number: int
    """Line of the file, 1 and up."""
    reason_code: str
    """What is wrong, in a stable word fit for a reject's reason code."""
    raw: bytes
    """The line as it stands in the file, without its line feed."""


class _Line(msgspec.Struct):
    topic: str
    tst: str | int | float | None = None
    qos: int = 0
    retain: int | bool = 0
    payloadlen: int | None = None
    payload: msgspec.Raw = msgspec.Raw(b"null")
    payload_base64: str | None = None


class _UnreadableError(Exception):
    """Why a line cannot be read; its argument is the reason code."""


_DECODER = msgspec.json.Decoder(_Line)


class LineReader:
    """Reads the lines of one capture, in order: whether a string is `%J`'s depends on the lines before it."""

    def __init__(self) -> None:
        self._json_payloads = False

    def read(self, line: bytes, line_number: int) -> Publication | CaptureProblem:
        """Return what a line says, or what is wrong with it."""
        try:
            return self._publication(line)
        except _UnreadableError as problem:
            return CaptureProblem(line_number=line_number, reason_code=str(problem), raw=line)

    def _publication(self, line: bytes) -> Publication:
        parsed, payload = _parse(line)
        if parsed.topic.startswith(RESERVED_PREFIX):
            raise _UnreadableError("capture_topic_reserved")
        received_us = parse_time_us(parsed.tst)
        if not TIME_US_MIN <= received_us < TIME_US_MAX:
            raise _UnreadableError("capture_time_out_of_range")
        return Publication(
            topic=parsed.topic,
            payload=self._payload_bytes(parsed, payload),
            received_us=received_us,
            qos=parsed.qos if parsed.qos in (0, 1, 2) else 0,
            retained=bool(parsed.retain),
        )

    def _payload_bytes(self, line: _Line, text: str | None) -> bytes:
        """Return the payload's bytes; `text` is the payload where it is a JSON string."""
        length = line.payloadlen
        if line.payload_base64 is not None:
            try:
                return base64.b64decode(line.payload_base64, validate=True)
            except (binascii.Error, ValueError) as cause:
                raise _UnreadableError("capture_base64_invalid") from cause
        raw = bytes(line.payload)
        if text is not None:
            return self._string_bytes(raw, text, length)
        if raw == b"null":
            if not length:
                return b""
            if length == len(raw):
                return raw
            raise _UnreadableError("capture_payload_missing")
        self._json_payloads = True
        return raw

    def _string_bytes(self, raw: bytes, text: str, length: int | None) -> bytes:
        candidates = _string_candidates(text)
        for candidate in candidates:
            if length is None or len(candidate) == length:
                return candidate
        if self._json_payloads and len(raw) == length:
            return raw
        # Shorter than the payload was: cut at a NUL. Longer: a count of characters by another program; it is whole.
        if len(candidates[0]) < (length or 0):
            raise _UnreadableError("capture_payload_truncated")
        return candidates[0]


def format_line(publication: Publication) -> bytes:
    """Return a publication as one line of a capture, with its line feed."""
    line: dict[str, str | int | None] = {
        "tst": format_time(publication.received_us),
        "topic": publication.topic,
        "qos": publication.qos,
        "retain": int(publication.retained),
        "payloadlen": len(publication.payload),
    }
    if not publication.payload:
        line["payload"] = None
    else:
        try:
            line["payload"] = publication.payload.decode("utf-8")
        except UnicodeDecodeError:
            line["payload_base64"] = base64.b64encode(publication.payload).decode("ascii")
    return msgspec.json.encode(line) + b"\n"


def format_time(received_us: int) -> str:
    """Return microseconds since the epoch as mosquitto_sub spells UTC: `2026-11-22T15:35:31.485691Z+0000`."""
    return (_EPOCH + timedelta(microseconds=received_us)).isoformat(timespec="microseconds")[:26] + "Z+0000"


def parse_time_us(value: str | float | None) -> int:
    """Return microseconds since the epoch from any of the shapes in which captures spell a time.

    Args:
        value: ISO 8601 with `Z`, `+0100`, `+01:00`, `Z+0100` or no zone (taken as UTC); or a number of seconds,
            milliseconds, microseconds or nanoseconds since 1970, told apart by its size.
    """
    if isinstance(value, str):
        found = _TIME.fullmatch(value.strip())
        if found is not None:
            day, clock, fraction, sign, hours, minutes = found.groups()
            fraction_us = int((fraction or "0")[:6].ljust(6, "0"))
            return _second_us(day, clock) + fraction_us - _zone_us(sign, hours, minutes)
        value = _number(value)
    if value is None or isinstance(value, bool):
        raise _UnreadableError("capture_time_unreadable")
    return _number_us(value)


@lru_cache(maxsize=256)
def _second_us(day: str, clock: str) -> int:
    try:
        at = datetime.fromisoformat(f"{day}T{clock}+00:00")
    except ValueError as cause:
        raise _UnreadableError("capture_time_unreadable") from cause
    return (at - _EPOCH) // timedelta(microseconds=1)


def _zone_us(sign: str | None, hours: str | None, minutes: str | None) -> int:
    if sign is None or hours is None:
        return 0
    seconds = int(hours) * 3600 + int(minutes or "0") * 60
    return (seconds if sign == "+" else -seconds) * 1_000_000


def _number(text: str) -> float | None:
    try:
        return float(text) if "." in text or "e" in text.lower() else int(text)
    except ValueError:
        return None


def _number_us(value: float) -> int:
    if isinstance(value, float) and not math.isfinite(value):  # isfinite refuses an integer of 400 digits
        raise _UnreadableError("capture_time_unreadable")
    for factor, divisor, bound in _NUMBER_UNITS:
        if -bound < value < bound:
            return int(value * factor // divisor)
    raise _UnreadableError("capture_time_unreadable")


def _parse(line: bytes) -> tuple[_Line, str | None]:
    """Return a line's fields, and its payload where that is a JSON string."""
    try:
        parsed = _DECODER.decode(line)
        raw = bytes(parsed.payload)
        return parsed, (msgspec.json.decode(raw, type=str) if raw.startswith(b'"') else None)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _parse_leniently(line)


def _parse_leniently(line: bytes) -> tuple[_Line, str | None]:
    """Parse a line that is not UTF-8, or that holds half of a surrogate pair: Python's own parser takes both."""
    try:
        fields: Any = json.loads(line.decode("utf-8", "surrogateescape"))
    except (ValueError, RecursionError) as cause:
        raise _UnreadableError("capture_line_unreadable") from cause
    if not isinstance(fields, dict) or not isinstance(fields.get("topic"), str):
        raise _UnreadableError("capture_line_unreadable")
    payload = fields.pop("payload", None)
    fields["topic"] = _string_candidates(fields["topic"])[0].decode("utf-8", "backslashreplace")
    try:
        parsed = msgspec.convert(fields, _Line)
        parsed.payload = msgspec.Raw(json.dumps(payload, separators=(",", ":")).encode("ascii"))
    except (ValueError, RecursionError) as cause:  # ValueError also for a name that is no Unicode
        raise _UnreadableError("capture_line_unreadable") from cause
    return parsed, (payload if isinstance(payload, str) else None)


def _string_candidates(text: str) -> list[bytes]:
    """Return the bytes that a payload may have had: one answer, except where half surrogates stand in the string."""
    try:
        return [text.encode("utf-8")]
    except UnicodeEncodeError:
        escaped = b"".join(
            bytes((ord(character) & 0xFF,))
            if 0xDC80 <= ord(character) <= 0xDCFF
            else character.encode("utf-8", "surrogatepass")
            for character in text
        )
        return [escaped, text.encode("utf-8", "surrogatepass")]
