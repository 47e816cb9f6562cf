"""Schemes with a company prefix length: boundaries of every partition, and the inverse of decoding."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.epc import (
    check_digit,
    decode_epc,
    encode_gdti96,
    encode_giai96,
    encode_grai96,
    encode_sgln96,
    encode_sgtin96,
    encode_sscc96,
    encode_tag_uri,
    parse_epc,
)
from devices.epc.coding_tables import PREFIX_BITS, SCHEMES, Form, Scheme
from devices.epc.errors import (
    EpcCharacterError,
    EpcCheckDigitError,
    EpcFormatError,
    EpcLengthError,
    EpcPartitionError,
    EpcRangeError,
    EpcReservedBitsError,
)
from devices.epc.text import GS1_CHARACTERS

EVERY_PARTITION = [(scheme, partition) for scheme in SCHEMES.values() for partition in range(7)]
NAMES = [f"{scheme.name}-p{partition}" for scheme, partition in EVERY_PARTITION]


def bits_of(scheme: Scheme, partition: int, *, prefix: int, reference: int, tail: int) -> str:
    """Lay out an EPC by hand, so that values are possible that no encoder would write."""
    value = scheme.header << 6 | 1 << 3 | partition
    value = value << PREFIX_BITS[partition] | prefix
    value = value << scheme.reference_bits[partition] | reference
    if scheme.pieces:
        value = value << 14 | 1 << 7 | 2
    value = value << scheme.tail_bits | tail
    padding = -scheme.bits % 16
    return f"{value << padding:0{(scheme.bits + padding) // 4}X}"


def some_tail(scheme: Scheme) -> int:
    if scheme.tail_form is Form.TEXT:
        return ord("a") << (scheme.tail_bits - 7)
    return {Form.ZEROS: 0, Form.NUMERIC_STRING: 17, Form.INTEGER: 7}[scheme.tail_form]


def some_reference(scheme: Scheme, partition: int) -> int:
    return ord("a") << (scheme.reference_bits[partition] - 7) if scheme.reference_form is Form.TEXT else 0


@pytest.mark.parametrize(("scheme", "partition"), EVERY_PARTITION, ids=NAMES)
def test_company_prefix_boundaries(scheme: Scheme, partition: int) -> None:
    """All nines is the largest prefix; one more is not a prefix, though the bits would hold it."""
    digits = 12 - partition
    rest = {"reference": some_reference(scheme, partition), "tail": some_tail(scheme)}
    largest = decode_epc(bits_of(scheme, partition, prefix=10**digits - 1, **rest))
    smallest = decode_epc(bits_of(scheme, partition, prefix=0, **rest))
    beyond = decode_epc(bits_of(scheme, partition, prefix=10**digits, **rest))
    assert largest.uri is not None
    assert largest.uri.split(":")[4].startswith("9" * digits + ".")
    assert smallest.uri is not None
    assert smallest.uri.split(":")[4].startswith("0" * digits + ".")
    assert (beyond.scheme, beyond.problem) == (None, "epc_value_out_of_range")


@pytest.mark.parametrize(
    ("scheme", "partition"),
    [(scheme, partition) for scheme, partition in EVERY_PARTITION if scheme.reference_form is not Form.TEXT],
)
def test_reference_boundaries(scheme: Scheme, partition: int) -> None:
    """References end at their digits, where the standard counts them, else at their bits."""
    tail = some_tail(scheme)
    if not scheme.reference_sizes:
        largest = (1 << scheme.reference_bits[partition]) - 1
        assert decode_epc(bits_of(scheme, partition, prefix=1, reference=largest, tail=tail)).gs1_key is not None
        return
    digits = scheme.reference_sizes[partition]
    largest = min(10**digits, 1 << scheme.reference_bits[partition]) - 1
    epc = decode_epc(bits_of(scheme, partition, prefix=1, reference=largest, tail=tail))
    assert epc.uri is not None
    wanted = "" if digits == 0 else str(largest)
    assert epc.uri.split(":")[4].split(".")[1] == wanted
    if 10**digits < 1 << scheme.reference_bits[partition]:
        beyond = decode_epc(bits_of(scheme, partition, prefix=1, reference=10**digits, tail=tail))
        assert beyond.problem == "epc_value_out_of_range"


@pytest.mark.parametrize(("scheme", "partition"), EVERY_PARTITION, ids=NAMES)
def test_every_partition_round_trips(scheme: Scheme, partition: int) -> None:
    given_hex = bits_of(
        scheme, partition, prefix=12, reference=some_reference(scheme, partition), tail=some_tail(scheme)
    )
    epc = decode_epc(given_hex)
    assert epc.tag_uri is not None
    assert epc.filter_value == 1
    assert encode_tag_uri(epc.tag_uri) == given_hex


@pytest.mark.parametrize("scheme", SCHEMES.values(), ids=[scheme.name for scheme in SCHEMES.values()])
def test_partition_seven_is_no_partition(scheme: Scheme) -> None:
    padding = -scheme.bits % 16
    value = (scheme.header << 6 | 7) << (scheme.bits - 14 + padding)
    octets = value.to_bytes((scheme.bits + padding) // 8, "big")
    with pytest.raises(EpcPartitionError) as caught:
        parse_epc(octets)
    assert caught.value.code == "epc_partition_invalid"
    assert decode_epc(octets.hex()).problem == "epc_partition_invalid"


@pytest.mark.parametrize("scheme", SCHEMES.values(), ids=[scheme.name for scheme in SCHEMES.values()])
def test_length(scheme: Scheme) -> None:
    """Zero padding of any length is padding; set bits are something else, and less is not an EPC."""
    whole = bits_of(scheme, 5, prefix=12, reference=some_reference(scheme, 5), tail=some_tail(scheme))
    padded = decode_epc(whole + "00000000")
    plain = decode_epc(whole)
    assert (padded.uri, padded.gs1_key) == (plain.uri, plain.gs1_key)
    assert padded.hex == whole + "00000000"
    with pytest.raises(EpcReservedBitsError):
        parse_epc(bytes.fromhex(whole + "0001"))
    with pytest.raises(EpcLengthError):
        parse_epc(bytes.fromhex(whole)[: (scheme.bits - 1) // 8])


def test_reserved_bits_of_sscc_must_be_zero() -> None:
    with pytest.raises(EpcReservedBitsError):
        parse_epc(bytes.fromhex("311BA1B300CE0A6A83000001"))


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", EpcCharacterError),
        ("a$", EpcCharacterError),  # a dollar sign is ASCII, not GS1
        ("a\0b", EpcReservedBitsError),
    ],
)
def test_text_is_gs1_text(text: str, error: type[Exception]) -> None:
    packed = 0
    for character in text.ljust(20, "\0"):
        packed = packed << 7 | ord(character)
    epc_hex = bits_of(SCHEMES[0x36], 5, prefix=614141, reference=812345, tail=packed)
    with pytest.raises(error):
        parse_epc(bytes.fromhex(epc_hex))


def test_text_boundaries() -> None:
    """Twenty characters fit an SGTIN-198; the asset reference of a GIAI-202 has more bits than it may use."""
    longest = encode_tag_uri("urn:epc:tag:sgtin-198:1.0614141.812345.ABCDEFGHIJKLMNOPQRST")
    assert decode_epc(longest).serial == "ABCDEFGHIJKLMNOPQRST"
    with pytest.raises(EpcFormatError):
        encode_tag_uri("urn:epc:tag:sgtin-198:1.0614141.812345.ABCDEFGHIJKLMNOPQRSTU")
    longest = encode_tag_uri("urn:epc:tag:giai-202:1.061414112345.ABCDEFGHIJKLMNOPQR")
    assert decode_epc(longest).gs1_key == "061414112345ABCDEFGHIJKLMNOPQR"
    packed = 0
    for character in "ABCDEFGHIJKLMNOPQRS":
        packed = packed << 7 | ord(character)
    packed <<= 148 - 19 * 7
    with pytest.raises(EpcRangeError):
        parse_epc(bytes.fromhex(bits_of(SCHEMES[0x38], 0, prefix=61414112345, reference=packed, tail=0)))


def digit_texts(length: int) -> st.SearchStrategy[str]:
    return st.text("0123456789", min_size=length, max_size=length)


@st.composite
def tag_uris(draw: st.DrawFn) -> str:
    """Any EPC tag URI of any scheme, written from its fields."""
    scheme = draw(st.sampled_from(list(SCHEMES.values())))
    partition = draw(st.integers(0, 6))
    fields = [str(draw(st.integers(0, 7))), draw(digit_texts(12 - partition))]
    sizes = scheme.reference_sizes
    fields.append(
        draw(field_texts(scheme.reference_form, scheme.reference_bits[partition], sizes[partition] if sizes else 0))
    )
    if scheme.pieces:
        fields += [draw(digit_texts(2)), draw(digit_texts(2))]
    if scheme.tail_form is not Form.ZEROS:
        fields.append(draw(field_texts(scheme.tail_form, scheme.tail_bits, scheme.tail_size)))
    return f"urn:epc:tag:{scheme.name.lower()}:{'.'.join(fields)}"


def field_texts(form: Form, bits: int, size: int) -> st.SearchStrategy[str]:
    if form is Form.TEXT:
        text = st.text(st.sampled_from(sorted(GS1_CHARACTERS)), min_size=1, max_size=size)
        return text.map(escaped_as_annex_a)
    if form is Form.DIGITS:
        return digit_texts(size)
    if form is Form.NUMERIC_STRING:
        return st.text("0123456789", min_size=1, max_size=size)
    return st.integers(0, min((1 << bits) - 1, 10**size - 1 if size else (1 << bits) - 1)).map(str)


def escaped_as_annex_a(text: str) -> str:
    table = {'"': "%22", "%": "%25", "&": "%26", "/": "%2F", "<": "%3C", ">": "%3E", "?": "%3F"}
    return "".join(table.get(character, character) for character in text)


@given(tag_uris())
def test_tag_uri_round_trip(uri: str) -> None:
    """Encoding a tag URI and decoding the bits gives the same URI, for all schemes and every allowed character."""
    epc_hex = encode_tag_uri(uri)
    epc = decode_epc(epc_hex)
    assert epc.tag_uri == uri
    assert parse_epc(bytes.fromhex(epc_hex)) == epc


@given(digit_texts(13), st.integers(0, 2**38 - 1), st.integers(6, 12), st.integers(0, 7))
def test_sgtin_round_trip(body: str, serial: int, company_prefix_length: int, filter_value: int) -> None:
    gtin = body + check_digit(body)
    epc = decode_epc(encode_sgtin96(gtin, serial, company_prefix_length, filter_value))
    assert (epc.gtin, epc.serial, epc.filter_value) == (gtin, str(serial), filter_value)


def test_key_encoders_invert_decoding() -> None:
    """One each, from the standard's annex E.3."""
    assert encode_sgtin96("09506000134352", 6789, 11, 3) == "3066C4409047E14000001A85"
    assert encode_sscc96("095201234567891235", 6) == "311BA1B300CE0A6A83000000"
    assert encode_sgln96("9521141123454", 7, 5678, 3) == "3276451FD46072000000162E"
    assert encode_grai96("09521141123454", 5678, 7, 3) == "3376451FD40C0E400000162E"
    assert encode_giai96("95211415678", 7, 3) == "3476451FD40000000000162E"
    assert encode_gdti96("9521141123454", 5678, 7, 3) == "2C76451FD46072000000162E"


@given(st.text("0123456789", min_size=1, max_size=20))
def test_check_digit_against_the_rule_in_words(digits: str) -> None:
    """From the right, every first digit counts three times; the check digit fills up to tens."""
    total = sum(int(digit) * (3 if place % 2 == 0 else 1) for place, digit in enumerate(reversed(digits)))
    assert (total + int(check_digit(digits))) % 10 == 0


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("09506000134353", 1, 7), EpcCheckDigitError),
        (("9506000134352", 1, 7), EpcFormatError),
        (("09506000134352", 2**38, 7), EpcFormatError),
        (("09506000134352", -1, 7), EpcFormatError),
        (("09506000134352", "007", 7), EpcFormatError),
        (("09506000134352", 1, 5), EpcFormatError),
        (("09506000134352", 1, 13), EpcFormatError),
        (("09506000134352", 1, 7, 8), EpcFormatError),
        (("\u06609506000134352", 1, 7), EpcFormatError),
    ],
)
def test_sgtin_encoder_refuses(arguments: tuple[str, int, int], error: type[Exception]) -> None:
    with pytest.raises(error):
        encode_sgtin96(*arguments)


@pytest.mark.parametrize(
    "uri",
    [
        "urn:epc:id:sgtin:0614141.812345.6789",
        "urn:epc:tag:sgtin-64:3.0614141.812345.6789",
        "urn:epc:tag:sgtin-96:8.0614141.812345.6789",
        "urn:epc:tag:sgtin-96:3.0614141.81234.6789",
        "urn:epc:tag:sgtin-96:3.0614141.812345",
        "urn:epc:tag:sgtin-96:3.0614141.812345.06789",
        "urn:epc:tag:gid-96:1.2",
        "urn:epc:tag:gid-96:268435456.0.0",
        "",
    ],
)
def test_tag_uri_encoder_refuses(uri: str) -> None:
    with pytest.raises(EpcFormatError):
        encode_tag_uri(uri)
