"""From reads to stays: the kernel that goes through reads in order, and the kernels that let items go.

States of an item are drawn in `analytics.steps.location`; what a read does to a track is `tracks`' business, what is
believed then is `beliefs`', and what follows from that is `decisions`'. Belief about zones is worked out for items
that may be elsewhere than reported; the others are looked at now and then.
"""

from typing import NamedTuple

import numba
import numpy as np

from analytics.location.arrivals import SIGN_OF_LIFE, WENT_DARK
from analytics.location.beliefs import Items, Site, believe, count_among_kin
from analytics.location.cells import Floats32, Int16s, Int32s, Int64s, Number
from analytics.location.company import Pool, gather, is_moving, note_mover, pool_room
from analytics.location.decisions import Told, decide, may_open, stays_out, tell
from analytics.location.kernel import kernel, prefetch
from analytics.location.kin import count_for
from analytics.location.policy import PASSING_LOG_ODDS, Policy
from analytics.location.radio import RadioTables
from analytics.location.tracks import SURE_UNIT, Track, forget, take_read

NEW_US = 30_000_000
"""For this long after a move the belief is worked out after every read,"""
LOOK_US = 16_000_000
"""and then every so often: it changes little by a read;"""
LAIN_US = 600_000_000
"""and once an item has lain for this long,"""
LOOKS_RARELY = 4
"""only every so many times: its evidence is replaced only as fast as it is forgotten (`piles.FORGET_S_MAX`)."""
READER_ALIVE_S = 60
"""A reader that was heard (a read, a heartbeat) this recently is alive. Heartbeats come every 10 to 60 s."""
SECOND_US = 1_000_000
ROWS_AHEAD = 6
"""So many rows before its read a track is fetched into the cache."""


class Rows(NamedTuple):
    """Rows as in `arrivals`, in order of time, with the RSSI bin of each."""

    time_us: Int64s
    item: Int32s
    antenna: Int16s
    bin: Int16s
    rssi_dbm: Floats32


class Clock(NamedTuple):
    """What passes with time."""

    tick_s: Int64s
    """One element: the last whole second that has passed."""
    reader_heard_s: Int64s
    """Second in which each reader was last heard, 0 for dark."""
    zone_alive_s: Int64s
    """Seconds that each zone's readers have been alive, ever."""


@kernel
def pass_seconds(site: Site, clock: Clock, until_s: int) -> None:
    """Let whole seconds pass: count zones' waking time."""
    zones, readers = site.zone_reader.shape
    while clock.tick_s[0] < until_s:
        clock.tick_s[0] += 1
        for zone in range(zones):
            for reader in range(readers):
                if site.zone_reader[zone, reader] and clock.reader_heard_s[reader] + READER_ALIVE_S > clock.tick_s[0]:
                    clock.zone_alive_s[zone] += 1
                    break


@numba.njit(cache=True)
def advance(  # noqa: PLR0917 - kernels take their arrays one by one
    rows: Rows,
    start: int,
    stop: int,
    law: RadioTables,
    site: Site,
    policy: Policy,
    clock: Clock,
    items: Items,
    told: Told,
) -> tuple[int, int]:
    """Take in rows, in order.

    Args:
        rows: Reads, signs of life and readers going dark.
        start: The first to take in.
        stop: The first not to take in.
        law: The radio law.
        site: The site.
        policy: How sure a move has to be.
        clock: Changed.
        items: Changed.
        told: Filled from its beginning.

    Returns:
        The first row that was not taken in, `stop` unless `told` is full; and how many rows were told.
    """
    zones = len(site.area)
    cells = np.zeros(site.zone_cells[zones], dtype=np.float32)
    powers = np.zeros(len(cells), dtype=np.int32)
    belief = np.zeros((3, zones), dtype=np.float32)
    outer = np.zeros(law.outer_dbm.shape[1], dtype=np.float32)
    pool = pool_room(len(cells))
    return _advance(rows, start, stop, law, site, policy, clock, items, told, cells, powers, belief, outer, pool)


@kernel
def _advance(  # noqa: PLR0917
    rows: Rows,
    start: int,
    stop: int,
    law: RadioTables,
    site: Site,
    policy: Policy,
    clock: Clock,
    items: Items,
    told: Told,
    cells: Floats32,
    powers: Int32s,
    belief: Floats32,
    outer: Floats32,
    pool: Pool,
) -> tuple[int, int]:
    count = 0
    for row in range(start, stop):
        if count + 2 > len(told.item):
            return row, count
        time_us, item, antenna = rows.time_us[row], rows.item[row], rows.antenna[row]
        ahead = max(rows.item[min(row + ROWS_AHEAD, stop - 1)], 0)
        prefetch(items.tracks, ahead)
        prefetch(items.group, ahead)
        second = -(-time_us // SECOND_US)
        pass_seconds(site, clock, second - 1)
        if item == SIGN_OF_LIFE:
            clock.reader_heard_s[antenna] = second
        elif item == WENT_DARK:
            clock.reader_heard_s[antenna] = 0
        if item < 0:
            continue
        clock.reader_heard_s[site.antenna_reader[antenna]] = second
        track = items.tracks[item]
        looked_us, doubted = track.last_us, track.doubt_us > 0
        take_read(track, antenna, rows.bin[row], rows.rssi_dbm[row], time_us, law, cells, powers)
        if track.zone >= 0:
            track.heard_alive_s = clock.zone_alive_s[track.zone]
        fresh = track.moved > 0 and track.last_us - track.settled_us < NEW_US
        unknown = track.zone < 0 and track.outside == 0
        in_doubt = (doubted or track.doubt_us > 0) and not _passes(track, policy)
        if unknown or in_doubt or fresh or _is_due(track, looked_us):
            others = np.float32(0.0)
            if is_moving(track):
                note_mover(items.movers, item, track)
                others = gather(item, items.tracks, items.movers, site.cell_xy, law, cells, powers, pool)
            away = believe(track, items.group[item], items, law, site, cells, powers, belief, outer, others, pool)
            before = count
            if track.zone >= 0 or (
                not stays_out(track, away) and may_open(track, items.group[item], items.kin, belief[0])
            ):
                count = decide(track, item, belief[0], away, policy, told, count)
            if count > before:
                track.heard_alive_s = clock.zone_alive_s[track.zone]
                for place in range(before, count):
                    told.as_of_us[place] = time_us
            _note_how_sure(track, belief[0])
            count_among_kin(track, items.group[item], items.kin, belief[0], belief[2], away)
    return stop, count


@kernel
def _is_due(track: Track, before_us: Number) -> bool:
    """Tell whether an item is to be looked at on schedule, at a read; its last read before that is given."""
    now, before = track.last_us // LOOK_US, before_us // LOOK_US  # by a constant, which takes no division
    if track.last_us - track.settled_us < LAIN_US:
        return bool(now != before)
    return bool(now // LOOKS_RARELY != before // LOOKS_RARELY)


@kernel
def _passes(track: Track, policy: Policy) -> bool:
    """Tell whether a doubt, or the end of one, can be passed over: whatever it says of where to, no move is told."""
    low = track.doubt_us == 0 or track.odds < PASSING_LOG_ODDS
    return bool(low and track.sure >= policy.at_home * SURE_UNIT)


@kernel
def _note_how_sure(track: Track, belief: Floats32) -> None:
    """Keep how likely an item's zone is, unless it may well be on its way elsewhere."""
    away = track.zone < 0 or (track.doubt_us > 0 and track.odds >= PASSING_LOG_ODDS)
    track.sure = np.uint8(0) if away else np.uint8(SURE_UNIT * belief[track.zone])


@numba.njit(cache=True)
def depart(  # noqa: PLR0917
    found: Int32s, law: RadioTables, site: Site, clock: Clock, items: Items, told: Told
) -> None:
    """End the stays of items that are gone, and forget what was believed of them; `told` has a row for each."""
    cells = np.zeros(site.zone_cells[len(site.area)], dtype=np.float32)
    powers = np.zeros(len(cells), dtype=np.int32)
    belief = np.zeros((3, len(site.area)), dtype=np.float32)
    outer = np.zeros(law.outer_dbm.shape[1], dtype=np.float32)
    pool = pool_room(len(cells))
    _depart(found, law, site, clock, items, told, cells, powers, belief, outer, pool)


@kernel
def _depart(  # noqa: PLR0917
    found: Int32s,
    law: RadioTables,
    site: Site,
    clock: Clock,
    items: Items,
    told: Told,
    cells: Floats32,
    powers: Int32s,
    belief: Floats32,
    outer: Floats32,
    pool: Pool,
) -> None:
    for place in range(len(found)):
        item = found[place]
        track, group = items.tracks[item], items.group[item]
        believe(track, group, items, law, site, cells, powers, belief, outer, np.float32(0.0), pool)
        track.stated = belief[0, track.zone]
        track.revision += 1
        tell(told, place, item, track, max(track.last_us, track.from_us + 1), -1)
        told.as_of_us[place] = clock.tick_s[0] * SECOND_US
        count_for(track, group, items.kin.counts, 0, 0.0)
        forget(track)


@numba.njit(cache=True)
def drop(found: Int32s, items: Items) -> None:
    """Forget what was believed of items that have no stay."""
    for item in found:
        count_for(items.tracks[item], items.group[item], items.kin.counts, 0, 0.0)
        forget(items.tracks[item])
