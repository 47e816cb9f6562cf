"""The location step: one row per stay of an item in a zone, from reads alone, on a grid of one second of event time.

States of an item, and what moves it:

```
unknown  --its reads agree on a zone, or go on for OPEN_AFTER_S-->  located   (revision 0 opens a stay)
located  --it is seen more or less surely----------------------->   located   (a further revision says how surely)
located  --another zone is likely enough------------------------>   located   (the last revision closes, 0 opens)
located  --its zone's readers live and do not hear it----------->   unknown   (the last revision, left_for null)
```

What is believed about an item is in `analytics.location.tracks`; which antenna hears how strongly from where is in
`analytics.location.radio`, and what the site teaches about that in `analytics.location.learning`. This file keeps the
clock, decides about stays and presence, and writes rows.

`from_time` of a stay is the first read of it: for a move, the first read that did not fit the old place, and the old
stay ends there. A stay that ends in departure ends with the last read: nothing is known of the time
after it, and detection comes later by design, which `as_of_time` says.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from analytics.location import arrivals, learning, radio, tracks
from analytics.location.items import ItemTable
from analytics.location.pending import Column, PendingRows
from analytics.location.places import Places, map_site
from analytics.location.stay_rows import StayRows
from analytics.step import Arrived, Outputs
from analytics.steps.state_bytes import pack, unpack
from devices.site.model import Site

OPEN_PROBABILITY = 0.6
"""An item's first stay opens as soon as one zone is this likely,"""
OPEN_AFTER_S = 10
"""or with the first read this long after its first."""
MOVED_PROBABILITY = 0.5
"""A stay ends when another zone is this likely, while the item moves or within `MOVING_S` of it;"""
REVISED_PROBABILITY = 0.6
"""and when another zone is this likely without any move: the first estimate was wrong, or the radio law is."""
MOVING_S = 60
"""How long after a move a zone may still be found wanting: where things come to rest shows within some reads."""
READER_ALIVE_S = 60
"""A reader that was heard (a read, a heartbeat) this recently is alive. Heartbeats come every 10 to 60 s."""
EXIT_SILENCE_S = 30
"""Silence after which an item last located in an exit zone has left: people walk through an exit in seconds."""
PRESENCE_GRID_S = 5
"""Silence is looked for on this grid of event time."""
RESTATE_LOG_ODDS = 1.0
"""A stay whose confidence has changed by this much since its last row gets another one: it opens as soon as it is
likely, and how sure it is shows later."""
SURE = 0.995
"""Confidence beyond which differences are not worth a row."""
_VERSION = 2
_TRACKS_MIN = 256


@dataclass(slots=True, kw_only=True)
class LocationState:
    """Everything that the location step remembers of a site."""

    places: Places
    """The site's map; follows from the site file."""
    law: radio.RadioLaw
    """The radio law in force."""
    tables: radio.RadioTables
    """The same, as tables."""
    lessons: learning.Lessons
    """What was counted to learn the next one from."""
    table: ItemTable = field(default_factory=ItemTable)
    """EPCs and their numbers."""
    tracks: npt.NDArray[np.void] = field(default_factory=lambda: _new_tracks(_TRACKS_MIN))
    """What is believed about each item, by number; some spare ones at the end."""
    pending: PendingRows = field(default_factory=lambda: PendingRows(arrivals.EMPTY))
    """Rows that wait for the watermark."""
    reader_heard_s: npt.NDArray[np.int64]
    """Tick at which each reader was last heard, 0 for dark."""
    zone_alive_s: npt.NDArray[np.int64]
    """Seconds that each zone's readers have been alive, ever."""
    tick_s: int = 0
    """The last tick that was worked on."""

    @property
    def bytes_used(self) -> int:
        """Memory in use for items, bytes."""
        return self.table.bytes_used + int(self.tracks.nbytes)


class LocationStep:
    """Where each item is."""

    name = "location"

    def initial(self, site: Site) -> LocationState:
        """Return the state before any read."""
        places = map_site(site)
        law = radio.physics(places)
        return LocationState(
            places=places,
            law=law,
            tables=radio.tabulate(places, law),
            lessons=learning.Lessons.none(places),
            reader_heard_s=np.zeros(len(places.reader_ids), dtype=np.int64),
            zone_alive_s=np.zeros(places.zones, dtype=np.int64),
        )

    def step(self, state: LocationState, arrived: Arrived, site: Site) -> tuple[LocationState, Outputs]:
        """Take one chunk in; return stays that opened or closed by its watermark."""
        if state.places.zones == 0 or not state.places.antennas:
            return state, {}
        state.pending.add(_new_rows(arrived, state))
        _make_room(state)
        through_s = arrived.watermark_us // 1_000_000
        rows = StayRows(site.id, state.places, state.table)
        _run_ticks(state, state.pending.take(through_s), through_s, rows, int(site.departed_after_s))
        table = rows.table()
        return state, {"locations": table} if table.num_rows else {}

    def dump(self, state: LocationState) -> bytes:
        """Turn a state to bytes."""
        arrays: dict[str, npt.NDArray[Any]] = {
            "tracks": np.frombuffer(state.tracks[: len(state.table)].tobytes(), dtype=np.uint8),
            **{f"pending.{name}": column for name, column in state.pending.columns().items()},
            **state.table.columns(),
            "level_db": state.law.level_db,
            "offset_db": state.law.offset_db,
            "lessons.reads": state.lessons.reads,
            "lessons.residual_db": state.lessons.residual_db,
            "lessons.items": state.lessons.items,
            "reader_heard_s": state.reader_heard_s,
            "zone_alive_s": state.zone_alive_s,
        }
        return pack(_VERSION, {"tick_s": state.tick_s}, arrays)

    def load(self, blob: bytes, site: Site) -> LocationState:
        """Turn bytes back to a state."""
        values, arrays = unpack(_VERSION, blob)
        state = self.initial(site)
        state.table = ItemTable.restore(arrays["item_text"], arrays["item_ends"])
        state.tracks = np.frombuffer(arrays["tracks"].tobytes(), dtype=tracks.TRACK).copy()
        state.pending = PendingRows({name: arrays[f"pending.{name}"] for name in arrivals.EMPTY})
        state.law = radio.RadioLaw(level_db=arrays["level_db"], offset_db=arrays["offset_db"])
        state.tables = radio.tabulate(state.places, state.law)
        state.lessons = learning.Lessons(
            arrays["lessons.reads"], arrays["lessons.residual_db"], arrays["lessons.items"]
        )
        state.reader_heard_s = arrays["reader_heard_s"]
        state.zone_alive_s = arrays["zone_alive_s"]
        state.tick_s = int(values["tick_s"] or 0)
        return state


def _new_tracks(count: int) -> npt.NDArray[np.void]:
    fresh = np.zeros(count, dtype=tracks.TRACK)
    fresh["zone"] = -1
    return fresh


def _make_room(state: LocationState) -> None:
    """Grow the tracks by a quarter where they do not reach: at most a quarter of their memory is spare."""
    missing = len(state.table) - len(state.tracks)
    if missing > 0:
        more = _new_tracks(max(missing, len(state.tracks) // 4, _TRACKS_MIN))
        state.tracks = np.concatenate([state.tracks, more])


def _new_rows(arrived: Arrived, state: LocationState) -> dict[str, Column]:
    """Join reads and signs of life. Within a tick the order of the two kinds does not matter."""
    reads = arrivals.read_rows(arrived, state.table, state.places)
    life = arrivals.life_rows(arrived, state.places)
    return {name: np.concatenate([reads[name], life[name]]) for name in reads}


def _run_ticks(
    state: LocationState, due: dict[str, Column], through_s: int, rows: StayRows, departed_after_s: int
) -> None:
    patience_s = np.where(state.places.exits, EXIT_SILENCE_S, departed_after_s).astype(np.int64)
    due["bin"] = arrivals.rssi_bins(due["rssi_dbm"])
    ticks, starts = np.unique(due["due_s"], return_index=True)
    bounds = np.append(starts, len(due["due_s"]))
    for index, tick in enumerate(ticks.tolist()):
        _idle(state, tick - 1, patience_s, rows)
        arrived = {name: column[bounds[index] : bounds[index + 1]] for name, column in due.items()}
        reading = arrived["item"] >= 0
        _hear_readers(state, arrived, tick)
        _pass_time(state, tick, patience_s, rows)
        _locate(state, arrived if reading.all() else {name: column[reading] for name, column in arrived.items()}, rows)
    _idle(state, through_s, patience_s, rows)


def _idle(state: LocationState, through_s: int, patience_s: npt.NDArray[np.int64], rows: StayRows) -> None:
    """Let the ticks without rows pass. Once every reader is dark nothing can change, however long that lasts."""
    while state.tick_s < through_s:
        if not (state.reader_heard_s + READER_ALIVE_S > state.tick_s).any():
            state.tick_s = through_s
            return
        _pass_time(state, state.tick_s + 1, patience_s, rows)


def _hear_readers(state: LocationState, arrived: dict[str, Column], tick: int) -> None:
    """Note which readers gave a sign of life. Going dark wins over reads of the same tick."""
    item, antenna = arrived["item"], arrived["antenna"]
    state.reader_heard_s[antenna[item == arrivals.SIGN_OF_LIFE]] = tick
    state.reader_heard_s[state.places.antenna_reader[antenna[item >= 0]]] = tick
    state.reader_heard_s[antenna[item == arrivals.WENT_DARK]] = 0


def _pass_time(state: LocationState, tick: int, patience_s: npt.NDArray[np.int64], rows: StayRows) -> None:
    """Let one tick pass: count zones' waking time, and on their grids look for silent items and learn."""
    state.tick_s = tick
    alive = state.reader_heard_s + READER_ALIVE_S > tick
    state.zone_alive_s += (state.places.zone_reader & alive[None, :]).any(axis=1)
    if tick % PRESENCE_GRID_S == 0:
        _close_silent(state, patience_s, rows)
    if tick % learning.LEARN_GRID_S == 0:
        law = learning.learn(state.lessons, state.places, state.law, state.tracks)
        if law is not state.law:
            state.law, state.tables = law, radio.tabulate(state.places, law)


def _close_silent(state: LocationState, patience_s: npt.NDArray[np.int64], rows: StayRows) -> None:
    """Close the stays of items that have not been heard for too long, and forget what was believed of them."""
    found = np.empty(len(state.tracks), dtype=np.int32)
    count = tracks.silent_items(state.tracks, state.zone_alive_s, patience_s, found)
    if count:
        items = found[:count]
        closed = _restated(state, items, _believe(state, items))
        closed["revision"] += 1
        until_us = np.maximum(closed["last_us"], closed["from_us"] + 1)
        rows.add(items, closed, as_of_s=state.tick_s, until_us=until_us)
        state.tracks[items] = _new_tracks(count)


def _locate(state: LocationState, reads: dict[str, Column], rows: StayRows) -> None:
    """Take in the reads of a tick; open, move and restate the stays of items that look different now."""
    if len(reads["item"]) == 0:
        return
    learning.count_reads(state.lessons, state.places, reads["antenna"], reads["bin"])
    touched = _absorb(state, reads)
    belief = _believe(state, touched)
    held = _restated(state, touched, belief)
    best, now = belief.argmax(axis=1), held["zone"]
    surest = belief[np.arange(len(touched)), best]
    waited = held["last_us"] - held["from_us"] >= OPEN_AFTER_S * 1_000_000
    moving = (held["odds"] > 0) | (held["last_us"] - held["settled_us"] < MOVING_S * 1_000_000)
    opens = (now < 0) & (waited | (surest >= OPEN_PROBABILITY))
    moves = (now >= 0) & (best != now) & (surest >= np.where(moving, MOVED_PROBABILITY, REVISED_PROBABILITY))
    stated = state.tracks["stated"][touched]
    restates = (
        (now >= 0) & ~moves & ~moving & (np.abs(_log_odds(held["stated"]) - _log_odds(stated)) >= RESTATE_LOG_ODDS)
    )
    if moves.any():
        closed = held[moves]
        closed["revision"] += 1
        left_us = np.maximum(_left_us(closed), closed["from_us"] + 1)
        rows.add(touched[moves], closed, as_of_s=state.tick_s, until_us=left_us, left_for=best[moves])
        held["from_us"][moves] = left_us
    changed = opens | moves | restates
    if changed.any():
        held["revision"] = np.where(restates, held["revision"] + 1, 0)
        held["zone"] = np.where(restates, now, best)
        held["stated"] = np.where(restates, held["stated"], surest)
        written = held[changed]
        rows.add(touched[changed], written, as_of_s=state.tick_s)
        for name in ("from_us", "zone", "revision", "stated"):
            state.tracks[name][touched[changed]] = written[name]
        state.tracks["heard_alive_s"][touched[changed]] = state.zone_alive_s[written["zone"]]


def _restated(
    state: LocationState, items: npt.NDArray[np.int32], belief: npt.NDArray[np.float32]
) -> npt.NDArray[np.void]:
    """Return a copy of items' tracks in which `stated` is what their belief says of their zone."""
    held = state.tracks[items]
    held["stated"] = belief[np.arange(len(items)), held["zone"]]
    return held


def _log_odds(probability: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    bounded = np.clip(probability.astype(np.float64), 1.0 - SURE, SURE)
    return np.asarray(np.log(bounded / (1.0 - bounded)))


def _left_us(held: npt.NDArray[np.void]) -> npt.NDArray[np.int64]:
    """Return when items left the zones that they are reported in.

    That is the first read of the doubt that moved an item, or of the move that just ended; where the estimate is
    revised without a move, the revision itself.
    """
    after_move = np.where(held["settled_us"] > held["from_us"], held["settled_us"], held["last_us"])
    return np.where(held["odds"] > 0, held["doubt_us"], after_move)


def _absorb(state: LocationState, reads: dict[str, Column]) -> npt.NDArray[np.int32]:
    """Take in reads; return the items whose belief is due to be worked out."""
    touched = np.empty(len(reads["item"]), dtype=np.int32)
    count = tracks.absorb(
        reads["item"],
        reads["antenna"],
        reads["bin"],
        reads["rssi_dbm"],
        reads["time_us"],
        state.tables.mean_dbm,
        state.tables.share,
        state.tables.log_share,
        state.tables.likelihood,
        state.tables.newcomer,
        state.zone_alive_s,
        state.tracks,
        touched,
    )
    return touched[:count]


def _believe(state: LocationState, items: npt.NDArray[np.int32]) -> npt.NDArray[np.float32]:
    """Return the belief about zones, items by zones."""
    belief = np.empty((len(items), state.places.zones), dtype=np.float32)
    tracks.believe(items, state.tables.mean_dbm, state.tables.log_share, state.places.zone_cells, state.tracks, belief)
    return belief
