"""Multinomial logistic regression with a ridge penalty: probabilities of classes from a vector of numbers.

Fitted by Newton's method on standardised features (Hastie, Tibshirani, Friedman: The Elements of Statistical
Learning, 4.4 and 18.3). The problem is convex and has some hundred parameters, so a handful of steps with the full
Hessian find the optimum; the penalty makes it unique.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float64]

RIDGE = 10.0
"""Penalty on the squared weights, in units of the log-likelihood of one passage."""
_STEPS_MAX = 50
_STEP_ENDS = 1e-8  # change of the objective, relative, that is not worth another step
_SHRINKS_MAX = 30


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Softmax:
    """A fitted model."""

    mean: Matrix
    """Of each feature, over the passages it was fitted on."""
    scale: Matrix
    """Standard deviation of each feature there; 1 where it never varied."""
    weights: Matrix
    """One row for each feature and a last one for the constant; one column for each class."""

    def probabilities(self, rows: Matrix) -> Matrix:
        """Return the probability of each class (column) for each row of features."""
        return _probabilities(_with_constant((rows - self.mean) / self.scale), self.weights)


def fit_softmax(
    rows: Matrix, labels: npt.NDArray[np.int64], classes: int, *, ridge: float = RIDGE, prior: Softmax | None = None
) -> Softmax:
    """Fit a model in which each class weighs the same, however many examples it has; with a prior, each example does.

    Args:
        rows: Features, one row an example.
        labels: Class of each, from 0.
        classes: Number of classes; without a prior, one without examples gets next to no probability.
        ridge: Penalty on the squared weights, or on what they differ by from the prior's.
        prior: What is believed before these examples; its mean and scale are kept.

    Raises:
        ValueError: There are no examples, or a label is no class.
    """
    if len(rows) == 0 or len(rows) != len(labels):
        raise ValueError(f"{len(rows)} rows of features and {len(labels)} labels")
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(f"labels from {labels.min()} to {labels.max()} for {classes} classes")
    mean, scale = (rows.mean(axis=0), rows.std(axis=0)) if prior is None else (prior.mean, prior.scale)
    scale = np.where(scale > 0, scale, 1.0)
    design = _with_constant((rows - mean) / scale)
    counts = np.bincount(labels, minlength=classes)
    target = np.eye(classes)[labels]
    penalty = np.full(design.shape[1], ridge)
    if prior is None:
        importance = len(labels) / np.maximum(counts, 1)[labels] / np.count_nonzero(counts)
        penalty[-1] = ridge / 1000  # the constant is hardly held; a little, or the Hessian would be singular
        start = np.zeros((design.shape[1], classes))
    else:  # the prior's classes weigh the same already; two examples of a rare one are not to move it as fifty do
        importance, start = np.ones(len(labels)), prior.weights
    weights = _newton(design, target, importance, penalty, start)
    return Softmax(mean=mean, scale=scale, weights=weights)


def _newton(design: Matrix, target: Matrix, importance: Matrix, penalty: Matrix, prior: Matrix) -> Matrix:
    def objective(tried: Matrix) -> float:
        held = float((penalty[:, None] * (tried - prior) ** 2).sum())
        return _unlikeliness(design, target, importance, tried) + 0.5 * held

    weights = prior.copy()
    value = objective(weights)
    for _ in range(_STEPS_MAX):
        chance = _probabilities(design, weights)
        gradient = design.T @ (importance[:, None] * (chance - target)) + penalty[:, None] * (weights - prior)
        step = np.linalg.solve(_hessian(design, chance, importance, penalty), gradient.T.ravel())
        step = step.reshape(weights.shape[1], -1).T
        size = 1.0
        for _ in range(_SHRINKS_MAX):
            tried = objective(weights - size * step)
            if tried <= value:
                break
            size /= 2
        gained, value, weights = value - tried, tried, weights - size * step
        if gained <= _STEP_ENDS * max(abs(value), 1.0):
            break
    return weights


def _hessian(design: Matrix, chance: Matrix, importance: Matrix, penalty: Matrix) -> Matrix:
    """Return second derivatives by weights, those of a class together."""
    features, classes = design.shape[1], chance.shape[1]
    hessian = np.empty((classes, features, classes, features))
    for one in range(classes):
        for other in range(one + 1):
            spread = chance[:, one] * ((one == other) - chance[:, other]) * importance
            block = design.T @ (spread[:, None] * design)
            if one == other:
                block += np.diag(penalty)
            hessian[one, :, other] = hessian[other, :, one] = block
    return hessian.reshape(classes * features, classes * features)


def _unlikeliness(design: Matrix, target: Matrix, importance: Matrix, weights: Matrix) -> float:
    likely = np.log(np.maximum((_probabilities(design, weights) * target).sum(axis=1), 1e-300))
    return float(-(importance * likely).sum())


def _probabilities(design: Matrix, weights: Matrix) -> Matrix:
    scores = design @ weights
    scores -= scores.max(axis=1, keepdims=True)
    raised = np.exp(scores)
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def _with_constant(rows: Matrix) -> Matrix:
    return np.hstack([rows, np.ones((len(rows), 1))])
