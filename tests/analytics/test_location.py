"""Where items are: each rule of the location step on a small store whose reads are said line by line."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given

from analytics.location.arrivals import LATE_LIMIT_S
from analytics.location.departures import EXIT_SILENCE_S
from analytics.steps.identity import identify
from analytics.steps.location import LocationStep
from devices.chunk import Chunk
from devices.epc import decode_epc
from devices.site.model import Antenna, Reader, ReaderClock, Shelf, Site, Zone, ZoneKind
from tests.analytics.chunk_building import Sayings, us
from tests.analytics.step_laws import LAWS, check_step, cut_points, run_arrival, run_step

SGTIN = "303400000000000000000001"
OTHER = "303400000000000000000002"
DEPARTED_AFTER_S = 120.0


def antenna(port: int, x: float) -> Antenna:
    return Antenna(port=port, x=x, y=4.0)


def zone(name: str, kind: ZoneKind, x: float) -> Zone:
    return Zone(id=name, kind=kind, polygon=((x, 0.0), (x + 10, 0.0), (x + 10, 8.0), (x, 8.0)))


SITE = Site(
    id="s",
    zones=(
        zone("denim", ZoneKind.SALES_FLOOR, 0.0),
        zone("shoes", ZoneKind.SALES_FLOOR, 10.0),
        zone("exit", ZoneKind.EXIT, 20.0),
    ),
    readers=(
        Reader(
            id="r1",
            profile="tagtide",
            mqtt_topic="r1",
            antennas=(antenna(1, 5.0), antenna(2, 15.0)),
            clock=ReaderClock.TRUSTED,
        ),
        Reader(id="r2", profile="tagtide", mqtt_topic="r2", antennas=(antenna(1, 25.0),), clock=ReaderClock.TRUSTED),
        Reader(id="sled", profile="tagtide", mqtt_topic="sled"),
    ),
    departed_after_s=DEPARTED_AFTER_S,
)
"""Three zones of 10 m in a row, an antenna over the middle of each: two of reader r1, and r2 at the exit."""

NEAR = {0: ("r1", 1), 1: ("r1", 2), 2: ("r2", 1)}


def hear(said: Sayings, place: int, start: float, end: float, *, epc: str = SGTIN, every: float = 2.0) -> Sayings:
    """Let an item lie in the middle of a zone: its antenna hears it well, the next one now and then and weakly."""
    at, number = start, 0
    while at < end:
        reader, port = NEAR[place]
        said.read(at, reader=reader, antenna=port, rssi_dbm=-50.0 - number % 3, epc_hex=epc)
        if number % 4 == 1:
            reader, port = NEAR[place - 1 if place else 1]
            said.read(at + 0.4, reader=reader, antenna=port, rssi_dbm=-74.0, epc_hex=epc)
        at, number = at + every, number + 1
    return said


def keep_alive(said: Sayings, start: float, end: float, *readers: str) -> Sayings:
    """Let readers give signs of life."""
    at = start
    while at < end:
        for reader in readers:
            said.device_event(at, "heartbeat", source=reader)
        at += 20.0
    return said


def rows_of(said: Sayings | Chunk, site: Site = SITE) -> list[dict[str, Any]]:
    chunk = said.chunk() if isinstance(said, Sayings) else said
    tables = run_step(LocationStep(), site, [chunk])
    return tables["locations"].to_pylist() if "locations" in tables else []


def at_s(time: Any) -> float:
    return float(time.timestamp() - us(0) / 1e6)


def opened(rows: list[dict[str, Any]], epc: str = SGTIN) -> list[str]:
    return [row["zone"] for row in rows if row["epc_hex"] == epc and row["revision"] == 0]


def test_an_item_is_where_its_antenna_hears_it() -> None:
    rows = rows_of(hear(Sayings(), 1, 0, 60).mark(70))
    assert opened(rows) == ["shoes"]
    first = rows[0]
    assert at_s(first["from_time"]) == 0.0
    assert first["until_time"] is None
    assert first["left_for"] is None
    assert first["confidence"] > 0.9
    assert 10 < first["x"] < 20
    assert 0 < first["y"] < 8


def test_a_row_tells_the_evidence_behind_it() -> None:
    """Here that of a stay that has ended: the antennas that heard the item, strongest first, with reads that fade."""
    last = silence(1, ("r1",), 300)[-1]
    heard = msgspec.json.decode(last["evidence"])["antennas"]
    assert [one["antenna"] for one in heard] == ["r1:2", "r1:1"]
    assert -53 < heard[0]["rssi_dbm"] < -49
    assert heard[1]["rssi_dbm"] == pytest.approx(-74.0)
    assert 10 < heard[0]["reads"] < 31


def test_an_item_carries_what_its_epc_says_and_a_stranger_its_hexadecimal() -> None:
    """A code that is not GS1's stays a valid item."""
    said = hear(hear(Sayings(), 0, 0, 20), 0, 20, 40, epc="ABCD").mark(60)
    rows = {row["epc_hex"]: row for row in rows_of(said)}
    assert rows[SGTIN]["epc_uri"] == decode_epc(SGTIN).uri
    assert rows[SGTIN]["gtin"] == decode_epc(SGTIN).gtin
    assert (rows["ABCD"]["epc_uri"], rows["ABCD"]["gtin"]) == (None, None)


def heard_by_two(site: Site) -> list[dict[str, Any]]:
    """Return the rows of an item that two antennas hear alike, without RSSI."""
    said = Sayings()
    for at in range(0, 20, 2):
        for port in (1, 2):
            said.read(at + 0.01 * port, reader="r1", antenna=port, rssi_dbm=None, epc_hex=SGTIN)
    return rows_of(said.mark(30), site)


def test_an_item_that_may_lie_in_two_zones_is_told_after_fifteen_seconds() -> None:
    first = heard_by_two(SITE)[0]
    assert 15 <= at_s(first["as_of_time"]) - at_s(first["from_time"]) < 17
    assert first["confidence"] < 0.7


def test_where_the_plan_has_a_shelf_for_it_it_is_told_after_eight() -> None:
    site = replace(SITE, shelves=(Shelf(id="shelf", zone="shoes", gtin=identify(SGTIN)[1]),))
    first = heard_by_two(site)[0]
    assert first["zone"] == "shoes"
    assert 8 <= at_s(first["as_of_time"]) - at_s(first["from_time"]) < 10


def test_a_move_closes_one_stay_and_opens_the_next_from_the_same_instant() -> None:
    rows = rows_of(hear(hear(Sayings(), 0, 0, 100), 1, 100, 200).mark(210))
    assert opened(rows) == ["denim", "shoes"]
    left = next(row for row in rows if row["until_time"] is not None)
    came = next(row for row in rows if row["zone"] == "shoes")
    assert (left["zone"], left["left_for"]) == ("denim", "shoes")
    assert left["until_time"] == came["from_time"]
    assert 98 <= at_s(came["from_time"]) <= 106
    assert at_s(came["as_of_time"]) <= 112
    revisions = [row["revision"] for row in rows if row["zone"] == "denim"]
    assert revisions == list(range(len(revisions)))
    keys = [(row["epc_hex"], row["from_time"], row["revision"]) for row in rows]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("port", [1, 2])
def test_one_strange_read_moves_nothing(port: int) -> None:
    said = hear(Sayings(), 0, 0, 60)
    said.read(60.5, reader="r2" if port == 1 else "r1", antenna=port, rssi_dbm=-45.0, epc_hex=SGTIN)
    rows = rows_of(hear(said, 0, 62, 120).mark(130))
    assert opened(rows) == ["denim"]


def test_a_stay_is_restated_as_it_grows_surer() -> None:
    """The row that opens a stay says how sure it was then; a later revision how sure it became."""
    said = Sayings().read(0, reader="r1", epc_hex=SGTIN).read(16, reader="r1", epc_hex=SGTIN)
    rows = rows_of(hear(said, 0, 20, 160).mark(170))
    assert opened(rows) == ["denim"]
    assert [row["revision"] for row in rows] == list(range(len(rows)))
    assert 2 <= len(rows) <= 4
    assert rows[0]["confidence"] + 0.1 < rows[-1]["confidence"]
    assert all(row["until_time"] is None and row["from_time"] == rows[0]["from_time"] for row in rows)


def silence(place: int, alive: tuple[str, ...], until: float) -> list[dict[str, Any]]:
    """Rows of an item that lies in a zone for a minute and is then silent, while some readers live."""
    said = hear(Sayings(), place, 0, 60)
    for at in range(60, round(until), 20):
        for reader in alive:
            said.device_event(at, "heartbeat", source=reader)
    return rows_of(said.mark(until + 10))


def test_a_silent_item_has_departed_and_left_when_it_was_last_heard() -> None:
    last = silence(0, ("r1",), 300)[-1]
    assert at_s(last["until_time"]) == pytest.approx(58.0, abs=0.5)
    assert last["left_for"] is None
    assert 58 + DEPARTED_AFTER_S <= at_s(last["as_of_time"]) <= 58 + DEPARTED_AFTER_S + 10


def test_nothing_departs_while_its_reader_is_dark() -> None:
    assert silence(0, ("r2",), 600)[-1]["until_time"] is None


def test_a_reader_that_says_that_it_is_lost_is_dark_at_once() -> None:
    said = hear(Sayings(), 0, 0, 60).device_event(60.5, "lost", source="r1")
    assert rows_of(keep_alive(said, 61, 400, "r2").mark(400))[-1]["until_time"] is None


def test_time_without_a_living_reader_does_not_count_as_silence() -> None:
    """80 s of silence, an hour in which the reader is dark, and 10 s more of silence make no departure."""
    said = keep_alive(hear(Sayings(), 0, 0, 60), 60, 100, "r1")
    rows = rows_of(keep_alive(said, 3800, 3810, "r1").mark(3812))
    assert rows[-1]["until_time"] is None


def test_who_falls_silent_in_an_exit_has_left_soon() -> None:
    last = silence(2, ("r1", "r2"), 200)[-1]
    assert last["zone"] == "exit"
    assert at_s(last["until_time"]) == pytest.approx(58.0, abs=0.5)
    assert at_s(last["as_of_time"]) <= 58 + EXIT_SILENCE_S + 10


def test_an_item_that_comes_back_begins_a_new_stay() -> None:
    said = keep_alive(hear(Sayings(), 0, 0, 60), 60, 300, "r1")
    rows = rows_of(hear(said, 1, 300, 340).mark(350))
    assert opened(rows) == ["denim", "shoes"]
    assert at_s(rows[-1]["from_time"]) == 300.0


def test_a_year_without_reads_passes_at_once() -> None:
    said = hear(Sayings(), 0, 0, 10)
    rows = rows_of(hear(said, 0, 366 * 86400, 366 * 86400 + 20).mark(366 * 86400 + 30))
    assert opened(rows) == ["denim"]


@pytest.mark.parametrize(("late_s", "moves"), [(LATE_LIMIT_S - 3, True), (LATE_LIMIT_S + 30, False)])
def test_reads_that_come_too_late_say_nothing_of_now(late_s: float, moves: bool) -> None:  # noqa: FBT001
    """A little late they count when they come; buffered for longer they are left out."""
    said = hear(Sayings(), 0, 0, 100)
    for number in range(20):
        at = 100 + 2.0 * number
        said.read(at, at - late_s, reader="r2", antenna=1, rssi_dbm=-48.0 - number % 3, epc_hex=SGTIN)
        said.read(at + 0.5, at + 0.5, reader="r1", antenna=1, rssi_dbm=-60.0, epc_hex=OTHER)
    assert ("exit" in opened(rows_of(said.mark(160)))) is moves


def test_without_rssi_the_antenna_alone_tells() -> None:
    said = Sayings()
    for number in range(20):
        said.read(2.0 * number, reader="r1", antenna=2, epc_hex=SGTIN)
    rows = rows_of(said.mark(50))
    assert opened(rows) == ["shoes"]
    assert msgspec.json.decode(rows[-1]["evidence"])["antennas"][0]["rssi_dbm"] is None


@pytest.mark.parametrize("port", [None, 9])
def test_without_a_known_antenna_the_reader_tells(port: int | None) -> None:
    """Reader r2 has one antenna, over the exit; what it reads is there."""
    said = Sayings()
    for number in range(20):
        said.read(2.0 * number, reader="r2", antenna=port, rssi_dbm=-52.0, epc_hex=SGTIN)
    assert opened(rows_of(said.mark(50))) == ["exit"]


def test_a_reader_of_two_zones_without_antennas_leaves_doubt() -> None:
    said = Sayings()
    for number in range(20):
        said.read(2.0 * number, reader="r1", rssi_dbm=-52.0, epc_hex=SGTIN)
    rows = rows_of(said.mark(50))
    assert rows[-1]["zone"] in {"denim", "shoes"}
    assert rows[-1]["confidence"] < 0.75


def test_a_reader_that_the_site_file_gives_no_antennas_locates_nothing() -> None:
    said = Sayings()
    for number in range(20):
        said.read(2.0 * number, reader="sled", rssi_dbm=-52.0, epc_hex=SGTIN)
    assert rows_of(said.mark(50)) == []


MOBILE = replace(SITE, readers=(*SITE.readers[:2], replace(SITE.readers[2], mobile=True)))


def carried_about(until: float) -> Sayings:
    """An item that the ceiling stops hearing after a minute, while a handheld hears it now and then."""
    said = keep_alive(hear(Sayings(), 0, 0, 60), 60, 600, "r1", "r2")
    for number in range(int((until - 60) / 50)):
        said.read(100 + 50.0 * number, reader="sled", rssi_dbm=-40.0, epc_hex=SGTIN)
    rows = sorted(said.rows["reads"] + said.rows["device_events"], key=lambda row: row["received_time"])
    for offset, row in enumerate(rows, 1):
        row["edge_offset"] = offset
    said.offset = len(rows)
    return said.mark(620)


def test_what_a_mobile_reader_hears_is_there_and_where_it_was() -> None:
    """Departure comes after 120 s of silence: of the ceiling alone, or of the handheld too."""
    gone = [row["as_of_time"].timestamp() * 1e6 for row in rows_of(carried_about(300)) if row["until_time"]]
    spared = [row["as_of_time"].timestamp() * 1e6 for row in rows_of(carried_about(300), MOBILE) if row["until_time"]]
    assert gone == [us(180.0)]
    assert spared == [us(370.0)]
    assert {row["zone"] for row in rows_of(carried_about(600), MOBILE)} == {"denim"}
    assert [row for row in rows_of(carried_about(600), MOBILE) if row["until_time"]] == []


@LAWS
@given(cut_points(carried_about(300).chunk()))
def test_the_laws_with_a_mobile_reader(offsets: list[int]) -> None:
    check_step(LocationStep(), MOBILE, carried_about(300).chunk(), offsets)


def test_linear_rssi_counts_in_decibels_of_its_own() -> None:
    """Power 1,000 times that at the other antenna, in a unit that nobody knows."""
    said = Sayings()
    for number in range(40):
        said.read(2.0 * number, reader="r1", antenna=2, rssi_linear=2.0e4, epc_hex=SGTIN)
        said.read(2.0 * number + 1, reader="r1", antenna=1, rssi_linear=20.0, epc_hex=SGTIN)
    assert opened(rows_of(said.mark(90)))[-1] == "shoes"


@pytest.mark.parametrize("site", [Site(id="s"), Site(id="s", zones=SITE.zones), Site(id="s", readers=SITE.readers)])
def test_a_site_without_zones_or_antennas_has_no_locations(site: Site) -> None:
    assert rows_of(hear(Sayings(), 0, 0, 30).mark(40), site) == []


def busy() -> Chunk:
    """Items that come, move, fall silent and come back; a reader that goes dark, late reads, reads without much."""
    said = Sayings()
    for start, places in enumerate([(0, 1), (1, 0), (1, 2), (2, 0)]):
        hear(said, places[0], 10.0 * start, 60, epc=f"{start:024X}", every=3.0)
    said.device_event(62, "lost", source="r2")
    said.read(63, reader="r1", antenna=None, rssi_dbm=-60.0, epc_hex=OTHER)
    said.read(64, reader="r1", antenna=2, epc_hex=OTHER)
    for start, places in enumerate([(0, 1), (1, 0), (1, 2)]):
        hear(said, places[1], 66.0 + 9 * start, 130, epc=f"{start:024X}", every=4.0)
    said.read(131, 100, reader="r1", antenna=1, rssi_dbm=-50.0, epc_hex=SGTIN)
    said.read(132, 128, reader="r1", antenna=1, rssi_dbm=-50.0, epc_hex=SGTIN)
    keep_alive(said, 133, 400, "r1")
    return hear(said, 0, 401, 420, epc=f"{3:024X}").mark(430).mark(600).chunk()


BUSY = busy()


@LAWS
@given(cut_points(BUSY))
def test_cutting_reloading_and_repeating_change_nothing(offsets: list[int]) -> None:
    tables = check_step(LocationStep(), SITE, BUSY, offsets)
    assert tables["locations"].num_rows > 10


def crowd(items: int, zones: int) -> tuple[Site, Chunk]:
    """Many items, each heard by several antennas of a site with so many zones."""
    site = Site(
        id="s",
        zones=tuple(zone(f"z{n}", ZoneKind.SALES_FLOOR, 10.0 * n) for n in range(zones)),
        readers=(
            Reader(
                id="r1",
                profile="tagtide",
                mqtt_topic="r1",
                antennas=tuple(antenna(n + 1, 10.0 * n + 5) for n in range(zones)),
            ),
        ),
    )
    said = Sayings()
    for turn in range(2):
        tags = [
            {"reader": "r1", "antenna": 1 + (item + turn) % zones, "rssi_dbm": -55.0, "epc_hex": f"{item:024X}"}
            for item in range(items)
        ]
        said.say("reads", 1.0 + turn, tags)
    return site, said.mark(10).chunk()


@pytest.mark.slow
def test_an_item_takes_at_most_300_bytes() -> None:
    """In memory, growing arrays included, and as a checkpoint; with 13 zones."""
    items = 20_000
    site, chunk = crowd(items, 13)
    step = LocationStep()
    state = step.initial(site)
    fixed = len(step.dump(state))
    for arrived in run_arrival(site, [chunk]):
        state, _ = step.step(state, arrived, site)
    assert len(state.pending) == 0
    assert state.bytes_used / items <= 300
    assert (len(step.dump(state)) - fixed) / items <= 300
