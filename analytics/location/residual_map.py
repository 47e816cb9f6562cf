"""How far a measured field lies off a law, all over the floor, from what was measured at some places.

A Gaussian process: measured = a law's few terms (a constant, say, and the logarithm of distance) + a smooth field +
what differs from place to place. Nothing of the field's standard deviation, range and share is set by hand: they
maximise the likelihood of what was measured, with the law's terms integrated out (restricted maximum likelihood;
Rasmussen and Williams, Gaussian Processes for Machine Learning, 2.7 and 5.4). The field is a Matern one of
smoothness 3/2: continuous, with slopes, as shadowing is, and no smoother.

Several fields that are measured at the same places (several antennas) may lend each other their likelihoods: then one
of which little is known is taken to be like the others.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

RANGES_M = (1.0, 1.5, 2.2, 3.3, 5.0, 8.0, 12.0)
"""Ranges of the field that are tried, in units of the places: from less than places are apart to a store's width."""
SHARES = (0.02, 0.15, 0.3, 0.45, 0.6, 0.75, 0.9)
"""Shares of the variance, the law's terms apart, that are tried for the field."""
POOLED_DEGREES = 4.0
"""As many degrees of freedom the others' variance counts in each one's."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Measured:
    """A field, measured at some places."""

    places: Floats
    """n by 2."""
    values: Floats
    """n."""
    terms: Floats
    """n by b: the law's terms at the places; fewer than there are places."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ResidualMap:
    """What was learnt of one field."""

    range_m: float
    """Distance over which the field changes."""
    field_spread: float
    """Standard deviation of the field."""
    place_spread: float
    """Standard deviation of what differs from place to place."""
    coefficients: Floats
    """b: what the law's terms count."""
    left_out: Floats
    """n: measured less predicted for each place from all others, the law's terms and spreads as they are."""
    left_out_spread: Floats
    """n: standard deviation that these should have."""
    _places: Floats
    _solved: Floats
    _inverse: Floats

    def predict(self, places: Floats, terms: Floats) -> tuple[Floats, Floats]:
        """Return the mean of what would be measured at other places, and its standard deviation."""
        near = self.field_spread**2 * _matern(_distances(places, self._places), self.range_m)
        known = np.einsum("ij,jk,ik->i", near, self._inverse, near)
        variance = np.maximum(self.field_spread**2 - known, 0.0) + self.place_spread**2
        return terms @ self.coefficients + near @ self._solved, np.sqrt(variance)


def fit_maps(measured: Sequence[Measured], *, pooled: bool, shares: tuple[float, ...] = SHARES) -> list[ResidualMap]:
    """Fit a map to each of several fields.

    Args:
        measured: The fields.
        pooled: Whether they are alike: each one's range and share then maximise its own likelihood times the
            geometric mean of all, and its variance is drawn towards that of all.
        shares: Shares of the variance that are tried for the field.

    Returns:
        Maps, in order.
    """
    if not measured:
        return []
    waves: dict[
        int, list[_Waves | None]
    ] = {}  # Fields measured at the same places (the same array) share the costly part.
    for one in measured:
        if id(one.places) not in waves:
            waves[id(one.places)] = _waves_of(one.places)
    tried = [_try_all(one, waves[id(one.places)], shares) for one in measured]
    common = np.mean([one.likelihood for one in tried], axis=0) if pooled else 0.0
    best = [int(np.argmax(one.likelihood + common)) for one in tried]
    freedom = np.array([len(one.values) - one.terms.shape[1] for one in measured], dtype=np.float64)
    squares = np.array([one.squares[at] for one, at in zip(tried, best, strict=True)])
    variance = squares / freedom
    if pooled:
        variance = (squares + POOLED_DEGREES * squares.sum() / freedom.sum()) / (freedom + POOLED_DEGREES)
    return [
        _map_of(one, divmod(at, len(shares)), shares, float(own))
        for one, at, own in zip(measured, best, variance, strict=True)
    ]


@dataclass(frozen=True, slots=True, eq=False)
class _Tried:
    """Of each range and share, the logarithm of the likelihood and the sum of weighted squares."""

    likelihood: Floats
    squares: Floats


_Waves = tuple[Floats, Floats]
"""Variances and vectors of a field's principal parts at some places."""


def _waves_of(places: Floats) -> list[_Waves | None]:
    """Return the principal parts of a field of each range; `None` where it changes faster than places are apart.

    Of such a field nothing can be known: it looks like what differs from place to place.
    """
    apart = _distances(places, places)
    nearest = float(np.median(np.sort(apart, axis=1)[:, 1]))
    found: list[_Waves | None] = []
    for range_m in RANGES_M:
        if range_m < min(nearest, RANGES_M[-1]):
            found.append(None)
            continue
        powers, vectors = np.linalg.eigh(_matern(apart, range_m))
        found.append((np.maximum(powers, 0.0), vectors))
    return found


def _try_all(measured: Measured, waves: list[_Waves | None], shares: tuple[float, ...]) -> _Tried:
    count = len(measured.values)
    freedom = count - measured.terms.shape[1]
    assert freedom > 0, f"{count} places for {measured.terms.shape[1]} terms"
    likelihood, squares = [], []
    for one in waves:
        if one is None:
            likelihood += [-np.inf] * len(shares)
            squares += [0.0] * len(shares)
            continue
        powers, vectors = one
        values, terms = vectors.T @ measured.values, vectors.T @ measured.terms
        for share in shares:
            weight = 1.0 / (share * powers + 1.0 - share)
            normal = terms.T @ (terms * weight[:, None])
            rest = values - terms @ np.linalg.solve(normal, terms.T @ (weight * values))
            square = float((rest**2 * weight).sum())
            likelihood.append(
                0.5 * (np.log(weight).sum() - np.linalg.slogdet(normal)[1] - freedom * np.log(max(square, 1e-9)))
            )
            squares.append(square)
    return _Tried(np.array(likelihood), np.array(squares))


def _map_of(measured: Measured, best: tuple[int, int], shares: tuple[float, ...], variance: float) -> ResidualMap:
    apart = _distances(measured.places, measured.places)
    range_m, share = RANGES_M[best[0]], shares[best[1]]
    variance = max(variance, 1e-6)
    near = _matern(apart, range_m)
    inverse = np.asarray(np.linalg.inv(variance * (share * near + (1.0 - share) * np.eye(len(near)))), dtype=np.float64)
    weighted = measured.terms.T @ inverse
    coefficients = np.linalg.solve(weighted @ measured.terms, weighted @ measured.values)
    solved = inverse @ (measured.values - measured.terms @ coefficients)
    return ResidualMap(
        range_m=range_m,
        field_spread=float(np.sqrt(variance * share)),
        place_spread=float(np.sqrt(variance * (1.0 - share))),
        coefficients=np.asarray(coefficients, dtype=np.float64),
        left_out=solved / np.diag(inverse),
        left_out_spread=1.0 / np.sqrt(np.diag(inverse)),
        _places=measured.places,
        _solved=solved,
        _inverse=np.asarray(inverse, dtype=np.float64),
    )


def _matern(distances: Floats, range_m: float) -> Floats:
    scaled = np.sqrt(3.0) * distances / range_m
    return np.asarray((1.0 + scaled) * np.exp(-scaled))


def _distances(one: Floats, other: Floats) -> Floats:
    return np.asarray(np.linalg.norm(one[:, None, :] - other[None, :, :], axis=2))
