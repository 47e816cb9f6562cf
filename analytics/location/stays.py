"""From reads to stays: the kernel that goes through reads in order, and decides after each what to tell.

States of an item are drawn in `analytics.steps.location`; what a read does to a track is `tracks`' business. Belief
about zones is worked out for items that may be elsewhere than reported; the others are looked at now and then.
"""

import math
from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from analytics.location.arrivals import SIGN_OF_LIFE, WENT_DARK
from analytics.location.cells import Floats32, Int16s, Int32s, Int64s, Number, pool_zones, weigh_cells
from analytics.location.kernel import kernel, prefetch
from analytics.location.kin import KIN_TRUST_MOVED, NO_GROUP, KinTables, count_for, weigh_kin
from analytics.location.outside import SHARE_MIN, fit_of, kin_odds, outside_odds
from analytics.location.policy import Policy
from analytics.location.radio import RadioTables
from analytics.location.tracks import TRACK, Track, Tracks, origin_of, take_read

OPEN_PROBABILITY = 0.9
"""An item's first stay opens as soon as one zone is this likely,"""
OPEN_AFTER_US = 15_000_000
"""or with the first read this long after its first."""
OPEN_PLANNED_PROBABILITY = 0.7
"""Where the plan says on which shelf its goods belong, this much is enough: little is guessed then, and the first reads
beside the plan are right nearly as often as more of them,"""
OPEN_PLANNED_AFTER_US = 8_000_000
"""and this long."""
MOVING_US = 60_000_000
"""How long after a move a zone may still be found wanting: where things come to rest shows within some reads."""
ARRIVED_US = 8_000_000
"""For this long after a move an item may well be carried on, and a zone that it passes look like its own;"""
NEW_US = 30_000_000
"""for this long after a move the belief is worked out after every read,"""
LOOK_US = 16_000_000
"""and then every so often: it changes little by a read;"""
LAIN_US = 600_000_000
"""and once an item has lain for this long,"""
LOOK_RARELY_US = 64_000_000
"""less often: its evidence is replaced only as fast as it is forgotten (`tracks.FORGET_S_MAX`)."""
OUTSIDE_PROBABILITY = 0.9
"""An item more likely outside than this has no stay: one that it has is taken back,"""
BACK_PROBABILITY = 0.5
"""and it is located again once it is less likely outside than this."""
OUTSIDE_MOVED = 0.05
"""Of as many items as look outside, this many are when they were carried about in here before: what is carried out
goes through an exit, and is silent then."""
KIN_US = 6_000_000
"""An item that has lain for this long counts among its kin."""
RESTATE_LOG_ODDS = 1.0
"""A stay whose confidence has changed by this much since its last row gets another one: it opens as soon as it is
likely, and how sure it is shows later."""
SURE = 0.995
"""Confidence beyond which differences are not worth a row."""
READER_ALIVE_S = 60
"""A reader that was heard (a read, a heartbeat) this recently is alive. Heartbeats come every 10 to 60 s."""
SECOND_US = 1_000_000
_ZERO, _ONE = np.float32(0.0), np.float32(1.0)
ROWS_AHEAD = 6
"""So many rows before its read a track is fetched into the cache."""


class Rows(NamedTuple):
    """Rows as in `arrivals`, in order of time, with the RSSI bin of each."""

    time_us: Int64s
    item: Int32s
    antenna: Int16s
    bin: Int16s
    rssi_dbm: Floats32


class Site(NamedTuple):
    """What kernels have to know of a site."""

    zone_cells: Int64s
    """As in `Places`."""
    area: Floats32
    """Each zone's share of all cells."""
    zone_reader: npt.NDArray[np.bool_]
    """As in `Places`."""
    antenna_reader: Int64s
    """As in `Places`."""


class Clock(NamedTuple):
    """What passes with time."""

    tick_s: Int64s
    """One element: the last whole second that has passed."""
    reader_heard_s: Int64s
    """Second in which each reader was last heard, 0 for dark."""
    zone_alive_s: Int64s
    """Seconds that each zone's readers have been alive, ever."""


class Items(NamedTuple):
    """What is remembered of each item, by number."""

    tracks: Tracks
    group: Int32s
    kin: KinTables
    """As in `Kin`."""


class Told(NamedTuple):
    """Rows of the `locations` table to be: as many as fit."""

    item: Int32s
    track: Tracks
    """With zone, start of stay, revision, confidence and evidence of the row."""
    as_of_us: Int64s
    until_us: Int64s
    """0 while a stay lasts."""
    left_for: Int32s
    """-1 for nowhere, the number of zones for outside."""

    @classmethod
    def room(cls, rows: int) -> "Told":
        """Return room for so many rows."""
        return cls(
            item=np.empty(rows, dtype=np.int32),
            track=np.empty(rows, dtype=TRACK),
            as_of_us=np.empty(rows, dtype=np.int64),
            until_us=np.empty(rows, dtype=np.int64),
            left_for=np.empty(rows, dtype=np.int32),
        )


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
    return _advance(rows, start, stop, law, site, policy, clock, items, told, cells, powers, belief, outer)


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
) -> tuple[int, int]:
    count = 0
    for row in range(start, stop):
        if count + 2 > len(told.item):
            return row, count
        time_us, item, antenna = rows.time_us[row], rows.item[row], rows.antenna[row]
        prefetch(items.tracks, max(rows.item[min(row + ROWS_AHEAD, stop - 1)], 0))
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
        if unknown or doubted or track.doubt_us > 0 or fresh or _is_due(track, looked_us):
            away = believe(track, items.group[item], items, law, site, cells, powers, belief, outer)
            before = count
            if track.zone >= 0 or (
                not _stays_out(track, away) and _may_open(track, items.group[item], items.kin, belief[0])
            ):
                count = _decide(track, item, belief[0], away, policy, told, count)
            if count > before:
                track.heard_alive_s = clock.zone_alive_s[track.zone]
                for place in range(before, count):
                    told.as_of_us[place] = time_us
            _count_among_kin(track, items.group[item], items.kin.counts, belief[0], away)
    return stop, count


@kernel
def _is_due(track: Track, before_us: Number) -> bool:
    """Tell whether an item is to be looked at on schedule, at a read; its last read before that is given."""
    period_us = LOOK_US if track.last_us - track.settled_us < LAIN_US else LOOK_RARELY_US
    return bool(track.last_us // period_us != before_us // period_us)


@kernel
def believe(  # noqa: PLR0917
    track: Track,
    group: int,
    items: Items,
    law: RadioTables,
    site: Site,
    cells: Floats32,
    powers: Int32s,
    belief: Floats32,
    outer: Floats32,
) -> Number:
    """Work out the belief about zones of one item into the first row of `belief`; return how likely it is outside.

    The other rows of `belief` are scratch, and so is `outer`. Zones and outside sum to 1.
    """
    settled, doubt, factors = belief[0], belief[1], belief[2]
    trust = 1.0 if track.moved == 0 else KIN_TRUST_MOVED
    weigh_kin(track, group, items.kin, site.area, trust, factors)
    away = _ZERO
    if law.outer_share >= SHARE_MIN:
        away = _outside(track, group, items.kin, site, law, factors, cells, powers, outer)
    weigh_cells(track.settled_antenna, track.settled_weight, track.settled_dbm, law, cells, powers)
    shelf_cell, shelf_share = items.kin.shelf_cell, items.kin.shelf_share
    at = group if track.moved == 0 else NO_GROUP  # what has moved may have been put down anywhere in a zone
    track.cell = pool_zones(cells, site.zone_cells, factors, shelf_cell[at], shelf_share[at], settled)
    if track.doubt_us > 0:
        if track.moved == 0:
            weigh_kin(track, group, items.kin, site.area, KIN_TRUST_MOVED, factors)
        weigh_cells(track.doubt_antenna, track.doubt_weight, track.doubt_dbm, law, cells, powers)
        pool_zones(cells, site.zone_cells, factors, shelf_cell[NO_GROUP], shelf_share[NO_GROUP], doubt)
        odds = np.float32(math.exp(track.odds))
        for zone in range(len(doubt)):
            settled[zone] = (settled[zone] + odds * doubt[zone]) / (np.float32(1.0) + odds)
    for zone in range(len(settled)):
        settled[zone] *= _ONE - away
    return away


@kernel
def _may_open(track: Track, group: int, kin: KinTables, belief: Floats32) -> bool:
    """Tell whether the belief about an item that is not located is sure enough, or old enough, to open a stay."""
    planned = False
    for zone in range(len(belief)):
        planned = planned or kin.planned[group, zone]
    least, after_us = OPEN_PROBABILITY, OPEN_AFTER_US
    if planned:
        least, after_us = OPEN_PLANNED_PROBABILITY, OPEN_PLANNED_AFTER_US
    return bool(belief[np.argmax(belief)] >= least or track.last_us - track.from_us >= after_us)


@kernel
def _outside(  # noqa: PLR0917
    track: Track,
    group: int,
    kin: KinTables,
    site: Site,
    law: RadioTables,
    factors: Floats32,
    cells: Floats32,
    powers: Int32s,
    outer: Floats32,
) -> Number:
    """Return how likely an item is outside, by its settled reads, its kin and what it did; `cells` is scratch."""
    odds = outside_odds(track, law, cells, powers, outer) * kin_odds(
        track, group, kin.counts, np.float64(law.outer_share)
    )
    at = group if track.moved == 0 else NO_GROUP
    odds /= fit_of(cells, site.zone_cells, factors, kin.shelf_cell[at], kin.shelf_share[at])
    if track.moved > 0 and track.zone >= 0:
        odds *= OUTSIDE_MOVED
    return np.float32(odds / (1.0 + odds))


@kernel
def _decide(  # noqa: PLR0917
    track: Track, item: Number, belief: Floats32, away: Number, policy: Policy, told: Told, count: int
) -> int:
    """Open, end or restate the stay of an item whose belief is known; return how many rows are told now."""
    best = int(np.argmax(belief))
    surest, now = belief[best], track.zone
    if now < 0:
        track.zone, track.stated, track.revision = best, surest, 0
        return _tell(told, count, item, track, 0, -1)
    if away > OUTSIDE_PROBABILITY and track.odds == 0:
        return _take_back(track, item, belief[now], told, count, len(belief))
    since_us = track.last_us - track.settled_us
    moving = track.odds > 0 or (track.moved > 0 and since_us < MOVING_US)
    if best != now and surest >= _asked(policy, track.odds > 0, moving, since_us):
        until_us = max(_left_us(track), track.from_us + 1)
        track.revision += 1
        count = _tell(told, count, item, track, until_us, best)
        track.from_us, track.zone, track.stated, track.revision = until_us, best, surest, 0
        track.came_from = origin_of(now)
        return _tell(told, count, item, track, 0, -1)
    if not moving and abs(_log_odds(belief[now]) - _log_odds(track.stated)) >= RESTATE_LOG_ODDS:
        track.stated = belief[now]
        track.revision += 1
        return _tell(told, count, item, track, 0, -1)
    return count


@kernel
def _stays_out(track: Track, away: Number) -> bool:
    """Tell whether an item without a stay is outside; one that is no more is here from now on."""
    if away > (BACK_PROBABILITY if track.outside > 0 else OUTSIDE_PROBABILITY):
        if track.last_us - track.from_us >= OPEN_AFTER_US:
            track.outside = 1
        return True
    if track.outside > 0:
        track.outside, track.from_us = 0, track.last_us
    return False


@kernel
def _take_back(track: Track, item: Number, confidence: Number, told: Told, count: int, outside: int) -> int:  # noqa: PLR0917
    """End the stay of an item that turns out to be outside."""
    track.stated = confidence
    track.revision += 1
    count = _tell(told, count, item, track, max(track.last_us, track.from_us + 1), outside)
    track.zone, track.outside, track.revision = -1, 1, 0
    return count


@kernel
def _asked(policy: Policy, in_doubt: bool, moving: bool, since_us: Number) -> float:  # noqa: FBT001  # kernels know no keywords
    """Return how likely another zone has to be."""
    if in_doubt:
        return policy.in_doubt
    if not moving:
        return policy.revised
    return policy.arrived if since_us < ARRIVED_US else policy.moved


@kernel
def _left_us(track: Track) -> Number:
    """Return when an item left the zone that it is reported in.

    That is the first read of the doubt that moved it, or of the move that just ended; where the estimate is revised
    without a move, the revision itself.
    """
    if track.odds > 0:
        return np.int64(track.doubt_us)
    return np.int64(track.settled_us if track.settled_us > track.from_us else track.last_us)


@kernel
def _log_odds(probability: float) -> float:
    bounded = min(max(probability, 1.0 - SURE), SURE)
    return math.log(bounded / (1.0 - bounded))


@kernel
def _tell(told: Told, count: int, item: Number, track: Track, until_us: Number, left_for: Number) -> int:  # noqa: PLR0917
    told.item[count] = item
    told.track[count] = track
    told.until_us[count] = until_us
    told.left_for[count] = left_for
    return count + 1


@kernel
def _count_among_kin(track: Track, group: int, counts: Int32s, belief: Floats32, away: Number) -> None:
    """Let an item that lies somewhere count for its likeliest zone, or for what is outside."""
    best = int(np.argmax(belief))
    if track.outside > 0 or away > belief[best]:
        count_for(track, group, counts, len(belief), away)
        return
    lies = track.doubt_us == 0 and track.last_us - track.settled_us >= KIN_US
    count_for(track, group, counts, best, belief[best] if lies else 0.0)


@numba.njit(cache=True)
def depart(  # noqa: PLR0917
    found: Int32s, law: RadioTables, site: Site, clock: Clock, items: Items, told: Told
) -> None:
    """End the stays of items that are gone, and forget what was believed of them; `told` has a row for each."""
    cells = np.zeros(site.zone_cells[len(site.area)], dtype=np.float32)
    powers = np.zeros(len(cells), dtype=np.int32)
    belief = np.zeros((3, len(site.area)), dtype=np.float32)
    outer = np.zeros(law.outer_dbm.shape[1], dtype=np.float32)
    _depart(found, law, site, clock, items, told, cells, powers, belief, outer)


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
) -> None:
    for place in range(len(found)):
        item = found[place]
        track, group = items.tracks[item], items.group[item]
        believe(track, group, items, law, site, cells, powers, belief, outer)
        track.stated = belief[0, track.zone]
        track.revision += 1
        _tell(told, place, item, track, max(track.last_us, track.from_us + 1), -1)
        told.as_of_us[place] = clock.tick_s[0] * SECOND_US
        count_for(track, group, items.kin.counts, 0, 0.0)
        _forget(track)


@numba.njit(cache=True)
def drop(found: Int32s, items: Items) -> None:
    """Forget what was believed of items that have no stay."""
    for item in found:
        count_for(items.tracks[item], items.group[item], items.kin.counts, 0, 0.0)
        _forget(items.tracks[item])


@kernel
def _forget(track: Track) -> None:
    """Make a track that of an item of which nothing is known but when it was last read."""
    track.from_us = track.settled_us = track.doubt_us = track.heard_alive_s = 0
    track.zone = -1
    track.outside = 0
    track.last_antenna = track.cell = track.revision = track.moved = track.kin_zone = track.kin_weight = 0
    track.came_from = 0
    track.stated = track.gap_s = track.odds = track.odds_before = np.float32(0.0)
    track.settled_antenna[:] = 0
    track.settled_weight[:] = np.float32(0.0)
    track.settled_dbm[:] = np.float32(0.0)
    track.doubt_antenna[:] = 0
    track.doubt_weight[:] = np.float32(0.0)
    track.doubt_dbm[:] = np.float32(0.0)
