"""The standard's published examples, and a few from public documents, decode and encode to the letter."""

import csv
from collections.abc import Mapping

import pytest

from devices.epc import Epc, decode_epc, encode_plus, encode_tag_uri
from devices.epc.coding_tables import SCHEMES as PARTITIONED
from devices.epc.plus import SCHEMES as PLUS
from tests.shared_data import shared_path

OURS = {scheme.name for scheme in PARTITIONED.values()} | {scheme.name for scheme in PLUS.values()} | {"GID-96"}
NOT_IN_THE_ANNEX = {"GDTI-113"}


def annex_e3() -> list[dict[str, str]]:
    path = shared_path("reference/samples/epc/tds23_annexE3_vectors.csv")
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def path_of(link: str) -> str:
    """A Digital Link without its host: the annex prints some with an example's."""
    return link.split("/", 3)[3]


def test_annex_e3_decodes_to_the_letter() -> None:
    """Every scheme decoded here gives the annex's URIs, element string and filter value."""
    rows = [row for row in annex_e3() if row["scheme"] in OURS]
    assert {row["scheme"] for row in rows} == OURS - NOT_IN_THE_ANNEX
    for row in rows:
        check_row(row, decode_epc(row["hex"]))


def check_row(row: Mapping[str, str], epc: Epc) -> None:
    assert epc.scheme == row["scheme"]
    assert epc.problem is None
    if not row["epc_uri"]:
        assert epc.uri == row["digital_link"].partition("?")[0]
    elif row["erratum"]:
        # The annex prints a wrong serial number in this one URI; its tag URI and element string are right.
        assert epc.uri == "urn:epc:id:sgtin:95060001343.05.123456789"
    else:
        assert epc.uri == row["epc_uri"]
    assert epc.tag_uri == (row["epc_tag_uri"] or None)
    assert epc.element_string == (row["gs1_element_string"] or None)
    if row["digital_link"]:
        assert epc.digital_link is not None
        assert path_of(epc.digital_link) == path_of(row["digital_link"])
    assert epc.filter_value == (int(row["filter"]) if row["filter"] else None)


def test_annex_e3_encodes_back() -> None:
    for row in annex_e3():
        if row["scheme"] in OURS and row["epc_tag_uri"]:
            assert encode_tag_uri(row["epc_tag_uri"]) == row["hex"]


def test_annex_e3_plus_schemes_encode_back() -> None:
    """The annex prints `+` EPCs up to their last bit; EPC memory fills them up to words with zeros."""
    plus = {scheme.name: scheme for scheme in PLUS.values()}
    for row in annex_e3():
        scheme = plus.get(row["scheme"])
        if scheme is None:
            continue
        epc = decode_epc(row["hex"])
        assert epc.gs1_key is not None
        assert epc.filter_value is not None
        key = epc.gs1_key[: scheme.digits] if scheme.digits else epc.gs1_key
        date = (epc.date_ai, epc.date) if epc.date_ai is not None and epc.date is not None else None
        encoded = encode_plus(scheme.name, key, epc.serial, filter_value=epc.filter_value, date=date)
        assert encoded.startswith(row["hex"])
        assert len(encoded) % 4 == 0
        assert not encoded[len(row["hex"]) :].strip("0")


def test_schemes_left_alone_stay_items() -> None:
    """`++` schemes and those with six-bit text are items by their hex, with the reason beside it."""
    for row in annex_e3():
        # Two `++` rows are printed with the header of the scheme without; what follows it gives them away.
        if row["scheme"] not in OURS:
            epc = decode_epc(row["hex"])
            assert epc.scheme is None
            assert epc.uri is None
            assert epc.hex == row["hex"]
            printed_wrong = "printed header" in row["erratum"]
            assert epc.problem == ("epc_reserved_bits_set" if printed_wrong else "epc_scheme_unsupported")


@pytest.mark.parametrize(
    ("epc_hex", "uri", "key", "serial"),
    [
        # GS1 EPC Tag Data Standard, E.1.
        ("3066C4409047E14000001A85", "urn:epc:id:sgtin:95060001343.05.6789", "09506000134352", "6789"),
        # Test of the sllurp reader library.
        ("30204ED9496334000000006E", "urn:epc:id:sgtin:084663228621.0.110", "00846632286210", "110"),
        ("3074257BF7194E4000001A85", "urn:epc:id:sgtin:0614141.812345.6789", "80614141123458", "6789"),
    ],
)
def test_known_sgtins(epc_hex: str, uri: str, key: str, serial: str) -> None:
    epc = decode_epc(epc_hex)
    assert (epc.scheme, epc.uri, epc.gtin, epc.gs1_key, epc.serial) == ("SGTIN-96", uri, key, key, serial)
    assert decode_epc(epc_hex.lower()) == epc


def test_gdti_113_keeps_leading_zeros_of_its_serial() -> None:
    """No published example exists: 58 bits hold a 1 and then 17 digits, as for SGCN-96 with 41 bits and 12."""
    epc_hex = encode_tag_uri("urn:epc:tag:gdti-113:0.0614141.06012.00123456789012345")
    epc = decode_epc(epc_hex)
    assert len(epc_hex) == 32
    assert epc.uri == "urn:epc:id:gdti:0614141.06012.00123456789012345"
    assert epc.serial == "00123456789012345"
    assert int(epc_hex, 16) >> 15 & ((1 << 58) - 1) == 100123456789012345


def test_date_stays_out_of_the_identity() -> None:
    """An item whose tag says its expiry date is the item that it is without it."""
    dated = decode_epc("FB342CDE795211411234538566CB0AFC4")
    plain = decode_epc("F73795211411234538566CB0AFC4")
    assert dated.uri == plain.uri == "https://id.gs1.org/01/79521141123453/21/32a%2Fb"
    assert (dated.date_ai, dated.date) == ("17", "220630")
    assert dated.digital_link == f"{plain.digital_link}?17=220630"
