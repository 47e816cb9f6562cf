"""GS1 EPCs: from the bits of a tag to an item's identity, and back."""

from devices.epc.codec import (
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
from devices.epc.keys import check_digit
from devices.epc.model import Epc
from devices.epc.plus import encode_plus

__all__ = [
    "Epc",
    "check_digit",
    "decode_epc",
    "encode_gdti96",
    "encode_giai96",
    "encode_grai96",
    "encode_plus",
    "encode_sgln96",
    "encode_sgtin96",
    "encode_sscc96",
    "encode_tag_uri",
    "parse_epc",
]
