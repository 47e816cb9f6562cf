"""Inventory accuracy, defined: each measure one function, with its denominator and its treatment of items never read.

SQL, dashboards and the web page cite these definitions by name and repeat none of them. `docs/accuracy.md` has them
in plain words. Quantities are units (pieces) of trade items, by GTIN.

Three quantities go in:

* *book*: what the business systems say is on hand. `None` for a GTIN that they never mentioned.
* *seen*: distinct items (EPCs) that are located on site and not sold.
* *on hand*: the estimate of what is really there (`analytics.on_hand`): seen, plus what is there and not seen, less
  what is told to be gone and still seen.

Items never read - tags that no antenna hears, goods without a tag - are in no count of ours. On hand allows for them by
the share that the site's own history suggests (`analytics.steps.never_read`). A GTIN of which no tag was ever read is
*not observed*: it has no on-hand estimate of its own and is left out of numerator and denominator alike.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass


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


def unknown_share(unplaced: int, on_site: int) -> float | None:
    """Return unplaced / on site: the share of items heard of which nobody knows the zone, or the GTIN.

    Args:
        unplaced: Items on site and not sold that have no zone (heard by handheld readers only), or an EPC without GTIN.
        on_site: All items heard and taken to be on site, not sold. Items never read are in neither.
    """
    return None if on_site == 0 else unplaced / on_site


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
