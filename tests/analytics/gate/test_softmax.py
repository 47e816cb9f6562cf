"""Promise: the fit is the optimum of its objective, and its probabilities are what was in the data."""

import numpy as np
import pytest

from analytics.gate.softmax import fit_softmax


def test_the_fit_cannot_be_improved_in_any_direction() -> None:
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(60, 4))
    labels = rng.integers(0, 3, size=60)
    counts = np.bincount(labels, minlength=3)
    importance = 60 / counts[labels] / 3

    def loss(weights: np.ndarray) -> float:
        scores = np.hstack([(rows - rows.mean(0)) / rows.std(0), np.ones((60, 1))]) @ weights
        likely = scores[np.arange(60), labels] - np.log(np.exp(scores).sum(axis=1))
        penalty = np.array([2.0, 2.0, 2.0, 2.0, 0.002])
        return float(-(importance * likely).sum() + 0.5 * (penalty[:, None] * weights**2).sum())

    fitted = fit_softmax(rows, labels, 3, ridge=2.0).weights
    best = loss(fitted)
    for _ in range(50):
        assert loss(fitted + rng.normal(scale=0.01, size=fitted.shape)) > best


def test_probabilities_are_the_shares_in_the_data() -> None:
    # Among rows with 1 the second class has three in four, among rows with 0 one in four.
    rows = np.repeat([[0.0], [1.0]], 400, axis=0)
    labels = np.array([0] * 300 + [1] * 100 + [0] * 100 + [1] * 300)
    chance = fit_softmax(rows, labels, 2, ridge=1e-6).probabilities(np.array([[0.0], [1.0]]))
    assert chance == pytest.approx(np.array([[0.75, 0.25], [0.25, 0.75]]), abs=1e-3)


def test_classes_weigh_alike_however_many_examples_they_have() -> None:
    rows = np.zeros((100, 1))
    labels = np.array([0] * 90 + [1] * 10)
    chance = fit_softmax(rows, labels, 2).probabilities(np.zeros((1, 1)))
    assert chance[0] == pytest.approx([0.5, 0.5], abs=1e-6)


def test_a_feature_that_never_varied_does_no_harm() -> None:
    rows = np.column_stack([np.arange(20.0), np.full(20, 7.0)])
    labels = (np.arange(20) >= 10).astype(np.int64)
    chance = fit_softmax(rows, labels, 2).probabilities(np.array([[0.0, 7.0], [19.0, 9.0]]))
    assert np.isfinite(chance).all()
    assert chance.argmax(axis=1).tolist() == [0, 1]


def test_what_cannot_be_fitted_is_said() -> None:
    with pytest.raises(ValueError, match="0 rows"):
        fit_softmax(np.zeros((0, 2)), np.zeros(0, dtype=np.int64), 2)
    with pytest.raises(ValueError, match="labels from 0 to 2 for 2 classes"):
        fit_softmax(np.zeros((2, 2)), np.array([0, 2]), 2)
