"""The way in: hexadecimal or bytes to `Epc`, and identifiers to hexadecimal."""

from functools import lru_cache

from devices.epc import coding_tables, keys, partitioned, plus
from devices.epc.errors import (
    EpcFormatError,
    EpcHeaderError,
    EpcHexError,
    EpcLengthError,
    EpcReservedBitsError,
)
from devices.epc.model import Epc
from devices.errors import EpcError

CACHED_EPCS = 262_144
"""How many decoded EPCs `decode_epc` remembers. Some 700 bytes each, so about 180 MB when full; more items than a
large store holds, and a store's items are read thousands of times a day each."""

EPC_BITS_MAX = 496
"""EPC memory holds at most 31 words of 16 bits: the length field of the protocol-control word has five bits."""

_HEX_DIGITS = "0123456789ABCDEF"
_PARTITIONED = {f"{header:02X}": scheme for header, scheme in coding_tables.SCHEMES.items()}
_GID_HEADER = 0x35
_UNSUPPORTED = frozenset(
    # ADI-var, CPI-var, USDOD-96 and the `++` schemes of TDS 2.3.
    [0x3B, 0x3D, 0x2F, *range(0xE6, 0xF0), 0xFC, 0xFD]
)
_SPECIAL_HEADERS = {0x00: "epc_unprogrammed", 0xE2: "epc_tid_copy"}


@lru_cache(maxsize=CACHED_EPCS)
def decode_epc(epc_hex: str) -> Epc:
    """Decode what a reader reports as EPC, whatever it is.

    Args:
        epc_hex: EPC memory content as hexadecimal, either case.

    Returns:
        The EPC. Where it is no GS1 EPC that is decoded here, one with `scheme` `None` and the reason in `problem`:
        still a valid item. Never raises.
    """
    epc_hex = epc_hex.upper()
    try:
        return _decode(epc_hex)
    except EpcError as error:
        return Epc(hex=epc_hex, problem=error.code)


def parse_epc(epc: bytes) -> Epc:
    """Decode EPC memory strictly.

    Args:
        epc: EPC memory content, big-endian, without CRC and protocol-control words.

    Returns:
        The EPC; its `scheme` is never `None`.

    Raises:
        EpcError: The bits are no EPC of a scheme decoded here; the subclass and its `code` say why.
    """
    return _decode(epc.hex().upper())


def _decode(epc_hex: str) -> Epc:
    header = epc_hex[:2]
    scheme = _PARTITIONED.get(header)
    bits = 4 * len(epc_hex)
    # `int` takes underscores, blanks and foreign digits too; these two tests leave it the letters and digits.
    if scheme is not None and epc_hex.isascii() and epc_hex.isalnum() and bits <= EPC_BITS_MAX:
        try:
            value = int(epc_hex, 16)
        except ValueError:
            raise EpcHexError(epc_hex=epc_hex) from None
        if bits != scheme.bits:
            value = _without_padding(scheme.name, scheme.bits, value, bits)
        return partitioned.decode_partitioned(scheme, value, epc_hex)
    return _decode_rare(epc_hex)


def _decode_rare(epc_hex: str) -> Epc:
    if not epc_hex or epc_hex.strip(_HEX_DIGITS):
        raise EpcHexError(epc_hex=epc_hex)
    bits = 4 * len(epc_hex)
    if not 8 <= bits <= EPC_BITS_MAX:
        raise EpcLengthError(bits=bits, wanted=f"expected 8 to {EPC_BITS_MAX}")
    value = int(epc_hex, 16)
    header = value >> (bits - 8)
    plus_scheme = plus.SCHEMES.get(header)
    if plus_scheme is not None:
        return plus.decode_plus(plus_scheme, value, bits, epc_hex)
    if header == _GID_HEADER:
        return _gid(_without_padding("GID-96", 96, value, bits), epc_hex)
    unknown = "epc_scheme_unsupported" if header in _UNSUPPORTED else "epc_header_unknown"
    raise EpcHeaderError(epc_hex=epc_hex, code=_SPECIAL_HEADERS.get(header, unknown))


def _without_padding(scheme_name: str, wanted: int, value: int, bits: int) -> int:
    """Cut the padding off an EPC: it ends in zero bits up to the next word, or as far as a reader filled it up."""
    extra = bits - wanted
    if extra < 0:
        raise EpcLengthError(bits=bits, wanted=f"{scheme_name} has {wanted}")
    if value & ((1 << extra) - 1):
        raise EpcReservedBitsError(where=f"bits behind the end of {scheme_name}")
    return value >> extra


def _gid(value: int, epc_hex: str) -> Epc:
    manager, item_class, serial = value >> 60 & 0xFFFFFFF, value >> 36 & 0xFFFFFF, value & 0xFFFFFFFFF
    return Epc(
        hex=epc_hex,
        scheme="GID-96",
        uri=f"urn:epc:id:gid:{manager}.{item_class}.{serial}",
        serial=str(serial),
    )


def encode_tag_uri(uri: str) -> str:
    """Encode an EPC tag URI: the inverse of decoding, for every scheme that has one.

    Args:
        uri: Such as `urn:epc:tag:sgtin-96:3.0614141.812345.6789`.

    Returns:
        Upper-case hexadecimal, padded with zero bits to words of 16.

    Raises:
        EpcFormatError: The URI is of no scheme encoded here, or a field does not fit.
        EpcCharacterError: A serial number is empty or holds a character that GS1 does not allow.
    """
    head, _, fields = uri.removeprefix("urn:epc:tag:").partition(":")
    if uri.startswith("urn:epc:tag:") and head == "gid-96":
        return f"{_gid_bits(fields):024X}"
    scheme = coding_tables.SCHEMES_BY_NAME.get(head)
    if scheme is None or not uri.startswith("urn:epc:tag:"):
        raise EpcFormatError(what="tag URI", value=uri, wanted="urn:epc:tag: and a scheme encoded here")
    return _words(partitioned.fields_of_tag_uri(scheme, fields), scheme.bits)


def _gid_bits(fields: str) -> int:
    parts = fields.split(".")
    if len(parts) != 3 or not all(part.isascii() and part.isdigit() and str(int(part)) == part for part in parts):
        raise EpcFormatError(what="tag URI", value=fields, wanted="three numbers without leading zeros")
    manager, item_class, serial = (int(part) for part in parts)
    if manager >> 28 or item_class >> 24 or serial >> 36:
        raise EpcFormatError(what="tag URI", value=fields, wanted="numbers below 2**28, 2**24 and 2**36")
    return _GID_HEADER << 88 | manager << 60 | item_class << 36 | serial


def _words(value: int, bits: int) -> str:
    padding = -bits % 16
    return f"{value << padding:0{(bits + padding) // 4}X}"


def encode_sgtin96(gtin: str, serial: int | str, company_prefix_length: int, filter_value: int = 1) -> str:
    """Encode a serialised trade item as an SGTIN-96.

    Args:
        gtin: GTIN-14 with check digit.
        serial: 0 to 2**38 - 1, without leading zeros.
        company_prefix_length: Digits of the GS1 company prefix, 6 to 12. A GTIN alone does not tell.
        filter_value: 1 is a point-of-sale item, 2 a full case, 6 a unit load.

    Returns:
        24 upper-case hexadecimal digits.

    Raises:
        EpcFormatError: An argument is not of the form or range that the scheme wants.
        EpcCheckDigitError: The GTIN's check digit is wrong.
    """
    keys.require_digits("GTIN", gtin, 14)
    keys.require_check_digit("GTIN", gtin)
    prefix, reference = gtin[1 : 1 + company_prefix_length], gtin[0] + gtin[1 + company_prefix_length : 13]
    return _encode_96("sgtin-96", filter_value, prefix, reference, str(serial))


def encode_sscc96(sscc: str, company_prefix_length: int, filter_value: int = 0) -> str:
    """Encode a logistic unit as an SSCC-96.

    Args:
        sscc: 18 digits with check digit.
        company_prefix_length: Digits of the GS1 company prefix, 6 to 12.
        filter_value: 2 is a full case, 6 a unit load.
    """
    keys.require_digits("SSCC", sscc, 18)
    keys.require_check_digit("SSCC", sscc)
    prefix, reference = sscc[1 : 1 + company_prefix_length], sscc[0] + sscc[1 + company_prefix_length : 17]
    return _encode_96("sscc-96", filter_value, prefix, reference, None)


def encode_sgln96(gln: str, company_prefix_length: int, extension: int | str = 0, filter_value: int = 0) -> str:
    """Encode a location as an SGLN-96; extension 0 is a GLN without one.

    Args:
        gln: 13 digits with check digit.
        company_prefix_length: Digits of the GS1 company prefix, 6 to 12.
        extension: 0 to 2**41 - 1.
        filter_value: 0 unless agreed otherwise.
    """
    keys.require_digits("GLN", gln, 13)
    keys.require_check_digit("GLN", gln)
    prefix, reference = gln[:company_prefix_length], gln[company_prefix_length:12]
    return _encode_96("sgln-96", filter_value, prefix, reference, str(extension))


def encode_grai96(grai: str, serial: int | str, company_prefix_length: int, filter_value: int = 0) -> str:
    """Encode a returnable asset as a GRAI-96.

    Args:
        grai: 14 digits, the leading 0 and the check digit included, without the serial number.
        serial: 0 to 2**38 - 1.
        company_prefix_length: Digits of the GS1 company prefix, 6 to 12.
        filter_value: 0 unless agreed otherwise.
    """
    keys.require_digits("GRAI", grai, 14)
    keys.require_check_digit("GRAI", grai)
    if grai[0] != "0":
        raise EpcFormatError(what="GRAI", value=grai, wanted="a leading 0")
    prefix, reference = grai[1 : 1 + company_prefix_length], grai[1 + company_prefix_length : 13]
    return _encode_96("grai-96", filter_value, prefix, reference, str(serial))


def encode_giai96(giai: str, company_prefix_length: int, filter_value: int = 0) -> str:
    """Encode an individual asset as a GIAI-96.

    Args:
        giai: Company prefix and asset reference, digits only, the reference without leading zeros.
        company_prefix_length: Digits of the GS1 company prefix, 6 to 12.
        filter_value: 0 unless agreed otherwise.
    """
    return _encode_96("giai-96", filter_value, giai[:company_prefix_length], giai[company_prefix_length:], None)


def encode_gdti96(gdti: str, serial: int | str, company_prefix_length: int, filter_value: int = 0) -> str:
    """Encode a document as a GDTI-96.

    Args:
        gdti: 13 digits with check digit, without the serial number.
        serial: 0 to 2**41 - 1.
        company_prefix_length: Digits of the GS1 company prefix, 6 to 12.
        filter_value: 0 unless agreed otherwise.
    """
    keys.require_digits("GDTI", gdti, 13)
    keys.require_check_digit("GDTI", gdti)
    prefix, reference = gdti[:company_prefix_length], gdti[company_prefix_length:12]
    return _encode_96("gdti-96", filter_value, prefix, reference, str(serial))


def _encode_96(name: str, filter_value: int, prefix: str, reference: str, serial: str | None) -> str:
    scheme = coding_tables.SCHEMES_BY_NAME[name]
    value = partitioned.encode_partitioned(
        scheme, filter_value=filter_value, prefix=prefix, reference=reference, serial=serial
    )
    return f"{value:024X}"
