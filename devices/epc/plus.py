"""EPC schemes of TDS 2 that end in `+`, in both directions.

They carry the GS1 key's digits as they are, four bits each, without a company prefix length. Each is header
(8 bits), a bit that says whether further data follow the EPC, filter value (3), for DSGTIN+ a date, and then
components in a packing of their own. `SCHEMES` is the standard's tables as data.
"""

from dataclasses import dataclass
from enum import StrEnum

from devices.epc import keys
from devices.epc.errors import EpcCharacterError, EpcFormatError, EpcLengthError, EpcRangeError, EpcReservedBitsError
from devices.epc.keys import GS1Key
from devices.epc.model import Epc, digital_link, identity_parts
from devices.epc.text import (
    COMPONENT_CHARACTERS,
    GS1_CHARACTERS,
    Packing,
    integer_bits,
    pack,
    packed_bits,
    require_characters,
    unpack,
)

DATE_AIS = ("11", "13", "15", "16", "17", "7006", "7007")
"""Application identifiers of a DSGTIN+'s date, by its date type indicator (TDS 2.3, 14.5.3)."""

_DELIMITER, _TERMINATOR = 0xE, 0xF
"""After a run of digits: text follows, or nothing does (TDS 2.3, 14.5.5)."""


class Component(StrEnum):
    """How a component is written in bits (TDS 2.3, 14.5)."""

    DIGITS = "digits"
    """A fixed number of digits, four bits each (14.5.4)."""
    TEXT = "text"
    """Packing (3 bits), length (5 bits), packed characters (14.5.6)."""
    NUMBER = "number"
    """Length (4 bits), integer of just enough bits (14.5.13)."""
    DIGITS_THEN_TEXT = "digits_then_text"
    """Digits of four bits to a terminator, or to a delimiter with text behind it (14.5.5)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PlusScheme:
    """A `+` scheme."""

    name: str
    """Name as the standard writes it."""
    header: int
    """First byte."""
    key: GS1Key
    """GS1 key that it carries."""
    digits: int = 0
    """How many digits the key begins with; 0 for a key of digits and then text."""
    checked: int = 0
    """How many of these digits end in their check digit."""
    tail: Component | None = None
    """What stands behind the digits: a serial number, or the rest of the key."""
    size: int = 0
    """Most digits or characters of the tail, or of a key of digits and then text."""
    dated: bool = False
    """Whether a date stands before the key (DSGTIN+)."""
    characters: frozenset[str] = GS1_CHARACTERS
    """Characters that text may hold."""


SCHEMES: dict[int, PlusScheme] = {
    scheme.header: scheme
    for scheme in (
        PlusScheme(
            name="CPI+", header=0xF0, key=keys.CPI, tail=Component.NUMBER, size=30, characters=COMPONENT_CHARACTERS
        ),
        PlusScheme(name="GRAI+", header=0xF1, key=keys.GRAI, digits=14, checked=14, tail=Component.TEXT, size=16),
        PlusScheme(name="SGLN+", header=0xF2, key=keys.SGLN, digits=13, checked=13, tail=Component.TEXT, size=20),
        PlusScheme(name="ITIP+", header=0xF3, key=keys.ITIP, digits=18, checked=14, tail=Component.TEXT, size=20),
        PlusScheme(name="GSRN+", header=0xF4, key=keys.GSRN, digits=18, checked=18),
        PlusScheme(name="GSRNP+", header=0xF5, key=keys.GSRNP, digits=18, checked=18),
        PlusScheme(name="GDTI+", header=0xF6, key=keys.GDTI, digits=13, checked=13, tail=Component.TEXT, size=17),
        PlusScheme(name="SGTIN+", header=0xF7, key=keys.SGTIN, digits=14, checked=14, tail=Component.TEXT, size=20),
        PlusScheme(name="SGCN+", header=0xF8, key=keys.SGCN, digits=13, checked=13, tail=Component.NUMBER, size=12),
        PlusScheme(name="SSCC+", header=0xF9, key=keys.SSCC, digits=18, checked=18),
        PlusScheme(name="GIAI+", header=0xFA, key=keys.GIAI, size=30),
        PlusScheme(
            name="DSGTIN+",
            header=0xFB,
            key=keys.SGTIN,
            digits=14,
            checked=14,
            tail=Component.TEXT,
            size=20,
            dated=True,
        ),
    )
}
"""Schemes by header (TDS 2.3, 14.6, and TDT table F for the components)."""

SCHEMES_BY_NAME: dict[str, PlusScheme] = {scheme.name: scheme for scheme in SCHEMES.values()}
"""Schemes by name."""

_SERIAL_IS_APART = (keys.SGTIN, keys.SGLN, keys.ITIP, keys.CPI)
_COMPONENT_SERIAL_DIGITS = 12


class _Bits:
    """A cursor over the bits of an EPC."""

    __slots__ = ("_count", "_value", "at")

    def __init__(self, value: int, count: int) -> None:
        self._value, self._count, self.at = value, count, 0

    def take(self, count: int) -> int:
        self.at += count
        if self.at > self._count:
            raise EpcLengthError(bits=self._count, wanted=f"its fields need at least {self.at}")
        return self._value >> (self._count - self.at) & ((1 << count) - 1)

    def rest(self) -> int:
        return self._value & ((1 << (self._count - self.at)) - 1)


def decode_plus(scheme: PlusScheme, value: int, bits: int, epc_hex: str) -> Epc:
    """Decode an EPC of a `+` scheme. Data that follow the EPC, where its toggle bit says so, are left alone.

    Raises:
        EpcLengthError: It ends before its fields do.
        EpcRangeError: A field's value is not possible.
        EpcCharacterError: A field holds something other than its characters.
        EpcCheckDigitError: The key's check digit is wrong.
        EpcReservedBitsError: No data follow, yet bits are set behind the end.

    Source:
        GS1 EPC Tag Data Standard 2.3, 14.5 and 14.6.
    """
    reader = _Bits(value, bits)
    reader.take(8)
    data_follow, filter_value = reader.take(1), reader.take(3)
    date_ai, date = _take_date(reader) if scheme.dated else (None, None)
    if scheme.digits:
        gs1_key = _take_digits(reader, scheme.digits)
        keys.require_check_digit(scheme.key.urn.upper(), gs1_key[: scheme.checked])
        if scheme.key is keys.GRAI and gs1_key[0] != "0":
            raise EpcRangeError(field="first digit of the GRAI", value=gs1_key[0], wanted="0")
    else:
        gs1_key = _take_digits_then_text(reader, scheme)
    serial = _take_tail(reader, scheme)
    if not data_follow and reader.rest():
        raise EpcReservedBitsError(where=f"bits behind the end of {scheme.name}")
    if serial is not None and scheme.key not in _SERIAL_IS_APART:
        gs1_key += serial
    return Epc(
        hex=epc_hex,
        scheme=scheme.name,
        uri=digital_link(identity_parts(scheme.key, gs1_key, serial)),
        gtin=gs1_key[:14] if scheme.key in (keys.SGTIN, keys.ITIP) else None,
        serial=serial,
        gs1_key=gs1_key,
        filter_value=filter_value,
        date_ai=date_ai,
        date=date,
    )


def _take_date(reader: _Bits) -> tuple[str, str]:
    kind = reader.take(4)
    if kind >= len(DATE_AIS):
        raise EpcRangeError(field="date type", value=kind, wanted=f"0 to {len(DATE_AIS) - 1}")
    year, month, day = reader.take(7), reader.take(4), reader.take(5)
    date = f"{year:02d}{month:02d}{day:02d}"
    if year > 99 or not 1 <= month <= 12:
        raise EpcRangeError(field="date", value=date, wanted="a date YYMMDD")
    return DATE_AIS[kind], date


def _take_digits(reader: _Bits, count: int) -> str:
    text = f"{reader.take(4 * count):0{count}X}"
    if not text.isdigit():
        raise EpcCharacterError(field="key", found=f"{text}, where only digits are allowed")
    return text


def _take_tail(reader: _Bits, scheme: PlusScheme) -> str | None:
    if scheme.tail is None:
        return None
    if scheme.tail is Component.TEXT:
        return _take_text(reader, scheme.size, scheme.characters)
    size = scheme.size if scheme.digits else _COMPONENT_SERIAL_DIGITS
    length = reader.take(4)
    if not 1 <= length <= size:
        raise EpcRangeError(field="length of the serial number", value=length, wanted=f"1 to {size}")
    return unpack(Packing.INTEGER, reader.take(integer_bits(length)), length, field="serial number")


def _take_text(reader: _Bits, size: int, allowed: frozenset[str]) -> str:
    indicator, length = reader.take(3), reader.take(5)
    if indicator > max(Packing):
        raise EpcRangeError(field="encoding indicator", value=indicator, wanted=f"0 to {max(Packing)}")
    if not 1 <= length <= size:
        raise EpcRangeError(field="length of the serial number", value=length, wanted=f"1 to {size}")
    packing = Packing(indicator)
    packed = reader.take(packed_bits(packing, length))
    return require_characters(
        unpack(packing, packed, length, field="serial number"), field="serial number", allowed=allowed
    )


def _take_digits_then_text(reader: _Bits, scheme: PlusScheme) -> str:
    digits = ""
    while (nibble := reader.take(4)) < 10:
        digits += str(nibble)
        if len(digits) > scheme.size:
            raise EpcRangeError(field="length of the key", value=len(digits), wanted=f"at most {scheme.size}")
    if nibble == _TERMINATOR and digits:
        return digits
    if nibble != _DELIMITER or not digits:
        raise EpcCharacterError(field="key", found=f"{nibble:X} after {len(digits)} digits")
    return digits + _take_text(reader, scheme.size - len(digits), scheme.characters)


def encode_plus(
    scheme_name: str,
    key: str,
    serial: str | None = None,
    *,
    filter_value: int = 0,
    date: tuple[str, str] | None = None,
) -> str:
    """Encode a GS1 key as an EPC of a `+` scheme: the inverse of decoding one.

    Args:
        scheme_name: Such as `SGTIN+`.
        key: Value of the key with its check digit. For GRAI, GDTI and SGCN the digits up to the check digit.
        serial: Serial number or extension, where the scheme has one.
        filter_value: 0 to 7.
        date: For DSGTIN+, application identifier and YYMMDD.

    Returns:
        Upper-case hexadecimal, padded with zero bits to words of 16.

    Raises:
        EpcFormatError: Something is not of the form that the scheme wants.
        EpcCheckDigitError: The key's check digit is wrong.
    """
    scheme = SCHEMES_BY_NAME.get(scheme_name)
    if scheme is None:
        raise EpcFormatError(what="scheme", value=scheme_name, wanted=", ".join(SCHEMES_BY_NAME))
    if not 0 <= filter_value <= 7:
        raise EpcFormatError(what="filter value", value=str(filter_value), wanted="0 to 7")
    fields = [(scheme.header, 8), (filter_value, 4)]
    if scheme.dated:
        fields += _date_fields(date)
    if scheme.digits:
        keys.require_digits("key", key, scheme.digits)
        keys.require_check_digit(scheme.key.urn.upper(), key[: scheme.checked])
        fields.append((int(key, 16), 4 * scheme.digits))
    else:
        fields += _digits_then_text_fields(scheme, key)
    if scheme.tail is not None:
        fields += _tail_fields(scheme, serial or "")
    value = bits = 0
    for field_value, field_bits in fields:
        value, bits = value << field_bits | field_value, bits + field_bits
    padding = -bits % 16
    return f"{value << padding:0{(bits + padding) // 4}X}"


def _date_fields(date: tuple[str, str] | None) -> list[tuple[int, int]]:
    ai, text = date or ("", "")
    if ai not in DATE_AIS:
        raise EpcFormatError(what="date", value=ai, wanted=f"one of {', '.join(DATE_AIS)}")
    keys.require_digits("date", text, 6)
    year, month, day = int(text[:2]), int(text[2:4]), int(text[4:])
    if not 1 <= month <= 12 or day > 31:
        raise EpcFormatError(what="date", value=text, wanted="a date YYMMDD")
    return [(DATE_AIS.index(ai), 4), (year, 7), (month, 4), (day, 5)]


def _text_fields(text: str, size: int, allowed: frozenset[str]) -> list[tuple[int, int]]:
    if len(text) > size or not allowed.issuperset(text):
        raise EpcFormatError(what="serial number", value=text, wanted=f"at most {size} characters of the GS1 set")
    packing, value = pack(text, field="serial number")
    return [(packing, 3), (len(text), 5), (value, packed_bits(packing, len(text)))]


def _tail_fields(scheme: PlusScheme, serial: str) -> list[tuple[int, int]]:
    if scheme.tail is Component.TEXT:
        return _text_fields(serial, scheme.size, scheme.characters)
    size = scheme.size if scheme.digits else _COMPONENT_SERIAL_DIGITS
    if not (serial.isascii() and serial.isdigit() and len(serial) <= size):
        raise EpcFormatError(what="serial number", value=serial, wanted=f"1 to {size} digits")
    return [(len(serial), 4), (int(serial), integer_bits(len(serial)))]


def _digits_then_text_fields(scheme: PlusScheme, key: str) -> list[tuple[int, int]]:
    head = key[: len(key) - len(key.lstrip("0123456789"))]
    if not head or len(key) > scheme.size:
        raise EpcFormatError(what="key", value=key, wanted=f"digits first, at most {scheme.size} characters")
    fields = [(int(head, 16), 4 * len(head))]
    if head == key:
        return [*fields, (_TERMINATOR, 4)]
    text = key[len(head) :]
    return [*fields, (_DELIMITER, 4), *_text_fields(text, scheme.size - len(head), scheme.characters)]
