"""The parts that location is made of: item numbers, the map, the radio law, pending rows."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.location.assortment import FOLLOWING, FOLLOWING_UNITS, Assortment
from analytics.location.cells import pool_zones, weigh_cells
from analytics.location.items import ItemTable
from analytics.location.kin import NO_GROUP, UNIT, Kin, KinTables, weigh_kin
from analytics.location.pending import PendingRows
from analytics.location.places import CELLS_MAX, Places, map_site
from analytics.location.radio import NO_RSSI_BIN, RadioLaw, mean_rssi_dbm, physics, tabulate
from analytics.location.tracks import DOUBT_SLOTS, TRACK
from analytics.steps.identity import identify
from devices.site.model import Antenna, Reader, Shelf, Site, Wall, Zone, ZoneKind


def strip(*zones: str, wall_x: float | None = None) -> Site:
    """Zones of 10 m by 8 m beside each other, an antenna over the middle of each, ports 1 and up of reader `r`."""
    return Site(
        id="s",
        zones=tuple(
            Zone(id=name, kind=ZoneKind.SALES_FLOOR, polygon=((x, 0.0), (x + 10, 0.0), (x + 10, 8.0), (x, 8.0)))
            for x, name in ((10.0 * place, name) for place, name in enumerate(zones))
        ),
        readers=(
            Reader(
                id="r",
                profile="tagtide",
                mqtt_topic="t",
                antennas=tuple(Antenna(port=n + 1, x=10.0 * n + 5, y=4.0) for n in range(len(zones))),
            ),
        ),
        walls=() if wall_x is None else (Wall(start=(wall_x, -1.0), end=(wall_x, 9.0), loss_db=8.0),),
    )


@given(st.lists(st.lists(st.text("0123456789ABCDEF", max_size=40), max_size=30), max_size=8))
def test_items_are_numbered_in_order_of_first_arrival(chunks: list[list[str]]) -> None:
    """Numbers are those of a plain dictionary, however EPCs are cut into arrays, and the table restored in between."""
    table, plain = ItemTable(), dict[str, int]()
    for chunk in chunks:
        expected = [plain.setdefault(epc, len(plain)) for epc in chunk]
        assert table.numbers_of(pa.array(chunk, pa.string())).tolist() == expected
        columns = table.columns()
        table = ItemTable.restore(columns["item_text"], columns["item_ends"])
    assert [table.epc_hex(number) for number in range(len(table))] == list(plain)


def test_item_numbers_of_a_slice_and_of_many() -> None:
    epcs = pa.array([f"{number:024X}" for number in range(5000)])
    table = ItemTable()
    assert table.numbers_of(epcs.slice(1000, 3000)).tolist() == list(range(3000))
    assert table.numbers_of(epcs).tolist() == [*range(3000, 4000), *range(3000), *range(4000, 5000)]
    assert table.bytes_used / len(table) < 80


def test_every_zone_has_cells_and_every_cell_its_zone() -> None:
    tiny = Zone(id="till", kind=ZoneKind.POINT_OF_SALE, polygon=((31, 0), (31.2, 0), (31.2, 0.2), (31, 0.2)))
    site = strip("a", "b", "c")
    places = map_site(Site(id="s", zones=(*site.zones, tiny), readers=site.readers))
    assert len(places.cell_xy) <= CELLS_MAX
    counts = np.diff(places.zone_cells)
    assert (counts >= 1).all()
    for zone, name in enumerate(("a", "b", "c")):
        xs = places.cell_xy[places.zone_cells[zone] : places.zone_cells[zone + 1], 0]
        assert ((xs > 10 * zone) & (xs < 10 * zone + 10)).all(), name


def test_ports_find_their_antenna_and_strangers_the_whole_reader() -> None:
    places = map_site(strip("a", "b"))
    assert places.antenna_labels == ("r:1", "r:2", "r")
    assert places.port_antenna.tolist() == [[2, 0, 1, 2]]
    assert places.antenna_members == ((0,), (1,), (0, 1))


def test_a_reader_without_antennas_says_nothing_about_place() -> None:
    site = strip("a")
    places = map_site(
        Site(id="s", zones=site.zones, readers=(*site.readers, Reader(id="sled", profile="p", mqtt_topic="u")))
    )
    assert (places.port_antenna[1] == -1).all()


def mean_in(places: Places, antenna: int, zone: int) -> float:
    cells = slice(int(places.zone_cells[zone]), int(places.zone_cells[zone + 1]))
    return float(mean_rssi_dbm(places)[antenna, cells].mean())


def test_an_antenna_hears_its_own_zone_best_and_walls_weaken() -> None:
    open_floor, walled = map_site(strip("a", "b", "c")), map_site(strip("a", "b", "c", wall_x=10.0))
    assert mean_in(open_floor, 0, 0) > mean_in(open_floor, 0, 1) > mean_in(open_floor, 0, 2)
    assert mean_in(walled, 0, 0) == mean_in(open_floor, 0, 0)
    assert mean_in(open_floor, 0, 1) - mean_in(walled, 0, 1) == pytest.approx(16.0)  # there and back


def test_an_antenna_that_looks_aside_hears_that_side() -> None:
    site = strip("a", "b", "c")
    looking = Antenna(port=1, x=15.0, y=4.0, azimuth_deg=180.0, downtilt_deg=30.0, beamwidth_deg=70.0)
    places = map_site(
        Site(id="s", zones=site.zones, readers=(Reader(id="r", profile="p", mqtt_topic="t", antennas=(looking,)),))
    )
    assert mean_in(places, 0, 0) > mean_in(places, 0, 2) + 10.0


def test_shares_are_shares_and_a_reader_has_those_of_its_antennas() -> None:
    places = map_site(strip("a", "b", "c"))
    tables = tabulate(places, physics(places))
    assert tables.share[:3].sum(axis=0) == pytest.approx(1.0, abs=1e-5)
    assert tables.share[3] == pytest.approx(tables.share[:3].sum(axis=0), abs=1e-5)
    assert tables.mean_dbm[3] == pytest.approx(tables.mean_dbm[:3].max(axis=0))
    assert tables.likelihood.shape == (4, NO_RSSI_BIN + 1, len(places.cell_xy))
    assert np.isfinite(tables.newcomer).all()


def test_a_reader_in_other_units_is_shifted_as_a_whole() -> None:
    places = map_site(strip("a", "b"))
    shifted = tabulate(places, RadioLaw(level_db=np.array([20.0]), offset_db=np.zeros(2)))
    plain = tabulate(places, physics(places))
    assert shifted.mean_dbm == pytest.approx(plain.mean_dbm + 20.0)
    assert shifted.share == pytest.approx(plain.share)


def test_cells_are_weighed_as_the_formula_says() -> None:
    """The vectorised kernel against numpy's logarithms and exponentials, with an antenna that reports no RSSI."""
    places = map_site(strip("a", "b", "c"))
    tables = tabulate(places, physics(places))
    antennas = np.array([0, 1, 2, 0], dtype=np.int16)
    weights = np.array([4.0, 1.0, 2.0, 0.0], dtype=np.float32)
    levels = np.array([-52.0, -66.0, np.nan, -90.0], dtype=np.float32)
    assert len(antennas) == DOUBT_SLOTS
    expected = np.zeros(len(places.cell_xy))
    for antenna, weight, level in list(zip(antennas, weights, levels, strict=True))[:3]:
        expected += 2.0 * weight / (7.0 + 3.0) * np.log(tables.share[antenna])
        if not np.isnan(level):
            expected -= (level - tables.mean_dbm[antenna]) ** 2 / (2 * (16.0**2 + 6.0**2 / weight))
    cells = np.zeros(len(expected), dtype=np.float32)
    powers = np.zeros(len(expected), dtype=np.int32)
    weigh_cells(antennas, weights, levels, tables, cells, powers)
    assert cells.argmax() == expected.argmax()
    assert cells == pytest.approx(np.exp(expected - expected.max()), rel=1e-3, abs=1e-6)


def unit(serial: int, item_reference: int) -> str:
    """Return a unit of one GTIN: SGTIN-96 of company prefix 9506000."""
    return f"{(0x30 << 88) | (1 << 85) | (5 << 82) | (9506000 << 58) | (item_reference << 38) | serial:024X}"


GTIN = identify(unit(1, 7))[1]


def test_kin_are_units_of_one_gtin() -> None:
    """Codes without a GTIN have none."""
    table, kin = ItemTable(), Kin(assortment())
    table.numbers_of(pa.array([unit(1, 7), "ABCD", unit(2, 7), unit(1, 8), "E2" + 22 * "0"]))
    kin.extend(table)
    groups = kin.group[:5].tolist()
    assert groups[0] == groups[2] != groups[3]
    assert groups[1] == groups[4] == NO_GROUP


def assortment(*shelves: str) -> Assortment:
    """Return what belongs where in a site of three zones, of which the first is as large as the others together."""
    widths = ("a", 0.0, 8.0), ("b", 8.0, 12.0), ("c", 12.0, 16.0)
    site = Site(
        id="s",
        zones=tuple(
            Zone(id=name, kind=ZoneKind.SALES_FLOOR, polygon=((x, 0.0), (end, 0.0), (end, 4.0), (x, 4.0)))
            for name, x, end in widths
        ),
        shelves=tuple(Shelf(id=f"s{number}", zone=zone, gtin=GTIN) for number, zone in enumerate(shelves)),
    )
    return Assortment(site, map_site(site))


def groups_of(counts: list[float], assortment: Assortment) -> KinTables:
    """Return tables of one group, number 1, of which so many units lie in each zone."""
    kin, table = Kin(assortment), ItemTable()
    table.numbers_of(pa.array([unit(1, 7)]))
    kin.extend(table)
    kin.tables.counts[1, :-1] = np.array(counts) * UNIT
    return kin.tables


def test_kin_say_how_likely_a_zone_is_as_the_formula_says() -> None:
    """Eight others lie in zone 1, the item itself counts for zone 0; one stray unit is spread by area."""
    track = np.zeros(1, dtype=TRACK)
    track["kin_weight"], track["kin_second_weight"], track["kin_second"] = 3 * UNIT // 4, UNIT // 4, 2
    kin = groups_of([0.75, 8, 0.25], assortment())
    area, factors = np.array([0.5, 0.25, 0.25], dtype=np.float32), np.zeros(3, dtype=np.float32)
    weigh_kin(track[0], 1, kin, area, 1.0, factors)
    assert factors == pytest.approx(np.array([0.5 / 4.5, 8.25 / 2.25, 0.25 / 2.25]))
    weigh_kin(track[0], 1, kin, area, 0.5, factors)
    assert factors == pytest.approx(np.array([0.5 + 0.25 / 4.5, 0.5 + 4.125 / 2.25, 0.5 + 0.125 / 2.25]))
    weigh_kin(track[0], NO_GROUP, kin, area, 1.0, factors)
    assert factors.tolist() == [1.0, 1.0, 1.0]
    assert kin.counts[1, :3].tolist() == [0.75 * UNIT, 8 * UNIT, 0.25 * UNIT], "what it counts for itself is back"


def test_what_belongs_on_a_shelf_is_expected_there_before_any_is_located() -> None:
    track, area, factors = np.zeros(1, dtype=TRACK), np.array([0.5, 0.25, 0.25], dtype=np.float32), np.zeros(3, "f4")
    weigh_kin(track[0], 1, groups_of([0, 0, 0], assortment("b")), area, 1.0, factors)
    expected = np.array([(1 - FOLLOWING) * 2 / 3 / 0.5, FOLLOWING / 0.25, (1 - FOLLOWING) / 3 / 0.25])
    assert factors == pytest.approx(expected**0.75, rel=1e-5)


def test_units_located_elsewhere_outweigh_the_plan() -> None:
    track, area, factors = np.zeros(1, dtype=TRACK), np.array([0.5, 0.25, 0.25], dtype=np.float32), np.zeros(3, "f4")
    plan = assortment("b")
    plan.learn(np.array(100 * [[False, True, False]]), np.array(100 * [[0.0, 0.0, 9.0]]))
    assert plan.following < 0.1
    weigh_kin(track[0], 1, groups_of([0, 0, 9], plan), area, 1.0, factors)
    assert factors[2] > 5 * factors[1]


def test_goods_follow_their_plan_as_much_as_they_are_seen_to() -> None:
    """Nine of ten lie in one of their shelves' zones, the tenth in zone 0, as in any group; others have no say."""
    plan = assortment("b", "c")
    kin, table = Kin(plan), ItemTable()
    table.numbers_of(pa.array([unit(1, 7), unit(1, 8)]))  # the second has no shelf
    kin.extend(table)
    kin.tables.counts[1:3, :-1] = np.array([[100, 800, 100], [5000, 0, 0]]) * UNIT
    before = kin.tables.base[2].tolist()
    kin.learn()
    kin.learn_strays(np.zeros(0, dtype=TRACK))
    assert plan.following == pytest.approx((900 + FOLLOWING * FOLLOWING_UNITS) / (1000 + FOLLOWING_UNITS))
    assert kin.tables.base[1, 1] == kin.tables.base[1, 2] > kin.tables.base[1, 0] > 0
    assert before == plan.area.tolist(), "one stray unit, by area"
    assert kin.tables.base[2] == pytest.approx((np.array([5000, 0, 0]) + 50 * plan.area) / 5050), "where such goods lie"


def test_what_belongs_on_a_shelf_is_expected_beside_it() -> None:
    """Four in five of the units in its zone, within a few steps; a shelf without a place says nothing of the kind."""
    zone = Zone(id="a", kind=ZoneKind.SALES_FLOOR, polygon=((0.0, 0.0), (12.0, 0.0), (12.0, 12.0), (0.0, 12.0)))
    shelves = Shelf(id="1", zone="a", gtin=GTIN, x=2.0, y=3.0), Shelf(id="2", zone="a", gtin="09506000134352")
    site = Site(id="s", zones=(zone,), shelves=shelves)
    places = map_site(site)
    cells, shares = Assortment(site, places).shelf_cells(GTIN)
    assert shares.sum() == pytest.approx(0.8)
    assert shares @ places.cell_xy[cells] / shares.sum() == pytest.approx([2.0, 3.0], abs=0.5)
    assert len(Assortment(site, places).shelf_cells("09506000134352")[0]) == 0


def test_cells_beside_a_shelf_count_for_their_zone_as_much_as_goods_lie_there() -> None:
    """Reads that fit two cells of two zones alike tell them apart where goods of the one lie in that very cell."""
    cells, zone_cells = np.array([0.2, 1.0, 1.0, 0.2], dtype=np.float32), np.array([0, 2, 4])
    even, zones = np.ones(2, dtype=np.float32), np.zeros(2, dtype=np.float32)
    shelf_cell, shelf_share = np.array([1, 0], dtype=np.int16), np.array([0.8, 0.0], dtype=np.float32)
    cell, fit = pool_zones(cells, zone_cells, even, shelf_cell, np.zeros(2, dtype=np.float32), zones)
    assert (cell, fit, zones.tolist()) == (1, 1.0, [0.5, 0.5])
    _, fit = pool_zones(cells, zone_cells, even, shelf_cell, shelf_share, zones)
    shelved = 0.2 * 1.2 + 0.8 * 2
    assert fit == pytest.approx((shelved + 1.2) / 2.4), "its reads fit what is expected of it"
    assert zones == pytest.approx([shelved / (shelved + 1.2), 1.2 / (shelved + 1.2)])


def test_shelves_share_a_gtin_by_their_capacity() -> None:
    shelves = (
        Shelf(id="1", zone="b", gtin=GTIN, capacity_units=30),
        Shelf(id="2", zone="c", gtin=GTIN, capacity_units=10),
    )
    zones = tuple(
        Zone(id=name, kind=ZoneKind.SALES_FLOOR, polygon=((x, 0.0), (x + 4, 0.0), (x + 4, 4.0), (x, 4.0)))
        for name, x in (("b", 0.0), ("c", 4.0))
    )
    site = Site(id="s", zones=zones, shelves=shelves)
    assert Assortment(site, map_site(site)).planned[GTIN or ""].tolist() == [0.75, 0.25]


def test_a_track_of_nothing_is_zero_bytes() -> None:
    assert not np.frombuffer(np.zeros(1, dtype=TRACK).tobytes(), dtype=np.uint8).any()


@given(st.lists(st.tuples(st.integers(1, 50), st.integers(-2, 1), st.integers(0, 30)), max_size=60))
def test_pending_rows_come_out_once_by_time_then_kind(steps: list[tuple[int, int, int]]) -> None:
    """Rows are held until they are due; those of one time and kind keep their order of arrival, and reads go first."""
    held, added, taken = 0, list[tuple[int, int, int]](), list[tuple[int, int, int]]()
    pending = PendingRows({name: np.empty(0, dtype=np.int64) for name in ("time_us", "item", "number")})
    for number, (ahead, item, advance) in enumerate(steps):
        time_us = held + ahead
        columns = {"time_us": time_us, "item": item, "number": number}
        pending.add({name: np.array([value]) for name, value in columns.items()})
        added.append((time_us, max(0, -item), number))
        held += advance
        out = pending.take(held)
        kinds = [max(0, -item) for item in out["item"].tolist()]
        rows = list(zip(out["time_us"].tolist(), kinds, out["number"].tolist(), strict=True))
        assert rows == sorted(rows)
        taken += rows
    assert sorted(taken) == sorted(row for row in added if row[0] <= held)
    assert len(pending) == len(added) - len(taken)
