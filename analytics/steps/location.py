"""The location step: one row per stay of an item in a zone, from reads alone, on a grid of one second of event time.

States of an item, and what moves it:

```
unknown  --its reads agree on a zone, or go on for OPEN_AFTER_S-->  located      (revision 0 opens a stay)
located  --another zone is SWITCH_LOG_ODDS likelier------------->   located      (revision 1 closes, 0 opens)
located  --its zone's readers live and do not hear it----------->   unknown      (revision 1, left_for null)
```

What was believed where is in `analytics.location.belief`; which antenna hears how strongly from where is in
`analytics.location.radio`; this file keeps the clock, decides about presence, and writes rows.

`from_time` of a stay is the first read of it: for a move, the first read since which reads spoke against the old
zone, and the old stay ends there. A stay that ends in departure ends with the last read: nothing is known of the time
after it, and detection comes later by design, which `as_of_time` says.
"""

from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from analytics.location import arrivals, belief, radio
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
OPEN_AFTER_S = 5
"""or with the first read this long after its first."""
SWITCH_LOG_ODDS = 2.0
"""A stay ends when another zone is e to this power times as likely: a false move costs more than a second of delay."""
READER_ALIVE_S = 60
"""A reader that was heard (a read, a heartbeat) this recently is alive. Heartbeats come every 10 to 60 s."""
EXIT_SILENCE_S = 30
"""Silence after which an item last located in an exit zone has left: people walk through an exit in seconds."""
PRESENCE_GRID_S = 5
"""Silence is looked for on this grid of event time."""
_VERSION = 1


class _Items:
    """What is kept about each item, as arrays that grow together."""

    def __init__(self, zones: int) -> None:
        self.belief = np.zeros((0, zones), dtype=np.float32)
        self.belief_s = np.zeros(0, dtype=np.int64)
        self.zone = np.zeros(0, dtype=np.int16)
        self.from_us = np.zeros(0, dtype=np.int64)
        self.last_us = np.zeros(0, dtype=np.int64)
        self.contrary_us = np.zeros(0, dtype=np.int64)
        self.alive_at_read_s = np.zeros(0, dtype=np.int32)
        self.slot_antenna = np.zeros((0, belief.SLOTS), dtype=np.int16)
        self.slot_weight = np.zeros((0, belief.SLOTS), dtype=np.float32)
        self.slot_mean = np.zeros((0, belief.SLOTS), dtype=np.float32)

    def grow(self, count: int) -> None:
        """Make room for at least so many items."""
        have = len(self.zone)
        if count <= have:
            return
        more = max(count - have, have // 4, 256)
        for name, column in vars(self).items():
            fill = -1 if name == "zone" else 0
            if name == "belief" and column.shape[1]:
                fill = -np.log(column.shape[1])
            added = np.full((more, *column.shape[1:]), fill, dtype=column.dtype)
            setattr(self, name, np.concatenate([column, added]))

    def bytes_used(self) -> int:
        """Memory in use, bytes."""
        return sum(column.nbytes for column in vars(self).values())


@dataclass(slots=True, kw_only=True)
class LocationState:
    """Everything that the location step remembers of a site."""

    places: Places
    """The site's map; follows from the site file."""
    tables: npt.NDArray[np.float32]
    """Log-likelihoods of a read, by antenna, RSSI bin and zone."""
    table: ItemTable = field(default_factory=ItemTable)
    """EPCs and their numbers."""
    items: _Items
    """What is known about each."""
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
        return self.table.bytes_used + self.items.bytes_used()


class LocationStep:
    """Where each item is."""

    name = "location"

    def initial(self, site: Site) -> LocationState:
        """Return the state before any read."""
        places = map_site(site)
        return LocationState(
            places=places,
            tables=radio.zone_tables(places, radio.physics(places)),
            items=_Items(places.zones),
            reader_heard_s=np.zeros(len(places.reader_ids), dtype=np.int64),
            zone_alive_s=np.zeros(places.zones, dtype=np.int64),
        )

    def step(self, state: LocationState, arrived: Arrived, site: Site) -> tuple[LocationState, Outputs]:
        """Take one chunk in; return stays that opened or closed by its watermark."""
        if state.places.zones == 0 or state.places.antennas == 0:
            return state, {}
        state.pending.add(_in_tick_order(arrived, state))
        state.items.grow(len(state.table))
        through_s = arrived.watermark_us // 1_000_000
        due = state.pending.take(through_s)
        writer = _RowWriter(state, site)
        _run_ticks(state, due, through_s, writer, int(site.departed_after_s))
        return state, writer.outputs()

    def dump(self, state: LocationState) -> bytes:
        """Turn a state to bytes."""
        arrays: dict[str, npt.NDArray[Any]] = {
            **{f"items.{name}": column[: len(state.table)] for name, column in vars(state.items).items()},
            **{f"pending.{name}": column for name, column in state.pending.columns().items()},
            **state.table.columns(),
            "reader_heard_s": state.reader_heard_s,
            "zone_alive_s": state.zone_alive_s,
        }
        return pack(_VERSION, {"tick_s": state.tick_s}, arrays)

    def load(self, blob: bytes, site: Site) -> LocationState:
        """Turn bytes back to a state."""
        values, arrays = unpack(_VERSION, blob)
        state = self.initial(site)
        state.table = ItemTable.restore(arrays["item_text"], arrays["item_ends"])
        for name in vars(state.items):
            setattr(state.items, name, arrays[f"items.{name}"])
        state.pending = PendingRows({name: arrays[f"pending.{name}"] for name in arrivals.EMPTY})
        state.reader_heard_s = arrays["reader_heard_s"]
        state.zone_alive_s = arrays["zone_alive_s"]
        state.tick_s = int(values["tick_s"] or 0)
        return state


def _in_tick_order(arrived: Arrived, state: LocationState) -> dict[str, Column]:
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
        _hear_readers(state, rows, tick)
        _pass_time(state, tick, patience_s, writer)
        _locate(state, {name: column[rows["item"] >= 0] for name, column in rows.items()}, writer)
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
    """Let one tick pass: count zones' waking time, and on the presence grid close the stays of silent items."""
    state.tick_s = tick
    alive = state.reader_heard_s + READER_ALIVE_S > tick
    state.zone_alive_s += (state.places.zone_reader & alive[None, :]).any(axis=1)
    if tick % PRESENCE_GRID_S:
        return
    items = state.items
    found = np.empty(len(items.zone), dtype=np.int32)
    count = belief.silent_items(items.zone, items.alive_at_read_s, state.zone_alive_s, patience_s, found)
    for item in found[:count].tolist():
        writer.close(item, until_us=int(items.last_us[item]), left_for=None)
        items.zone[item] = -1
        items.from_us[item] = 0
        items.contrary_us[item] = 0
        items.belief[item] = -np.log(state.places.zones)


def _locate(state: LocationState, reads: dict[str, Column], writer: "_RowWriter") -> None:
    """Take in the reads of a tick and open, or move, the stays of the items that they touch."""
    items = state.items
    touched = np.empty(len(reads["item"]), dtype=np.int32)
    count = belief.absorb(
        state.tick_s,
        reads["item"],
        reads["antenna"],
        reads["bin"],
        reads["rssi_dbm"],
        reads["time_us"],
        state.tables,
        items.belief,
        items.belief_s,
        items.zone,
        items.from_us,
        items.last_us,
        items.contrary_us,
        items.slot_antenna,
        items.slot_weight,
        items.slot_mean,
        touched,
    )
    touched = touched[:count]
    best = items.belief[touched].argmax(axis=1)
    now = items.zone[touched]
    lead = items.belief[touched, best] - items.belief[touched, np.maximum(now, 0)]
    waited_us = items.last_us[touched] - items.from_us[touched]
    sure = items.belief[touched, best] >= np.log(OPEN_PROBABILITY)
    opens = (now < 0) & (sure | (waited_us >= OPEN_AFTER_S * 1_000_000))
    moves = (now >= 0) & (lead >= SWITCH_LOG_ODDS)
    for index in np.flatnonzero(opens | moves).tolist():
        item, zone = int(touched[index]), int(best[index])
        if moves[index]:
            left_us = max(int(items.contrary_us[item]), int(items.from_us[item]) + 1)
            writer.close(item, until_us=left_us, left_for=zone)
            items.from_us[item] = left_us
            items.contrary_us[item] = 0
        items.zone[item] = zone
        writer.open(item)
    here = items.zone[touched]
    items.alive_at_read_s[touched] = state.zone_alive_s[np.maximum(here, 0)]


class _RowWriter:
    """Collects the rows of one chunk."""

    def __init__(self, state: LocationState, site: Site) -> None:
        self._state = state
        self._site = site.id
        self._rows: dict[str, list[Any]] = {name: [] for name in LOCATIONS.names}

    def open(self, item: int) -> None:
        """Write that a stay opened."""
        self._write(item, until_us=None, left_for=None, revision=0)

    def close(self, item: int, *, until_us: int, left_for: int | None) -> None:
        """Write that a stay closed."""
        until_us = max(until_us, int(self._state.items.from_us[item]) + 1)
        self._write(item, until_us=until_us, left_for=left_for, revision=1)

    def outputs(self) -> Outputs:
        """Return the rows as a table."""
        if not self._rows["site"]:
            return {}
        columns = [pa.array(self._rows[field.name], type=_plain(field.type)) for field in LOCATIONS]
        cast = [column.cast(field.type) for column, field in zip(columns, LOCATIONS, strict=True)]
        return {"locations": pa.Table.from_arrays(cast, schema=LOCATIONS)}

    def _write(self, item: int, *, until_us: int | None, left_for: int | None, revision: int) -> None:
        state, items = self._state, self._state.items
        epc_hex = state.table.epc_hex(item)
        uri, gtin = identify(epc_hex)
        zone = int(items.zone[item])
        weights, antennas, means = items.slot_weight[item], items.slot_antenna[item], items.slot_mean[item]
        shown = np.flatnonzero(weights >= 0.5)
        shown = shown[np.argsort(-means[shown], kind="stable")]
        x, y = _power_weighted(state.places, antennas[shown], weights[shown], means[shown])
        values = (
            self._site,
            epc_hex,
            uri,
            gtin,
            state.places.zone_ids[zone],
            int(items.from_us[item]),
            until_us,
            float(np.exp(items.belief[item, zone])),
            x,
            y,
            _evidence(state.places, antennas[shown], weights[shown], means[shown]),
            None if left_for is None else state.places.zone_ids[left_for],
            state.tick_s * 1_000_000,
            revision,
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
