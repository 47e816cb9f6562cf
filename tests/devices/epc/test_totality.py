"""Whatever a tag holds, it is an item: `decode_epc` never raises, `parse_epc` raises only its own errors."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.epc import decode_epc, parse_epc
from devices.epc.codec import CACHED_EPCS
from devices.errors import EpcError, Recovery

HEADERS = st.integers(0, 255).map(lambda header: f"{header:02X}")
HEX = st.text("0123456789ABCDEFabcdef", max_size=140)


@given(st.text() | HEX | st.builds(str.__add__, HEADERS, HEX))
def test_decode_epc_is_total(text: str) -> None:
    epc = decode_epc(text)
    assert epc.hex == text.upper()
    assert (epc.scheme is None) == (epc.problem is not None)
    assert (epc.scheme is None) == (epc.uri is None)
    assert epc.tag_uri is None or epc.tag_uri.startswith("urn:epc:tag:")
    assert epc.element_string is None or epc.element_string.startswith("(")


@given(
    st.binary(max_size=70) | st.builds(lambda header, rest: bytes([header]) + rest, st.integers(0, 255), st.binary())
)
def test_parse_epc_raises_only_its_own(octets: bytes) -> None:
    with contextlib.suppress(EpcError):
        assert parse_epc(octets) == decode_epc(octets.hex().upper())


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "epc_hex_invalid"),
        ("XYZ", "epc_hex_invalid"),
        ("0x3066C4409047E14000001A85", "epc_hex_invalid"),
        ("3066C4409047E14000001A8_5", "epc_hex_invalid"),
        ("30 66C4409047E14000001A85", "epc_hex_invalid"),
        ("٣066C4409047E14000001A85", "epc_hex_invalid"),
        ("30٦6C4409047E14000001A85", "epc_hex_invalid"),
        ("3", "epc_length_invalid"),
        ("30", "epc_length_invalid"),
        ("30" + "0" * 130, "epc_length_invalid"),
        ("000000000000000000000000", "epc_unprogrammed"),
        ("E2003412012345678901234567", "epc_tid_copy"),
        ("E280116060000209", "epc_tid_copy"),
        ("FF00", "epc_header_unknown"),
        ("AABBCCDD", "epc_header_unknown"),
        ("2F320434147455900000162E", "epc_scheme_unsupported"),
    ],
)
def test_reasons(text: str, code: str) -> None:
    epc = decode_epc(text)
    assert (epc.scheme, epc.uri, epc.gtin, epc.problem) == (None, None, None, code)


def test_errors_are_for_quarantine() -> None:
    with pytest.raises(EpcError) as caught:
        parse_epc(b"")
    assert caught.value.recovery is Recovery.QUARANTINE


def test_memory_is_bounded() -> None:
    assert decode_epc.cache_info().maxsize == CACHED_EPCS == 262_144
