"""How schemes pack text into bits: 7-bit characters of the older ones, five further packings of TDS 2.

Every unpacking is strict: bits that stand for no allowed character raise `EpcCharacterError`, so that rubbish
never becomes a serial number that looks like one.
"""

import re
from enum import IntEnum

from devices.epc.errors import EpcCharacterError, EpcFormatError, EpcRangeError, EpcReservedBitsError

GS1_CHARACTERS = frozenset("!\"%&'()*+,-./0123456789:;<=>?ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz")
"""GS1 AI encodable character set 82 (General Specifications 7.11)."""
COMPONENT_CHARACTERS = frozenset("#-/0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ")
"""GS1 AI encodable character set 39, for component and part identifiers."""

_BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
"""RFC 4648, section 5."""
_CODE_40 = "\0ABCDEFGHIJKLMNOPQRSTUVWXYZ-.:0123456789"
"""URN Code 40 of ISO/IEC 15962; value 0 pads."""


def unpack_ascii(value: int, bits: int, *, field: str, characters_max: int) -> str:
    """Unpack 7-bit characters that end at the first zero one or at the field's end.

    Args:
        value: The field's bits.
        bits: How many there are.
        field: Its name, for the error.
        characters_max: Most characters that the scheme allows.

    Returns:
        One to `characters_max` characters.

    Raises:
        EpcCharacterError: Empty, or a character outside the GS1 set.
        EpcReservedBitsError: Something stands behind the end.
        EpcRangeError: Too many characters.

    Source:
        GS1 EPC Tag Data Standard 2.3, 14.4.2 (String).
    """
    octets = []
    shift = bits - 7
    while shift >= 0:
        code = (value >> shift) & 0x7F
        if code == 0:
            break
        octets.append(code)
        shift -= 7
    if value & ((1 << (shift + 7)) - 1):
        raise EpcReservedBitsError(where=f"bits behind the end of the {field}")
    if len(octets) > characters_max:
        raise EpcRangeError(field=f"length of the {field}", value=len(octets), wanted=f"at most {characters_max}")
    return require_characters(bytes(octets).decode("ascii"), field=field)


def pack_ascii(text: str, bits: int) -> int:
    """Pack 7-bit characters, filled up with zero bits on the right."""
    value = 0
    for octet in text.encode("ascii"):
        value = value << 7 | octet
    return value << (bits - 7 * len(text))


def require_characters(text: str, *, field: str, allowed: frozenset[str] = GS1_CHARACTERS) -> str:
    """Return a text, or raise `EpcCharacterError` if it is empty or has a character that is not allowed."""
    if not text:
        raise EpcCharacterError(field=field, found="nothing")
    if not allowed.issuperset(text):
        raise EpcCharacterError(field=field, found=f"{text!r}, where a character is not allowed")
    return text


class Packing(IntEnum):
    """How a TDS 2 text is packed; the value is its encoding indicator (TDS 2.3, Table E)."""

    INTEGER = 0
    """Digits, as one integer of just enough bits."""
    HEX_UPPER = 1
    """0-9 A-F, four bits each."""
    HEX_LOWER = 2
    """0-9 a-f, four bits each."""
    BASE64 = 3
    """0-9 A-Z a-z - _, six bits each."""
    ASCII = 4
    """The GS1 sets, seven bits each."""
    CODE_40 = 5
    """0-9 A-Z - . :, three in sixteen bits."""


_ALPHABET = {
    Packing.INTEGER: re.compile(r"[0-9]+"),
    Packing.HEX_UPPER: re.compile(r"[0-9A-F]+"),
    Packing.HEX_LOWER: re.compile(r"[0-9a-f]+"),
    Packing.BASE64: re.compile(r"[0-9A-Za-z_-]+"),
    Packing.CODE_40: re.compile(r"[0-9A-Z.:-]+"),
    Packing.ASCII: re.compile(r"[!\"#%-?A-Z_a-z]+"),
}


def integer_bits(digits: int) -> int:
    """Return how many bits hold every integer of so many decimal digits (TDS 2.3, Table B)."""
    return int(10**digits - 1).bit_length()


def packed_bits(packing: Packing, length: int) -> int:
    """Return how many bits a text of a length takes (TDS 2.3, Table B)."""
    match packing:
        case Packing.INTEGER:
            return integer_bits(length)
        case Packing.CODE_40:
            return 16 * ((length + 2) // 3)
        case Packing.HEX_UPPER | Packing.HEX_LOWER:
            return 4 * length
        case Packing.BASE64:
            return 6 * length
        case Packing.ASCII:
            return 7 * length


def unpack(packing: Packing, value: int, length: int, *, field: str) -> str:
    """Unpack a TDS 2 text of a known packing and length, 1 and up.

    Source:
        GS1 EPC Tag Data Standard 2.3, 14.5.6.1 to 14.5.6.6.
    """
    match packing:
        case Packing.INTEGER:
            if value >= 10**length:
                raise EpcRangeError(field=field, value=value, wanted=f"at most {length} digits")
            return str(value).zfill(length)
        case Packing.HEX_UPPER:
            return f"{value:0{length}X}"
        case Packing.HEX_LOWER:
            return f"{value:0{length}x}"
        case Packing.BASE64:
            return "".join(_BASE64[value >> shift & 0x3F] for shift in range(6 * length - 6, -1, -6))
        case Packing.ASCII:
            return "".join(chr(value >> shift & 0x7F) for shift in range(7 * length - 7, -1, -7))
        case Packing.CODE_40:
            return _unpack_code_40(value, length, field)


def _unpack_code_40(value: int, length: int, field: str) -> str:
    text = ""
    for shift in range(packed_bits(Packing.CODE_40, length) - 16, -1, -16):
        group = (value >> shift & 0xFFFF) - 1
        if not 0 <= group < 64000:
            raise EpcCharacterError(field=field, found=f"a URN Code 40 group of value {group + 1}")
        text += _CODE_40[group // 1600] + _CODE_40[group // 40 % 40] + _CODE_40[group % 40]
    if text[length:].strip("\0") or "\0" in text[:length]:
        raise EpcCharacterError(field=field, found="misplaced URN Code 40 padding")
    return text[:length]


def pack(text: str, *, field: str) -> tuple[Packing, int]:
    """Pack a TDS 2 text in the fewest bits.

    Returns:
        The packing and the bits; `packed_bits` tells how many.

    Raises:
        EpcFormatError: Empty, or a character outside the GS1 set.
    """
    able = [packing for packing, alphabet in _ALPHABET.items() if alphabet.fullmatch(text)]
    if not able:
        raise EpcFormatError(what=field, value=text, wanted="characters of the GS1 set")
    packing = min(able, key=lambda candidate: packed_bits(candidate, len(text)))
    return packing, _packed(packing, text)


def _packed(packing: Packing, text: str) -> int:
    match packing:
        case Packing.INTEGER:
            return int(text)
        case Packing.HEX_UPPER | Packing.HEX_LOWER:
            return int(text, 16)
        case Packing.ASCII:
            return pack_ascii(text, 7 * len(text))
        case Packing.BASE64:
            value = 0
            for character in text:
                value = value << 6 | _BASE64.index(character)
            return value
        case Packing.CODE_40:
            value = 0
            for start in range(0, len(text), 3):
                one, two, three = (_CODE_40.index(character) for character in text[start : start + 3].ljust(3, "\0"))
                value = value << 16 | (1600 * one + 40 * two + three + 1)
            return value
