"""Which GTINs are hard to read: by hand, and what many GTINs teach about how much they differ."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.steps.hard_gtins import SHAPES, Signs, hardness

UNITS = {f"g{number}": 50 for number in range(20)}


def test_without_signs_all_are_alike() -> None:
    found = hardness([Signs(counts={})], UNITS)
    assert all(one.mean == pytest.approx(1.0) for one in found.values())


def test_one_gtin_with_all_the_signs_is_the_hard_one() -> None:
    found = hardness([Signs(counts={"g3": 30.0})], UNITS)
    assert found["g3"].mean > 8.0
    assert found["g4"].mean < 0.5


def test_signs_in_proportion_to_units_tell_of_no_difference() -> None:
    rng = np.random.default_rng(1)
    units = {f"g{number}": 20 + 10 * number for number in range(40)}
    alike = hardness([Signs(counts={gtin: float(rng.poisson(0.1 * n)) for gtin, n in units.items()})], units)
    rates = rng.gamma(0.5, 2.0, len(units))
    counts = {gtin: float(rng.poisson(0.1 * n * rate)) for (gtin, n), rate in zip(units.items(), rates, strict=True)}
    unlike = hardness([Signs(counts=counts)], units)
    spread = [float(np.std([one.mean for one in found.values()])) for found in (alike, unlike)]
    assert spread[0] < 0.25
    assert spread[1] > 0.8


def test_where_a_kind_is_not_watched_its_absence_says_nothing() -> None:
    counts = {gtin: 3.0 for gtin in UNITS if gtin != "g7"}
    seen = hardness([Signs(counts=counts)], UNITS)["g7"].mean
    unwatched = hardness([Signs(counts=counts, unwatched={"g7"})], UNITS)["g7"].mean
    assert seen < 0.95
    assert unwatched == pytest.approx(1.0)


@given(
    st.dictionaries(st.sampled_from(sorted(UNITS)), st.floats(0.0, 300.0), max_size=20),
    st.dictionaries(st.sampled_from(sorted(UNITS)), st.integers(-3, 5000), max_size=20),
)
def test_numbers_that_can_be_reckoned_with(signs: dict[str, float], units: dict[str, int]) -> None:
    found = hardness([Signs(counts=signs)], units)
    assert found.keys() == units.keys()
    assert all(np.isfinite(one.mean) and one.mean > 0.0 and one.shape >= SHAPES[0] for one in found.values())
