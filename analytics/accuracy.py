"""Inventory accuracy, defined: each measure one function, with its denominator and its treatment of items never read.

SQL, dashboards and the web page cite these definitions by name and repeat none of them. `docs/accuracy.md` has them
in plain words. Quantities are units (pieces) of trade items, by GTIN.

Three quantities go in:

* *book*: what the business systems say is on hand. `None` for a GTIN that they never mentioned.
* *seen*: distinct items (EPCs) that are located on site and not sold.
* *on hand*: the estimate of what is really there: seen, plus what is there and not seen (`estimate_on_hand`).

Items never read - tags that no antenna hears, goods without a tag - are in no count of ours. `estimate_on_hand` allows
for them in its interval, by the coverage that the site has shown. A GTIN of which no tag was ever read is *not
observed*: it has no on-hand estimate of its own and is left out of numerator and denominator alike.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

INTERVAL_PROBABILITY = 0.9
"""The on-hand interval is meant to hold the truth with this probability."""
UNSEEN_LIMIT = 100_000
"""Units beyond which the count of unseen units is not followed; no site of ours is near it."""


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


def estimate_on_hand(seen: int, hidden: int, still_there: float, coverage: Coverage) -> OnHand:
    """Estimate units on hand from units seen.

    Three kinds of unit are on hand: those seen; of the `hidden`, which fell silent without leaving through an exit or
    being sold, a share `still_there`; and those that were never read. With c the coverage, the number never read
    beside n units read is negative binomial; over the beta distribution of c it is beta negative binomial, whose 5th
    and 95th percentiles bound the interval. Its expectation is taken as n (1 - E c) / E c.

    Args:
        seen: Units located and not sold.
        hidden: Units that fell silent inside the site, lately.
        still_there: Probability that such a unit is still there.
        coverage: Probability that a unit on site has ever been read.

    Returns:
        The estimate with its `INTERVAL_PROBABILITY` interval; the interval is that of the model, and its coverage of
        the truth is measured in `docs/accuracy.md`.
    """
    tail = (1.0 - INTERVAL_PROBABILITY) / 2.0
    expected_hidden = still_there * hidden
    units = (seen + expected_hidden) / coverage.mean
    spread = 1.645 * math.sqrt(hidden * still_there * (1.0 - still_there))
    hidden_low = max(0.0, math.floor(expected_hidden - spread))
    hidden_high = min(float(hidden), math.ceil(expected_hidden + spread))
    low = seen + hidden_low + _unseen_quantile(seen, coverage, tail)
    high = seen + hidden_high + _unseen_quantile(seen + hidden, coverage, 1.0 - tail)
    return OnHand(units=units, low=min(low, units), high=max(high, units))


def _unseen_quantile(read: int, coverage: Coverage, probability: float) -> int:
    """Return a percentile of the number of units never read beside `read` that were: beta negative binomial.

    P(0) = B(a + n, b) / B(a, b) with n = read; P(u + 1) / P(u) = (n + u) (b + u) / ((u + 1) (a + n + b + u)).
    """
    if read == 0:
        return 0
    a, b, n = coverage.seen, coverage.missed, float(read)
    log_mass = math.lgamma(a + n) + math.lgamma(a + b) - math.lgamma(a + n + b) - math.lgamma(a)
    mass, total, unseen = math.exp(log_mass), 0.0, 0
    while unseen < UNSEEN_LIMIT:
        total += mass
        if total >= probability:
            break
        mass *= (n + unseen) * (b + unseen) / ((unseen + 1) * (a + n + b + unseen))
        unseen += 1
    return unseen
