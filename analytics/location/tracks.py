"""What is believed about each item: one *track* an item, and how a read changes it.

A track holds two small piles of evidence, each up to a few antennas with a decayed count of reads and a mean RSSI:

* *settled*: the reads since the item last moved, as far as is known. They decide in which cell, and so in which zone,
  it lies: cell by cell, each antenna's mean is compared with the radio law.
* *doubt*: the newest reads, which do not fit. Each read adds to `odds` the logarithm of how much better it is
  explained by "the item has moved, and the other doubtful reads say where to" than by "it lies where it lay": a
  CUSUM test, in which "where it lay" knows how strongly each antenna has heard this very item, and so notices a move
  of a metre without knowing where to.

```
settled only  --a read fits a move better------------------------------->  in doubt
in doubt      --odds fall GIVEN_UP below where they began: reads join--->  settled only
in doubt      --odds pass MOVED_ODDS: they replace the settled---------->  settled only, in a new place
```

The odds begin at those of a move before any read: things that have lain for long go on lying, things that have just
moved are being carried. The belief about zones mixes the two piles by the odds.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from analytics.location.cells import (
    WEIGHT_MIN,
    Floats32,
    Int32s,
    Number,
)
from analytics.location.kernel import kernel
from analytics.location.piles import (
    FORGET_GAPS,
    FORGET_S_MAX,
    SHARE_PRIOR,
    fade,
    log_by_pile,
    log_heard,
    remember,
    slot_of,
)
from analytics.location.radio import RadioTables

SETTLED_SLOTS = 10
"""Antennas that are remembered of an item that lies still. With too few, an antenna that was forgotten speaks for a
move when it is heard again; where 48 hang over 600 m2, about ten hear an item."""
DOUBT_SLOTS = 4
"""Antennas that are remembered while in doubt: it lasts a few reads."""
MOVES_SHAPE = 0.5
"""How often things move: after lying for t seconds, the chance of a move is `MOVES_SHAPE / (MOVES_S + t)` a second,"""
MOVES_S = 10.0
"""so that half of what lay down lies for three times this long and a quarter for fifteen times: few things that have
lain for an hour move in the next minute, and much of what was carried a moment ago still is."""
UNSEEN_S = 300.0
"""What was never seen to move is taken to have lain for this long when it is first read."""
MOVES_PER_S_MIN = 1.0 / 7200.0
"""But nothing lies for ever: the chance falls no lower than this."""
GAP_S_MIN = 1.0
"""A read's own share in that chance is that of the time since the last one, and of this at least."""
GIVEN_UP = 1.0
"""A doubt is given up when its odds have fallen this far, as a logarithm, below where it began: not at once, since two
antennas may have to be heard twice each before their reads, unlikely one by one, support each other."""
DOUBT_US = 10_000_000
"""A doubt that has come to nothing after this long is given up, so that it is not in the way of a fresh one,"""
DOUBT_READS = 2.5
"""provided that it holds so many reads."""
MOVED_ODDS = 3.0
"""Logarithm of the odds at which an item has moved."""
GAP_WEIGHT = 0.2
"""Weight of the newest gap in an item's mean time between reads."""
INDEPENDENT_S = 0.25
"""Reads of an item by one antenna closer than this share their fading and count for less."""
FEW_READS = 8.0
"""Weight of settled reads below which they leave open in which cell the item lies: what they say of an antenna that has
not heard it yet is then worked out over all cells. Else each antenna that comes to its turn would look like a move."""
FITS_MARGIN = 1.0001
"""How much better than a newcomer's, squared, the density of a read must be where it is compared without logarithms:
more than float32 rounds."""
STRAY_SHARE = 0.05
"""Share of reads that nothing explains: reflections, a tag carried past, a door that opens. No read can speak louder
for a move than 1 to this, unless the reads before it foretold it."""
SURE_UNIT = 255
"""Parts of 1 in which a track keeps how likely its zone was."""
ORIGINS = 255
"""Zones that are told apart as where an item came from; more share a byte, and are seldom taken for each other."""

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
        ("moved", "i1"),  # 1 once it has moved
        ("sure", "u1"),  # how likely its zone was when last looked at, in parts of `SURE_UNIT`, or 0
        ("kin_zone", "i2"),  # zone that it counts for among its kin,
        ("kin_weight", "i2"),  # and how much, in parts of `kin.UNIT`
        ("came_from", "u1"),  # zone that it moved here from, as `origin_of` it; 0 for none
        ("outside", "i1"),  # 1 while it is taken to be outside
        ("stated", "f4"),  # its confidence
        ("gap_s", "f4"),  # mean time between its reads; 0 before the second
        ("odds", "f4"),  # of a move, logarithm; 0 when not in doubt
        ("odds_before", "f4"),  # what they were before the doubt's first read
        ("settled_antenna", "i2", (SETTLED_SLOTS,)),
        ("settled_weight", "f4", (SETTLED_SLOTS,)),
        ("settled_dbm", "f4", (SETTLED_SLOTS,)),
        ("doubt_antenna", "i2", (DOUBT_SLOTS,)),
        ("doubt_weight", "f4", (DOUBT_SLOTS,)),
        ("doubt_dbm", "f4", (DOUBT_SLOTS,)),
        ("kin_second", "i2"),  # zone that it counts for beside `kin_zone`,
        ("kin_second_weight", "i2"),  # and how much
    ],
    align=True,
)
"""One item's track. Zero bytes, with `zone` -1, are the track of an item of which nothing is known."""

Tracks = npt.NDArray[np.void]
Track = Any
"""One element of `Tracks`; numba knows its fields, mypy does not."""

_ZERO, _ONE = np.float32(0.0), np.float32(1.0)
_LOG_STRAY = np.float32(math.log(STRAY_SHARE))


@kernel
def origin_of(zone: Number) -> Number:
    """Return what is remembered of a zone that an item came from: one byte, and no zone 0."""
    return zone % ORIGINS + 1


@kernel
def forget(track: Track) -> None:
    """Make a track that of an item of which nothing is known but when it was last read."""
    track.from_us = track.settled_us = track.doubt_us = track.heard_alive_s = 0
    track.zone = -1
    track.outside = 0
    track.last_antenna = track.cell = track.revision = track.moved = track.kin_zone = track.kin_weight = 0
    track.kin_second = track.kin_second_weight = 0
    track.came_from = track.sure = 0
    track.stated = track.gap_s = track.odds = track.odds_before = _ZERO
    track.settled_antenna[:] = 0
    track.settled_weight[:] = _ZERO
    track.settled_dbm[:] = _ZERO
    track.doubt_antenna[:] = 0
    track.doubt_weight[:] = _ZERO
    track.doubt_dbm[:] = _ZERO


@kernel
def take_read(  # noqa: PLR0917 - kernels take their arrays one by one
    track: Track,
    antenna: int,
    rssi_bin: int,
    rssi: Number,
    time_us: int,
    law: RadioTables,
    cells: Floats32,
    powers: Int32s,
) -> None:
    """Take in one read of one item.

    Args:
        track: The item's; changed.
        antenna: Number of the antenna.
        rssi_bin: Its RSSI bin.
        rssi: Its RSSI, dBm; NaN for none.
        time_us: When it counts.
        law: The radio law.
        cells: Scratch, one a cell.
        powers: Scratch, one a cell.
    """
    if track.from_us == 0:
        track.from_us = time_us
        track.settled_us = time_us
        track.last_us = time_us
    elapsed_s = max(0.0, (time_us - track.last_us) * 1e-6)
    if elapsed_s > 0:
        learnt = GAP_WEIGHT if track.gap_s > 0 else 1.0
        track.gap_s += np.float32(learnt * (elapsed_s - track.gap_s))
    track.last_us = max(track.last_us, time_us)
    longest_s = max(FORGET_S_MAX, FORGET_GAPS * track.gap_s)
    settled_s = (time_us - track.settled_us) * 1e-6
    total = fade(track.settled_weight, elapsed_s, settled_s, longest_s)
    weight = _ONE
    if total > WEIGHT_MIN and antenna == track.last_antenna:
        weight = np.float32(min(1.0, max(elapsed_s, 0.02) / INDEPENDENT_S))
    track.last_antenna = antenna
    if total <= WEIGHT_MIN:
        track.doubt_us, track.odds = 0, _ZERO
        remember(track.settled_antenna, track.settled_weight, track.settled_dbm, antenna, rssi, weight)
        return
    doubt_total = _ZERO
    slot = slot_of(track.settled_antenna, track.settled_weight, antenna)
    few = slot < 0 and total < FEW_READS
    if track.doubt_us == 0 and not few and _fits(track, slot, antenna, rssi_bin, rssi, total, law):
        remember(track.settled_antenna, track.settled_weight, track.settled_dbm, antenna, rssi, weight)
        return
    if few:
        stay = log_by_pile(
            track.settled_antenna,
            track.settled_weight,
            track.settled_dbm,
            antenna,
            rssi_bin,
            rssi,
            total,
            law,
            cells,
            powers,
        )
    else:
        stay = _log_stay(track, slot, antenna, rssi, total, law)
    if track.doubt_us > 0:
        doubt_total = fade(track.doubt_weight, elapsed_s, (time_us - track.doubt_us) * 1e-6, longest_s)
        move = log_by_pile(
            track.doubt_antenna,
            track.doubt_weight,
            track.doubt_dbm,
            antenna,
            rssi_bin,
            rssi,
            doubt_total,
            law,
            cells,
            powers,
        )
    else:
        move = law.newcomer[antenna, rssi_bin]
        if move <= stay:  # as nearly always: nothing more need be known
            remember(track.settled_antenna, track.settled_weight, track.settled_dbm, antenna, rssi, weight)
            return
    stray = _LOG_STRAY + law.newcomer[antenna, rssi_bin]
    gain = weight * (_log_either(move, stray) - _log_either(stay, stray))
    if track.doubt_us == 0:
        if gain <= 0:
            remember(track.settled_antenna, track.settled_weight, track.settled_dbm, antenna, rssi, weight)
            return
        track.doubt_us = time_us
        track.doubt_weight[:] = _ZERO
        lain_s = settled_s if track.moved else settled_s + UNSEEN_S
        track.odds_before = _log_odds_before(lain_s, elapsed_s)
        track.odds = track.odds_before
    track.odds += gain
    remember(track.doubt_antenna, track.doubt_weight, track.doubt_dbm, antenna, rssi, weight)
    stale = (
        track.odds <= track.odds_before and time_us - track.doubt_us > DOUBT_US and doubt_total + weight >= DOUBT_READS
    )
    if stale or track.odds <= track.odds_before - GIVEN_UP or track.odds > MOVED_ODDS:
        _resolve(track)


@kernel
def _log_odds_before(settled_s: float, elapsed_s: float) -> Number:
    """Return the logarithm of the odds that an item has moved since its last read, before this one is looked at."""
    per_s = max(MOVES_SHAPE / (MOVES_S + max(settled_s, 0.0)), MOVES_PER_S_MIN)
    return np.float32(math.log(min(0.5, per_s * max(elapsed_s, GAP_S_MIN))))


@kernel
def _log_either(one: Number, other: Number) -> Number:
    """Return log(exp(one) + exp(other))."""
    return np.float32(max(one, other) + math.log1p(math.exp(-abs(one - other))))


@kernel
def _resolve(track: Track) -> None:
    """End a doubt: its reads join the settled ones, or take their place."""
    if track.odds > track.odds_before:
        track.settled_weight[:] = _ZERO
        track.settled_us = track.doubt_us
        track.moved = 1
    for slot in range(DOUBT_SLOTS):
        if track.doubt_weight[slot] > WEIGHT_MIN:
            remember(
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


@kernel
def _fits(track: Track, slot: int, antenna: int, rssi_bin: int, rssi: Number, total: Number, law: RadioTables) -> bool:  # noqa: PLR0917
    """Tell whether a read fits where the item lay so well that it surely speaks for no move: as nearly always.

    That is `_log_stay` at least as large as `law.newcomer`, with both sides squared and multiplied out so that no
    logarithm is taken, and a margin that rounding does not use up. Where it says no, logarithms decide.
    """
    expected, chance = law.mean_dbm[antenna, track.cell], SHARE_PRIOR * np.float64(law.share[antenna, track.cell])
    place, fading = np.float64(law.place_variance), np.float64(law.fading_variance)
    variance = place + fading
    if slot >= 0:
        heard, heard_dbm = np.float64(track.settled_weight[slot]), track.settled_dbm[slot]
        chance += heard
        if not np.isnan(heard_dbm):
            known = heard * place / (heard * place + fading)
            expected += known * (heard_dbm - expected)
            variance = fading + (1.0 - known) * place
    off_db = np.float64(rssi) - expected  # NaN without RSSI, of which the comparison below is false
    least = np.float64(law.newcomer_density[antenna, rssi_bin]) * (np.float64(total) + SHARE_PRIOR)
    tail = 1.0 + 0.25 * off_db * off_db / variance
    squared = tail * tail
    return bool(chance * chance >= FITS_MARGIN * least * least * variance * squared * squared * tail)


@kernel
def _log_stay(track: Track, slot: int, antenna: int, rssi: Number, total: Number, law: RadioTables) -> Number:  # noqa: PLR0917
    """Return the log-density of a read if the item lies where it lay, which is in its likeliest cell."""
    heard, heard_dbm = _ZERO, _ZERO
    if slot >= 0:
        heard, heard_dbm = track.settled_weight[slot], track.settled_dbm[slot]
    expected, share = law.mean_dbm[antenna, track.cell], law.share[antenna, track.cell]
    return log_heard(rssi, heard, heard_dbm, total, expected, share, law)
