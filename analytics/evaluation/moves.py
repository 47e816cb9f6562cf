"""Moves between zones: which were reported, which of those are false, which were missed, and how late the rest came.

An *entry* into zone B at time t begins each uninterrupted stay in B. An entry is a *move* if the last zone that the
item was in before it, if any, is another one; absence in between does not count, so an item that flickers between B
and "not here" does not move, and a first appearance is an arrival and no move.

Reported entries are matched with true entries of the same item into the same zone, in order of time, one with one.
A report at s fits a true entry at t, left at u, if `t - EARLY_US <= s <= max(u, t + GRACE_US)`.
"""

from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

from analytics.evaluation.measures import ratio
from analytics.evaluation.timeline import ABSENT, Int32s, Int64s, Timeline

EARLY_US = 5_000_000
"""A move may be reported this long before the item is all the way in: who carries it reaches ahead."""
GRACE_US = 60_000_000
"""A move is found if it is reported while the item is still there, or within this long of its entry."""
STAY_US_MIN = 10_000_000
"""Moves into a zone that is left again sooner need not be found: passing through is no stay."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moves:
    """How well moves between zones are reported; terms as in the module's docstring."""

    reported: int
    """Reported moves."""
    false: int
    """Reported moves that match no true entry."""
    true: int
    """True moves into a zone where the item stays `STAY_US_MIN` or longer: those that are to be found."""
    missed: int
    """Those of them that match no reported entry."""
    delay_s_median: float | None
    """Median of `max(0, s - t)` over the true moves that were found; `None` where none was."""
    delay_s_p95: float | None
    """Its 95th percentile."""

    @property
    def missed_share(self) -> float | None:
        """`missed / true`; `None` where there are no true moves."""
        return ratio(self.missed, self.true)


def match_moves(truth: Timeline, estimate: Timeline) -> Moves:
    """Match reported moves with true ones, as the module's docstring defines it."""
    happened, reported = _entries(truth), _entries(estimate)
    span_us = np.int64(truth.frame.span_us)
    found = np.full(len(happened.key), -1, dtype=np.int64)
    matched = np.zeros(len(reported.key), dtype=np.bool_)
    groups = np.int64(truth.frame.elsewhere + 1)
    _match(
        (happened.key // span_us) * groups + happened.zone,
        happened.key,
        happened.until_key,
        (reported.key // span_us) * groups + reported.zone,
        reported.key,
        found,
        matched,
    )
    asked = happened.is_move & (happened.until_key - happened.key >= STAY_US_MIN)
    hit = asked & (found >= 0)
    delay_s = np.maximum(found[hit] - happened.key[hit], 0) / 1e6
    return Moves(
        reported=int(reported.is_move.sum()),
        false=int((reported.is_move & ~matched).sum()),
        true=int(asked.sum()),
        missed=int((asked & (found < 0)).sum()),
        delay_s_median=float(np.median(delay_s)) if len(delay_s) else None,
        delay_s_p95=float(np.percentile(delay_s, 95)) if len(delay_s) else None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entries:
    """Entries into zones, by item, zone and time."""

    key: Int64s
    until_key: Int64s
    zone: Int32s
    is_move: npt.NDArray[np.bool_]


def _entries(timeline: Timeline) -> _Entries:
    span_us = timeline.frame.span_us
    item = timeline.item
    first = np.concatenate([[True], (timeline.zone[1:] != timeline.zone[:-1]) | (item[1:] != item[:-1])])
    key, zone = timeline.key[first], timeline.zone[first]  # confidence alone changes no zone
    until_key = np.append(key[1:], len(timeline.frame.items) * span_us)
    placed = zone != ABSENT
    key, until_key, zone = key[placed], until_key[placed], zone[placed]
    owner = key // span_us
    before = np.concatenate([[False], (owner[1:] == owner[:-1]) & (zone[1:] != zone[:-1])])[: len(key)]
    order = np.lexsort((key, zone, owner))
    return _Entries(key=key[order], until_key=until_key[order], zone=zone[order], is_move=before[order])


@numba.njit(cache=True)
def _match(  # noqa: PLR0917 - kernels take their arrays one by one
    true_group: Int64s,
    true_key: Int64s,
    true_until: Int64s,
    said_group: Int64s,
    said_key: Int64s,
    found: Int64s,
    matched: npt.NDArray[np.bool_],
) -> None:
    """Match entries of the same group in order of time.

    Windows open and close in the same order, so the earliest open one is always the one to take.
    """
    entry = 0
    for report in range(len(said_key)):
        while entry < len(true_key) and (
            true_group[entry] < said_group[report]
            or (
                true_group[entry] == said_group[report]
                and max(true_until[entry], true_key[entry] + GRACE_US) < said_key[report]
            )
        ):
            entry += 1
        if (
            entry < len(true_key)
            and true_group[entry] == said_group[report]
            and said_key[report] >= true_key[entry] - EARLY_US
        ):
            found[entry] = said_key[report]
            matched[report] = True
            entry += 1
