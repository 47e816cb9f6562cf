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

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from analytics.location import arrivals, learning, radio, tracks
from analytics.location.items import ItemTable
from analytics.location.pending import Column, PendingRows
from analytics.location.places import Places, map_site
from analytics.schemas import LOCATIONS
from analytics.step import Arrived, Outputs
from analytics.steps.identity import identify
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
RESTATE_GRID_S = 60
"""On this grid, stays whose confidence has changed by"""
RESTATE_LOG_ODDS = 1.0
"""this much since their last row get another one. A stay opens as soon as it is likely; how sure it is shows later."""
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
        writer = _RowWriter(state, site)
        _run_ticks(state, state.pending.take(through_s), through_s, writer, int(site.departed_after_s))
        return state, writer.outputs()

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
    state: LocationState, due: dict[str, Column], through_s: int, writer: "_RowWriter", departed_after_s: int
) -> None:
    patience_s = np.where(state.places.exits, EXIT_SILENCE_S, departed_after_s).astype(np.int64)
    due["bin"] = arrivals.rssi_bins(due["rssi_dbm"])
    ticks, starts = np.unique(due["due_s"], return_index=True)
    bounds = np.append(starts, len(due["due_s"]))
    for index, tick in enumerate(ticks.tolist()):
        _idle(state, tick - 1, patience_s, writer)
        rows = {name: column[bounds[index] : bounds[index + 1]] for name, column in due.items()}
        reading = rows["item"] >= 0
        _hear_readers(state, rows, tick)
        _pass_time(state, tick, patience_s, writer)
        _locate(state, rows if reading.all() else {name: column[reading] for name, column in rows.items()}, writer)
    _idle(state, through_s, patience_s, writer)


def _idle(state: LocationState, through_s: int, patience_s: npt.NDArray[np.int64], writer: "_RowWriter") -> None:
    """Let the ticks without rows pass. Once every reader is dark nothing can change, however long that lasts."""
    while state.tick_s < through_s:
        if not (state.reader_heard_s + READER_ALIVE_S > state.tick_s).any():
            state.tick_s = through_s
            return
        _pass_time(state, state.tick_s + 1, patience_s, writer)


def _hear_readers(state: LocationState, rows: dict[str, Column], tick: int) -> None:
    """Note which readers gave a sign of life. Going dark wins over reads of the same tick."""
    life = rows["item"] == arrivals.SIGN_OF_LIFE
    state.reader_heard_s[rows["antenna"][life]] = tick
    state.reader_heard_s[state.places.antenna_reader[rows["antenna"][rows["item"] >= 0]]] = tick
    state.reader_heard_s[rows["antenna"][rows["item"] == arrivals.WENT_DARK]] = 0


def _pass_time(state: LocationState, tick: int, patience_s: npt.NDArray[np.int64], writer: "_RowWriter") -> None:
    """Let one tick pass: count zones' waking time, and on their grids look for silent items and learn."""
    state.tick_s = tick
    alive = state.reader_heard_s + READER_ALIVE_S > tick
    state.zone_alive_s += (state.places.zone_reader & alive[None, :]).any(axis=1)
    if tick % PRESENCE_GRID_S == 0:
        found = np.empty(len(state.tracks), dtype=np.int32)
        count = tracks.silent_items(state.tracks, state.zone_alive_s, patience_s, found)
        for item in found[:count].tolist():
            writer.close(item, until_us=int(state.tracks["last_us"][item]), left_for=None)
            state.tracks[item] = _new_tracks(1)[0]
    if tick % RESTATE_GRID_S == 0:
        _restate(state, writer)
    if tick % learning.LEARN_GRID_S == 0:
        law = learning.learn(state.lessons, state.places, state.law, state.tracks)
        if law is not state.law:
            state.law, state.tables = law, radio.tabulate(state.places, law)


def _restate(state: LocationState, writer: "_RowWriter") -> None:
    """Write another row of each lasting stay of which the confidence has changed."""
    located = np.flatnonzero((state.tracks["zone"] >= 0) & (state.tracks["odds"] <= 0)).astype(np.int32)
    belief = _believe(state, located)
    now = belief[np.arange(len(located)), state.tracks["zone"][located]]
    changed = np.abs(_log_odds(now) - _log_odds(state.tracks["stated"][located])) >= RESTATE_LOG_ODDS
    for index in np.flatnonzero(changed).tolist():
        writer.restate(int(located[index]), belief[index])


def _log_odds(probability: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    bounded = np.clip(probability.astype(np.float64), 0.005, 0.995)  # sure is sure: no row for 0.996 to 0.999
    return np.asarray(np.log(bounded / (1.0 - bounded)))


def _locate(state: LocationState, reads: dict[str, Column], writer: "_RowWriter") -> None:
    """Take in the reads of a tick and open, or move, the stays of the items that they touch."""
    if len(reads["item"]) == 0:
        return
    learning.count_reads(state.lessons, state.places, reads["antenna"], reads["bin"])
    touched = _absorb(state, reads)
    belief = _believe(state, touched)
    held = state.tracks[touched]
    best, now = belief.argmax(axis=1), held["zone"]
    surest = belief[np.arange(len(touched)), best]
    waited = held["last_us"] - held["from_us"] >= OPEN_AFTER_S * 1_000_000
    moving = (held["odds"] > 0) | (held["last_us"] - held["settled_us"] < MOVING_S * 1_000_000)
    opens = (now < 0) & (waited | (surest >= OPEN_PROBABILITY))
    moves = (now >= 0) & (best != now) & (surest >= np.where(moving, MOVED_PROBABILITY, REVISED_PROBABILITY))
    for index in np.flatnonzero(opens | moves).tolist():
        item, zone = int(touched[index]), int(best[index])
        if moves[index]:
            left_us = max(_left_us(held[index]), int(held["from_us"][index]) + 1)
            writer.close(item, until_us=left_us, left_for=zone, belief=belief[index])
            state.tracks["from_us"][item] = left_us
        state.tracks["zone"][item] = zone
        writer.open(item, belief[index])
    here = state.tracks["zone"][touched]
    state.tracks["heard_alive_s"][touched] = state.zone_alive_s[np.maximum(here, 0)]


def _left_us(track: np.void) -> int:
    """Return when an item left the zone that it is reported in.

    That is the first read of the doubt that moved it, or of the move that just ended; where the estimate is revised
    without a move, the revision itself.
    """
    if track["odds"] > 0:
        return int(track["doubt_us"])
    return int(track["settled_us"] if track["settled_us"] > track["from_us"] else track["last_us"])


def _absorb(state: LocationState, reads: dict[str, Column]) -> npt.NDArray[np.int32]:
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
        state.tracks,
        touched,
        np.zeros(len(state.tracks), dtype=np.bool_),
    )
    return touched[:count]


def _believe(state: LocationState, items: npt.NDArray[np.int32]) -> npt.NDArray[np.float32]:
    """Return the belief about zones, items by zones."""
    belief = np.empty((len(items), state.places.zones), dtype=np.float32)
    tracks.believe(items, state.tables.mean_dbm, state.tables.log_share, state.places.zone_cells, state.tracks, belief)
    return belief


class _RowWriter:
    """Collects the rows of one chunk."""

    def __init__(self, state: LocationState, site: Site) -> None:
        self._state = state
        self._site = site.id
        self._rows: dict[str, list[Any]] = {name: [] for name in LOCATIONS.names}

    def open(self, item: int, belief: npt.NDArray[np.float32]) -> None:
        """Write that a stay opened."""
        self._state.tracks["revision"][item] = 0
        self._write(item, belief, until_us=None, left_for=None)

    def restate(self, item: int, belief: npt.NDArray[np.float32]) -> None:
        """Write a lasting stay once more, as it is seen now."""
        self._state.tracks["revision"][item] += 1
        self._write(item, belief, until_us=None, left_for=None)

    def close(
        self, item: int, *, until_us: int, left_for: int | None, belief: npt.NDArray[np.float32] | None = None
    ) -> None:
        """Write that a stay closed."""
        if belief is None:
            belief = _believe(self._state, np.array([item], dtype=np.int32))[0]
        until_us = max(until_us, int(self._state.tracks["from_us"][item]) + 1)
        self._state.tracks["revision"][item] += 1
        self._write(item, belief, until_us=until_us, left_for=left_for)

    def outputs(self) -> Outputs:
        """Return the rows as a table."""
        if not self._rows["site"]:
            return {}
        columns = [pa.array(self._rows[field.name], type=_plain(field.type)) for field in LOCATIONS]
        cast = [column.cast(field.type) for column, field in zip(columns, LOCATIONS, strict=True)]
        return {"locations": pa.Table.from_arrays(cast, schema=LOCATIONS)}

    def _write(
        self,
        item: int,
        belief: npt.NDArray[np.float32],
        *,
        until_us: int | None,
        left_for: int | None,
    ) -> None:
        state, track = self._state, self._state.tracks[item]
        epc_hex = state.table.epc_hex(item)
        uri, gtin = identify(epc_hex)
        zone = int(track["zone"])
        track["stated"] = belief[zone]
        pile = "doubt" if track["revision"] == 0 and track["odds"] > 0 else "settled"
        weights, antennas, means = track[f"{pile}_weight"], track[f"{pile}_antenna"], track[f"{pile}_dbm"]
        shown = np.flatnonzero(weights >= tracks.WEIGHT_MIN)
        shown = shown[np.argsort(-means[shown], kind="stable")]
        x, y = _power_weighted(state.places, antennas[shown], weights[shown], means[shown])
        values = (
            self._site,
            epc_hex,
            uri,
            gtin,
            state.places.zone_ids[zone],
            int(track["from_us"]),
            until_us,
            float(belief[zone]),
            x,
            y,
            _evidence(state.places, antennas[shown], weights[shown], means[shown]),
            None if left_for is None else state.places.zone_ids[left_for],
            state.tick_s * 1_000_000,
            int(track["revision"]),
        )
        for column, value in zip(self._rows.values(), values, strict=True):
            column.append(value)


def _plain(kind: pa.DataType) -> pa.DataType:
    return pa.int64() if pa.types.is_timestamp(kind) else kind


def _power_weighted(
    places: Places, antennas: Column, weights: Column, means: Column
) -> tuple[float | None, float | None]:
    """Return the mean position of antennas, each weighted by how often and with how much power it heard the item."""
    if len(antennas) == 0:
        return None, None
    level = np.where(np.isnan(means), np.nanmin(means) if not np.isnan(means).all() else 0.0, means).astype(np.float64)
    power = weights * 10.0 ** ((level - level.max()) / 10.0)
    x, y = (power[:, None] * places.antenna_xy[antennas]).sum(axis=0) / power.sum()
    return round(float(x), 2), round(float(y), 2)


def _evidence(places: Places, antennas: Column, weights: Column, means: Column) -> str:
    """Return the antennas behind a decision as JSON, strongest first."""
    heard = [
        {
            "antenna": places.antenna_labels[antenna],
            "reads": round(float(weight), 1),
            "rssi_dbm": None if np.isnan(mean) else round(float(mean), 1),
        }
        for antenna, weight, mean in zip(antennas.tolist(), weights, means, strict=True)
    ]
    return msgspec.json.encode({"antennas": heard}).decode()
