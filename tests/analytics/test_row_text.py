"""Promise: rows that are written by the column say exactly what the obvious way, a row at a time, says."""

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.location.assortment import Assortment
from analytics.location.evidence import RSSI_DBM_MAX, describe
from analytics.location.items import ItemTable
from analytics.location.kin import NO_GROUP, Kin
from analytics.location.places import map_site
from analytics.steps.identity import identify
from analytics.steps.sgtin import articles_of, name_items
from analytics.text_kernels import string_array, text_of
from devices.epc import encode_sgtin96
from devices.site.model import Site, Zone, ZoneKind
from tests.analytics.plain_rows import evidence_text

SGTIN_96 = st.integers(0, 2**88 - 1).map(lambda bits: f"{0x30 << 88 | bits:024X}")
"""Any bits behind the header: of most, company prefix or reference have too many digits."""


def valid_sgtin96(partition: int, prefix: int, reference: int, serial: int) -> str:
    """Return an SGTIN-96 whose digits fit their partition."""
    prefix_bits, reference_bits = (40, 37, 34, 30, 27, 24, 20)[partition], (4, 7, 10, 14, 17, 20, 24)[partition]
    prefix, reference = prefix % min(10 ** (12 - partition), 1 << prefix_bits), reference % 10 ** (1 + partition)
    head = (0x30 << 6 | 1 << 3 | partition) << 44 | prefix << reference_bits | reference
    return f"{head << 38 | serial:024X}"


VALID = st.builds(
    valid_sgtin96, st.integers(0, 6), st.integers(0, 10**12), st.integers(0, 10**7), st.integers(0, 2**38 - 1)
)
OTHER = st.one_of(st.text("0123456789ABCDEF", max_size=32), st.text("30zZé_ ", min_size=24, max_size=24))


@given(st.lists(st.one_of(VALID, VALID, SGTIN_96, OTHER), max_size=12), st.integers(0, 3))
def test_names_are_those_of_the_decoder(epcs: list[str], skipped: int) -> None:
    column = pa.array(epcs, pa.string()).slice(skipped)
    uris, gtins = name_items(column)
    uris.validate(full=True)
    gtins.validate(full=True)
    names = [identify(epc) for epc in epcs[skipped:]]
    assert list(zip(uris.to_pylist(), gtins.to_pylist(), strict=True)) == names


@pytest.mark.parametrize(
    ("gtin", "serial", "prefix_length"),
    [("80614141123458", 6789, 7), ("09506000134352", 0, 12), ("00000000000000", 1, 6)],
)
def test_a_trade_item_is_named_as_it_was_encoded(gtin: str, serial: int, prefix_length: int) -> None:
    """The standard's own example, a serial number 0 and nothing but zeros."""
    uris, gtins = name_items(pa.array([encode_sgtin96(gtin, serial, prefix_length)]))
    assert gtins.to_pylist() == [gtin]
    body = f"{gtin[1 : 1 + prefix_length]}.{gtin[0]}{gtin[1 + prefix_length : 13]}.{serial}"
    assert uris.to_pylist() == [f"urn:epc:id:sgtin:{body}"]


@given(st.lists(st.one_of(VALID, SGTIN_96, OTHER), max_size=12))
def test_articles_are_the_bits_before_the_serial_number(epcs: list[str]) -> None:
    expected = []
    for epc in epcs:
        is_sgtin = len(epc) == 24 and epc.startswith("30") and not epc.strip("0123456789ABCDEF")
        expected.append(int(epc, 16) >> 38 if is_sgtin else -1)
    assert articles_of(*text_of(pa.array(epcs, pa.string()))).tolist() == expected


def _one_zone() -> Assortment:
    floor = Zone(id="floor", kind=ZoneKind.SALES_FLOOR, polygon=((0.0, 0.0), (9.0, 0.0), (9.0, 9.0)))
    site = Site(id="s", zones=(floor,))
    return Assortment(site, map_site(site))


NOTHING_PLANNED = _one_zone()


@given(st.lists(st.lists(st.one_of(VALID, OTHER), max_size=12), max_size=4))
def test_groups_of_kin_are_those_of_a_plain_dictionary(chunks: list[list[str]]) -> None:
    """In order of first arrival, however items arrive."""
    table, kin, plain = ItemTable(), Kin(NOTHING_PLANNED), dict[str, int]()
    expected: dict[str, int] = {}
    for chunk in chunks:
        table.numbers_of(pa.array(chunk, pa.string()))
        kin.extend(table)
        for epc in chunk:
            uri = epc if len(epc) == 24 and epc.startswith("30") and not epc.strip("0123456789ABCDEF") else None
            article = None if uri is None else f"{int(epc, 16) >> 38:X}"
            group = NO_GROUP if article is None else plain.setdefault(article, len(plain) + 1)
            expected.setdefault(epc, group)
    assert [int(kin.group[number]) for number in range(len(table))] == list(expected.values())
    assert len(kin.tables.counts) > len(plain)


@given(st.lists(st.lists(st.text("0123456789ABCDEF", max_size=40), max_size=20), max_size=4), st.data())
def test_epcs_of_numbers_are_those_that_came(chunks: list[list[str]], data: st.DataObject) -> None:
    table = ItemTable()
    for chunk in chunks:
        table.numbers_of(pa.array(chunk, pa.string()))
    numbers = data.draw(st.lists(st.integers(0, len(table) - 1), max_size=30)) if len(table) else []
    found = table.epcs_of(np.array(numbers, dtype=np.int32))
    found.validate(full=True)
    assert found.to_pylist() == [table.epc_hex(number) for number in numbers]


LEVEL = st.one_of(st.just(math.nan), st.floats(-100, 5, width=32), st.integers(-900, 9).map(lambda n: n / 10))
SLOT = st.tuples(st.integers(0, 3), st.one_of(st.just(0.0), st.floats(0, 400, width=32)), LEVEL)
LABELS = ("r1:1", 'a "quoted" one:2', "ä:3", "r9")


@given(st.lists(st.lists(SLOT, min_size=4, max_size=4), max_size=6))
def test_evidence_is_written_as_the_obvious_way_writes_it(rows: list[list[tuple[int, float, float]]]) -> None:
    shaped = np.array(rows, dtype=np.float64).reshape(len(rows), 4, 3)
    antennas = shaped[:, :, 0].astype(np.int16)
    weights, means = shaped[:, :, 1].astype(np.float32), shaped[:, :, 2].astype(np.float32)
    texts = describe(LABELS, antennas, weights, means)
    texts.validate(full=True)
    for row in range(len(rows)):
        heard = list(zip(antennas[row].tolist(), weights[row].tolist(), means[row].tolist(), strict=True))
        assert texts[row].as_py() == evidence_text(LABELS, heard)


def test_an_absurd_rssi_is_shown_as_the_largest_there_is() -> None:
    means = np.array([[3e38, -3e38]], dtype=np.float32)
    texts = describe(LABELS, np.zeros((1, 2), dtype=np.int16), np.ones((1, 2), dtype=np.float32), means)
    assert [heard.split(":")[-1] for heard in texts[0].as_py().split("},")] == [
        f"{RSSI_DBM_MAX}",
        f"-{RSSI_DBM_MAX}}}]}}",
    ]


def test_texts_one_behind_the_other_become_a_column() -> None:
    """With its nulls, and characters of several bytes."""
    text = np.frombuffer("abcdé".encode(), dtype=np.uint8)
    column = string_array(text, np.array([1, 1, 6]), np.array([True, False, True]))
    assert column.to_pylist() == ["a", None, "bcdé"]
