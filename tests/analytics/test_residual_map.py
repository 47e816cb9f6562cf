"""A map of what a law leaves: what it learns of a field, what it says of the unseen, and its left-out errors."""

import numpy as np
import pytest

from analytics.location.residual_map import Floats, Measured, fit_maps


def field(xy: Floats) -> Floats:
    return np.asarray(6.0 * np.sin(xy[:, 0] / 3.0) * np.cos(xy[:, 1] / 3.0))


def measured(count: int, *, noise: float, seed: int, smooth: bool = True) -> Measured:
    rng = np.random.default_rng(seed)
    places = rng.uniform(0.0, 12.0, (count, 2))
    values = 5.0 + noise * rng.standard_normal(count) + (field(places) if smooth else 0.0)
    return Measured(places=places, values=values, terms=np.ones((count, 1)))


def test_a_smooth_field_is_found_between_the_places() -> None:
    (found,) = fit_maps([measured(150, noise=1.0, seed=1)], pooled=False)
    axis = np.arange(1.0, 11.0, 1.0)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    mean, spread = found.predict(grid, np.ones((len(grid), 1)))
    assert np.sqrt(np.mean((mean - 5.0 - field(grid)) ** 2)) < 1.0
    assert 0.5 < found.place_spread < 1.5
    assert (spread < 2.5).all()


def test_without_a_field_only_the_law_is_left() -> None:
    (found,) = fit_maps([measured(150, noise=3.0, seed=2, smooth=False)], pooled=False)
    mean, _ = found.predict(np.array([[6.0, 6.0]]), np.ones((1, 1)))
    assert mean[0] == pytest.approx(5.0, abs=1.0)
    assert found.place_spread == pytest.approx(3.0, abs=0.6)


def test_far_from_every_place_it_knows_the_law_and_no_more() -> None:
    (found,) = fit_maps([measured(80, noise=1.0, seed=3)], pooled=False)
    mean, spread = found.predict(np.array([[500.0, 500.0]]), np.ones((1, 1)))
    assert mean[0] == pytest.approx(found.coefficients[0], abs=1e-3)
    assert spread[0] == pytest.approx(np.hypot(found.field_spread, found.place_spread), abs=1e-3)


def test_left_out_errors_are_those_of_places_left_out() -> None:
    """Checked the slow way: by the mean of a Gaussian process of the other places, spreads and law as they are."""
    all_of_them = measured(30, noise=1.0, seed=4)
    (found,) = fit_maps([all_of_them], pooled=False)
    apart = np.linalg.norm(all_of_them.places[:, None] - all_of_them.places[None], axis=2)
    scaled = np.sqrt(3.0) * apart / found.range_m
    covariance = found.field_spread**2 * (1 + scaled) * np.exp(-scaled) + found.place_spread**2 * np.eye(30)
    rest = all_of_them.values - found.coefficients[0]
    others = np.arange(30) != 7
    weights = np.linalg.solve(covariance[np.ix_(others, others)], covariance[others, 7])
    assert found.left_out[7] == pytest.approx(rest[7] - weights @ rest[others])
    variance = covariance[7, 7] - weights @ covariance[others, 7]
    assert found.left_out_spread[7] == pytest.approx(np.sqrt(variance))


def test_a_field_of_which_little_is_known_is_taken_to_be_like_the_others() -> None:
    known, few = measured(150, noise=1.0, seed=5), measured(6, noise=1.0, seed=6)
    alone = fit_maps([known, few], pooled=False)
    pooled = fit_maps([known, few], pooled=True)
    assert pooled[0].range_m == alone[0].range_m
    ratio = pooled[1].field_spread / pooled[0].field_spread
    assert 0.4 < ratio < 2.0


def test_no_fields_no_maps() -> None:
    assert fit_maps([], pooled=True) == []
