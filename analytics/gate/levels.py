"""The range of a gate's levels: from its weakest reads to its strongest, learnt from whatever it reads.

Readers report signal strength in units of their own: dBm, or numbers whose decibels span half as much. A model that was
learnt at other gates can only be used on levels that mean the same everywhere, so a gate's levels are stretched to the
same range before they are summed up: from its weak end to its strong end are `SPAN_DB`.
"""

import numpy as np
import numpy.typing as npt

Levels = npt.NDArray[np.float64]

SPAN_DB = 25.0
"""From a gate's weakest to its strongest reads, once stretched."""
WEAK_QUANTILE, STRONG_QUANTILE = 0.02, 0.98
"""Of all reads: the ends of the range, without the few beyond by mishap."""
PRIOR_SPAN_DB = 30.0
"""From weak to strong before anything was read: what simulated gates in dBm have in the median."""
PRIOR_READS = 300.0
"""Reads that this is worth: what one trolley of ten boxes gives."""
_SPAN_DB_MIN = 3.0
_BIN_DB = 0.5
_LOW_DB = -128.0
_BINS = 512
_READS_MAX = 2_000_000
"""Beyond this all counts are halved: antennas are moved and readers replaced, and old reads fade."""


class LevelRange:
    """Counts of a gate's reads by level."""

    def __init__(self, counts: npt.NDArray[np.int64] | None = None) -> None:
        self.counts = np.zeros(_BINS, dtype=np.int64) if counts is None else counts
        """Reads by level, in steps of half a decibel."""

    def add(self, level_db: Levels) -> None:
        """Count reads; those without a level are left out."""
        known = level_db[np.isfinite(level_db)]
        bins = np.clip((known - _LOW_DB) / _BIN_DB, 0, _BINS - 1).astype(np.int64)
        self.counts += np.bincount(bins, minlength=_BINS)
        if self.counts.sum() > _READS_MAX:
            self.counts //= 2

    def ends_db(self) -> tuple[float, float]:
        """Return the level of weak and of strong reads; between them the prior span counts as some reads do."""
        total = int(self.counts.sum())
        if total == 0:
            return -PRIOR_SPAN_DB, 0.0
        low, high = (self._quantile(share) for share in (WEAK_QUANTILE, STRONG_QUANTILE))
        span = ((high - low) * total + PRIOR_SPAN_DB * PRIOR_READS) / (total + PRIOR_READS)
        return low, low + span

    def _quantile(self, share: float) -> float:
        reached = np.cumsum(self.counts)
        place = int(np.searchsorted(reached, share * reached[-1], side="left"))
        before = int(reached[place - 1]) if place else 0
        inside = (share * int(reached[-1]) - before) / max(int(self.counts[place]), 1)
        return _LOW_DB + _BIN_DB * (place + min(max(inside, 0.0), 1.0))


def ends_of(level_db: Levels) -> tuple[float, float]:
    """Return the level of weak and of strong reads among some."""
    known = level_db[np.isfinite(level_db)]
    if not len(known):
        return -PRIOR_SPAN_DB, 0.0
    low, high = np.quantile(known, [WEAK_QUANTILE, STRONG_QUANTILE])
    return float(low), float(high)


def stretched(level_db: Levels, ends_db: tuple[float, float]) -> Levels:
    """Return levels above the weak end, on the common range; a read without a level has the mean of the others."""
    known = np.isfinite(level_db)
    if not known.any():
        return np.zeros(len(level_db))
    low, high = ends_db
    filled = np.where(known, level_db, level_db[known].mean())
    return np.asarray((filled - low) * (SPAN_DB / max(high - low, _SPAN_DB_MIN)))
