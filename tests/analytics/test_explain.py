"""What is said of an item: where it is, since when, what speaks against it; and of items that nobody has read."""

import datetime as dt
from pathlib import Path

import pyarrow as pa
import pytest

from analytics.data_directory import DataDirectory
from analytics.explain import explain
from analytics.lake import Lake
from analytics.schemas import TABLES
from devices.epc import decode_epc, encode_sgtin96
from devices.errors import QuestionError
from tests.analytics.question_store import SHIRT, SITES, business, read, stays

ITEM, OTHER, SOLD = (encode_sgtin96(SHIRT, serial, 7) for serial in (6789, 6790, 42))
EVIDENCE = (
    '{"antennas":[{"antenna":"r1:1","reads":8.0,"rssi_dbm":-50.0},{"antenna":"r9:9","reads":1.0,"rssi_dbm":null}]}'
)
ROWS = {
    "locations": [
        *(
            row | {"evidence": EVIDENCE}
            for row in stays(ITEM, SHIRT, "09:00", "dock", "10:00", "floor.b", confidence=0.7)
        ),
        *stays(OTHER, SHIRT, "09:00", "floor.a"),
        *stays(SOLD, SHIRT, "08:00", "floor.a"),
    ],
    "reads": [read("09:00", "r2", 2, ITEM), read("11:00", "r1", 1, ITEM), read("11:30", "r1", 1, "FF01")],
    "business_events": [business("09:30", "sale", 1, SHIRT, epc_hex=SOLD)],
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    DataDirectory(folder).keep_sites(SITES)
    lake = Lake(folder / "lake", writer="test")
    lake.commit(1, {name: pa.Table.from_pylist(rows, schema=TABLES[name]) for name, rows in ROWS.items()})
    return folder


def test_where_since_when_and_how_sure(data: Path) -> None:
    found = explain(data, ITEM)
    assert found.stay is not None
    assert (found.stay.zone, found.stay.until_time, found.stay.confidence) == ("floor.b", None, 0.7)
    assert found.stay.from_time == dt.datetime(2026, 11, 20, 10, tzinfo=dt.UTC)
    assert [stay.zone for stay in found.stays] == ["floor.b", "dock"]
    assert (found.reads, found.last_antenna, found.gtin) == (2, "r1:1", SHIRT)
    assert dict(found.kin) == {"floor.a": 2}


def test_evidence_stands_beside_what_the_law_expects(data: Path) -> None:
    """An antenna that the site file no longer has is left out."""
    (heard,) = explain(data, ITEM).heard_by
    assert (heard.antenna, heard.reads, heard.rssi_dbm) == ("r1:1", 8.0, -50.0)
    assert heard.expected_dbm is not None
    chances = explain(data, ITEM).by_reads_alone
    assert chances == tuple(sorted(chances, key=lambda one: -one.probability))


def test_what_speaks_against_it(data: Path) -> None:
    against = " / ".join(explain(data, ITEM).against)
    assert "only 70% sure" in against
    assert "has not been read for 30 minutes" in against
    assert "belong in floor.a" in against
    assert "was sold" in " / ".join(explain(data, SOLD).against)


@pytest.mark.parametrize(
    "name", [ITEM.lower(), f"{SHIRT}.6789", f"(01){SHIRT}(21)6789", str(decode_epc(ITEM).uri), f'"{ITEM}"']
)
def test_an_item_has_many_names(data: Path, name: str) -> None:
    assert explain(data, name).epc_hex == ITEM


def test_an_item_that_was_read_and_never_located(data: Path) -> None:
    found = explain(data, "FF01")
    assert found.stay is None
    assert "never often enough" in found.against[0]


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        (ITEM[:-1] + "0", "item_never_read", ITEM),
        (f"{SHIRT}.678", "item_never_read", "6789"),
        (SHIRT, "item_ambiguous", "many items have it"),
        ("urn:epc:id:sgtin:1.2.3", "item_never_read", "was ever read"),
    ],
)
def test_items_that_nobody_read(data: Path, name: str, code: str, said: str) -> None:
    with pytest.raises(QuestionError) as caught:
        explain(data, name)
    assert caught.value.code == code
    assert said in str(caught.value)
    assert caught.value.hint is not None


def test_of_another_site_it_is_not(data: Path) -> None:
    with pytest.raises(QuestionError, match="never read in s2"):
        explain(data, ITEM, "s2")
