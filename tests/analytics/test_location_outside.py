"""What is heard and is not here: a neighbour's goods behind the wall, on a small store, read by read."""

from typing import Any

import numpy as np
import pytest

from analytics.location.kin import NO_GROUP, UNIT
from analytics.location.outside import SHARE_MIN, kin_odds
from analytics.location.places import OUTER_WALL_DB, RING_M, map_site
from analytics.location.tracks import TRACK
from analytics.schemas import OUTSIDE
from analytics.steps.location import LocationStep
from devices.chunk import Chunk
from devices.site.model import Antenna, Reader, ReaderClock, Site, Wall, Zone, ZoneKind
from tests.analytics.chunk_building import Sayings
from tests.analytics.step_laws import check_step, run_step

READ_S = 3.0
"""Seconds between two reads of an item of ours."""


def zone(name: str, kind: ZoneKind, x: float) -> Zone:
    return Zone(id=name, kind=kind, polygon=((x, 0.0), (x + 10, 0.0), (x + 10, 8.0), (x, 8.0)))


SITE = Site(
    id="s",
    zones=(
        zone("exit", ZoneKind.EXIT, 0.0),
        zone("denim", ZoneKind.SALES_FLOOR, 10.0),
        zone("shoes", ZoneKind.SALES_FLOOR, 20.0),
    ),
    readers=(
        Reader(
            id="r",
            profile="tagtide",
            mqtt_topic="r",
            antennas=tuple(Antenna(port=port, x=10.0 * port - 5.0, y=4.0, beamwidth_deg=120.0) for port in (1, 2, 3)),
            clock=ReaderClock.TRUSTED,
        ),
    ),
    walls=(Wall(start=(30.0, -1.0), end=(30.0, 9.0), loss_db=3.0),),
    departed_after_s=120.0,
)
"""Three zones of 10 m in a row, an antenna over the middle of each; a thin wall at the right, to a neighbour."""


def epc(product: int, serial: int) -> str:
    return f"{(0x30 << 88) | (5 << 82) | (7 << 58) | (product << 38) | serial:024X}"


Reads = list[tuple[float, int, float, str]]
"""Time, port, RSSI and EPC of each."""


def lie(name: str, port: int, start: float, end: float) -> Reads:
    """Let an item of ours lie under an antenna, which hears it well; the next one hears it now and then."""
    reads, at, number = Reads(), start + int(name[-2:], 16) % 10 / 10.0, 0
    while at < end:
        reads.append((at, port, -52.0 - number % 3, name))
        if number % 3 == 1:
            reads.append((at + 0.4, port - 1 if port > 1 else 2, -70.0, name))
        at, number = at + READ_S, number + 1
    return reads


def lie_beyond(name: str, start: float, end: float) -> Reads:
    """Let an item lie behind the wall: one antenna hears it, weakly and rarely."""
    offset = int(name[-2:], 16) % 10 / 10.0
    return [(float(at), 3, -82.0, name) for at in np.arange(start + offset, end, 5 * READ_S)]


def store(end: float) -> Reads:
    """Let 60 items of ours lie about, of six products."""
    return [read for number in range(60) for read in lie(epc(1 + number % 6, number), 1 + number % 3, 0.0, end)]


NEIGHBOURS = [epc(40 + number % 4, 100 + number) for number in range(16)]


def beside(end: float) -> Reads:
    """The same, beside a neighbour with goods of its own."""
    return store(end) + [read for name in NEIGHBOURS for read in lie_beyond(name, 0.0, end)]


def say(reads: Reads) -> Chunk:
    said = Sayings()
    for at, port, rssi_dbm, name in sorted(reads):
        said.read(at, reader="r", antenna=port, rssi_dbm=rssi_dbm, epc_hex=name)
    return said.mark(max(reads)[0] + 5.0).chunk()


def tables_of(reads: Reads) -> dict[str, Any]:
    return {name: table.to_pylist() for name, table in run_step(LocationStep(), SITE, [say(reads)]).items()}


def here(rows: list[dict[str, Any]]) -> set[str]:
    """Return what has an open stay in the end."""
    last = {row["epc_hex"]: row for row in rows}
    return {name for name, row in last.items() if row["until_time"] is None}


def share(tables: dict[str, Any]) -> float:
    shares = [row["value"] for row in tables.get("radio_laws", []) if row["parameter"] == "outside_share"]
    return float(shares[-1]) if shares else 0.0


def test_a_neighbours_goods_are_not_here() -> None:
    tables = tables_of(beside(600.0))
    rows = tables["locations"]
    assert not here(rows) & set(NEIGHBOURS)
    assert len(here(rows)) == 60
    assert share(tables) > 0.1
    closed = [row for row in rows if row["left_for"] == OUTSIDE]
    assert {row["epc_hex"] for row in closed} == set(NEIGHBOURS)
    assert all(row["until_time"] is not None and row["confidence"] < 0.1 for row in closed)


def test_once_a_neighbour_is_known_its_goods_are_not_taken_in_again() -> None:
    late = epc(41, 200)
    rows = tables_of(beside(600.0) + lie_beyond(late, 400.0, 600.0))["locations"]
    assert late not in {row["epc_hex"] for row in rows}


def test_without_a_neighbour_faint_corners_are_ours() -> None:
    """Two items that are read as a neighbour's would be make no neighbour."""
    tables = tables_of(store(600.0) + [read for name in NEIGHBOURS[:2] for read in lie_beyond(name, 0.0, 600.0)])
    assert here(tables["locations"]) >= set(NEIGHBOURS[:2])
    assert share(tables) < SHARE_MIN
    assert not [row for row in tables["locations"] if row["left_for"] == OUTSIDE]


def test_what_goes_out_through_the_exit_departs_as_ever() -> None:
    carried = epc(2, 300)
    way = [(302.0 + 2 * step, 1, -50.0, carried) for step in range(12)]
    tables = tables_of(beside(600.0) + lie(carried, 2, 0.0, 300.0) + way)
    rows = [row for row in tables["locations"] if row["epc_hex"] == carried]
    assert rows[-1]["zone"] == "exit"
    assert rows[-1]["until_time"] is not None
    assert rows[-1]["left_for"] is None


def test_what_turns_out_to_be_here_is_located_again() -> None:
    """From behind the wall to under an antenna: brought over, and no guess of where it was before."""
    brought = NEIGHBOURS[3]
    others = [read for read in beside(900.0) if read[3] != brought]
    tables = tables_of(others + lie_beyond(brought, 0.0, 500.0) + lie(brought, 2, 500.0, 900.0))
    own = [row for row in tables["locations"] if row["epc_hex"] == brought]
    assert own[-1]["until_time"] is None
    assert own[-1]["zone"] == "denim"
    again = next(row for row in own if row["zone"] == "denim" and row["revision"] == 0)
    taken_back = next(row for row in own if row["left_for"] == OUTSIDE)
    assert again["from_time"] >= taken_back["until_time"]


def test_outside_survives_a_restart() -> None:
    """The state goes to bytes and back when the neighbour is known; rows are those of one run."""
    chunk = say(beside(400.0))
    tables = check_step(
        LocationStep(), SITE, chunk, [chunk.first_offset + (chunk.last_offset - chunk.first_offset) * 3 // 4]
    )
    assert OUTSIDE in tables["locations"]["left_for"].to_pylist()


def test_the_ring_is_beyond_the_outline_behind_walls() -> None:
    """The wall that the file draws counts as it says, elsewhere a common one is taken to stand."""
    ring = map_site(SITE).outer
    assert ring is not None
    x, y = ring.cell_xy.T
    beyond = np.maximum(np.maximum(-x, x - 30.0), np.maximum(-y, y - 8.0))
    assert beyond == pytest.approx(RING_M, abs=0.05)
    right = (x > 30.5) & (y > 0.0) & (y < 8.0)
    assert right.any()
    assert ring.wall_db[:, right] == pytest.approx(3.0)
    assert ring.wall_db[:, x < -0.5] == pytest.approx(OUTER_WALL_DB)


def test_kin_well_inside_speak_against_outside_and_kin_outside_for_it() -> None:
    """As the formula says: eight others inside, or eight outside, beside one stray at a share of a tenth; to 3/4."""
    track = np.zeros(1, dtype=TRACK)
    counts = np.array([[0, 0, 0], [8 * UNIT, 0, 0], [0, 0, 8 * UNIT]], dtype=np.int32)
    inside, outside = (kin_odds(track[0], group, counts, 0.1) for group in (1, 2))
    assert inside == pytest.approx((0.1 / 8.9 * 9.0) ** 0.75)
    assert outside == pytest.approx((8.1 / 0.9 * 9.0) ** 0.75)
    assert kin_odds(track[0], NO_GROUP, counts, 0.1) == 1.0
    track["kin_zone"], track["kin_weight"] = 2, 8 * UNIT
    assert kin_odds(track[0], 2, counts, 0.1) == pytest.approx(1.0), "its own word does not count"
