"""EPC schemes with a company prefix length, SGTIN-96 and its relatives, in both directions.

One decoder and one encoder work from the tables in `coding_tables`.
"""

from functools import lru_cache

import msgspec

from devices.epc import keys
from devices.epc.coding_tables import PREFIX_BITS, Form, Scheme
from devices.epc.errors import EpcFormatError, EpcPartitionError, EpcRangeError, EpcReservedBitsError
from devices.epc.model import Epc, escape_urn, unescape_urn
from devices.epc.text import pack_ascii, require_characters, unpack_ascii

_TEN_TO = tuple(10**digits for digits in range(20))


class _Head(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What stands before the tail: the same for every item of one article."""

    filter_value: int
    key: str
    """GS1 key, as far as it does not depend on the tail."""
    uri: str
    """Pure identity URI up to the serial number."""
    gtin: str | None


def decode_partitioned(scheme: Scheme, value: int, epc_hex: str) -> Epc:
    """Decode an EPC of a scheme with a company prefix length.

    Args:
        scheme: The scheme that its header names.
        value: Exactly `scheme.bits` bits.
        epc_hex: The same as it was given, for the result.

    Returns:
        The EPC; company prefix and reference keep their leading zeros.

    Raises:
        EpcPartitionError: The partition value is 7.
        EpcRangeError: A field's value has more digits than its partition allows.
        EpcCharacterError: A text field is empty or holds something other than GS1 characters.
        EpcReservedBitsError: Reserved bits are set.

    Source:
        GS1 EPC Tag Data Standard 2.3, 14.6; unchanged since 1.13.
    """
    tail = value & scheme.tail_mask
    # Written so that SGTIN-96, nearly all there is, takes the first branch and nothing else.
    if scheme.tail_is_integer:
        head = _remembered_head(scheme, value >> scheme.tail_bits)
        serial: str | None = str(tail)
        uri = f"{head.uri}.{serial}"
        key = f"{head.key}{serial}" if scheme.serial_in_key else head.key
    elif scheme.tail_form is Form.ZEROS:
        if tail:
            raise EpcReservedBitsError(where=f"the last {scheme.tail_bits} bits of {scheme.name}")
        head = _decode_head(scheme, value >> scheme.tail_bits)
        serial, key, uri = None, head.key, head.uri
    else:
        head = _remembered_head(scheme, value >> scheme.tail_bits)
        serial = _tail_text(scheme, tail)
        uri = f"{head.uri}.{escape_urn(serial)}"
        key = head.key + serial if scheme.serial_in_key else head.key
    return Epc(
        hex=epc_hex,
        scheme=scheme.name,
        uri=uri,
        gtin=head.gtin,
        serial=serial,
        gs1_key=key,
        filter_value=head.filter_value,
    )


def _decode_head(scheme: Scheme, value: int) -> _Head:
    shift = scheme.bits - scheme.tail_bits - 14
    partition = value >> shift & 7
    if partition == 7:
        raise EpcPartitionError(scheme=scheme.name, epc_partition=partition)
    shift -= PREFIX_BITS[partition]
    prefix = _digits(value >> shift & ((1 << PREFIX_BITS[partition]) - 1), 12 - partition, "company prefix")
    width = scheme.reference_bits[partition]
    shift -= width
    reference = _reference(scheme, partition, value >> shift & ((1 << width) - 1), width)
    key = scheme.key.build(prefix, reference)
    escaped = escape_urn(reference) if scheme.reference_form is Form.TEXT else reference
    uri = f"urn:epc:id:{scheme.key.urn}:{prefix}.{escaped}"
    gtin = key if scheme.key is keys.SGTIN or scheme.key is keys.ITIP else None
    if scheme.pieces:
        piece, total = _digits(value >> 7 & 0x7F, 2, "piece"), _digits(value & 0x7F, 2, "total")
        key += piece + total
        uri += f".{piece}.{total}"
    return _Head(filter_value=value >> (scheme.bits - scheme.tail_bits - 11) & 7, key=key, uri=uri, gtin=gtin)


# Serial numbers differ, articles repeat. 65,536 articles of some 500 bytes each are 32 MB; more than a store lists.
_remembered_head = lru_cache(maxsize=65_536)(_decode_head)


def _digits(value: int, digits: int, what: str) -> str:
    if value >= _TEN_TO[digits]:
        raise EpcRangeError(field=what, value=value, wanted=f"at most {digits} digits")
    return str(value).zfill(digits) if digits else ""


def _reference(scheme: Scheme, partition: int, value: int, width: int) -> str:
    form = scheme.reference_form
    if form is Form.DIGITS:
        return _digits(value, scheme.reference_sizes[partition], "reference")
    if form is Form.TEXT:
        return unpack_ascii(value, width, field="reference", characters_max=scheme.reference_sizes[partition])
    if scheme.reference_sizes and value >= _TEN_TO[scheme.reference_sizes[partition]]:
        size = scheme.reference_sizes[partition]
        raise EpcRangeError(field="reference", value=value, wanted=f"at most {size} digits")
    return str(value)


def _tail_text(scheme: Scheme, value: int) -> str:
    if scheme.tail_form is Form.TEXT:
        return unpack_ascii(value, scheme.tail_bits, field="serial number", characters_max=scheme.tail_size)
    text = str(value)
    if text[0] != "1" or not 1 < len(text) <= scheme.tail_size + 1:
        raise EpcRangeError(field="serial number", value=value, wanted=f"1 and then 1 to {scheme.tail_size} digits")
    return text[1:]


def encode_partitioned(
    scheme: Scheme, *, filter_value: int, prefix: str, reference: str, pieces: str = "", serial: str | None = None
) -> int:
    """Encode the fields of a tag URI, unescaped, to `scheme.bits` bits: the inverse of `decode_partitioned`.

    Raises:
        EpcFormatError: A field is not of the form, length or range that the scheme wants.
    """
    if not 0 <= filter_value <= 7:
        raise EpcFormatError(what="filter value", value=str(filter_value), wanted="0 to 7")
    partition = 12 - len(prefix)
    if not 0 <= partition <= 6:
        raise EpcFormatError(what="company prefix", value=prefix, wanted="6 to 12 digits")
    keys.require_digits("company prefix", prefix, 12 - partition)
    value = scheme.header << 6 | filter_value << 3 | partition
    value = value << PREFIX_BITS[partition] | int(prefix)
    width = scheme.reference_bits[partition]
    size = scheme.reference_sizes[partition] if scheme.reference_sizes else 0
    value = value << width | _encoded("reference", reference, scheme.reference_form, width, size)
    if scheme.pieces:
        keys.require_digits("piece and total", pieces, 4)
        value = value << 14 | int(pieces[:2]) << 7 | int(pieces[2:])
    if scheme.tail_form is Form.ZEROS:
        return value << scheme.tail_bits
    tail = _encoded("serial number", serial or "", scheme.tail_form, scheme.tail_bits, scheme.tail_size)
    return value << scheme.tail_bits | tail


def _encoded(what: str, text: str, form: Form, bits: int, size: int) -> int:
    if form is Form.TEXT:
        require_characters(text, field=what)
        if len(text) > size:
            raise EpcFormatError(what=what, value=text, wanted=f"at most {size} characters")
        return pack_ascii(text, bits)
    if form is Form.DIGITS:
        keys.require_digits(what, text, size)
        return int(text or "0")
    if not (text.isascii() and text.isdigit()):
        raise EpcFormatError(what=what, value=text, wanted="digits")
    if form is Form.NUMERIC_STRING:
        if len(text) > size:
            raise EpcFormatError(what=what, value=text, wanted=f"at most {size} digits")
        return int("1" + text)
    if str(int(text)) != text or int(text) >> bits or (size and len(text) > size):
        limit = f" of at most {size} digits" if size else ""
        raise EpcFormatError(what=what, value=text, wanted=f"a number without leading zeros below 2**{bits}{limit}")
    return int(text)


def fields_of_tag_uri(scheme: Scheme, text: str) -> int:
    """Encode what stands behind `urn:epc:tag:<scheme>:`, such as `3.0614141.812345.6789`."""
    wanted = 3 + 2 * scheme.pieces + (scheme.tail_form is not Form.ZEROS)
    # A serial number may hold dots of its own, the digits before it cannot.
    fields = text.split(".", wanted - 1)
    if len(fields) != wanted or len(fields[0]) != 1 or fields[0] not in "01234567":
        raise EpcFormatError(what="tag URI", value=text, wanted=f"{wanted} fields after {scheme.name}, filter first")
    filter_value, prefix, reference, *rest = fields
    return encode_partitioned(
        scheme,
        filter_value=int(filter_value),
        prefix=prefix,
        reference=unescape_urn(reference),
        pieces="".join(rest[:2]) if scheme.pieces else "",
        serial=unescape_urn(rest[-1]) if scheme.tail_form is not Form.ZEROS else None,
    )
