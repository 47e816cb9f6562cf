"""Whether an item is here at all: a neighbour's goods are read through the wall, and belong to nobody's stock.

Around the site's outline lies a ring of *outer cells*, `RING_M` beyond it. The wall between is taken to cost
`OUTER_WALL_DB` one way where the site file draws none. An item that outer cells explain better than the site does, and
that is read more rarely than the site's items are, may lie out there: what lies beyond the wall is at the edge of
hearing. Both say little of one item, since an item of ours in a faint corner looks the same, so they decide together
with how many such items there are: the *share* of items outside, and near which outer cells they lie, is learnt from
the site's own traffic (expectation maximisation over a sample of all items). Where there is no neighbour it stays next
to nothing, and below `SHARE_MIN` nothing is taken to be outside: sites without a neighbour pay nothing.

Kin speak as they do about zones: units of a GTIN most of which lie well inside are ours, and where most of them are
outside they are the neighbour's.
"""

import math

import numba
import numpy as np

from analytics.location.cells import (
    SHARE_TRUST,
    SHARE_TRUST_READS,
    WEIGHT_MIN,
    Floats32,
    Int32s,
    Number,
    exponentiate,
    log_weights_by,
    sum_lanes,
)
from analytics.location.kernel import kernel
from analytics.location.kin import KIN_MAX, NO_GROUP, UNIT
from analytics.location.places import Floats
from analytics.location.radio import OutsideLaw, RadioTables
from analytics.location.tracks import Track, Tracks

POWER = 2.0
"""What reads say for outside or against it counts to this power: weighed for zones, they say less than they know."""
GAP_POWER = 1.5
"""And to this power, how many times as long as usual an item's gaps between reads are,"""
GAP_SPREAD = 0.7
"""but less in proportion where the longest tenth of a site's gaps are more than e to this times as long as usual:
some of its own items are rarely read then, and rarely read says less."""
GAP_READS = 3.0
"""Reads at which half of what gaps say is believed."""
GAP_LOG_MAX = 3.0
"""Gaps say no more than this, as a logarithm, either way."""
RATIO_LOG_MAX = 12.0
"""Nor do reads and gaps together."""
SHARE_MIN = 0.01
"""Share of items outside below which none is taken to be: there is no neighbour."""
SHARE_MAX = 0.5
"""More than this is not believed: a site is not built to read its neighbour's goods."""
OUTSIDE_ITEMS_MIN = 5.0
"""Nor of fewer items than this: a few that are strangely read are no neighbour."""
PRIOR_ITEMS = 20.0
"""As many items, of which `PRIOR_SHARE` are outside, are seen before any."""
PRIOR_SHARE = 0.02
SMOOTH_CELLS = 4.0
"""A neighbour has a shop front, not a point: weights of outer cells are smoothed by this many cells either way."""
ITEMS_MIN = 30
"""Of fewer items nothing is learnt."""
ITEMS_MAX = 4096
"""Of so many items at most is learnt, evenly spread: 4096 of them say all that is to be known of a share."""
ROUNDS = 40
"""Rounds of expectation maximisation a look: they start at the prior and have settled by then."""
STRAYS = 1.0
"""Units beside the kin of an item that are outside as often as all items are."""
CHANGE_SHARE = 0.2
"""Weights that differ by less than this share of them all are not worth new tables."""


def learn(tracks: Tracks, law: RadioTables, before: OutsideLaw) -> OutsideLaw:
    """Look at the tracks and return how many items lie outside, and where; `before` where little has changed.

    Args:
        tracks: Of all items.
        law: The radio law in force.
        before: What was learnt so far.
    """
    heard = np.flatnonzero((tracks["doubt_us"] == 0) & (tracks["settled_weight"].sum(axis=1) >= 1.0))
    if len(heard) < ITEMS_MIN or not law.outer_dbm.size:
        return before
    step = -(-len(heard) // ITEMS_MAX)
    sample = tracks[heard[::step]]
    gaps = sample["gap_s"][sample["gap_s"] > 0]
    if len(gaps) < ITEMS_MIN:
        return before
    usual, long = np.quantile(np.log(gaps), [0.5, 0.9]).tolist()
    found = OutsideLaw(
        weights=before.weights,
        gap_s=math.exp(usual),
        gap_power=GAP_POWER * min(1.0, GAP_SPREAD / max(long - usual, 1e-6)),
    )
    ratios = np.empty((len(sample), law.outer_dbm.shape[1]))
    _measure(sample, law._replace(**found.as_table()), ratios)
    weights = _share_out(ratios)
    if weights.sum() * len(sample) < OUTSIDE_ITEMS_MIN:
        weights = np.zeros(len(weights))
    if len(before.weights) == len(weights) and np.abs(weights - before.weights).sum() < CHANGE_SHARE * max(
        before.share, SHARE_MIN
    ):
        return before
    return OutsideLaw(weights=weights, gap_s=found.gap_s, gap_power=found.gap_power)


def _share_out(ratios: Floats) -> Floats:
    """Return each outer cell's share of all items: those under which what was heard is likeliest."""
    items, cells = ratios.shape
    apart = np.abs(np.arange(cells)[:, None] - np.arange(cells)[None, :])
    smooth = np.exp(-0.5 * (np.minimum(apart, cells - apart) / SMOOTH_CELLS) ** 2)
    smooth /= smooth.sum(axis=0)
    weights = np.full(cells, PRIOR_SHARE / cells)
    for _ in range(ROUNDS):
        owed = weights * ratios
        owed /= (1.0 - weights.sum() + owed.sum(axis=1))[:, None]
        weights = smooth @ (owed.sum(axis=0) + PRIOR_SHARE * PRIOR_ITEMS / cells) / (items + PRIOR_ITEMS)
        weights *= min(1.0, SHARE_MAX / weights.sum())
    return weights


@numba.njit(cache=True)
def _measure(tracks: Tracks, law: RadioTables, ratios: Floats) -> None:
    """Fill in how much better each outer cell explains each item than the site does."""
    cells = np.zeros(law.mean_dbm.shape[1], dtype=np.float32)
    powers = np.zeros(len(cells), dtype=np.int32)
    outer = np.zeros(law.outer_dbm.shape[1], dtype=np.float32)
    _measure_each(tracks, law, ratios, cells, powers, outer)


@kernel
def _measure_each(  # noqa: PLR0917 - kernels take their arrays one by one
    tracks: Tracks, law: RadioTables, ratios: Floats, cells: Floats32, powers: Int32s, outer: Floats32
) -> None:
    for item in range(len(tracks)):
        track = tracks[item]
        _compare(track, law, cells, powers, outer)
        for cell in range(len(outer)):
            ratios[item, cell] = outer[cell]


@kernel
def outside_odds(track: Track, law: RadioTables, cells: Floats32, powers: Int32s, outer: Floats32) -> float:
    """Return the odds that an item is outside, kin and all other history aside.

    Args:
        track: The item's.
        law: The radio law.
        cells: Scratch, one a cell.
        powers: Scratch, one a cell.
        outer: Scratch, one an outer cell.
    """
    _compare(track, law, cells, powers, outer)
    total = 0.0
    for cell in range(len(outer)):
        total += np.float64(outer[cell]) * np.float64(law.outer_weight[cell])
    return total / (1.0 - np.float64(law.outer_share))


@kernel
def _compare(track: Track, law: RadioTables, cells: Floats32, powers: Int32s, outer: Floats32) -> None:
    """Fill in by how much better outer cells explain an item than the site's cells do on average."""
    spread = law.place_variance
    log_weights_by(spread, track.settled_antenna, track.settled_weight, track.settled_dbm, law, cells)
    top = exponentiate(cells, np.float32(1.0), powers)
    outer[:] = np.float32(0.0)
    total = np.float32(SHARE_TRUST_READS)
    for slot in range(len(track.settled_weight)):
        total += track.settled_weight[slot]
    reads = total - np.float32(SHARE_TRUST_READS)
    for slot in range(len(track.settled_weight)):
        weight, level = track.settled_weight[slot], track.settled_dbm[slot]
        if weight <= WEIGHT_MIN:
            continue
        antenna = track.settled_antenna[slot]
        trust = np.float32(SHARE_TRUST) * weight / total
        scale = np.float32(0.0)
        if not np.isnan(level):
            scale = np.float32(0.5) / (spread + law.fading_variance / weight)
        else:
            level = np.float32(0.0)
        for cell in range(len(outer)):
            off = level - law.outer_dbm[antenna, cell]
            outer[cell] += trust * law.outer_log_share[antenna, cell] - off * off * scale
    here = np.float64(top) + math.log(np.float64(sum_lanes(cells)) / len(cells))
    gap: Number = 0.0
    if track.gap_s > 0:
        gap = law.outer_gap_power * (math.log(np.float64(track.gap_s)) - law.outer_gap_log)
        gap = min(max(gap, -GAP_LOG_MAX), GAP_LOG_MAX) * reads / (reads + GAP_READS)
    for cell in range(len(outer)):
        log = POWER * (np.float64(outer[cell]) - here + gap)
        outer[cell] = np.float32(math.exp(min(max(log, -2 * RATIO_LOG_MAX), RATIO_LOG_MAX)))


@kernel
def kin_odds(track: Track, group: int, counts: Int32s, share: float) -> float:
    """Return by how much an item's kin raise the odds that it is outside; the last column of `counts` is outside.

    Args:
        track: The item's; what it counts for itself is left out.
        group: Its group.
        counts: As in `Kin`.
        share: Share of all items that are outside.
    """
    if group == NO_GROUP:
        return 1.0
    away = counts.shape[1] - 1
    inside, outside = 0.0, np.float64(counts[group, away])
    for zone in range(away):
        inside += np.float64(counts[group, zone])
    if track.kin_zone == away:
        outside -= np.float64(track.kin_weight)
    else:
        inside -= np.float64(track.kin_weight) + np.float64(track.kin_second_weight)
    scale = min(1.0, KIN_MAX / max((inside + outside) / UNIT, 1e-6)) / UNIT
    odds = (outside * scale + STRAYS * share) / (inside * scale + STRAYS * (1.0 - share))
    relative = odds * (1.0 - share) / share
    return math.sqrt(relative * math.sqrt(relative))
