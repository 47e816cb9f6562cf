"""A gate's range of levels is learnt from its reads, whatever unit its readers report in."""

import numpy as np
import pytest

from analytics.gate.levels import PRIOR_SPAN_DB, SPAN_DB, LevelRange, ends_of, stretched


@pytest.mark.parametrize(("low", "high"), [(-75.0, -40.0), (29.0, 43.0)])
def test_ends_come_from_reads(low: float, high: float) -> None:
    levels = np.random.default_rng(1).uniform(low, high, 20_000)
    learnt = LevelRange()
    for part in np.array_split(levels, 7):
        learnt.add(part)
    assert learnt.ends_db() == pytest.approx(ends_of(levels), abs=0.6)
    shown = stretched(np.array([*ends_of(levels)]), ends_of(levels))
    assert shown == pytest.approx([0.0, SPAN_DB])


def test_few_reads_do_not_make_a_narrow_range() -> None:
    learnt = LevelRange()
    assert learnt.ends_db() == (-PRIOR_SPAN_DB, 0.0)
    learnt.add(np.full(20, -60.0))
    low, high = learnt.ends_db()
    assert low == pytest.approx(-60.0, abs=0.5)
    assert high - low > 0.9 * PRIOR_SPAN_DB


def test_reads_without_a_level() -> None:
    learnt = LevelRange()
    learnt.add(np.array([np.nan, -50.0]))
    assert learnt.counts.sum() == 1
    assert stretched(np.full(3, np.nan), (-80.0, -50.0)).tolist() == [0.0, 0.0, 0.0]
    assert stretched(np.array([np.nan, -80.0, -50.0]), (-80.0, -50.0)) == pytest.approx([SPAN_DB / 2, 0.0, SPAN_DB])
    assert ends_of(np.full(3, np.nan)) == (-PRIOR_SPAN_DB, 0.0)


def test_old_reads_fade() -> None:
    learnt = LevelRange()
    for _ in range(3):
        learnt.add(np.full(900_000, -70.0))
    assert learnt.counts.sum() <= 2_000_000
