"""The location step: one row per stay of an item in a zone, from reads alone, in the order of their effective time.

States of an item, and what moves it:

```
unknown  --its reads agree on a zone, or go on for a while------->  located   (revision 0 opens a stay)
located  --it is seen more or less surely----------------------->   located   (a further revision says how surely)
located  --another zone is likely enough------------------------>   located   (the last revision closes, 0 opens)
located  --its zone's readers live and do not hear it----------->   unknown   (the last revision, left_for null)
```

What is remembered of an item is in `analytics.location.tracks`, what is believed of it in `beliefs`, and which stays
follow from that in `decisions` and `stays`; which antenna hears how strongly from where is in `radio`, and what the
site teaches about that in `learning`; who has left is found in `departures`. This file keeps the clock: it says what
is looked at when, and hands over the rows.

`from_time` of a stay is the first read of it: for a move, the first read that did not fit the old place, and the old
stay ends there. A stay that ends in departure ends with the last read: nothing is known of the time
after it, and detection comes later by design, which `as_of_time` says.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from analytics.location import arrivals, forgetting, learning, outside, radio, stays, strays
from analytics.location.checkpoint import dump_state, load_state
from analytics.location.decisions import Told
from analytics.location.departures import find_silent
from analytics.location.law_rows import law_rows
from analytics.location.pending import Column, renumbered
from analytics.location.state import LocationState, fresh_tracks, initial_state
from analytics.location.stay_rows import StayRows
from analytics.schemas import LOCATIONS, RADIO_LAWS
from analytics.step import Arrived, Outputs
from analytics.steps.derived import table_of
from analytics.steps.identity import identify
from devices.site.model import Site

GRID_S = 5
"""Silence is looked for on this grid of event time; the grid of learning is a multiple of it."""
ROWS_AT_ONCE = 4096
"""Rows that the kernel tells before they are collected: each takes a track's memory."""


class LocationStep:
    """Where each item is."""

    name = "location"

    def initial(self, site: Site) -> LocationState:
        """Return the state before any read."""
        return initial_state(site)

    def step(self, state: LocationState, arrived: Arrived, site: Site) -> tuple[LocationState, Outputs]:
        """Take one chunk in; return stays that opened or closed by its watermark."""
        closing, state.closing = _closed(state.closing), []
        if state.places.zones == 0 or not state.places.antennas:
            return state, closing
        state.pending.add(_new_rows(arrived, state))
        state.carried.add(arrived, site)
        state.make_room()
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
        return dump_state(state)

    def load(self, blob: bytes, site: Site) -> LocationState:
        """Turn bytes back to a state. One of another map only closes what was open on it."""
        return load_state(blob, site)


def _closed(rows: list[dict[str, Any]]) -> dict[str, pa.Table]:
    """Return the rows that close stays of an older map, with what their EPCs say."""
    if not rows:
        return {}
    named = [row | dict(zip(("epc_uri", "gtin"), identify(row["epc_hex"]), strict=True)) for row in rows]
    return {"locations": table_of(named, LOCATIONS)}


def _new_rows(arrived: Arrived, state: LocationState) -> dict[str, Column]:
    """Join reads and signs of life."""
    reads = arrivals.read_rows(arrived, state.table, state.places)
    life = arrivals.life_rows(arrived, state.places)
    if not len(life["time_us"]):
        return reads
    return {name: np.concatenate([reads[name], life[name]]) for name in reads}


def _run(state: LocationState, due: dict[str, Column], through_us: int, rows: StayRows, departed_after_s: int) -> None:
    """Work on all rows due by a time and let that time pass, mark by mark of the grid."""
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
            located = _close_silent(state, departed_after_s, rows)
            _look_at_moves(state, located)
            if mark_s % strays.LEARN_GRID_S == 0:
                state.kin.learn_strays(state.tracks)
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
    items = state.items
    told = Told.room(min(ROWS_AT_ONCE, 2 * (stop - start) + 2))
    while start < stop:
        start, count = stays.advance(
            taken, start, stop, state.tables, state.site, state.policy, state.clock, items, told
        )
        if count:
            rows.add_told(told, count, state.tables, state.kin)
            state.budget.count(told, count)


def _look_at_moves(state: LocationState, located: int) -> None:
    """Let the budget of false moves say how sure a move has to be from now on."""
    if state.budget.look(state.tick_s, GRID_S, located):
        state.policy = state.budget.policy


def _learn(state: LocationState, time_us: int) -> None:
    """Look at where goods lie and at the radio law; what that is from now on goes out as rows, a version at once."""
    state.kin.learn()
    law = learning.learn(state.lessons, state.places, state.law, state.tracks, time_us=time_us)
    beyond = outside.learn(state.held, state.tables, state.law.outside)
    if beyond is not state.law.outside:
        law = replace(law, outside=beyond, version=state.law.version + 1, as_of_us=time_us)
    if law is not state.law:
        state.law, state.tables = law, radio.tabulate(state.places, law)
        state.law_rows += law_rows(state.site_id, state.places, law, state.lessons)


def _forget_gone(state: LocationState, taken: stays.Rows, start: int) -> stays.Rows:
    """Forget items that have been gone for long; return the rows at hand, of which those from `start` on wait."""
    held = state.held
    gone = forgetting.find_gone(held, state.tick_s)
    if not gone.any():
        return taken
    waiting = np.concatenate([taken.item[start:], state.pending.columns()["item"]])
    arrival = np.concatenate([state.pending.arrival[0][start:], state.pending.arrival[1]])
    kept = forgetting.order_of_kept(held, gone, waiting, arrival)
    numbers = np.full(len(held), -1, dtype=np.int32)
    numbers[kept] = np.arange(len(kept), dtype=np.int32)
    held[gone] = fresh_tracks(1)[0]
    state.tracks = held[kept].copy()
    state.table.keep(kept)
    state.pending.renumber(numbers)
    state.movers = state.movers._replace(item=renumbered(state.movers.item, numbers))
    state.count_kin_anew()
    items = taken.item.copy()
    items[start:] = renumbered(items[start:], numbers)
    return taken._replace(item=items)


def _close_silent(state: LocationState, departed_after_s: int, rows: StayRows) -> int:
    """Close the stays of items that have not been heard for too long, and forget what was believed of them.

    Returns:
        How many items are located.
    """
    silent = find_silent(state, departed_after_s)
    if len(silent.gone):
        stays.drop(silent.gone, state.items)
    if len(silent.departed):
        told = Told.room(len(silent.departed))
        stays.depart(silent.departed, state.tables, state.site, state.clock, state.items, told)
        rows.add_told(told, len(silent.departed), state.tables, state.kin)
    return silent.located
