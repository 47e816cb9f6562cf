"""The `+` schemes of TDS 2: every packing, every boundary, and the inverse of decoding."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.epc import check_digit, decode_epc, encode_plus, parse_epc
from devices.epc.errors import (
    EpcCharacterError,
    EpcCheckDigitError,
    EpcFormatError,
    EpcLengthError,
    EpcRangeError,
    EpcReservedBitsError,
)
from devices.epc.text import GS1_CHARACTERS, Packing, integer_bits, pack, packed_bits, unpack

GTIN = "79521141123453"


def sgtin_plus(tail: str, *, head: str = "111101110011", gtin: str = GTIN) -> bytes:
    """Lay out an SGTIN+ from bits written by hand."""
    bits = head + "".join(f"{int(digit, 16):04b}" for digit in gtin) + tail
    bits = bits.ljust(len(bits) + -len(bits) % 16, "0")
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


@pytest.mark.parametrize(
    ("tail", "serial"),
    [
        ("0000010000000000101010", "0042"),  # integer: 14 bits hold four digits, zeros kept
        ("0010001010101111", "AF"),
        ("0100001010101111", "af"),
        ("01100010111110111111", "-_"),
        ("100000010101111", "/"),
        # URN Code 40, three in 16 bits: 1600*1 + 40*2 + 3 + 1 = ABC, then 1600*28 + 0 + 0 + 1 = "." and padding.
        ("1010010000000110100101001010111100000001", "ABC."),
    ],
)
def test_each_packing_by_hand(tail: str, serial: str) -> None:
    epc = parse_epc(sgtin_plus(tail))
    assert (epc.scheme, epc.gtin, epc.serial, epc.filter_value) == ("SGTIN+", GTIN, serial, 3)


@pytest.mark.parametrize(
    ("tail", "error"),
    [
        ("000000101100100", EpcRangeError),  # 100 in two digits
        ("00000000", EpcRangeError),  # no serial number
        ("00010101" + "0" * 80, EpcRangeError),  # 21 characters
        ("110000010000001", EpcRangeError),  # encoding indicator 6
        ("100000010100100", EpcCharacterError),  # a dollar sign
        ("100000010000000", EpcCharacterError),
        ("101000010000000000000000", EpcCharacterError),  # URN Code 40 counts from 1
        ("101000011111111111111111", EpcCharacterError),
        ("101000010000011010010100", EpcCharacterError),  # ABC where one character is announced
        ("101000110000011001000001", EpcCharacterError),  # A and padding where three are announced
        ("0010000110100001", EpcReservedBitsError),  # something behind the end
        ("100101000101111", EpcLengthError),  # 20 characters announced, one there
        ("", EpcRangeError),  # padding of the word says: length 0
    ],
)
def test_bits_that_are_no_serial_number(tail: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        parse_epc(sgtin_plus(tail))


def test_data_behind_the_epc_are_left_alone() -> None:
    """The toggle bit says that application identifiers follow: they do not change the identity."""
    epc = parse_epc(sgtin_plus("00100001101010110011", head="111101111011"))
    assert epc.serial == "A"


def test_keys_must_be_keys() -> None:
    with pytest.raises(EpcCheckDigitError):
        parse_epc(sgtin_plus("001000011010", gtin="79521141123454"))
    with pytest.raises(EpcCharacterError):
        parse_epc(sgtin_plus("001000011010", gtin="7952114112345A"))
    with pytest.raises(EpcRangeError):  # a GRAI begins with 0
        parse_epc(sgtin_plus("001000011010", head="111100010011"))


@pytest.mark.parametrize(
    ("key_bits", "error"),
    [
        ("FA3E85", EpcCharacterError),  # delimiter without digits
        ("FA3F", EpcCharacterError),
        ("FA31234A", EpcCharacterError),
        ("FA3" + "1" * 31 + "F", EpcRangeError),
        ("FA3" + "1" * 30 + "E8", EpcLengthError),
        ("FA31234", EpcLengthError),  # neither terminator nor delimiter
    ],
)
def test_digits_then_text(key_bits: str, error: type[Exception]) -> None:
    assert decode_epc("FA31234F").gs1_key == "1234"
    assert decode_epc(key_bits).problem == error.code  # type: ignore[attr-defined]


@pytest.mark.parametrize("date", ["000000", "221300", "990000"])
def test_impossible_dates(date: str) -> None:
    year, month, day = int(date[:2]), int(date[2:4]), int(date[4:])
    value = int("FB34", 16) << 16 | year << 9 | month << 5 | day
    assert decode_epc(f"{value:X}{GTIN}21A").problem == "epc_value_out_of_range"
    with pytest.raises(EpcFormatError):
        encode_plus("DSGTIN+", GTIN, "A", date=("17", date))


def test_unknown_date_type() -> None:
    assert decode_epc(f"FB372CDE{GTIN}21A").problem == "epc_value_out_of_range"


@given(st.integers(1, 90))
def test_integer_bits_are_just_enough(digits: int) -> None:
    assert 2 ** integer_bits(digits) >= 10**digits > 2 ** (integer_bits(digits) - 1)


gs1_texts = st.text(st.sampled_from(sorted(GS1_CHARACTERS)), min_size=1, max_size=20)
# Texts of few characters, so that every packing is met.
plain_texts = st.sampled_from(["0123456789", "09AF", "09af", "AZ-.:0", "aZ-_0"]).flatmap(
    lambda letters: st.text(letters, min_size=1, max_size=20)
)


@given(gs1_texts | plain_texts)
def test_pack_and_unpack(text: str) -> None:
    packing, value = pack(text, field="text")
    assert value < 1 << packed_bits(packing, len(text))
    assert unpack(packing, value, len(text), field="text") == text


@pytest.mark.parametrize(
    ("text", "packing"),
    [
        ("0042", Packing.INTEGER),
        ("00AF", Packing.HEX_UPPER),
        ("00af", Packing.HEX_LOWER),
        ("XYZ-00", Packing.CODE_40),
        ("xyz", Packing.BASE64),
        ("x/z", Packing.ASCII),
    ],
)
def test_the_shortest_packing_is_chosen(text: str, packing: Packing) -> None:
    assert pack(text, field="text")[0] is packing


@given(st.text("0123456789", min_size=13, max_size=13), gs1_texts | plain_texts, st.integers(0, 7))
def test_sgtin_plus_round_trip(body: str, serial: str, filter_value: int) -> None:
    gtin = body + check_digit(body)
    epc = decode_epc(encode_plus("SGTIN+", gtin, serial, filter_value=filter_value))
    assert (epc.gtin, epc.serial, epc.filter_value) == (gtin, serial, filter_value)


@given(st.text("0123456789", min_size=4, max_size=15), st.text("0123456789/Aa_", max_size=15))
def test_giai_plus_round_trip(digits: str, rest: str) -> None:
    assert decode_epc(encode_plus("GIAI+", digits + rest)).gs1_key == digits + rest


@pytest.mark.parametrize(
    ("scheme", "key", "serial", "uri"),
    [
        ("SGLN+", "9521141123454", "0", "https://id.gs1.org/414/9521141123454"),
        ("SSCC+", "095201234567891235", None, "https://id.gs1.org/00/095201234567891235"),
        ("GDTI+", "9521141123454", "A?b", "https://id.gs1.org/253/9521141123454A%3Fb"),
        ("GRAI+", "09521141123454", "007", "https://id.gs1.org/8003/09521141123454007"),
        ("SGCN+", "9521141678909", "04711", "https://id.gs1.org/255/952114167890904711"),
        ("CPI+", "9521141#5", "12", "https://id.gs1.org/8010/9521141%235/8011/12"),
        ("GIAI+", "95211411", None, "https://id.gs1.org/8004/95211411"),
    ],
)
def test_digital_link_is_the_identity(scheme: str, key: str, serial: str | None, uri: str) -> None:
    epc = decode_epc(encode_plus(scheme, key, serial))
    assert (epc.scheme, epc.uri, epc.tag_uri) == (scheme, uri, None)


@pytest.mark.parametrize(
    ("scheme", "key", "serial"),
    [
        ("SGTIN++", GTIN, "1"),
        ("SGTIN+", "7952114112345", "1"),
        ("SGTIN+", GTIN, ""),
        ("SGTIN+", GTIN, "a$"),
        ("SGTIN+", GTIN, "a" * 21),
        ("DSGTIN+", GTIN, "1"),
        ("SGCN+", "9521141678909", "A"),
        ("GIAI+", "A1", None),
        ("GIAI+", "1" * 31, None),
    ],
)
def test_encoder_refuses(scheme: str, key: str, serial: str | None) -> None:
    with pytest.raises(EpcFormatError):
        encode_plus(scheme, key, serial)
