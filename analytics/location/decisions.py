"""What follows from a belief: when a stay opens, ends or is restated, and the rows that say so.

Nothing is worked out here: what is believed of an item comes from `beliefs`, and how sure a move has to be from
`policy`. Each decision is kept in the item's track and *told*, as a row of the `locations` table to be.
"""

import math
from typing import NamedTuple

import numpy as np

from analytics.location.cells import Floats32, Int32s, Int64s, Number, likeliest
from analytics.location.kernel import kernel
from analytics.location.kin import KinTables, has_shelf
from analytics.location.policy import Policy
from analytics.location.tracks import TRACK, Track, Tracks, origin_of

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
"""For this long after a move an item may well be carried on, and a zone that it passes look like its own."""
OUTSIDE_PROBABILITY = 0.9
"""An item more likely outside than this has no stay: one that it has is taken back,"""
BACK_PROBABILITY = 0.5
"""and it is located again once it is less likely outside than this."""
GIVEN_UP_RATIO = 100.0
"""Where another zone is so many times as likely as the one that a lying item is reported in, that one is given up,
however likely the other is: as sure as a revision has to be, two zones between which it may lie would never let it."""
RESTATE_LOG_ODDS = 1.0
"""A stay whose confidence has changed by this much since its last row gets another one: it opens as soon as it is
likely, and how sure it is shows later."""
SURE = 0.995
"""Confidence beyond which differences are not worth a row."""
_RESTATE_ODDS = math.exp(RESTATE_LOG_ODDS)


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
def may_open(track: Track, group: int, kin: KinTables, belief: Floats32) -> bool:
    """Tell whether the belief about an item that is not located is sure enough, or old enough, to open a stay."""
    least, after_us = OPEN_PROBABILITY, OPEN_AFTER_US
    if has_shelf(kin, group):
        least, after_us = OPEN_PLANNED_PROBABILITY, OPEN_PLANNED_AFTER_US
    return bool(belief[likeliest(belief)] >= least or track.last_us - track.from_us >= after_us)


@kernel
def stays_out(track: Track, away: Number) -> bool:
    """Tell whether an item without a stay is outside; one that is no more is here from now on."""
    if away > (BACK_PROBABILITY if track.outside > 0 else OUTSIDE_PROBABILITY):
        if track.last_us - track.from_us >= OPEN_AFTER_US:
            track.outside = 1
        return True
    if track.outside > 0:
        track.outside, track.from_us = 0, track.last_us
    return False


@kernel
def decide(  # noqa: PLR0917
    track: Track, item: Number, belief: Floats32, away: Number, policy: Policy, told: Told, count: int
) -> int:
    """Open, end or restate the stay of an item whose belief is known; return how many rows are told now."""
    best = likeliest(belief)
    surest, now = belief[best], track.zone
    if now < 0:
        track.zone, track.stated, track.revision = best, surest, 0
        return tell(told, count, item, track, 0, -1)
    if away > OUTSIDE_PROBABILITY and track.odds == 0:
        return _take_back(track, item, belief[now], told, count, len(belief))
    since_us = track.last_us - track.settled_us
    moving = track.odds > 0 or (track.moved > 0 and since_us < MOVING_US)
    given_up = not moving and belief[now] * GIVEN_UP_RATIO < surest
    if best != now and (given_up or surest >= _asked(policy, track.odds > 0, moving, since_us)):
        until_us = max(_left_us(track), track.from_us + 1)
        track.revision += 1
        count = tell(told, count, item, track, until_us, best)
        track.from_us, track.zone, track.stated, track.revision = until_us, best, surest, 0
        track.came_from = origin_of(now)
        return tell(told, count, item, track, 0, -1)
    if not moving and _is_news(belief[now], track.stated):
        track.stated = belief[now]
        track.revision += 1
        return tell(told, count, item, track, 0, -1)
    return count


@kernel
def _take_back(track: Track, item: Number, confidence: Number, told: Told, count: int, outside: int) -> int:  # noqa: PLR0917
    """End the stay of an item that turns out to be outside."""
    track.stated = confidence
    track.revision += 1
    count = tell(told, count, item, track, max(track.last_us, track.from_us + 1), outside)
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
def _is_news(probability: float, stated: float) -> bool:
    """Tell whether log-odds have changed by `RESTATE_LOG_ODDS`: compared as odds, which takes no logarithm."""
    one = min(max(probability, 1.0 - SURE), SURE)
    other = min(max(stated, 1.0 - SURE), SURE)
    up, down = one * (1.0 - other), other * (1.0 - one)
    return bool(up >= _RESTATE_ODDS * down or down >= _RESTATE_ODDS * up)


@kernel
def tell(told: Told, count: int, item: Number, track: Track, until_us: Number, left_for: Number) -> int:  # noqa: PLR0917
    """Add a row that says what a track holds now; return how many rows are told now."""
    told.item[count] = item
    told.track[count] = track
    told.until_us[count] = until_us
    told.left_for[count] = left_for
    return count + 1
