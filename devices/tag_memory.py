"""Content of a tag's memory banks as payloads write it: hexadecimal or base64url, to upper-case hexadecimal."""

from binascii import a2b_base64, unhexlify

from devices.documents import shown
from devices.errors import DecodeError

EPC_BYTES_MAX = 62
"""The protocol-control word counts up to 31 words of EPC."""
MEMORY_BYTES_MAX = 1024
"""TID and other banks: larger than any tag on sale, small enough for a column."""

_PADDING = ("", "===", "==", "=")
"""What completes a text by its length modulo 4; after one character nothing does, and the decoder says so."""


class TagMemoryError(DecodeError):
    """Content of a memory bank is not what its encoding promises."""

    code = "tag_memory_invalid"


def epc_from_hex(text: str) -> str:
    """Return an EPC in upper-case hexadecimal.

    Args:
        text: Hexadecimal in either case, whole bytes, 1 to 62 of them.

    Raises:
        TagMemoryError: `epc_hex_invalid`.
    """
    try:
        if 0 < len(unhexlify(text)) <= EPC_BYTES_MAX:
            return text.upper()
    except ValueError:
        pass
    raise _not_hex(text, "epc_hex_invalid")


def epc_from_base64url(text: str) -> str:
    """Return an EPC in upper-case hexadecimal.

    Args:
        text: Base64 with `-` and `_` (`+` and `/` are taken too), with or without padding.

    Raises:
        TagMemoryError: `epc_base64_invalid`.
    """
    content = _from_base64url(text, "epc_base64_invalid")
    if not 0 < len(content) <= EPC_BYTES_MAX:
        message = f"{shown(text)} holds {len(content)} bytes, an EPC has 1 to {EPC_BYTES_MAX}"
        raise TagMemoryError(message, code="epc_base64_invalid")
    return content.hex().upper()


def memory_from_hex(text: str, code: str) -> str:
    """Return a memory bank's content in upper-case hexadecimal.

    Raises:
        TagMemoryError: With the given code, where the text is empty, too long or not hexadecimal.
    """
    try:
        if 0 < len(unhexlify(text)) <= MEMORY_BYTES_MAX:
            return text.upper()
    except ValueError:
        pass
    raise _not_hex(text, code)


def memory_from_base64url(text: str, code: str) -> str:
    """Return a memory bank's content in upper-case hexadecimal.

    Raises:
        TagMemoryError: With the given code, where the text is empty, too long or not base64url.
    """
    content = _from_base64url(text, code)
    if not 0 < len(content) <= MEMORY_BYTES_MAX:
        raise TagMemoryError(f"{shown(text)} holds {len(content)} bytes", code=code)
    return content.hex().upper()


def _from_base64url(text: str, code: str) -> bytes:
    bare = text.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return a2b_base64(bare + _PADDING[len(bare) % 4], strict_mode=True)
    except ValueError as error:
        raise TagMemoryError(f"{shown(text)} is not base64url: {error}", code=code) from error


def _not_hex(text: str, code: str) -> TagMemoryError:
    hint = "whole bytes in hexadecimal are expected"
    if text.startswith(("urn:", "http")):
        hint = "send what the tag holds, in hexadecimal: a URI is derived from it here"
    return TagMemoryError(f"{shown(text)} is not hexadecimal", code=code, hint=hint)
