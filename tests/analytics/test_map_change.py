"""A site file that changes between two starts: stays of the old map end, items are located anew on the new one."""

from dataclasses import replace

import pyarrow as pa
import pytest

from analytics.pipeline import SitePipeline
from devices.chunk import Chunk
from devices.site.model import Antenna, Reader, Site, Zone, ZoneKind
from tests.analytics.chunk_building import Sayings, us
from tests.analytics.step_laws import Tables

SITE = Site(
    id="s",
    zones=tuple(
        Zone(id=name, kind=ZoneKind.SALES_FLOOR, polygon=((x, 0.0), (x + 8, 0.0), (x + 8, 8.0), (x, 8.0)))
        for name, x in (("men", 0.0), ("women", 8.0), ("kids", 16.0))
    ),
    readers=tuple(
        Reader(id=name, profile="zebra", mqtt_topic=name, antennas=(Antenna(port=1, x=x, y=4.0, zone=zone),))
        for name, x, zone in (("r1", 4.0, "men"), ("r2", 12.0, "women"), ("r3", 20.0, "kids"))
    ),
)
CHANGES = {
    "a reader less": replace(SITE, readers=SITE.readers[:2]),
    "a reader more": replace(
        SITE,
        readers=(
            *SITE.readers,
            Reader(id="r4", profile="zebra", mqtt_topic="r4", antennas=(Antenna(port=2, x=1, y=1),)),
        ),
    ),
    "readers in another order": replace(SITE, readers=SITE.readers[::-1]),
    "zones in another order": replace(SITE, zones=SITE.zones[::-1]),
    "a zone less": replace(SITE, zones=SITE.zones[:2], readers=SITE.readers[:2]),
    "no zones": replace(SITE, zones=(), readers=()),
    "a zone of another shape": replace(
        SITE, zones=(*SITE.zones[:2], replace(SITE.zones[2], polygon=((16, 0), (24, 0), (24, 20), (16, 20))))
    ),
}


def said(first_s: int, last_s: int) -> Chunk:
    """Return a chunk in which two readers hear an item each, once a second."""
    sayings = Sayings(offset=10 * first_s)
    for second in range(first_s, last_s):
        for reader, epc in (("r1", "30A1"), ("r2", "30B2")):
            sayings.read(second + 0.1, second, reader=reader, epc_hex=epc, antenna=1, rssi_dbm=-50.0)
    return sayings.chunk()


def rows(tables: Tables) -> list[tuple[str, str, bool]]:
    table = tables.get("locations", pa.table({"epc_hex": [], "zone": [], "until_time": []}))
    return [(row["epc_hex"], row["zone"], row["until_time"] is not None) for row in table.to_pylist()]


def told(tables: Tables) -> dict[tuple[str, str, int], list[int]]:
    """Return the revisions of each stay, by item, zone and start: a stay is restated as it grows surer."""
    found: dict[tuple[str, str, int], list[int]] = {}
    for row in tables["locations"].to_pylist() if "locations" in tables else []:
        found.setdefault((row["epc_hex"], row["zone"], row["from_time"]), []).append(row["revision"])
    return found


@pytest.mark.parametrize("change", CHANGES)
def test_every_open_stay_of_the_old_map_ends_with_its_last_read(change: str) -> None:
    before = SitePipeline(SITE)
    opened = before.process(said(0, 30))
    assert set(rows(opened)) == {("30A1", "men", False), ("30B2", "women", False)}
    stays = told(opened)
    assert len(stays) == 2
    after = SitePipeline(CHANGES[change])
    assert after.load(before.dump()) == ()
    again = SitePipeline(CHANGES[change])
    assert again.load(after.dump()) == ()
    outputs = again.process(said(30, 60))
    assert rows(outputs)[:2] == [("30A1", "men", True), ("30B2", "women", True)]
    closed = outputs["locations"].slice(0, 2)
    assert all(us(20.0) < value <= us(30.0) for value in closed["until_time"].cast(pa.int64()).to_pylist())
    assert told({"locations": closed}) == {stay: [revisions[-1] + 1] for stay, revisions in stays.items()}
    anew = {"locations": outputs["locations"].slice(2)}
    wanted = [] if change == "no zones" else [("30A1", "men"), ("30B2", "women")]
    assert sorted(stay[:2] for stay in told(anew)) == wanted, "one stay each"
    assert all(revisions == list(range(len(revisions))) for revisions in told(anew).values())
    assert not any(ended for _, _, ended in rows(anew))
    assert not any(ended for _, _, ended in rows(again.process(said(60, 62))))


def test_a_change_that_is_no_change_of_the_map_keeps_what_is_known() -> None:
    before = SitePipeline(SITE)
    before.process(said(0, 30))
    renamed = replace(SITE, name="Another name", shelves=(), departed_after_s=900.0)
    after = SitePipeline(renamed)
    after.load(before.dump())
    assert rows(after.process(said(30, 60))) == []
