"""Promise: memory content comes out as the bytes that were sent, in upper-case hexadecimal, or not at all."""

import base64
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.tag_memory import (
    EPC_BYTES_MAX,
    MEMORY_BYTES_MAX,
    TagMemoryError,
    epc_from_base64url,
    epc_from_hex,
    memory_from_base64url,
    memory_from_hex,
)

epcs = st.binary(min_size=1, max_size=EPC_BYTES_MAX)


@given(epcs)
def test_hexadecimal_of_either_case(content: bytes) -> None:
    assert epc_from_hex(content.hex()) == epc_from_hex(content.hex().upper()) == content.hex().upper()


@given(content=epcs, url_safe=st.booleans(), padded=st.booleans())
def test_base64_of_either_alphabet_with_or_without_padding(content: bytes, *, url_safe: bool, padded: bool) -> None:
    text = (base64.urlsafe_b64encode if url_safe else base64.b64encode)(content).decode()
    assert epc_from_base64url(text if padded else text.rstrip("=")) == content.hex().upper()


@pytest.mark.parametrize(("text", "expected"), [("4oARYGAAAgpmgfI_", "E28011606000020A6681F23F"), ("NAA=", "3400")])
def test_worked_examples_of_base64url(text: str, expected: str) -> None:
    assert epc_from_base64url(text) == expected
    assert memory_from_base64url(text, "tid_invalid") == expected


@pytest.mark.parametrize(
    "text", ["", "A", "ABC", "AG", "A B ", "0xAB", "AB\n", "\uff21\uff22", "é1", "AB" * (EPC_BYTES_MAX + 1)]
)
def test_what_is_no_hexadecimal_epc(text: str) -> None:
    with pytest.raises(TagMemoryError) as caught:
        epc_from_hex(text)
    assert caught.value.code == "epc_hex_invalid"


@pytest.mark.parametrize("text", ["", "=", "A", "AAAAA", "AA AA", "AA=A", "A\n==", "ÄÖ", "!", "A" * 4 * EPC_BYTES_MAX])
def test_what_is_no_base64url_epc(text: str) -> None:
    with pytest.raises(TagMemoryError) as caught:
        epc_from_base64url(text)
    assert caught.value.code == "epc_base64_invalid"


def test_a_uri_is_told_from_other_text() -> None:
    with pytest.raises(TagMemoryError) as caught:
        epc_from_hex("urn:epc:id:sgtin:9506000.013435.42")
    assert "URI" in (caught.value.hint or "")


@pytest.mark.parametrize("decode", [memory_from_hex, memory_from_base64url])
def test_other_banks_may_be_longer_than_an_epc_but_not_endless(decode: Callable[[str, str], str]) -> None:
    def encoded(size: int) -> str:
        return bytes(size).hex() if decode is memory_from_hex else base64.b64encode(bytes(size)).decode()

    assert decode(encoded(MEMORY_BYTES_MAX), "tid_invalid") == "00" * MEMORY_BYTES_MAX
    for size in (0, MEMORY_BYTES_MAX + 1):
        with pytest.raises(TagMemoryError) as caught:
            decode(encoded(size), "tid_invalid")
        assert caught.value.code == "tid_invalid"
