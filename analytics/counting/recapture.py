"""How many are there? The total behind some counting passes, by capture and recapture.

Each pass hears an item that is there or does not. How often items heard in one pass are missing in another says how
many were heard in none. Passes differ (somebody walks faster), and so do items: one hangs on metal, one lies beneath
others. With logit p[i, j] = pass[j] + spread * z[i], z normal, every spread of a grid is weighed by a prior and by how
well it explains which items were heard in which passes, given that they were heard at all (the model M_th of the
literature, Otis et al. 1978, with a normal random effect as in Coull and Agresti 1999). For each spread the passes'
levels are those that reproduce what each pass heard. Items heard in no pass then number n P0 / (1 - P0), with a
variance that counts both the chance of being missed and how little is known about P0 (Darroch's, 1958, in proportion);
the answer mixes over the grid.

One pass alone has no recapture. There the number of *reads* of each item stands in: with f1 items read once, f2 twice
and so on, f1 (f1 - 1) / (2 (f2 + 1)) are missing at least (Chao 1987), a little more where f3 and f4 say so (Chiu et
al. 2014).

Items that no pass could hear - dead tags, goods without tags, another room - are in no estimate.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from analytics.on_hand import INTERVAL_PROBABILITY, Mass

SPREADS = np.array([0.0, 0.4, 0.8, 1.2, 1.6, 2.0, 2.5, 3.0])
"""Standard deviations of an item's log odds of being heard that are weighed."""
SPREAD_PRIOR = 1.0
"""Half-normal prior of it: items of one count differ by a factor of e in their odds, as a rule."""
PASSES_LIMIT = 30
"""Passes of one count that are looked at together; the newest ones."""
_Z, _Z_WEIGHT = np.polynomial.hermite_e.hermegauss(21)
_Z_WEIGHT = _Z_WEIGHT / _Z_WEIGHT.sum()
_ROUNDS = 60
_UNSEEN_LIMIT = 100_000

Chances = npt.NDArray[np.float64]
"""Chances of being heard, items' z by passes."""
Histories = Mapping[tuple[bool, ...], float]
"""How many items were heard in exactly these passes, by pattern; the pattern of none is not among them. Numbers may be
fractions where it is not sure which items belong to the count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """What passes say of a total."""

    seen: float
    """Items heard in any pass."""
    units: float
    """Expected items that are there and can be heard."""
    low: float
    """Lower end of the 90 % interval."""
    high: float
    """Upper end."""
    recalls: tuple[float, ...]
    """Share of the total that each pass heard."""
    further: float
    """Items that one more pass, as good as these on average, is expected to add."""
    missed_by_all: float
    """Probability that an item which is there is heard in none of the passes."""
    chances: tuple[tuple[float, Chances], ...] = ()
    """What each spread says of the chances of being heard, items' z by passes, with its weight."""
    unheard: Mass = field(default_factory=lambda: np.ones(1))
    """Distribution of the number of items that are there and were heard in no pass: 0, 1, ..."""

    def missed_by(self, passes: Sequence[int], *, heard_by: int | None = None) -> float:
        """Return the probability that an item which is there is heard by none of some passes.

        Hard items are missed again and again: this is more than the product of what each pass misses.

        Args:
            passes: Their numbers, from 0.
            heard_by: A pass that did hear it, where there is one.
        """
        if not self.chances:
            return math.prod(1.0 - self.recalls[one] for one in passes)
        missed = known = 0.0
        for weight, chance in self.chances:
            given = _Z_WEIGHT if heard_by is None else _Z_WEIGHT * chance[:, heard_by]
            missed += weight * float(given @ np.prod(1.0 - chance[:, list(passes)], axis=1))
            known += weight * float(given.sum())
        return missed / known

    def found_after(self, passes: Sequence[int], *, heard_by: int | None = None) -> float:
        """Return the probability that one more pass hears an item that is there and that all of some passes missed.

        Args:
            passes: Their numbers; the further one is as good as these on average.
            heard_by: A pass that did hear the item, where there is one.
        """
        if not self.chances:
            return self.recalls[-1]
        found = known = 0.0
        for weight, chance in self.chances:
            given = _Z_WEIGHT if heard_by is None else _Z_WEIGHT * chance[:, heard_by]
            missed = given * np.prod(1.0 - chance[:, list(passes)], axis=1)
            found += weight * float(missed @ chance[:, list(passes)].mean(axis=1))
            known += weight * float(missed.sum())
        return found / known


def total_of_passes(histories: Histories) -> Total:
    """Estimate a total from two or more passes.

    Args:
        histories: Items by the passes that heard them; all patterns of the same length, two and up.

    Returns:
        The estimate. All zero where nothing was heard.
    """
    patterns = sorted(histories)
    seen = math.fsum(histories.values())
    count = len(patterns[0]) if patterns else 0
    if seen <= 0:
        return Total(seen=0.0, units=0.0, low=0.0, high=0.0, recalls=(0.0,) * count, further=0.0, missed_by_all=0.0)
    assert count >= 2, "one pass alone is told by its reads: total_of_reads"
    heard = np.array(patterns, dtype=np.float64)
    items = np.array([histories[pattern] for pattern in patterns])
    fits = [_fit(heard, items, spread) for spread in SPREADS]
    log_weight = np.array([fit.log_likelihood for fit in fits]) - 0.5 * (SPREADS / SPREAD_PRIOR) ** 2
    weight = np.exp(log_weight - log_weight.max())
    weight /= weight.sum()
    mass = _mixed([_counts(fit.unseen, fit.variance) for fit in fits], weight)
    unseen = float(np.arange(len(mass)) @ mass)
    low, high = central(mass)
    by_pass = items @ heard
    return Total(
        seen=seen,
        units=seen + unseen,
        low=seen + low,
        high=max(seen + high, seen + unseen),
        recalls=tuple((by_pass / (seen + unseen)).tolist()),
        further=float(weight @ [fit.further for fit in fits]),
        missed_by_all=float(weight @ [fit.missed for fit in fits]),
        chances=tuple((share, fit.chance) for share, fit in zip(weight.tolist(), fits, strict=True)),
        unheard=mass,
    )


def total_of_reads(reads_of_item: Sequence[int], weights: Sequence[float] | None = None) -> Total:
    """Estimate a total from how often each item was read in a single pass: a lower bound, in truth.

    Args:
        reads_of_item: Reads of each item heard, 1 and up.
        weights: How much each belongs to the count; 1 where not given.
    """
    reads = np.asarray(reads_of_item, dtype=np.int64)
    weight = np.ones(len(reads)) if weights is None else np.asarray(weights, dtype=np.float64)
    f1, f2, f3, f4 = (float(weight[reads == times].sum()) for times in (1, 2, 3, 4))
    seen = float(weight.sum())
    unseen = max(0.0, f1 * (f1 - 1.0)) / (2.0 * (f2 + 1.0))
    if f4 > 0:
        unseen += f3 / (4.0 * f4) * max(0.0, f1 - f2 * f3 / (2.0 * f4))
    ratio = f1 / (f2 + 1.0)
    variance = unseen + (f2 + 1.0) * (ratio**4 / 4.0 + ratio**3)
    mass = _counts(unseen, variance)
    low, high = central(mass)
    total = seen + unseen
    missed = unseen / total if total > 0 else 0.0
    recall = seen / total if total > 0 else 0.0
    return Total(
        seen=seen,
        units=total,
        low=seen + low,
        high=max(seen + high, total),
        recalls=(recall,),
        further=unseen * recall,
        missed_by_all=missed,
        unheard=mass,
    )


@dataclass(frozen=True, slots=True)
class _Fit:
    """What one spread says."""

    log_likelihood: float
    unseen: float
    variance: float
    further: float
    missed: float
    chance: Chances


def _fit(heard: npt.NDArray[np.float64], items: npt.NDArray[np.float64], spread: float) -> _Fit:
    seen, by_pass = float(items.sum()), items @ heard
    unseen = 0.0
    level = np.zeros(heard.shape[1])
    for _ in range(_ROUNDS):
        level = _levels(np.clip(by_pass / (seen + unseen), 1e-6, 1.0 - 0.25 / (seen + 1.0)), level, spread)
        missed = float(_Z_WEIGHT @ np.prod(1.0 - _chance(level, spread), axis=1))
        missed = min(missed, 0.999)
        before, unseen = unseen, seen * missed / (1.0 - missed)
        if abs(unseen - before) < 1e-6 * seen:
            break
    chance = _chance(level, spread)
    pattern = np.exp(np.log(chance) @ heard.T + np.log1p(-chance) @ (1.0 - heard.T))
    log_likelihood = float(items @ np.log(np.maximum(_Z_WEIGHT @ pattern, 1e-300))) - seen * math.log1p(-missed)
    none = _Z_WEIGHT * np.prod(1.0 - chance, axis=1)
    once_more = float(none @ (1.0 / (1.0 + np.exp(-level.mean() - spread * _Z)))) / max(float(none.sum()), 1e-12)
    return _Fit(
        log_likelihood, unseen, unseen * _overdispersion(level, spread, missed), unseen * once_more, missed, chance
    )


def _levels(recall: npt.NDArray[np.float64], start: npt.NDArray[np.float64], spread: float) -> npt.NDArray[np.float64]:
    """Return each pass's level at which it hears a share of items, by Newton's method."""
    level = start
    for _ in range(50):
        chance = _chance(level, spread)
        slope = _Z_WEIGHT @ (chance * (1.0 - chance))
        change = (recall - _Z_WEIGHT @ chance) / np.maximum(slope, 1e-9)
        level = level + np.clip(change, -1.0, 1.0)
        if float(np.abs(change).max()) < 1e-9:
            break
    return np.asarray(level)


def _chance(level: npt.NDArray[np.float64], spread: float) -> npt.NDArray[np.float64]:
    """Return the chances of being heard, items' z by passes."""
    return np.clip(1.0 / (1.0 + np.exp(-(level[None, :] + spread * _Z[:, None]))), 1e-12, 1.0 - 1e-12)


def _overdispersion(level: npt.NDArray[np.float64], spread: float, missed: float) -> float:
    """Return variance over mean of the unseen: chance alone, times what not knowing the passes adds (Darroch)."""
    recall = _Z_WEIGHT @ _chance(level, spread)
    none = float(np.prod(1.0 - recall))
    spare = 1.0 / none + len(recall) - 1.0 - float(np.sum(1.0 / (1.0 - recall)))
    known = none / (1.0 - none)  # variance for each item there, of the unseen, were the passes' levels known
    doubt = max(1.0, 1.0 / (max(spare, 1e-9) * known))
    return min(1e4, doubt / (1.0 - missed))


def _counts(mean: float, variance: float) -> Mass:
    """Return a distribution of whole numbers: Poisson, or negative binomial where the variance is larger."""
    if mean <= 1e-9:
        return np.ones(1)
    reach = int(min(_UNSEEN_LIMIT, mean + 12.0 * math.sqrt(max(variance, mean)) + 20.0))
    at = np.arange(reach + 1)
    factorials = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, reach + 1)))])
    if variance <= mean * 1.0001:
        log_mass = at * math.log(mean) - mean - factorials
    else:
        size = mean * mean / (variance - mean)
        rising = np.concatenate([[0.0], np.cumsum(np.log(size + np.arange(reach)))])
        log_mass = rising - factorials + size * math.log(size / (size + mean)) + at * math.log(mean / (size + mean))
    mass = np.exp(log_mass - log_mass.max())
    return np.asarray(mass / mass.sum())


def _mixed(masses: Sequence[Mass], weight: npt.NDArray[np.float64]) -> Mass:
    mixed = np.zeros(max(len(mass) for mass in masses))
    for mass, share in zip(masses, weight.tolist(), strict=True):
        mixed[: len(mass)] += share * mass
    return mixed


def central(mass: Mass) -> tuple[int, int]:
    """Return the ends of the 90 % interval of a distribution of 0, 1, ..., with as much below as above."""
    total, tail = np.cumsum(mass), (1.0 - INTERVAL_PROBABILITY) / 2.0
    return int(np.searchsorted(total, tail)), int(np.searchsorted(total, 1.0 - tail))
