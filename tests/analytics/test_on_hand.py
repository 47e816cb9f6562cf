"""Distributions of units on hand: worked examples, bounds, and what intervals hold together."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics import on_hand
from analytics.on_hand import Hardness, ShareBelief, Units, coins, intervals, never_read, thinned, units_of

SURE = ShareBelief(shares=np.array([0.01]), weights=np.array([1.0]))
PROBABILITIES = st.lists(st.floats(0.0, 1.0), max_size=12)


def test_a_hand_computed_distribution() -> None:
    """Three located, one of which may be gone; a silent one that may be there."""
    found = units_of(3, [coins([0.5])], [0.2])
    assert found.base == 2
    assert found.mass == pytest.approx([0.2 * 0.5, 0.5, 0.8 * 0.5])
    assert found.mean == pytest.approx(3.3)


def test_never_read_by_hand() -> None:
    """With n = 1 and a beta of (49.5, 0.5): P(0) = 0.99, P(1) = P(0) * 0.5 / 51."""
    mass = never_read(1, SURE)
    assert mass[0] == pytest.approx(0.99, rel=1e-3)
    assert mass[1] / mass[0] == pytest.approx(0.5 / (on_hand.ALIKE_UNITS + 1.0))


def test_the_mean_of_units_never_read_follows_the_belief() -> None:
    belief = ShareBelief(shares=np.array([0.01, 0.1]), weights=np.array([0.5, 0.5]))
    mean = float(np.arange(len(never_read(40, belief))) @ never_read(40, belief))
    expected = 40 * 0.5 * (0.01 / 0.99 + 0.1 / 0.9)
    assert mean == pytest.approx(expected, rel=0.05)
    assert never_read(0, belief).tolist() == [1.0]


def test_what_is_not_found_yet_is_negative_binomial() -> None:
    """Ninety read, a tenth not found yet, half as hard as others: five units in the mean, of variance 5 + 25 / 2."""
    belief = ShareBelief(shares=np.array([1e-9]), weights=np.array([1.0]), late=np.array([0.1]))
    mass = never_read(90, belief, Hardness(shape=2.0, mean=0.5))
    units = np.arange(len(mass))
    assert units @ mass == pytest.approx(5.0, rel=1e-2)
    assert (units - 5.0) ** 2 @ mass == pytest.approx(17.5, rel=0.05)


def test_never_read_and_not_found_yet_add_up() -> None:
    belief = ShareBelief(
        shares=np.array([0.01, 0.01, 0.05]), weights=np.array([0.25, 0.25, 0.5]), late=np.array([0.0, 0.2, 0.1])
    )
    mass = never_read(40, belief)
    expected = 40 * (0.5 * 0.01 / 0.99 + 0.5 * 0.05 / 0.95 + 0.25 * 0.2 / 0.8 + 0.5 * 0.1 / 0.9)
    assert np.arange(len(mass)) @ mass == pytest.approx(expected, rel=0.02)
    assert belief.mean == pytest.approx(0.25 * 0.01 + 0.25 * (0.01 + 0.99 * 0.2) + 0.5 * (0.05 + 0.95 * 0.1))


def test_thinning_keeps_the_mean_share() -> None:
    mass = thinned(np.array([0.2, 0.3, 0.5]), 0.25)
    assert mass.sum() == pytest.approx(1.0)
    assert np.arange(3) @ mass == pytest.approx(0.25 * 1.3)


def test_one_gtin_alone_holds_what_is_asked() -> None:
    assert intervals([Units(base=4, mass=np.array([0.98, 0.02]))], 0.9) == [(4, 4)]
    assert intervals([Units(base=4, mass=np.array([0.5, 0.5]))], 0.9) == [(4, 5)]
    assert intervals([Units(base=-1, mass=np.array([0.5, 0.5]))], 0.9) == [(0, 0)]


def test_what_one_holds_too_much_another_may_hold_less() -> None:
    """Two that hold 0.99 pay for one that holds 0.85 instead of 0.97; for a second one they do not."""
    sure = Units(base=0, mass=np.array([0.99, 0.01]))
    doubtful = Units(base=0, mass=np.array([0.85, 0.12, 0.03]))
    assert intervals([sure, sure, doubtful], 0.9)[2] == (0, 0)
    assert intervals([sure, doubtful, doubtful, doubtful], 0.9)[1:] == [(0, 0), (0, 0), (0, 1)]


def test_no_gtin_pays_with_more_than_it_may() -> None:
    even = Units(base=0, mass=np.array([0.5, 0.45, 0.05]))
    assert intervals([Units(base=0, mass=np.ones(1))] * 50 + [even], 0.9)[-1] == (0, 1)


@given(st.lists(st.tuples(st.integers(-2, 30), PROBABILITIES), min_size=1, max_size=8), st.floats(0.5, 0.99))
def test_together_they_hold_what_is_asked(parts: list[tuple[int, list[float]]], probability: float) -> None:
    found = [units_of(located, [coins(there)]) for located, there in parts]
    ends = intervals(found, probability)
    held = [
        float(one.mass[max(0, low - one.base) if low > 0 else 0 : high - one.base + 1].sum())
        for one, (low, high) in zip(found, ends, strict=True)
    ]
    assert sum(held) >= probability * len(found) - 1e-6
    assert min(held) >= min(probability, on_hand.LEAST_PROBABILITY) - 1e-6


@given(st.integers(0, 500), PROBABILITIES, PROBABILITIES)
def test_masses_are_distributions(located: int, there: list[float], gone: list[float]) -> None:
    found = units_of(located, [coins(there), never_read(located, SURE)], gone)
    assert found.mass.sum() == pytest.approx(1.0)
    assert found.mass.min() >= 0.0
    assert max(0, located - len(gone)) <= found.mean + 1e-9
    assert found.variance >= 0.0


@given(st.lists(st.floats(0.0, 1.0), min_size=13, max_size=80))
def test_many_coins_are_as_many_few(probabilities: list[float]) -> None:
    """The Fourier transform gives what convolution does."""
    half = len(probabilities) // 8 + 1
    mass = np.ones(1)
    for start in range(0, len(probabilities), half):
        mass = np.convolve(mass, coins(probabilities[start : start + half]))
    assert coins(probabilities) == pytest.approx(mass, abs=1e-9)


def test_one_of_some_is_a_mixture() -> None:
    found = on_hand.mixed([Units(base=2, mass=np.array([1.0])), Units(base=0, mass=np.array([0.5, 0.5]))], (0.5, 0.5))
    assert found.base == 0
    assert found.mass == pytest.approx([0.25, 0.25, 0.5])
