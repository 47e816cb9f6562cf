"""The location step: one row per stay of an item in a zone, from reads alone, in the order of their effective time.

States of an item, and what moves it:

```
unknown  --its reads agree on a zone, or go on for a while------->  located   (revision 0 opens a stay)
located  --it is seen more or less surely----------------------->   located   (a further revision says how surely)
located  --another zone is likely enough------------------------>   located   (the last revision closes, 0 opens)
located  --its zone's readers live and do not hear it----------->   unknown   (the last revision, left_for null)
```

What is believed about an item is in `analytics.location.tracks` and `kin`, and which stays follow from it in `stays`;
which antenna hears how strongly from where is in `radio`, and what the site teaches about that in `learning`. This
file keeps the clock, looks for silent items and writes rows.

`from_time` of a stay is the first read of it: for a move, the first read that did not fit the old place, and the old
stay ends there. A stay that ends in departure ends with the last read: nothing is known of the time
after it, and detection comes later by design, which `as_of_time` says.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from analytics.location import arrivals, forgetting, learning, outside, radio, stays, tracks
from analytics.location.assortment import Assortment
from analytics.location.budget import MoveBudget
from analytics.location.carried import Carried
from analytics.location.items import ItemTable
from analytics.location.kin import Kin
from analytics.location.law_rows import law_rows
from analytics.location.map_change import MapMark, closing_rows, mark_of
from analytics.location.pending import Column, PendingRows, renumbered
from analytics.location.places import Places, map_site
from analytics.location.policy import Policy
from analytics.location.stay_rows import StayRows
from analytics.schemas import LOCATIONS, RADIO_LAWS
from analytics.step import Arrived, Outputs
from analytics.steps.derived import table_of
from analytics.steps.identity import identify
from analytics.steps.state_bytes import pack, unpack
from devices.site.model import Site

EXIT_SILENCE_S = 30
"""Silence after which an item last located in an exit zone has left: people walk through an exit in seconds;"""
EXIT_SILENCE_GAPS = 4.0
"""but not before it has been silent for so many times as long as it used to be between two reads."""
OUTSIDE_SILENCE_GAPS = 10.0
"""What is outside is read rarely: it is taken for gone after so many times as long as it used to be silent."""
GRID_S = 5
"""Silence is looked for on this grid of event time; the grid of learning is a multiple of it."""
ROWS_AT_ONCE = 4096
"""Rows that the kernel tells before they are collected: each takes a track's memory."""
_VERSION = 4
_TRACKS_MIN = 256


@dataclass(slots=True, kw_only=True)
class LocationState:
    """Everything that the location step remembers of a site."""

    site_id: str
    """The site's identifier."""
    places: Places
    """The site's map; follows from the site file."""
    site: stays.Site
    """The same, as kernels need it."""
    budget: MoveBudget
    """What follows the site's budget of false moves."""
    policy: Policy
    """How sure a move has to be, by it."""
    law: radio.RadioLaw
    """The radio law in force."""
    tables: radio.RadioTables
    """The same, as tables."""
    lessons: learning.Lessons
    """What was counted to learn the next one from."""
    kin: Kin
    """Which items share a fate, and where they lie."""
    clock: stays.Clock
    """What passes with time."""
    table: ItemTable = field(default_factory=ItemTable)
    """EPCs and their numbers."""
    tracks: npt.NDArray[np.void] = field(default_factory=lambda: _new_tracks(_TRACKS_MIN))
    """What is believed about each item, by number; some spare ones at the end."""
    pending: PendingRows = field(default_factory=lambda: PendingRows(arrivals.EMPTY))
    """Rows that wait for the watermark."""
    carried: Carried = field(default_factory=Carried)
    """What readers that are carried about have heard."""
    closing: list[dict[str, Any]] = field(default_factory=list)
    """Rows that close the stays of an older map; they go out with the next chunk."""
    law_rows: list[dict[str, Any]] = field(default_factory=list)
    """Rows of radio laws that this chunk put in force; they go out with it."""

    @property
    def bytes_used(self) -> int:
        """Memory in use for items, bytes."""
        return self.table.bytes_used + int(self.tracks.nbytes) + self.kin.bytes_used

    @property
    def tick_s(self) -> int:
        """The last whole second that has passed."""
        return int(self.clock.tick_s[0])


class LocationStep:
    """Where each item is."""

    name = "location"

    def initial(self, site: Site) -> LocationState:
        """Return the state before any read."""
        places = map_site(site)
        law, budget = radio.physics(places), MoveBudget.of(site.location)
        area = np.diff(places.zone_cells) / max(1, int(places.zone_cells[-1]))
        return LocationState(
            site_id=site.id,
            places=places,
            site=stays.Site(
                zone_cells=places.zone_cells,
                area=area.astype(np.float32),
                zone_reader=places.zone_reader,
                antenna_reader=places.antenna_reader,
            ),
            budget=budget,
            policy=budget.policy,
            law=law,
            tables=radio.tabulate(places, law),
            lessons=learning.Lessons.none(places),
            kin=Kin(Assortment(site, places)),
            clock=stays.Clock(
                tick_s=np.zeros(1, dtype=np.int64),
                reader_heard_s=np.zeros(len(places.reader_ids), dtype=np.int64),
                zone_alive_s=np.zeros(places.zones, dtype=np.int64),
            ),
        )

    def step(self, state: LocationState, arrived: Arrived, site: Site) -> tuple[LocationState, Outputs]:
        """Take one chunk in; return stays that opened or closed by its watermark."""
        closing, state.closing = _closed(state.closing), []
        if state.places.zones == 0 or not state.places.antennas:
            return state, closing
        state.pending.add(_new_rows(arrived, state))
        state.carried.add(arrived, site)
        _make_room(state)
        rows = StayRows(site.id, state.places, state.table)
        _run(state, state.pending.take(arrived.watermark_us), arrived.watermark_us, rows, int(site.departed_after_s))
        table = pa.concat_tables([*closing.values(), rows.table()])
        outputs = {"locations": table} if table.num_rows else {}
        if state.law_rows:
            outputs["radio_laws"] = table_of(state.law_rows, RADIO_LAWS)
            state.law_rows = []
        return state, outputs

    def dump(self, state: LocationState) -> bytes:
        """Turn a state to bytes."""
        arrays: dict[str, npt.NDArray[Any]] = {
            "tracks": np.frombuffer(_unpadded(state.tracks[: len(state.table)]).tobytes(), dtype=np.uint8),
            **{f"pending.{name}": column for name, column in state.pending.columns().items()},
            **state.table.columns(),
            "level_db": state.law.level_db,
            "offset_db": state.law.offset_db,
            "outside": state.law.outside.weights,
            "lessons.reads": state.lessons.reads,
            "lessons.residual_db": state.lessons.residual_db,
            "lessons.items": state.lessons.items,
            **state.clock._asdict(),
        }
        marks: dict[str, int | float | str | bool | None] = {
            "map": _json(mark_of(state.places)),
            "closing": _json(state.closing),
            "law": _json([state.law.version, state.law.as_of_us]),
            "assortment": _json([state.kin.assortment.following, state.kin.assortment.away.tolist()]),
            "budget": _json(state.budget.to_list()),
            "outside": _json([state.law.outside.gap_s, state.law.outside.gap_power]),
            "carried": _json([state.carried.waiting, state.carried.heard_s]),
        }
        return pack(_VERSION, marks, arrays)

    def load(self, blob: bytes, site: Site) -> LocationState:
        """Turn bytes back to a state. One of another map only closes what was open on it."""
        values, arrays = unpack(_VERSION, blob)
        state = self.initial(site)
        state.closing = msgspec.json.decode(str(values["closing"]), type=list[dict[str, Any]])
        version, as_of_us = msgspec.json.decode(str(values.get("law") or "[0,0]"))
        state.law = replace(state.law, version=version, as_of_us=as_of_us)  # numbers go on where the map has changed
        mark = msgspec.json.decode(str(values["map"]), type=MapMark)
        if mark != mark_of(state.places):
            _leave_map(state, site.id, mark, arrays)
            return state
        state.table = ItemTable.restore(arrays["item_text"], arrays["item_ends"])
        state.tracks = np.frombuffer(arrays["tracks"].tobytes(), dtype=tracks.TRACK).copy()
        state.pending = PendingRows({name: arrays[f"pending.{name}"] for name in arrivals.EMPTY})
        waiting, heard_s = msgspec.json.decode(str(values.get("carried") or "[[],{}]"))
        state.carried = Carried(waiting, heard_s)
        if values.get("budget"):
            state.budget.restore(msgspec.json.decode(str(values["budget"])))
            state.policy = state.budget.policy
        state.law = replace(state.law, level_db=arrays["level_db"], offset_db=arrays["offset_db"])
        if "outside" in arrays:
            gap_s, gap_power = msgspec.json.decode(str(values["outside"]))
            beyond = radio.OutsideLaw(weights=arrays["outside"], gap_s=gap_s, gap_power=gap_power)
            state.law = replace(state.law, outside=beyond)
        state.tables = radio.tabulate(state.places, state.law)
        state.lessons = learning.Lessons(
            arrays["lessons.reads"], arrays["lessons.residual_db"], arrays["lessons.items"]
        )
        state.clock = stays.Clock(*(arrays[name] for name in stays.Clock._fields))
        if values.get("assortment"):
            following, away = msgspec.json.decode(str(values["assortment"]))
            state.kin.assortment.restore(following, np.array(away))
            state.kin = Kin(state.kin.assortment)
        state.kin.extend(state.table)
        state.kin.recount(state.tracks)
        return state


def _leave_map(state: LocationState, site: str, mark: MapMark, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Close what was open on another map, at the time that has passed on it."""
    table = ItemTable.restore(arrays["item_text"], arrays["item_ends"])
    old = np.frombuffer(arrays["tracks"].tobytes(), dtype=tracks.TRACK)
    epcs = [table.epc_hex(number) for number in range(len(old))]
    state.clock.tick_s[:] = arrays["tick_s"]
    state.closing += closing_rows(site, mark, epcs, old, as_of_us=state.tick_s * 1_000_000)


def _closed(rows: list[dict[str, Any]]) -> dict[str, pa.Table]:
    """Return the rows that close stays of an older map, with what their EPCs say."""
    if not rows:
        return {}
    named = [row | dict(zip(("epc_uri", "gtin"), identify(row["epc_hex"]), strict=True)) for row in rows]
    return {"locations": table_of(named, LOCATIONS)}


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _new_tracks(count: int) -> npt.NDArray[np.void]:
    fresh = np.zeros(count, dtype=tracks.TRACK)
    fresh["zone"] = -1
    return fresh


def _unpadded(held: npt.NDArray[np.void]) -> npt.NDArray[np.void]:
    """Return a copy whose bytes are those of its fields and zeros: what lies between fields a copy leaves open."""
    clean = np.zeros(len(held), dtype=held.dtype)
    for name in tracks.TRACK.names or ():
        clean[name] = held[name]
    return clean


def _make_room(state: LocationState) -> None:
    """Grow the tracks by a quarter where they do not reach: at most a quarter of their memory is spare."""
    missing = len(state.table) - len(state.tracks)
    if missing > 0:
        more = _new_tracks(max(missing, len(state.tracks) // 4, _TRACKS_MIN))
        state.tracks = np.concatenate([state.tracks, more])
    state.kin.extend(state.table)


def _new_rows(arrived: Arrived, state: LocationState) -> dict[str, Column]:
    """Join reads and signs of life."""
    reads = arrivals.read_rows(arrived, state.table, state.places)
    life = arrivals.life_rows(arrived, state.places)
    return {name: np.concatenate([reads[name], life[name]]) for name in reads}


def _run(state: LocationState, due: dict[str, Column], through_us: int, rows: StayRows, departed_after_s: int) -> None:
    """Work on all rows due by a time and let that time pass, mark by mark of the grid."""
    patience_s = np.where(state.places.exits, EXIT_SILENCE_S, departed_after_s).astype(np.int64)
    taken = stays.Rows(
        time_us=due["time_us"],
        item=due["item"],
        antenna=due["antenna"],
        bin=arrivals.rssi_bins(due["rssi_dbm"]),
        rssi_dbm=due["rssi_dbm"],
    )
    through_s, start, count = through_us // 1_000_000, 0, len(taken.item)
    while True:
        mark_s = (state.tick_s // GRID_S + 1) * GRID_S
        ends = min(mark_s * 1_000_000, through_us)
        stop = int(np.searchsorted(taken.time_us, ends, side="right"))
        _take_in(state, taken, start, stop, rows)
        start = stop
        if mark_s > through_s:
            break
        stays.pass_seconds(state.site, state.clock, mark_s)
        if int(state.clock.reader_heard_s.max()) + stays.READER_ALIVE_S > mark_s - GRID_S:
            _close_silent(state, patience_s, departed_after_s, rows)
            _look_at_moves(state)
            if mark_s % learning.LEARN_GRID_S == 0:
                _learn(state, mark_s * 1_000_000)
            if mark_s % forgetting.FORGET_GRID_S == 0:
                taken = _forget_gone(state, taken, start)
        else:  # Every reader is dark: nothing can change until the next row, however long that lasts.
            until_s = through_s if start == count else -(-int(taken.time_us[start]) // 1_000_000) - 1
            state.clock.tick_s[0] = max(mark_s, until_s)
    stays.pass_seconds(state.site, state.clock, through_s)


def _take_in(state: LocationState, taken: stays.Rows, start: int, stop: int, rows: StayRows) -> None:
    """Take in the rows between two marks of the grid."""
    if start == stop:
        return
    read = taken.item[start:stop] >= 0
    learning.count_reads(state.lessons, state.places, taken.antenna[start:stop][read], taken.bin[start:stop][read])
    items = stays.Items(tracks=state.tracks, group=state.kin.group, kin=state.kin.tables)
    told = stays.Told.room(min(ROWS_AT_ONCE, 2 * (stop - start) + 2))
    while start < stop:
        start, count = stays.advance(
            taken, start, stop, state.tables, state.site, state.policy, state.clock, items, told
        )
        if count:
            rows.add_told(told, count, state.tables, state.kin)
            state.budget.count(told, count)


def _look_at_moves(state: LocationState) -> None:
    """Let the budget of false moves say how sure a move has to be from now on."""
    located = int(np.count_nonzero(state.tracks["zone"][: len(state.table)] >= 0))
    if state.budget.look(state.tick_s, GRID_S, located):
        state.policy = state.budget.policy


def _learn(state: LocationState, time_us: int) -> None:
    """Look at where goods lie and at the radio law; what that is from now on goes out as rows, a version at once."""
    state.kin.learn()
    law = learning.learn(state.lessons, state.places, state.law, state.tracks, time_us=time_us)
    beyond = outside.learn(state.tracks[: len(state.table)], state.tables, state.law.outside)
    if beyond is not state.law.outside:
        law = replace(law, outside=beyond, version=state.law.version + 1, as_of_us=time_us)
    if law is not state.law:
        state.law, state.tables = law, radio.tabulate(state.places, law)
        state.law_rows += law_rows(state.site_id, state.places, law, state.lessons)


def _forget_gone(state: LocationState, taken: stays.Rows, start: int) -> stays.Rows:
    """Forget items that have been gone for long; return the rows at hand, of which those from `start` on wait."""
    held = state.tracks[: len(state.table)]
    gone = forgetting.find_gone(held, state.tick_s)
    if not gone.any():
        return taken
    waiting = np.concatenate([taken.item[start:], state.pending.columns()["item"]])
    arrival = np.concatenate([state.pending.arrival[0][start:], state.pending.arrival[1]])
    kept = forgetting.order_of_kept(held, gone, waiting, arrival)
    numbers = np.full(len(held), -1, dtype=np.int32)
    numbers[kept] = np.arange(len(kept), dtype=np.int32)
    held[gone] = _new_tracks(1)[0]
    state.tracks = held[kept].copy()
    state.table.keep(kept)
    state.pending.renumber(numbers)
    state.kin = Kin(state.kin.assortment)
    state.kin.extend(state.table)
    state.kin.recount(state.tracks)
    items = taken.item.copy()
    items[start:] = renumbered(items[start:], numbers)
    return taken._replace(item=items)


def _close_silent(
    state: LocationState, patience_s: npt.NDArray[np.int64], departed_after_s: int, rows: StayRows
) -> None:
    """Close the stays of items that have not been heard for too long, and forget what was believed of them."""
    mark_s = state.tick_s
    state.carried.pass_until(mark_s, departed_after_s)
    held = state.tracks[: len(state.table)]
    items = stays.Items(tracks=state.tracks, group=state.kin.group, kin=state.kin.tables)
    quiet_s = np.maximum(departed_after_s, OUTSIDE_SILENCE_GAPS * held["gap_s"])
    quiet = (held["outside"] > 0) & (mark_s - held["last_us"] * 1e-6 >= quiet_s)
    if quiet.any():
        stays.drop(np.flatnonzero(quiet).astype(np.int32), items)
    silent_s = state.clock.zone_alive_s[held["zone"]] - held["heard_alive_s"]
    found = np.flatnonzero((held["zone"] >= 0) & (silent_s >= patience_s[held["zone"]]))
    used_to_be_s = np.minimum(EXIT_SILENCE_GAPS * held["gap_s"][found], departed_after_s)
    found = found[silent_s[found] >= used_to_be_s]
    if len(found) and state.carried.heard_s:
        epcs = state.table.epcs_of(found.astype(np.int32)).to_pylist()
        found = found[state.carried.silent(epcs, patience_s[held["zone"][found]], mark_s)]
    if not len(found):
        return
    told = stays.Told.room(len(found))
    stays.depart(found.astype(np.int32), state.tables, state.site, state.clock, items, told)
    rows.add_told(told, len(found), state.tables, state.kin)
