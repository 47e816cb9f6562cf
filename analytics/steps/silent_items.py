"""Items that fell silent: how likely one is still on site, as the site's own history has it.

An item that no antenna hears any more has left, or lies where it is not heard. What came of earlier silences tells
how likely each is. Delays are sorted into bins that double in length. For each bin, the *hazard* is the share of
silences that reached the bin and ended in it because the item was located again:

    hazard(bin) = (returned in it + PRIOR_HAZARD * PRIOR_WEIGHT) / (reached it + PRIOR_WEIGHT)

and an item that has been silent for age a is still there with

    p(a) = 1 - product over bins from a on of (1 - hazard(bin))

with the bin that a lies in counted by the part of it that is still to come, on the logarithmic scale. Silences that
have not ended count in every bin that they have reached and in none beyond, which is what lets a site with three
hours of history say something about them (the product-limit estimator of Kaplan and Meier, over bins).

What this is not: an item that lies in a dead corner and is never heard again counts as gone, so p is what the antennas
will show, not what a person would find. Silences that a sale or a transfer explained are in no count.
"""

import math
from collections.abc import Iterable

import msgspec

FIRST_BIN_US = 30 * 1_000_000
"""Where the first bin begins; a shorter silence is counted in it. Exits are called silent after this long."""
BIN_COUNT = 12
"""The bins end at 30 s * 2**12 = 34 hours, past the day after which a silent item is forgotten."""
PRIOR_HAZARD = 0.05
"""Before history: one silence in twenty ends per doubling of its age; from ten minutes on that makes one in three."""
PRIOR_WEIGHT = 2.0
"""Silences that the prior is worth, in each bin."""
HISTORY_LIMIT = 2000.0
"""Silences in a bin beyond which both its counts are halved: a site changes, and old history fades."""


class Silence(msgspec.Struct, array_like=True, frozen=True):
    """One item's silence, as long as nothing has explained it."""

    since_us: int
    """When it was last heard."""
    known_us: int
    """When its stay was closed for it."""
    at_exit: bool
    """Whether it was last located in an exit zone."""


class SilenceHistory(msgspec.Struct):
    """What came of the silences of one kind of place."""

    returned: list[float] = msgspec.field(default_factory=lambda: [0.0] * BIN_COUNT)
    """Silences that ended with the item located again, by the bin in which they did."""
    reached: list[float] = msgspec.field(default_factory=lambda: [0.0] * BIN_COUNT)
    """Ended silences, by every bin through which they were watched."""

    def end(self, silence: Silence, at_us: int, *, returned: bool) -> None:
        """Count a silence that ended: the item was located again, or given up."""
        last = bin_of(at_us - silence.since_us)
        for place in range(min(last, bin_of(silence.known_us - silence.since_us)), last + 1):
            self.reached[place] += 1.0
            if self.reached[place] > HISTORY_LIMIT:
                self.reached[place] /= 2.0
                self.returned[place] /= 2.0
        if returned:
            self.returned[last] += 1.0

    def chances(self, ongoing: Iterable[Silence], now_us: int) -> "Chances":
        """Return what history and the silences that go on say at a time."""
        reached = list(self.reached)
        for silence in ongoing:
            last = bin_of(now_us - silence.since_us)
            for place in range(min(last, bin_of(silence.known_us - silence.since_us)), last + 1):
                reached[place] += 1.0
        prior = PRIOR_HAZARD * PRIOR_WEIGHT
        return Chances(
            [(back + prior) / (there + PRIOR_WEIGHT) for back, there in zip(self.returned, reached, strict=True)]
        )


class Chances:
    """Probabilities that silent items are still there, at one time."""

    def __init__(self, hazards: list[float]) -> None:
        self._lasting = [math.log1p(-min(hazard, 0.999)) for hazard in hazards]
        self._beyond = [math.fsum(self._lasting[place + 1 :]) for place in range(BIN_COUNT)]

    def still_there(self, age_us: int) -> float:
        """Return the probability that an item is still there after a silence of `age_us` microseconds."""
        place = bin_of(age_us)
        to_come = min(1.0, max(0.0, place + 1 - math.log2(max(age_us, FIRST_BIN_US) / FIRST_BIN_US)))
        return -math.expm1(to_come * self._lasting[place] + self._beyond[place])


def bin_of(age_us: int) -> int:
    """Return the bin of a silence's age."""
    return min(BIN_COUNT - 1, max(0, (age_us // FIRST_BIN_US).bit_length() - 1))
