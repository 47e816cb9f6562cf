"""EPCs: any bits are an item; what decodes as GS1 encodes to an EPC that says the same."""

import random
import struct

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
from devices.errors import EpcError
from tests.fuzz.target import Outcome, hold

_HEADERS = bytes(range(256))
_KNOWN = bytes([0x30, 0x31, 0x32, 0x33, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39, 0x3A, 0x3C, 0x3E, 0x2C, 0x2E, 0x3F, 0x40])
_PLUS = bytes(range(0xF0, 0x100))
_LENGTHS = [0, 1, 2, 8, 12, 12, 12, 16, 18, 24, 25, 26, 31, 62, 63, 100]


class EpcTarget:
    """EPC decoding, leniently and strictly."""

    name = "epc"
    reads = "EPC memory as hexadecimal, and tag URIs"

    def make(self, rng: random.Random) -> bytes:
        """Return text: hexadecimal of bits that are often nearly right, or anything."""
        kind = rng.randrange(10)
        if kind == 0:
            return rng.randbytes(rng.randrange(40))
        if kind == 1:
            return _spoilt(rng, _nearly_right(rng).hex())
        if kind == 2:
            epc = decode_epc(_nearly_right(rng).hex())
            return _spoilt(rng, epc.tag_uri or epc.uri or "urn:epc:tag:sgtin-96:1.9506000.013435.6789")
        return _nearly_right(rng).hex().encode()

    def check(self, data: bytes) -> Outcome:
        """Decode a text in every way there is."""
        text = data.decode("utf-8", "surrogateescape")
        epc = decode_epc(text)
        hold(decode_epc(text) == epc, "the same EPC decodes differently the second time")
        hold((epc.problem is None) == (epc.scheme is not None), f"neither scheme nor problem, or both: {epc}")
        _ = epc.element_string, epc.digital_link
        outcome = Outcome(rows=epc.problem is None, rejects=[epc.problem] if epc.problem else [])
        if epc.tag_uri is not None:
            self._check_round_trip(epc.tag_uri, epc.uri)
        try:
            encode_tag_uri(text)
        except EpcError as error:
            outcome.rejects.append(error.code)
        try:
            strict = parse_epc(bytes.fromhex(text)) if text.isascii() else None
        except (EpcError, ValueError) as error:
            hold(isinstance(error, EpcError) or "fromhex" in str(error), f"{type(error).__name__}: {error}")
        else:
            hold(strict is None or strict.problem is None, "what is parsed strictly has a problem")
        return outcome

    def settle(self) -> None:
        """Nothing is about several EPCs."""

    def _check_round_trip(self, tag_uri: str, uri: str | None) -> None:
        again = decode_epc(encode_tag_uri(tag_uri))
        hold(again.uri == uri, f"{tag_uri} encodes to an EPC of {again.uri}, not of {uri}")


_VALID = [
    encode_sgtin96("09506000134352", 6789, 7),
    encode_sgtin96("09506000134352", 0, 12, 7),
    encode_sscc96("095060001343520014"[:17] + check_digit("095060001343520014"[:17]), 7),
    encode_sgln96("9506000134352", 7, 5),
    encode_grai96("09506000134352", 1, 7),
    encode_giai96("95060001343521234", 7),
    encode_gdti96("9506000134352", 1, 7),
    "35000000100000200000000300"[:24],
    "36300000000000000000000000000000000000000000000000000000",
    "F74" + "0950600013435" + "2" * 20,
]


def _nearly_right(rng: random.Random) -> bytes:
    if rng.random() < 0.5:
        valid = bytearray.fromhex(rng.choice(_VALID))
        for _ in range(rng.randrange(4)):
            valid[rng.randrange(len(valid))] ^= 1 << rng.randrange(8)
        return bytes(valid[: rng.choice([len(valid), len(valid), len(valid) + 1, 5])]) + bytes(rng.choice([0, 0, 2, 4]))
    header = rng.choice(rng.choice([_HEADERS, _KNOWN, _KNOWN, _PLUS]))
    length = rng.choice(_LENGTHS)
    body = rng.randbytes(length)
    if rng.random() < 0.6:  # a sensible filter and partition value, few high digits, often trailing zeros
        partition = rng.randrange(8)
        body = struct.pack(">B", rng.randrange(8) << 5 | partition << 2 | rng.randrange(4)) + body
        if rng.random() < 0.5:
            keep = rng.randrange(len(body) + 1)
            body = body[:keep] + bytes(len(body) - keep)
    return bytes([header]) + body[:length]


def _spoilt(rng: random.Random, text: str) -> bytes:
    data = bytearray(text.encode())
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(len(data) + 1)
        data[at : at + rng.randrange(3)] = rng.choice(
            [b"", b"%", b".", b"\xff", b"-1", b"9" * 20, b"%2", "\u0663".encode()]
        )
    return bytes(data)
