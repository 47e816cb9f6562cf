"""From a payload's bytes to JSON values, however broken the payload is, so that one bad part costs no other.

Decoders try their typed `msgspec` decoder on the whole payload first; nearly everything ends there. What does not
comes here, in two steps. A payload that is valid JSON is parsed as a whole. One that is not is walked part by part:
several documents behind one another (Zebra's own viewers recover from those), an array that was cut off, a bad
escape or a byte that is not UTF-8 in one tag of many. Whatever can be told apart survives; the rest is one error.

A *part* is one element of a top-level array, or a document that is no array.
"""

import itertools
import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeVar

import msgspec

from devices.errors import DecodeError
from devices.observations import Decoded, Reject

A = TypeVar("A")
B = TypeVar("B")

PAYLOAD_BYTES_MAX: Final = 16 * 1024 * 1024
"""Largest payload that is decoded. Zebra sends 256 kB at most, an Impinj webhook of 8192 tags 2 MB; 16 MiB leaves
room and keeps what JSON of the worst shape (`[{},{},...`) takes in memory below about 500 MB."""

PARTS_MAX: Final = 300_000
"""Most parts that one payload may hold: the upper limit of Impinj's `eventBatchLimit`, the largest of any vendor."""

ROWS_MAX: Final = 2 * PARTS_MAX
"""Most rows, rejects among them, that all parts of one payload may give together: some 600 MB in decoding."""

SHARED_EXTRA_BYTES_MAX: Final = 256
"""What one payload may say of all its rows in fields without a column. They are copied to each row: 300,000 rows
times 256 bytes are 77 MB."""

COPIED_BYTES_MAX: Final = 32 * 1024 * 1024
"""What all copies of texts that one document says of many items may take together. A receipt that names 10,000 EPCs
with texts of 100 bytes takes 1 MB; without a bound, 1.5 MB of payload could ask for 300 MB of rows."""

_INTEGER_DIGITS_MAX: Final = 20
"""Digits of 2**64, and a sign: longer integers fit no column, and Python refuses some of them outright."""

_SHOWN_CHARACTERS: Final = 60

_SPACE = re.compile(r"[ \t\r\n]*")


class Unusable:
    """A JSON value that no column may hold: NaN, infinity, a huge number, text that is not Unicode."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return shown(self.text)


def check_payload_size(payload: bytes) -> None:
    """Raise `DecodeError` `payload_too_large` for more than `PAYLOAD_BYTES_MAX` bytes."""
    if len(payload) > PAYLOAD_BYTES_MAX:
        raise DecodeError(
            f"{len(payload)} bytes, the limit is {PAYLOAD_BYTES_MAX}",
            code="payload_too_large",
            hint="have the device send smaller batches",
        )


def check_part_count(count: int) -> None:
    """Raise `DecodeError` `too_many_parts` for more than `PARTS_MAX` parts."""
    if count > PARTS_MAX:
        raise DecodeError(f"{count} parts, the limit is {PARTS_MAX}", code="too_many_parts")


def decode_parts(payload: bytes, decode_part: Callable[[dict[str, object], Decoded], None]) -> Decoded:
    """Decode a payload part by part.

    Args:
        payload: JSON, or something like it.
        decode_part: Adds what one JSON object says, or raises `DecodeError`.

    Returns:
        What all parts say; a bad part beside anything else that was decoded is a reject.

    Raises:
        DecodeError: The payload is too large, holds too much, or nothing in it can be decoded.
    """
    check_payload_size(payload)
    parts = _parts(payload)
    check_part_count(len(parts))
    decoded = Decoded()
    for part in parts:
        try:
            if isinstance(part, DecodeError):
                raise part
            decode_part(json_object(part), decoded)
        except DecodeError as error:
            if len(parts) == 1 and not decoded.count:
                raise
            decoded.rejects.append(reject_of(error))
        if decoded.count > ROWS_MAX:  # a part may be a batch itself, and there may be thousands of those
            raise DecodeError(f"{decoded.count} rows and more, the limit is {ROWS_MAX}", code="too_many_parts")
    return decoded


def decode_each(items: Sequence[A], decode_one: Callable[[A], B]) -> tuple[list[B], list[Reject]]:
    """Decode the elements of one payload, each on its own.

    Args:
        items: At most `PARTS_MAX` of them.
        decode_one: Decodes one, or raises `DecodeError`.

    Returns:
        What could be decoded, and a reject for each that could not.

    Raises:
        DecodeError: `too_many_parts`.
    """
    check_part_count(len(items))
    good: list[B] = []
    rejects: list[Reject] = []
    for item in items:
        try:
            good.append(decode_one(item))
        except DecodeError as error:
            rejects.append(reject_of(error))
    return good, rejects


def json_object(value: object) -> dict[str, object]:
    """Return a JSON value that is to be an object.

    Raises:
        DecodeError: `json_not_an_object`.
    """
    if not isinstance(value, dict):
        raise DecodeError(f"a JSON object is expected, not {shown(value)}", code="json_not_an_object")
    return value


def reject_of(error: DecodeError) -> Reject:
    """Turn a decoder's error to the value that stands for it beside good rows."""
    reason = str(error) if error.hint is None else f"{error}; {error.hint}"
    return Reject(reason_code=error.code, reason=reason)


def extra_json(fields: dict[str, object]) -> str:
    """Write fields without a column as a JSON object.

    Raises:
        DecodeError: `value_unusable`, where a value is one that JSON or a column cannot hold.
    """
    try:
        return msgspec.json.encode(fields).decode()
    except (ValueError, TypeError, RecursionError) as error:
        raise DecodeError(f"cannot keep {shown(fields)}: {error}", code="value_unusable") from error


def check_shared_extra(fields: dict[str, object]) -> None:
    """Raise `DecodeError` `shared_extra_too_long` for fields that are too long to be kept with each of many rows."""
    if fields and len(extra_json(fields)) > SHARED_EXTRA_BYTES_MAX:
        message = f"the fields {shown(sorted(fields))} are longer than {SHARED_EXTRA_BYTES_MAX} bytes together"
        hint = "they are kept with every row of this payload: put them into a payload of their own"
        raise DecodeError(message, code="shared_extra_too_long", hint=hint)


def shared_extra(fields: dict[str, object], rejects: list[Reject]) -> dict[str, object]:
    """Return the fields that are kept with each of many rows: none, and a reject, where they are too long for that."""
    try:
        check_shared_extra(fields)
    except DecodeError as error:
        rejects.append(reject_of(error))
        return {}
    return fields


def shown(value: object) -> str:
    """Return a value's first characters for an error message, in ASCII."""
    try:
        text = value[: _SHOWN_CHARACTERS + 1] if isinstance(value, str) else repr(value)
    except RecursionError:
        text = type(value).__name__
    short = text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "..."
    return ascii(short) if isinstance(value, str) else short.encode("ascii", "backslashreplace").decode()


def _parts(payload: bytes) -> list[object]:
    if not payload.strip():
        raise DecodeError("the payload is empty", code="payload_empty")
    try:
        document: object = msgspec.json.decode(payload)
    except (ValueError, RecursionError):
        walk = _walk(payload.decode("utf-8", "surrogateescape").lstrip("\ufeff"))
        return list(itertools.islice(walk, PARTS_MAX + 1))
    return document if isinstance(document, list) else [document]


def _walk(text: str) -> Iterator[object]:
    """Yield the parts of a text that is not one valid JSON document, and last an error where it cannot go on."""
    at, in_array = 0, False
    while True:
        at = _skip_space(text, at)
        if at == len(text):
            if in_array:
                yield DecodeError(f"the payload ends within an array, after {at} characters", code="json_truncated")
            return
        if text[at] == "[" and not in_array:
            at, in_array = at + 1, True
        elif text[at] in ",]" and in_array:
            at, in_array = at + 1, text[at] == ","
        else:
            try:
                part, at = _TOLERANT.raw_decode(text, at)
            except (ValueError, RecursionError):
                yield DecodeError(f"not JSON from character {at} on", code="json_invalid")
                return
            yield part


def _skip_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return at if found is None else found.end()


def _finite(text: str) -> float | Unusable:
    value = float(text)
    return value if abs(value) != float("inf") else Unusable(text)


def _whole(text: str) -> int | Unusable:
    return int(text) if len(text) <= _INTEGER_DIGITS_MAX else Unusable(text)


def _usable(value: object) -> object:
    if isinstance(value, str) and not _is_unicode(value):
        return Unusable(value)
    if isinstance(value, list):
        return [_usable(each) for each in value]
    return value


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _usable_object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    return {name if _is_unicode(name) else ascii(name): _usable(value) for name, value in pairs}


_TOLERANT = json.JSONDecoder(
    parse_float=_finite, parse_int=_whole, parse_constant=Unusable, object_pairs_hook=_usable_object
)
