"""What is believed about each item: one *track* an item, and the kernels that work on tracks.

A track holds two small piles of evidence, each up to a few antennas with a decayed count of reads and a mean RSSI:

* *settled*: the reads since the item last moved, as far as is known. They decide in which cell, and so in which zone,
  it lies: cell by cell, each antenna's mean is compared with the radio law.
* *doubt*: the newest reads, which do not fit. Each read adds to `odds` the logarithm of how much better it is
  explained by "the item has moved, and the other doubtful reads say where to" than by "it lies where it lay": a
  CUSUM test, in which "where it lay" knows how strongly each antenna has heard this very item, and so notices a move
  of a metre without knowing where to.

```
settled only  --a read fits a move better------------------------------>  in doubt
in doubt      --odds fall to STAYED_ODDS: the reads join the settled--->  settled only
in doubt      --odds pass MOVED_ODDS: they replace the settled--------->  settled only, in a new place
```

The belief about zones mixes the two: settled zones, and doubtful zones weighed with exp(odds) times the prior
probability that an item moves between two reads.
"""

import math
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from analytics.location.radio import FADING_SPREAD_DB, PLACE_SPREAD_DB

SETTLED_SLOTS = 10
"""Antennas that are remembered of an item that lies still. With too few, an antenna that was forgotten speaks for a
move when it is heard again; where 48 hang over 600 m2, about ten hear an item."""
DOUBT_SLOTS = 4
"""Antennas that are remembered while in doubt: it lasts a few reads."""
MOVE_LOG_PRIOR = -4.5
"""Logarithm of the probability that an item moves between two reads: 1 in 90, strays included."""
MOVE_PER_S = 1.0 / 3600.0
"""What each second without a read adds to it: once an hour."""
STAYED_ODDS = -2.0
"""Logarithm of the odds of a move at which a doubt is given up. Below 0, since two antennas may have to be heard twice
each before their reads, unlikely one by one, support each other."""
DOUBT_US = 10_000_000
"""A doubt that has come to nothing after this long is given up, so that it is not in the way of a fresh one."""
MOVED_ODDS = 8.5
"""Logarithm of the odds at which an item has moved: e^4 to 1 after the prior."""
FORGET_S_MIN = 6.0
"""Evidence decays with the age of the pile, so that a carried item is where it is and not where it came from; it lasts
at least this long,"""
FORGET_S_MAX = 240.0
"""and no longer than this: surroundings change, and what four minutes tell is as good as it gets."""
INDEPENDENT_S = 0.25
"""Reads of an item by one antenna closer than this share their fading and count for less."""
SHARE_PRIOR = 8.0
"""Weight, in reads, of the law's shares of the antennas beside the shares that an item shows: readers take turns and
tags keep quiet for a while, so that shares jump about more than chance would have it."""
STRAY_SHARE = 0.05
"""Share of reads that nothing explains: reflections, a tag carried past, a door that opens. No read can speak louder
for a move than 1 to this, unless the reads before it foretold it."""
SHARE_TRUST = 2.0
"""Which antennas hear an item, and how often, says where it is, beside RSSI. All of its reads together count as this
many independent ones at most: whether an antenna wakes a tag depends on how the tag lies, as RSSI does."""
SHARE_TRUST_READS = 3.0
"""Reads at which half of that trust is reached."""
LOOK_US = 16_000_000
"""The belief about an item that lies still is worked out every so often: it changes little by a read."""
NEW_US = 30_000_000
"""And after every read for this long after a move."""
WEIGHT_MIN = 0.05
"""Slots that have decayed below this are free."""

TRACK = np.dtype(
    [
        ("from_us", "i8"),  # start of the stay; of the first read while not located; 0 before any
        ("last_us", "i8"),  # last read
        ("settled_us", "i8"),  # since when the item has lain where it lies
        ("doubt_us", "i8"),  # first read of the doubt; 0 when not in doubt
        ("heard_alive_s", "i8"),  # waking time of its zone's readers at its last read
        ("zone", "i2"),  # zone number; -1 for not located
        ("last_antenna", "i2"),  # antenna of the last read
        ("cell", "i2"),  # likeliest cell by settled evidence
        ("revision", "i2"),  # of the stay's last row
        ("touched", "i2"),  # 1 while a tick is worked on, for items that it will look at
        ("stated", "f4"),  # its confidence
        ("odds", "f4"),  # of a move, logarithm; 0 when not in doubt
        ("settled_antenna", "i2", (SETTLED_SLOTS,)),
        ("settled_weight", "f4", (SETTLED_SLOTS,)),
        ("settled_dbm", "f4", (SETTLED_SLOTS,)),
        ("doubt_antenna", "i2", (DOUBT_SLOTS,)),
        ("doubt_weight", "f4", (DOUBT_SLOTS,)),
        ("doubt_dbm", "f4", (DOUBT_SLOTS,)),
    ],
    align=True,
)
"""One item's track. Zero bytes, with `zone` -1, are the track of an item of which nothing is known."""

Tracks = npt.NDArray[np.void]
Floats32 = npt.NDArray[np.float32]
Int16s = npt.NDArray[np.int16]
Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]
Track = Any
"""One element of `Tracks`; numba knows its fields, mypy does not."""
Number = Any
"""A float32 or a float: numba tells them apart, and mixing them on purpose is what a kernel does."""

_PLACE_VARIANCE = np.float32(PLACE_SPREAD_DB**2)
_FADING_VARIANCE = np.float32(FADING_SPREAD_DB**2)
_ZERO, _ONE, _HALF = np.float32(0.0), np.float32(1.0), np.float32(0.5)
_LOG_STRAY = np.float32(math.log(STRAY_SHARE))
_LOG2_E = np.float32(math.log2(math.e))
_C1, _C2, _C3, _C4 = (np.float32(c) for c in (0.69306369, 0.23945766, 0.05322541, 0.00683296))
"""2^x is 1 + C1 x + C2 x^2 + C3 x^3 + C4 x^4 for -1 <= x <= 0, to 3e-6."""


@numba.njit(cache=True)
def absorb(  # noqa: PLR0917 - kernels take their arrays one by one
    items: Int32s,
    antennas: Int16s,
    bins: Int16s,
    rssi: Floats32,
    times_us: Int64s,
    mean_dbm: Floats32,
    share: Floats32,
    log_share: Floats32,
    likelihood: Floats32,
    newcomer: Floats32,
    zone_alive_s: Int64s,
    tracks: Tracks,
    touched: Int32s,
) -> int:
    """Take in the reads of one tick, in order; return how many items are to be looked at.

    Args:
        items: Item number of each read.
        antennas: Antenna number of each read.
        bins: RSSI bin of each read.
        rssi: RSSI of each read, dBm; NaN for none.
        times_us: Effective time of each read.
        mean_dbm: As in `RadioTables`, like the next four.
        share: See there.
        log_share: See there.
        likelihood: See there.
        newcomer: See there.
        zone_alive_s: Waking time of each zone's readers.
        tracks: By item number; changed.
        touched: Filled with the numbers of the items to look at, in order of the first read that made them so: those
            that are not located, in doubt, out of doubt again or newly settled, and the rest every `LOOK_US`.
    """
    cells = np.zeros(mean_dbm.shape[1], dtype=np.float32)
    powers = np.zeros(mean_dbm.shape[1], dtype=np.int32)
    count = 0
    for row in range(len(items)):
        track = tracks[items[row]]
        looked = track.last_us // LOOK_US
        doubted = track.doubt_us > 0
        _take(
            track,
            antennas[row],
            bins[row],
            rssi[row],
            times_us[row],
            mean_dbm,
            share,
            log_share,
            likelihood,
            newcomer,
            cells,
            powers,
        )
        if track.zone >= 0:
            track.heard_alive_s = zone_alive_s[track.zone]
        fresh = track.last_us - track.settled_us < NEW_US
        if track.touched == 0 and (
            track.zone < 0 or doubted or track.doubt_us > 0 or fresh or track.last_us // LOOK_US != looked
        ):
            track.touched = 1
            touched[count] = items[row]
            count += 1
    for index in range(count):
        tracks[touched[index]].touched = 0
    return count


@numba.njit(cache=True)
def _take(  # noqa: PLR0917
    track: Track,
    antenna: int,
    rssi_bin: int,
    rssi: Number,
    time_us: int,
    mean_dbm: Floats32,
    share: Floats32,
    log_share: Floats32,
    likelihood: Floats32,
    newcomer: Floats32,
    cells: Floats32,
    powers: Int32s,
) -> None:
    """Take in one read of one item."""
    if track.from_us == 0:
        track.from_us = time_us
        track.settled_us = time_us
        track.last_us = time_us
    elapsed_s = max(0.0, (time_us - track.last_us) * 1e-6)
    track.last_us = max(track.last_us, time_us)
    settled, doubt = track.settled_weight, track.doubt_weight
    total = _fade(settled, elapsed_s, (time_us - track.settled_us) * 1e-6)
    doubt_total = _fade(doubt, elapsed_s, (time_us - track.doubt_us) * 1e-6)
    weight = _ONE
    if total > WEIGHT_MIN and antenna == track.last_antenna:
        weight = np.float32(min(1.0, max(elapsed_s, 0.02) / INDEPENDENT_S))
    track.last_antenna = antenna
    gain = _ZERO
    if total > WEIGHT_MIN:
        stay = _log_stay(track, antenna, rssi, total, mean_dbm[antenna, track.cell], share[antenna, track.cell])
        if track.doubt_us > 0:
            move = _log_move(
                track, antenna, rssi_bin, rssi, doubt_total, mean_dbm, share, log_share, likelihood, cells, powers
            )
        else:
            move = newcomer[antenna, rssi_bin]
        stray = _LOG_STRAY + newcomer[antenna, rssi_bin]
        gain = weight * (_log_either(move, stray) - _log_either(stay, stray))
    if track.doubt_us == 0 and gain <= 0:
        _remember(track.settled_antenna, settled, track.settled_dbm, antenna, rssi, weight)
        return
    if track.doubt_us == 0:
        track.doubt_us = time_us
        doubt[:] = _ZERO
        prior = math.exp(MOVE_LOG_PRIOR)
        track.odds = np.float32(math.log(min(0.5, prior + elapsed_s * MOVE_PER_S) / prior))
    track.odds += gain
    _remember(track.doubt_antenna, doubt, track.doubt_dbm, antenna, rssi, weight)
    stale = track.odds <= 0 and time_us - track.doubt_us > DOUBT_US
    if stale or track.odds <= STAYED_ODDS or track.odds > MOVED_ODDS:
        _resolve(track)


@numba.njit(cache=True)
def _log_either(one: Number, other: Number) -> Number:
    """Return log(exp(one) + exp(other))."""
    return np.float32(max(one, other) + math.log1p(math.exp(-abs(one - other))))


@numba.njit(cache=True)
def _resolve(track: Track) -> None:
    """End a doubt: its reads join the settled ones, or take their place."""
    if track.odds > 0:
        track.settled_weight[:] = _ZERO
        track.settled_us = track.doubt_us
    for slot in range(DOUBT_SLOTS):
        if track.doubt_weight[slot] > WEIGHT_MIN:
            _remember(
                track.settled_antenna,
                track.settled_weight,
                track.settled_dbm,
                track.doubt_antenna[slot],
                track.doubt_dbm[slot],
                track.doubt_weight[slot],
            )
            track.doubt_weight[slot] = _ZERO
    track.odds = _ZERO
    track.doubt_us = 0


@numba.njit(cache=True)
def _fade(weights: Floats32, elapsed_s: float, age_s: float) -> Number:
    """Let a pile of evidence decay; return what is left of it."""
    factor = np.float32(math.exp(-elapsed_s / min(max(age_s, FORGET_S_MIN), FORGET_S_MAX)))
    total = _ZERO
    for slot in range(len(weights)):
        weights[slot] *= factor
        total += weights[slot]
    return total


@numba.njit(cache=True)
def _remember(  # noqa: PLR0917
    antennas: Int16s, weights: Floats32, means: Floats32, antenna: int, rssi: Number, weight: Number
) -> None:
    """Add reads to their antenna's slot, or to the slot with least weight."""
    place = 0
    for slot in range(len(weights)):
        if weights[slot] > 0 and antennas[slot] == antenna:
            place = slot
            break
        if weights[slot] < weights[place]:
            place = slot
    if antennas[place] != antenna or weights[place] <= 0:
        antennas[place] = antenna
        weights[place] = _ZERO
        means[place] = rssi
    weights[place] += np.float32(weight)
    if np.isnan(means[place]):
        means[place] = rssi
    elif not np.isnan(rssi):
        means[place] += (np.float32(rssi) - means[place]) * np.float32(weight) / weights[place]


@numba.njit(cache=True)
def _log_tail(off_db: Number, variance: Number) -> Number:
    """Return the logarithm of the density `off_db` away from the mean, up to a constant; 0 without RSSI."""
    if np.isnan(off_db):
        return _ZERO
    return np.float32(-0.5 * math.log(variance) - 2.5 * math.log1p(0.25 * off_db * off_db / variance))


@numba.njit(cache=True)
def _log_heard(  # noqa: PLR0917
    rssi: Number, heard: Number, heard_dbm: Number, total: Number, mean_dbm: Number, share: Number
) -> Number:
    """Return the log-density of a read by an antenna, given how much and how strongly it has heard the item.

    Args:
        rssi: RSSI of the read, dBm; NaN for none.
        heard: Weight of its reads so far.
        heard_dbm: Their mean RSSI.
        total: Weight of all antennas' reads so far.
        mean_dbm: Mean RSSI by the law.
        share: The antenna's share of reads by the law.
    """
    chance = math.log((heard + SHARE_PRIOR * share) / (total + SHARE_PRIOR))
    if heard <= WEIGHT_MIN or np.isnan(heard_dbm):
        return np.float32(chance) + _log_tail(rssi - mean_dbm, _PLACE_VARIANCE + _FADING_VARIANCE)
    known = heard * _PLACE_VARIANCE / (heard * _PLACE_VARIANCE + _FADING_VARIANCE)
    expected = mean_dbm + known * (heard_dbm - mean_dbm)
    return np.float32(chance) + _log_tail(rssi - expected, _FADING_VARIANCE + (1.0 - known) * _PLACE_VARIANCE)


@numba.njit(cache=True)
def _log_stay(  # noqa: PLR0917
    track: Track, antenna: int, rssi: Number, total: Number, mean_dbm: Number, share: Number
) -> Number:
    """Return the log-density of a read if the item lies where it lay."""
    heard, heard_dbm = _ZERO, _ZERO
    for slot in range(SETTLED_SLOTS):
        if track.settled_weight[slot] > 0 and track.settled_antenna[slot] == antenna:
            heard, heard_dbm = track.settled_weight[slot], track.settled_dbm[slot]
    return _log_heard(rssi, heard, heard_dbm, total, mean_dbm, share)


@numba.njit(cache=True)
def _log_move(  # noqa: PLR0917
    track: Track,
    antenna: int,
    rssi_bin: int,
    rssi: Number,
    total: Number,
    mean_dbm: Floats32,
    share: Floats32,
    log_share: Floats32,
    likelihood: Floats32,
    cells: Floats32,
    powers: Int32s,
) -> Number:
    """Return the log-density of a read if the item is where the doubtful reads say."""
    weigh_cells(track.doubt_antenna, track.doubt_weight, track.doubt_dbm, mean_dbm, log_share, cells, powers)
    by_law, law_share, mass = _ZERO, _ZERO, _ZERO
    densities, shares = likelihood[antenna, rssi_bin], share[antenna]
    for cell in range(len(cells)):
        mass += cells[cell]
        by_law += cells[cell] * densities[cell]
        law_share += cells[cell] * shares[cell]
    for slot in range(DOUBT_SLOTS):
        if track.doubt_weight[slot] > WEIGHT_MIN and track.doubt_antenna[slot] == antenna:
            dbm = track.doubt_dbm[slot]
            return _log_heard(rssi, track.doubt_weight[slot], dbm, total, dbm, law_share / mass)
    return np.float32(math.log(SHARE_PRIOR * by_law / mass / (total + SHARE_PRIOR) + 1e-12))


@numba.njit(cache=True)
def weigh_cells(  # noqa: PLR0917
    antennas: Int16s,
    weights: Floats32,
    means: Floats32,
    mean_dbm: Floats32,
    log_share: Floats32,
    cells: Floats32,
    powers: Int32s,
) -> int:
    """Weigh each cell by how well it explains a pile of evidence; return the likeliest.

    `cells` is filled with weights of which the largest is 1. `powers` is scratch. Sums run in a fixed order and
    exponentials are our own, so that the result is the same on every machine.
    """
    cells[:] = _ZERO
    total = np.float32(SHARE_TRUST_READS)
    for slot in range(len(weights)):
        total += weights[slot]
    for slot in range(len(weights)):
        if weights[slot] <= WEIGHT_MIN:
            continue
        trust, shares = np.float32(SHARE_TRUST) * weights[slot] / total, log_share[antennas[slot]]
        if np.isnan(means[slot]):
            for cell in range(len(cells)):
                cells[cell] += trust * shares[cell]
        else:
            scale = _HALF / (_PLACE_VARIANCE + _FADING_VARIANCE / weights[slot])
            level, expected = means[slot], mean_dbm[antennas[slot]]
            for cell in range(len(cells)):
                off = level - expected[cell]
                cells[cell] += trust * shares[cell] - off * off * scale
    top = _largest(cells)
    best = 0
    while cells[best] < top:
        best += 1
    _exponentiate(cells, top, powers)
    return best


@numba.njit(cache=True)
def _largest(values: Floats32) -> Number:
    """Return the largest value: in four lanes, each waiting for itself only."""
    one = two = three = four = values[0]
    whole = len(values) // 4 * 4
    for index in range(0, whole, 4):
        one = max(one, values[index])
        two = max(two, values[index + 1])
        three = max(three, values[index + 2])
        four = max(four, values[index + 3])
    for index in range(whole, len(values)):
        one = max(one, values[index])
    return max(one, two, three, four)


@numba.njit(cache=True)
def _exponentiate(values: Floats32, top: Number, powers: Int32s) -> None:
    """Replace values by exp(value - top), to 1e-5 relative; they are at most `top`. Written to be vectorised."""
    for index in range(len(values)):
        exponent = max((values[index] - top) * _LOG2_E, np.float32(-100.0))
        whole = np.int32(exponent)
        part = exponent - np.float32(whole)  # -1 to 0, where the polynomial is 2^part
        powers[index] = (whole + np.int32(127)) << np.int32(23)
        values[index] = _ONE + part * (_C1 + part * (_C2 + part * (_C3 + part * _C4)))
    scale = powers.view(np.float32)
    for index in range(len(values)):
        values[index] *= scale[index]


@numba.njit(cache=True)
def believe(  # noqa: PLR0917
    touched: Int32s,
    mean_dbm: Floats32,
    log_share: Floats32,
    zone_cells: Int64s,
    tracks: Tracks,
    belief: Floats32,
) -> None:
    """Work out the belief about zones of the items that a tick touched: one row an item, in order of `touched`."""
    cells = np.zeros(mean_dbm.shape[1], dtype=np.float32)
    powers = np.zeros(mean_dbm.shape[1], dtype=np.int32)
    doubt = np.zeros(belief.shape[1], dtype=np.float32)
    for index in range(len(touched)):
        track = tracks[touched[index]]
        track.cell = weigh_cells(
            track.settled_antenna, track.settled_weight, track.settled_dbm, mean_dbm, log_share, cells, powers
        )
        _pool_zones(cells, zone_cells, belief[index])
        if track.doubt_us > 0:
            weigh_cells(track.doubt_antenna, track.doubt_weight, track.doubt_dbm, mean_dbm, log_share, cells, powers)
            _pool_zones(cells, zone_cells, doubt)
            moved = np.float32(math.exp(track.odds + MOVE_LOG_PRIOR))
            for zone in range(len(doubt)):
                belief[index, zone] = (belief[index, zone] + moved * doubt[zone]) / (_ONE + moved)


@numba.njit(cache=True)
def _pool_zones(cells: Floats32, zone_cells: Int64s, zones: Floats32) -> None:
    """Sum cells to zones, as probabilities."""
    total = _ZERO
    for zone in range(len(zones)):
        mass = _ZERO
        for cell in range(zone_cells[zone], zone_cells[zone + 1]):
            mass += cells[cell]
        zones[zone] = mass
        total += mass
    for zone in range(len(zones)):
        zones[zone] /= total


@numba.njit(cache=True)
def silent_items(tracks: Tracks, zone_alive_s: Int64s, patience_s: Int64s, found: Int32s) -> int:
    """Find the located items that their zone's readers have not heard for `patience_s` of waking time."""
    count = 0
    for item in range(len(tracks)):
        zone = tracks[item].zone
        if zone >= 0 and zone_alive_s[zone] - tracks[item].heard_alive_s >= patience_s[zone]:
            found[count] = item
            count += 1
    return count
