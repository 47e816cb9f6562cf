"""What reads, plan and kin contribute to where an item is said to be: worked out anew, it comes to what was told."""

from dataclasses import replace
from pathlib import Path

import pytest

from analytics.data_directory import DataDirectory
from analytics.explain import Explanation, _against, explain
from analytics.lake import Lake
from analytics.pipeline import SitePipeline
from devices.epc import encode_sgtin96
from devices.site.model import Antenna, Reader, Shelf, Site, Zone, ZoneKind
from tests.analytics.chunk_building import Sayings
from tests.deploy.command_line import tagtide

SHIRT, HAT = "09506000134352", "04012345123456"
BETWEEN, STRAYED, FOREIGN = encode_sgtin96(SHIRT, 1, 7), encode_sgtin96(SHIRT, 2, 7), "FF01"
HATS = [encode_sgtin96(HAT, serial, 7) for serial in range(1, 6)]
SITE = Site(
    id="s",
    zones=tuple(
        Zone(id=name, kind=ZoneKind.SALES_FLOOR, polygon=((x, 0.0), (x + 8, 0.0), (x + 8, 8.0), (x, 8.0)))
        for name, x in (("men", 0.0), ("women", 8.0))
    ),
    readers=tuple(
        Reader(id=name, profile="zebra", mqtt_topic=name, antennas=(Antenna(port=1, x=x, y=4.0, z=3.0),))
        for name, x in (("r1", 4.0), ("r2", 12.0))
    ),
    shelves=(Shelf(id="1", zone="women", gtin=SHIRT, x=10.0, y=4.0, capacity_units=10),),
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shirt between two zones, one far from its shelf; hats, which have none: four in one zone, then one between."""
    between = (("r2", -62.0), ("r1", -62.0))
    heard = {BETWEEN: between, STRAYED: (("r1", -42.0),), FOREIGN: (("r2", -42.0),), HATS[0]: between}
    heard |= dict.fromkeys(HATS[1:], (("r1", -42.0),))
    sayings = Sayings()
    for second in range(60):
        for epc, antennas in heard.items():
            for reader, rssi_dbm in antennas:
                if epc != HATS[0] or second >= 20:
                    sayings.read(second + 0.1, second, reader=reader, epc_hex=epc, antenna=1, rssi_dbm=rssi_dbm)
    folder = tmp_path_factory.mktemp("data")
    DataDirectory(folder).keep_sites([SITE])
    Lake(folder / "lake", writer="test").commit(1, SitePipeline(SITE).process(sayings.chunk()))
    return folder


def chances(found: Explanation, zone: str) -> tuple[float, float | None, float | None]:
    (one,) = (one for one in found.by_reads_alone if one.zone == zone)
    return one.probability, one.with_plan, one.with_kin


@pytest.mark.parametrize("epc", [BETWEEN, STRAYED, HATS[1], FOREIGN])
def test_all_three_together_come_to_what_was_told(data: Path, epc: str) -> None:
    found = explain(data, epc)
    assert found.stay is not None
    by_reads, with_plan, with_kin = chances(found, found.stay.zone)
    together = with_kin or with_plan or by_reads
    assert together == pytest.approx(found.stay.confidence, abs=0.05)


def test_the_plan_decides_where_reads_do_not(data: Path) -> None:
    found = explain(data, BETWEEN)
    by_reads, with_plan, with_kin = chances(found, "women")
    assert by_reads == pytest.approx(0.5, abs=0.05)
    assert with_plan is not None
    assert with_kin is not None
    assert with_plan > by_reads + 0.2
    assert with_kin < with_plan, "the one that strayed is its kin"
    assert (found.shelf_zones, found.off_shelf_zone) == (("women",), "men")
    assert found.verdict == "Its own reads say women; the shelf plan speaks for women; its kin speak against women."


def test_what_lies_elsewhere_is_found_there_although_it_belongs_on_its_shelf(data: Path) -> None:
    found = explain(data, STRAYED)
    by_reads, with_plan, _ = chances(found, "men")
    assert with_plan is not None
    assert by_reads > with_plan > 0.9
    assert "goods of its GTIN belong in women" in found.against


def test_without_a_shelf_the_plan_is_not_named_and_kin_decide(data: Path) -> None:
    found = explain(data, HATS[0])
    assert chances(found, "men")[1] is None
    assert (found.plan_followed, found.shelf_zones) == (None, ())
    assert found.verdict == "Its own reads alone would say women; its kin decide for men."


def test_a_code_that_names_no_gtin_has_its_own_reads_only(data: Path) -> None:
    found = explain(data, FOREIGN)
    assert chances(found, "women")[1:] == (None, None)
    assert found.verdict == "Its own reads say women."


def test_it_is_printed_step_by_step(data: Path) -> None:
    printed = tagtide("explain", "--data", data, BETWEEN).out
    steps = [line for line in printed.splitlines() if line.startswith("\u2502") and "%" in line]
    assert [line.split("\u2502")[1].strip() for line in steps] == [
        "by its own reads alone",
        "and by the shelf plan",
        "and by where its kin are",
        "as told, with what it did before",
    ]
    assert "Goods of its GTIN belong in women, by the site file." in printed
    assert "most others in men" in printed
    assert "no shelf for its GTIN" in tagtide("explain", "--data", data, HATS[1]).out


def test_a_zone_that_is_hardly_believed_any_more_is_said_beside_the_likelier_one(data: Path) -> None:
    found = explain(data, HATS[1])
    assert found.stay is not None
    doubted = replace(found, stay=replace(found.stay, zone="women", confidence=0.01))
    assert "it is more likely in men by now (99%): the site says so once it is surer" in _against(doubted)
