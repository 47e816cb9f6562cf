"""Inventory accuracy, defined: each measure one function, with its denominator and its treatment of items never read.

SQL, dashboards and the web page cite these definitions by name and repeat none of them. `docs/accuracy.md` has them
in plain words. Quantities are units (pieces) of trade items, by GTIN.

Three quantities go in:

* *book*: what the business systems say is on hand. `None` for a GTIN that they never mentioned.
* *seen*: distinct items (EPCs) that are located on site and not sold.
* *on hand*: the estimate of what is really there (`estimate_on_hand`): seen, plus what is there and not seen, less what
  is told to be gone and still seen.

Items never read - tags that no antenna hears, goods without a tag - are in no count of ours. `estimate_on_hand` allows
for them by an assumed share, since nothing that a site publishes shows them: a till that reads tags misses the same
ones. A GTIN of which no tag was ever read is *not observed*: it has no on-hand estimate of its own and is left out of
numerator and denominator alike.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

INTERVAL_PROBABILITY = 0.9
"""The on-hand interval is meant to hold the truth with this probability."""
UNSEEN_PROBABILITY = 0.9999
"""The distribution of units never read is followed until it holds this much."""
UNSEEN_LIMIT = 10_000
"""Units beyond which it is not followed in any case; no site of ours is near it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """How likely a unit that is on site is located: a beta distribution."""

    seen: float
    """Weight of units that were seen, pseudo-counts included; positive."""
    missed: float
    """Weight of units that were there and not seen; positive."""

    @property
    def mean(self) -> float:
        """Expected coverage, 0 to 1."""
        return self.seen / (self.seen + self.missed)


@dataclass(frozen=True, slots=True, kw_only=True)
class OnHand:
    """An estimate of units on hand."""

    units: float
    """Expected units."""
    low: float
    """Lower end of the interval."""
    high: float
    """Upper end of the interval."""


def unit_accuracy(book: Mapping[str, int], on_hand: Mapping[str, float]) -> float | None:
    """Return 1 - sum(|book - on hand|) / sum(max(book, on hand)) over the GTINs in both.

    It is 1 where every GTIN's book is right and 0 where book and goods have nothing in common; overstated and
    understated GTINs do not cancel. `None` where the denominator is 0.
    """
    both = [(book[gtin], on_hand[gtin]) for gtin in sorted(book.keys() & on_hand.keys())]
    denominator = math.fsum(max(b, h) for b, h in both)
    return None if denominator <= 0 else 1.0 - math.fsum(abs(b - h) for b, h in both) / denominator


def gtin_accuracy(book: Mapping[str, int], on_hand: Mapping[str, float], *, tolerance_units: int = 0) -> float | None:
    """Return the share of GTINs in both whose book is within `tolerance_units` of on hand, rounded to whole units."""
    both = sorted(book.keys() & on_hand.keys())
    right = sum(1 for gtin in both if abs(book[gtin] - round(on_hand[gtin])) <= tolerance_units)
    return None if not both else right / len(both)


def location_accuracy(located: int, misplaced: int) -> float | None:
    """Return 1 - misplaced / located, of the located units whose GTIN has a shelf somewhere on the site.

    Args:
        located: Located units of GTINs that have a shelf.
        misplaced: Those of them for which `is_misplaced` holds.
    """
    return None if located == 0 else 1.0 - misplaced / located


def is_misplaced(zone: str, sales_floor_zones: frozenset[str], home_zones: frozenset[str]) -> bool:
    """Tell whether a unit in a zone lies where it does not belong.

    A unit is misplaced on a sales floor zone without a shelf for its GTIN. Back room, receiving, fitting room, point
    of sale and exit are ways and waiting places: nothing is misplaced there. A GTIN without any shelf on the site has
    no place to belong to and is never misplaced.

    Args:
        zone: Where the unit is located.
        sales_floor_zones: Zones of kind `sales_floor`.
        home_zones: Zones with a shelf for its GTIN.
    """
    return bool(home_zones) and zone in sales_floor_zones and zone not in home_zones


def overstated_units(book: Mapping[str, int], on_hand: Mapping[str, float]) -> float:
    """Return sum(max(book - on hand, 0)) over the GTINs in both: units that the book has and the site has not."""
    return math.fsum(max(book[gtin] - on_hand[gtin], 0.0) for gtin in sorted(book.keys() & on_hand.keys()))


def understated_units(book: Mapping[str, int], on_hand: Mapping[str, float]) -> float:
    """Return sum(max(on hand - book, 0)) over the GTINs in both: units that the site has and the book has not."""
    return math.fsum(max(on_hand[gtin] - book[gtin], 0.0) for gtin in sorted(book.keys() & on_hand.keys()))


def shrinkage(book: Mapping[str, int], on_hand: Mapping[str, float]) -> float | None:
    """Return sum(book - on hand) / sum(book) over the GTINs in both: the net share of the book that is not there.

    Overstated and understated cancel here, as in the stock-take sense of the word; it is negative where more is
    there than booked. `None` for an empty book.
    """
    both = sorted(book.keys() & on_hand.keys())
    booked = sum(book[gtin] for gtin in both)
    return None if booked <= 0 else math.fsum(book[gtin] - on_hand[gtin] for gtin in both) / booked


def on_shelf_availability(available: int, known: int) -> float | None:
    """Return the share of shelves with a known count that hold at least one unit. `None` where no count is known."""
    return None if known == 0 else available / known


def estimate_on_hand(located: int, still_there: Sequence[float], leaving: int, coverage: Coverage) -> OnHand:
    """Estimate units on hand from units located.

    On hand are: the located units; of those that fell silent without explanation, each with its probability of being
    still there; and those that were never read. Less the units that a till or a transfer has told to be gone and that
    no silence has shown yet. With c the coverage, the number never read beside n units read is negative binomial, and
    over the beta distribution of c beta negative binomial; its expectation is taken as n (1 - E c) / E c. The number
    of silent units that are there is a sum of independent coins. The interval is the shortest run of whole units that
    holds `INTERVAL_PROBABILITY` of the two together: at least that, since units are whole, and for a few units more.

    Args:
        located: Units located and not sold.
        still_there: Per silent unit, the probability that it is still there.
        leaving: Units told to be gone that are still counted in `located`.
        coverage: Probability that a unit on site has ever been read.

    Returns:
        The estimate with its `INTERVAL_PROBABILITY` interval; the interval is that of the model, and its coverage of
        the truth is measured in `docs/accuracy.md`.
    """
    expected = math.fsum([located, *still_there])
    units = max(0.0, expected / coverage.mean - leaving)
    mass = np.convolve(_coins(still_there), _never_read(round(expected), coverage))
    low, high = _shortest(mass, INTERVAL_PROBABILITY)
    base = located - leaving
    return OnHand(units=units, low=min(max(0.0, base + low), units), high=max(base + high, units))


def _shortest(mass: npt.NDArray[np.float64], probability: float) -> tuple[int, int]:
    """Return first and last place of the shortest run of a distribution that holds a share of it; the first of ties."""
    total = np.concatenate([[0.0], np.cumsum(mass)])
    ends = np.searchsorted(total, total[:-1] + probability * total[-1] - 1e-12)  # total[end] - total[start] suffices
    starts = np.arange(len(mass))
    lengths = np.where(ends < len(total), ends - starts, len(total))
    start = int(np.argmin(lengths))
    return start, int(ends[start]) - 1


def _coins(probabilities: Sequence[float]) -> npt.NDArray[np.float64]:
    """Return the distribution of how many of some independent coins show heads: Poisson binomial."""
    mass = np.ones(1)
    for probability in sorted(probabilities):
        mass = np.convolve(mass, np.array([1.0 - probability, probability]))
    return mass


def _never_read(read: int, coverage: Coverage) -> npt.NDArray[np.float64]:
    """Return the distribution of units never read beside `read` that were, up to `UNSEEN_PROBABILITY`.

    Beta negative binomial, n = read: P(0) = B(a + n, b) / B(a, b),
    P(u + 1) / P(u) = (n + u) (b + u) / ((u + 1) (a + n + b + u)).
    """
    a, b, n = coverage.seen, coverage.missed, float(read)
    if read == 0:
        return np.ones(1)
    log_mass = math.lgamma(a + n) + math.lgamma(a + b) - math.lgamma(a + n + b) - math.lgamma(a)
    masses = [math.exp(log_mass)]
    total = masses[0]
    while total < UNSEEN_PROBABILITY and len(masses) < UNSEEN_LIMIT:
        unseen = len(masses) - 1
        masses.append(masses[-1] * (n + unseen) * (b + unseen) / ((unseen + 1) * (a + n + b + unseen)))
        total += masses[-1]
    return np.array(masses)
