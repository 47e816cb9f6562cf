"""What a scale says of how many units there are, where tags say it too: a likelihood that survives a bad scale.

A scale under tagged goods counts units whatever their tags do. Its count is one more witness for the number of units of
a GTIN in its zone, and it errs in its own ways:

* units of the GTIN lie in the zone and not on a weighed shelf: in somebody's hands, put down elsewhere; where the GTIN
  has a shelf there that is not weighed, any number of them, and the count is only a lower bound;
* something else lies on the scale: it then counts too many, by any number, and mostly not by a whole one, so that the
  shelf step says that it is unsure;
* the count is off by one, where drift or noise have turned it;
* tags are slower than scales: for some minutes after units were put on or taken off, any number of them may still be
  located where they were.

None of that is certain, so no count is ever impossible: the likelihood has heavy tails, and a scale that is dead, or
leans on a wall, loses its say instead of inventing goods.

`units_seen_by_scales` then weighs units never read, and silent items, by what the scales of all zones say together.
Units never read lie in a zone in proportion to what is read there. With u of them in all and a probability q of each to
be in a zone, that u[z] of them are there is multinomial; P(u) u! * (convolution of q ** u[z] / u[z]! over zones) keeps
that exact for any prior of u.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from analytics.on_hand import Mass, Units

BESIDE_SHARE = 0.1
"""Probability that a unit of a GTIN is in its zone and on none of its shelves; each further one is `BESIDE_FALL` as
likely."""
BESIDE_FALL = 0.4
OFF_BY_ONE = 0.03
"""Probability of a count that is one too high, and of one that is one too low."""
FOREIGN_SHARE = 0.12
"""Probability that foreign goods lie on the scale where the shelf step is sure of its count,"""
FOREIGN_SHARE_UNSURE = 0.6
"""and where it is not. It weighs as much as some units: to count so many too many is as likely for 1 to
`FOREIGN_UNITS`, and beyond that falls with the square."""
FOREIGN_UNITS = 6
JUMP_FOREIGN_SHARE = 0.4
"""Probability that a count which rose by several units at once did so under one heavy thing of another kind."""
FLOOR = 1e-4
"""No count is less likely than this, whatever there is."""
REACH = 128
"""Differences that are told apart, units either way."""
CHANGES_MAX = 40
"""Units put on, or taken off, lately; of more it is the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What the scales under one GTIN in one zone say at a time."""

    units: int
    """Units that they count."""
    whole: bool
    """Whether every shelf of the GTIN in the zone is weighed."""
    sure: bool = True
    """Whether none of them holds something that is no whole number of units."""
    put_on: int = 0
    """Units put on them so lately that tags may not have told yet."""
    taken: int = 0
    """Units taken off them so lately."""
    jumps: tuple[int, ...] = ()
    """By how many units a count has risen at once, each time: one thing of another kind, or some of its own."""

    def chances(self, there: npt.NDArray[np.int64], *, lagging: bool) -> Mass:
        """Return how likely this look is for each of some numbers of units.

        Args:
            there: Units of the GTIN in the zone.
            lagging: Whether these are units as tags have them, which lag behind.
        """
        put_on, taken = (min(self.put_on, CHANGES_MAX), min(self.taken, CHANGES_MAX)) if lagging else (0, 0)
        law = _law(self.whole, self.sure, put_on, taken, tuple(sorted(min(jump, REACH) for jump in self.jumps)))
        return np.asarray(law[np.clip(there - self.units, -REACH, REACH) + REACH])


@lru_cache(maxsize=4096)
def _law(whole: bool, sure: bool, put_on: int, taken: int, jumps: tuple[int, ...]) -> Mass:  # noqa: FBT001 - cached
    """Return the likelihood of each difference, units there less units counted, from -`REACH` to `REACH`."""
    foreign = FOREIGN_SHARE if sure else FOREIGN_SHARE_UNSURE
    law = np.zeros(2 * REACH + 1)
    over = 1.0 / np.maximum(FOREIGN_UNITS, np.arange(1, REACH + 1)) ** 2
    law[:REACH] = foreign * (over / over.sum())[::-1]
    law[REACH] = 1.0 - foreign - BESIDE_SHARE
    law[REACH + 1 :] = BESIDE_SHARE * (1.0 - BESIDE_FALL) * BESIDE_FALL ** np.arange(REACH)
    for jump in jumps:
        law = (1.0 - JUMP_FOREIGN_SHARE) * law + JUMP_FOREIGN_SHARE * np.concatenate([law[jump:], np.zeros(jump)])
    law = np.convolve(law, [OFF_BY_ONE, 1.0 - 2.0 * OFF_BY_ONE, OFF_BY_ONE], mode="same")
    law = _smeared(law, taken, up=True)
    law = _smeared(law, put_on, up=False)
    if not whole:  # what lies on other shelves may be any number: a count says how many there are at least
        law[REACH:] = law[REACH:].max()
    return np.asarray(np.maximum(law, FLOOR))


def _smeared(law: Mass, units: int, *, up: bool) -> Mass:
    """Return a law of differences that are larger, or smaller, by 0 to `units` more, each as likely."""
    if units == 0:
        return law
    box = np.full(units + 1, 1.0 / (units + 1))
    wide = np.convolve(law, box)
    return np.asarray(wide[: len(law)] if up else wide[units:])


@dataclass(frozen=True, slots=True, kw_only=True)
class WeighedZone:
    """A zone in which scales stand under a GTIN."""

    look: Look
    """What they say."""
    read: Units
    """Units of the GTIN there that tags tell of, as far as location is sure."""
    silent: Mass
    """Distribution of how many silent items that were last heard there are there."""
    share: float
    """Probability of a unit never read to be there."""

    def chances(self, more: int) -> Mass:
        """Return how likely the look is with 0, 1, ..., `more` - 1 units beside those that tags tell of."""
        read = np.maximum(0, self.read.base + np.arange(len(self.read.mass)))
        there = read[None, :] + np.arange(more)[:, None]
        return np.asarray(self.look.chances(there, lagging=True) @ self.read.mass)


def unread_chances(zone: WeighedZone, most: int) -> Mass:
    """Return how likely a zone's look is with 0, 1, ..., `most` - 1 units never read in it."""
    chances = zone.chances(most + len(zone.silent) - 1)
    return np.array([float(zone.silent @ chances[u : u + len(zone.silent)]) for u in range(most)])


def units_seen_by_scales(unread: Mass, silent_elsewhere: Mass, zones: Sequence[WeighedZone]) -> Mass:
    """Return the distribution of units never read and silent items together, given what scales say.

    Args:
        unread: Distribution of units of the GTIN that are never read, on the whole site.
        silent_elsewhere: Distribution of silent items that are there, of those last heard in no weighed zone.
        zones: Weighed zones of the GTIN; their shares add up to 1 at most.
    """
    most = len(unread)
    factorials = np.array([math.lgamma(u + 1.0) for u in range(most)])
    rest = max(0.0, 1.0 - math.fsum(zone.share for zone in zones))
    joint = [(chance * np.exp(_powers(rest, most) - factorials)) for chance in silent_elsewhere.tolist()]
    for zone in zones:
        chances = zone.chances(most + len(zone.silent))
        own = np.exp(_powers(zone.share, most) - factorials)
        parts = [chance * own * chances[a : a + most] for a, chance in enumerate(zone.silent.tolist())]
        both = [np.zeros(most) for _ in range(len(joint) + len(parts) - 1)]
        for a, first in enumerate(joint):
            for b, second in enumerate(parts):
                both[a + b] += np.convolve(first, second)[:most]
        joint = both
    found = np.zeros(most + len(joint) - 1)
    for silent, by_unread in enumerate(joint):
        found[silent : silent + most] += by_unread * unread * np.exp(factorials)
    return np.asarray(found / found.sum())


def _powers(share: float, most: int) -> Mass:
    """Return the logarithms of a share to the power of 0, 1, ..."""
    if share <= 0.0:
        return np.array([0.0] + [-np.inf] * (most - 1))
    return np.asarray(np.arange(most) * math.log(share))
