"""Whether goods are sorted here: how many units of a GTIN lie anywhere, and where on the site that is.

Beside the kin of an item so many *strays* are taken to lie anywhere (`analytics.location.kin`). Where units of a GTIN
keep together they are a fraction of a unit; where goods are not sorted they are hundreds, and kin say no more than
where goods lie at all. Both are learnt from groups without a shelf, of which nothing but their reads says where they
lie: the number is the concentration of a Dirichlet distribution, under which the places of the items that are surely
located are likeliest, each one left out of what foretells it.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from analytics.location.places import Floats

LEARN_GRID_S = 30
"""They are looked at again on this grid of event time: what is said at first depends on whether goods are sorted."""
UNITS = 1.0
"""Strays beside each item's kin before anything is learnt."""
UNITS_TRIED = tuple(0.25 * 2.0**step for step in range(12))
"""Numbers of them that are tried: from sorted goods to goods that keep no order at all."""
AREA_UNITS = 50.0
"""Where goods lie is taken to be anywhere, by area, until so many of them were located."""
ITEMS_MAX = 4096
"""Of so many items at most is learnt, evenly spread: they say all that is to be known."""
SURE_ITEMS_MIN = 30
"""Of fewer items nothing is learnt."""
KIN_MIN = 0.5
"""An item with fewer kin than this says nothing of how they keep together."""

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sure:
    """Items of which their own reads say surely where they lie."""

    group: Ints
    """Of each."""
    zone: Ints
    """Where each lies."""
    here: Floats
    """What each counts for there among its kin, units."""
    in_all: Floats
    """What each counts for in all zones, units."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Strays:
    """Units beside the kin of an item without a shelf that lie anywhere."""

    units: float
    """How many."""
    share: Floats
    """Z: where they lie."""

    @classmethod
    def unknown(cls, area: Floats) -> "Strays":
        """Return what is taken to be before anything is learnt."""
        return cls(units=UNITS, share=area)

    @property
    def base(self) -> Floats:
        """How many lie in each zone."""
        return self.units * self.share


def learn_strays(before: Strays, area: Floats, counted: Floats, free: npt.NDArray[np.bool_], sure: Sure) -> Strays:
    """Look at where items lie.

    Args:
        before: What was learnt so far.
        area: Each zone's share of all cells.
        counted: Groups by zones: located units.
        free: Which groups have no shelf.
        sure: Items that are surely located; those of other groups are left out.
    """
    lying = counted[free].sum(axis=0)
    share = (lying + AREA_UNITS * area) / (lying.sum() + AREA_UNITS)
    here = counted[sure.group, sure.zone] - sure.here
    kin = counted.sum(axis=1)[sure.group] - sure.in_all
    shows = free[sure.group] & (kin >= KIN_MIN)
    if np.count_nonzero(shows) < SURE_ITEMS_MIN:
        return Strays(units=before.units, share=share)
    here, kin, anywhere = here[shows], kin[shows], share[sure.zone[shows]]
    likelihoods = [np.log((here + units * anywhere) / (kin + units)).sum() for units in UNITS_TRIED]
    return Strays(units=UNITS_TRIED[int(np.argmax(likelihoods))], share=share)
