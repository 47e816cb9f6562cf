"""How many units are there? Distributions of whole units, and intervals that hold what they promise.

What adds to the units that are located is a sum of independent parts, each a distribution over 0, 1, 2, ... units:
silent items, each a coin; units never read, whose share of the stock is itself known only more or less; deliveries that
are booked and not all heard. What is told to be gone and still located takes off, each unit a coin too.

**Intervals.** Units are whole, so the shortest run that holds at least 90 % of one GTIN's distribution holds more, and
often much more: where a GTIN has no unseen unit with 97 %, its run of one number holds 97 %. Promised to all GTINs, 90
% would be 95. `intervals` therefore keeps the promise for the GTINs of a site together: each gets its shortest run of
90 %, or one step shorter, and as many are shorter as leave the mean of what they hold at 90 %. Those that lose least
for the width that they save come first; none is made shorter where its run would hold less than `LEAST_PROBABILITY`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Mass = npt.NDArray[np.float64]
"""Probability of 0, 1, 2, ... units; adds up to 1."""

INTERVAL_PROBABILITY = 0.9
"""The intervals of a site's GTINs together are meant to hold the truth with this probability."""
MODEL_PROBABILITY = 0.915
"""What they are made to hold of the model's distributions. The rest is for what the model leaves out: goods at the dock
of which nobody has told, a till that scans the wrong article. Set on tuning days alone."""
LEAST_PROBABILITY = 0.75
"""No single GTIN's interval is meant to hold less than this."""
UNSEEN_PROBABILITY = 0.9999
"""The distribution of units never read is followed until it holds this much,"""
UNSEEN_LIMIT = 4096
"""or to so many units; no GTIN of a store is near it."""
COINS_AT_ONCE = 12
"""With more coins than this their number is worked out by a Fourier transform."""
ALIKE_UNITS = 50.0
"""How alike GTINs are in their share of units never read: as if each had drawn its own after seeing so many units at
the site's share. A batch of bad labels is of one GTIN."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareBelief:
    """What is believed about units that are not read."""

    shares: Mass
    """Shares of units that are never read, each between 0 and 1: one for each weight."""
    weights: Mass
    """Their probabilities; add up to 1."""
    late: Mass | None = None
    """Beside each, the share of the other units that is readable and not found yet; `None` stands for none. It is the
    mean of GTINs, which differ in it."""

    @property
    def unread(self) -> Mass:
        """Both together: share of units that are not read."""
        return self.shares if self.late is None else self.shares + (1.0 - self.shares) * self.late

    @property
    def mean(self) -> float:
        """Expected share."""
        return float(self.unread @ self.weights)

    @property
    def late_ratio(self) -> float:
        """Expected units not found yet for each unit read."""
        return 0.0 if self.late is None else float((self.late / (1.0 - self.late)) @ self.weights)

    def at(self, shares: Mass) -> Mass:
        """Return the probabilities of a coarser set of rising shares: each share's goes to the nearest."""
        middles = np.sqrt(shares[1:] * shares[:-1])
        nearest = np.searchsorted(middles, self.unread)
        return np.asarray(np.bincount(nearest, self.weights, minlength=len(shares)), dtype=np.float64)

    @property
    def ratio(self) -> tuple[float, float]:
        """Mean and variance of units not read for each unit read, share / (1 - share)."""
        ratios = self.unread / (1.0 - self.unread)
        mean = float(ratios @ self.weights)
        return mean, float(((ratios - mean) ** 2) @ self.weights)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardness:
    """How much larger or smaller the share not found yet is in a GTIN than on the site: a gamma distribution."""

    shape: float = 1.0
    """Its shape: the larger, the surer."""
    mean: float = 1.0
    """Its mean."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Units:
    """A distribution of units on hand."""

    base: int
    """Units at the first place of the mass; may be negative, which stands for none."""
    mass: Mass
    """Probability of base, base + 1, ..."""

    @property
    def mean(self) -> float:
        """Expected units."""
        return float(np.maximum(0, self.base + np.arange(len(self.mass))) @ self.mass)

    @property
    def variance(self) -> float:
        """Variance, units squared."""
        at = np.maximum(0, self.base + np.arange(len(self.mass)))
        return float((at - self.mean) ** 2 @ self.mass)


def units_of(located: int, more: Sequence[Mass], fewer: Sequence[float] = ()) -> Units:
    """Put a distribution together.

    Args:
        located: Units that are there for certain, but for `fewer`.
        more: Distributions of what is there besides.
        fewer: Probabilities of single units to be gone already.
    """
    mass = coins([1.0 - probability for probability in fewer])
    for part in more:
        mass = np.convolve(mass, part)
    kept = int(np.searchsorted(np.cumsum(mass), 1.0 - 1e-9)) + 1
    return Units(base=located - len(fewer), mass=mass[:kept] / mass[:kept].sum())


def mixed(found: Sequence[Units], weights: Sequence[float]) -> Units:
    """Return a distribution that is one of some, with probabilities that add up to 1."""
    base = min(one.base for one in found)
    mass = np.zeros(max(one.base + len(one.mass) for one in found) - base)
    for one, weight in zip(found, weights, strict=True):
        mass[one.base - base : one.base - base + len(one.mass)] += one.mass * weight
    return Units(base=base, mass=mass)


def coins(probabilities: Sequence[float]) -> Mass:
    """Return the distribution of how many of some independent coins show heads: Poisson binomial."""
    if len(probabilities) > COINS_AT_ONCE:  # many at once: by their characteristic function
        heads = np.sort(np.asarray(probabilities))[:, None]
        turns = np.exp(-2j * np.pi * np.arange(len(heads) + 1) / (len(heads) + 1))
        found = np.fft.ifft(np.prod(1.0 - heads + heads * turns, axis=0)).real
        return np.asarray(np.maximum(found, 0.0) / np.maximum(found, 0.0).sum())
    mass = np.ones(1)
    for probability in sorted(probabilities):
        mass = np.convolve(mass, np.array([1.0 - probability, probability]))
    return mass


def never_read(read: int, belief: ShareBelief, hardness: Hardness | None = None) -> Mass:
    """Return the distribution of units not read beside `read` units that were, mixed over what is believed.

    Args:
        read: Units that were read.
        belief: Shares of units never read, and not found yet.
        hardness: How much larger the latter is in this GTIN; by default, as anywhere and not sure.
    """
    levels, dead = never_read_by_late(read, belief)
    return with_late(read, levels, dead, hardness or Hardness())


def never_read_by_late(read: int, belief: ShareBelief) -> tuple[Mass, Mass]:
    """Return shares not found yet; for each, the probabilities of 0, 1, ... units never read and of that share."""
    late = np.zeros(len(belief.shares)) if belief.late is None else belief.late
    levels, level = np.unique(late, return_inverse=True)
    if read <= 0:
        return levels, np.asarray(np.bincount(level, belief.weights)[None, :], dtype=np.float64)
    shares, share = np.unique(belief.shares, return_inverse=True)
    weights = np.zeros((len(shares), len(levels)))
    np.add.at(weights, (share, level), belief.weights)
    length = 32
    while True:
        dead = never_read_by_share(read, shares, length) @ weights
        if dead.sum() >= UNSEEN_PROBABILITY or length >= UNSEEN_LIMIT:
            kept = int(np.searchsorted(np.cumsum(dead.sum(axis=1)), UNSEEN_PROBABILITY)) + 1
            return levels, np.asarray(dead[:kept])
        length *= 4


def with_late(read: int, levels: Mass, dead: Mass, hardness: Hardness) -> Mass:
    """Return the distribution of units never read and units not found yet.

    With a share l of the site not found yet they are negative binomial: Poisson with the mean read * l / (1 - l) times
    a GTIN's hardness, which follows a gamma distribution.
    """
    parts = [
        np.convolve(mass, _negative_binomial(max(0, read) * level / (1.0 - level) * hardness.mean, hardness.shape))
        for level, mass in zip(levels.tolist(), dead.T, strict=True)
    ]
    found = np.zeros(max(map(len, parts)))
    for part in parts:
        found[: len(part)] += part
    kept = int(np.searchsorted(np.cumsum(found), UNSEEN_PROBABILITY * found.sum())) + 1
    return np.asarray(found[:kept] / found[:kept].sum())


def _negative_binomial(mean: float, shape: float) -> Mass:
    """Return a Poisson distribution whose mean follows a gamma distribution."""
    if mean <= 0.0:
        return np.ones(1)
    length = min(UNSEEN_LIMIT, 16 + math.ceil(mean + 8.0 * math.sqrt(mean + mean * mean / shape)))
    u = np.arange(length - 1, dtype=np.float64)
    steps = (shape + u) / (u + 1.0) * (mean / (mean + shape))
    mass = np.exp(np.concatenate([[0.0], np.cumsum(np.log(steps))]) - shape * math.log1p(mean / shape))
    return np.asarray(mass / mass.sum())


def never_read_by_share(read: float, shares: Mass, length: int) -> Mass:
    """Return the probabilities of 0, 1, ..., `length` - 1 units never read beside `read` that were: units by shares.

    With share s it is beta negative binomial, a = A (1 - s), b = A s, A = `ALIKE_UNITS`, n = read:
    P(0) = B(a + n, b) / B(a, b), P(u + 1) / P(u) = (n + u) (b + u) / ((u + 1) (a + n + b + u)).
    """
    a, b, n = ALIKE_UNITS * (1.0 - shares), ALIKE_UNITS * shares, float(read)
    first = np.array([_log_none(n, *pair) for pair in zip(a.tolist(), b.tolist(), strict=True)])
    u = np.arange(length - 1, dtype=np.float64)[:, None]
    steps = (n + u) * (b + u) / ((u + 1.0) * (a + n + b + u))
    return np.asarray(np.exp(first) * np.vstack([np.ones(len(a)), np.cumprod(steps, axis=0)]))


def _log_none(n: float, a: float, b: float) -> float:
    return math.lgamma(a + n) + math.lgamma(a + b) - math.lgamma(a + n + b) - math.lgamma(a)


def thinned(mass: Mass, share: float) -> Mass:
    """Return the distribution of how many of a random number of units are among a share of them."""
    turns = np.exp(-2j * np.pi * np.arange(len(mass)) / len(mass))
    found = np.fft.ifft(np.vander(1.0 - share + share * turns, len(mass), increasing=True) @ mass).real
    return np.asarray(np.maximum(found, 0.0) / np.maximum(found, 0.0).sum())


@dataclass(frozen=True, slots=True)
class _Run:
    """An interval of one distribution."""

    low: int
    high: int
    held: float


def intervals(found: Sequence[Units], probability: float = MODEL_PROBABILITY) -> list[tuple[int, int]]:
    """Return an interval for each distribution; together they hold a probability.

    Args:
        found: Distributions, one for each GTIN.
        probability: Mean of what they are to hold.

    Returns:
        Lowest and highest units of each, ends included.
    """
    longer = [_shortest(units, probability) for units in found]
    held = math.fsum(run.held for run in longer)
    chosen = list(longer)
    candidates = []
    for place, (units, run) in enumerate(zip(found, longer, strict=True)):
        shorter = _of_length(units, run.high - run.low) if run.high > run.low else None
        if shorter is not None and shorter.held >= LEAST_PROBABILITY:
            candidates.append((run.held - shorter.held, place, shorter))
    for loss, place, shorter in sorted(candidates, key=lambda one: one[:2]):
        if held - loss < probability * len(found):
            break
        held -= loss
        chosen[place] = shorter
    return [(max(0, run.low), max(0, run.high)) for run in chosen]


def _shortest(units: Units, probability: float) -> _Run:
    """Return the shortest run of a distribution that holds a probability; the first of ties."""
    total = np.concatenate([[0.0], np.cumsum(units.mass)])
    ends = np.searchsorted(total, total[:-1] + probability * total[-1] - 1e-12)  # total[end] - total[start] suffices
    starts = np.arange(len(units.mass))
    lengths = np.where(ends < len(total), ends - starts, len(total))
    return _of_length(units, int(lengths.min()))


def _of_length(units: Units, length: int) -> _Run:
    """Return the run of so many numbers that holds most; the first of ties."""
    total = np.concatenate([[0.0], np.cumsum(units.mass)])
    held = total[length:] - total[:-length]
    start = int(np.argmax(held > held.max() - 1e-12))
    return _Run(units.base + start, units.base + start + length - 1, float(held[start]))
