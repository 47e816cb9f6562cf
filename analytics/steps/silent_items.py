"""Items that fell silent: how likely one is still on site, as the site's own history has it.

An item that no antenna hears any more has left, or lies where it is not heard. A silence is one of two kinds: a share
`staying` of them are items that are still there; the others are gone, and never come back. Of those that are still
there a share `hazard` is heard again in each doubling of the silence's age, which makes times to return spread over
minutes and hours. With s = (1 - hazard) ** (doublings since 30 s), an item still silent at an age is still there with

    p = staying * s / (staying * s + 1 - staying)

Neither number is known beforehand. Each pair of a grid is weighed by a prior (below) and by what came of earlier
silences: in each bin of ages, which double in length, some reached it and some of these were heard again in it, with
probability hazard * p each. Silences that go on count in every bin that they have reached, in the last one by the part
that has passed. That is a mixture cure model, on the scale of doublings; the answer is the mean over the grid.

So p is what a person would find, not only what antennas will show later: an item in a dead corner that will not be
heard until somebody moves it still counts. Silences that a sale or a transfer without EPC explains have a history of
their own: some are of another unit of the GTIN than the one that left, and are heard again.
"""

import math
from collections.abc import Iterable

import msgspec
import numpy as np
import numpy.typing as npt

FIRST_BIN_US = 30 * 1_000_000
"""Where the first bin begins; a shorter silence is counted in it. Exits are called silent after this long."""
BIN_COUNT = 12
"""The bins end at 30 s * 2**12 = 34 hours, past the day after which a silent item is forgotten."""
HISTORY_LIMIT = 2000.0
"""Silences in a bin beyond which both its counts are halved: a site changes, and old history fades."""
HAZARDS = np.linspace(0.03, 0.75, 19)
"""Shares heard again in each doubling that are weighed."""
STAYING = np.concatenate([[0.003, 0.01], np.linspace(0.02, 0.94, 24), [0.96, 0.975, 0.985, 0.993, 0.998]])
"""Shares of silences that stay on site that are weighed."""
HAZARD_PRIOR = (2.0, 4.0)
"""Beta distribution of the hazard before history: about a third, most of it between 0.1 and 0.6."""
AT_EXIT, ELSEWHERE, EXPLAINED = "exit", "elsewhere", "explained"
"""Kinds of silence: in an exit zone, elsewhere, and elsewhere with a departure that explains it."""
STAYING_PRIORS = {AT_EXIT: (0.6, 3.4), ELSEWHERE: (3.0, 1.0), EXPLAINED: (1.0, 24.0)}
"""Beta distribution of the staying before history. Three in four where nobody can leave: who takes goods out without
sale or transfer passes an exit; what falls silent elsewhere, unexplained, mostly lies badly. One in seven at an exit.
One in twenty-five where a departure explains the silence: it may have been of another unit of the GTIN."""


class Silence(msgspec.Struct, array_like=True, frozen=True):
    """One item's silence, as long as nothing has explained it."""

    since_us: int
    """When it was last heard."""
    known_us: int
    """When its stay was closed for it."""
    at_exit: bool
    """Whether it was last located in an exit zone."""
    zone: str = ""
    """Where it was last located."""
    passes: list[float] = []
    """Probabilities with which counting passes since then would have heard it, and did not."""

    @property
    def kind(self) -> str:
        """Kind of silence, as long as nothing explains it."""
        return AT_EXIT if self.at_exit else ELSEWHERE


class Explained(msgspec.Struct, array_like=True, frozen=True):
    """A silence that a departure explains, until the item is heard again."""

    departure_us: int
    """When that was."""
    silence: Silence
    """The silence."""


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

    def chances(self, ongoing: Iterable[Silence], now_us: int, kind: str) -> "Chances":
        """Return what history and the silences of its kind that go on say at a time."""
        reached = list(self.reached)
        for silence in ongoing:
            age_us = now_us - silence.since_us
            last = bin_of(age_us)
            for place in range(min(last, bin_of(silence.known_us - silence.since_us)), last):
                reached[place] += 1.0
            reached[last] += min(1.0, _doublings(age_us) - last)
        return Chances(self.returned, reached, STAYING_PRIORS[kind])


class Chances:
    """Probabilities that silent items are still there, at one time."""

    def __init__(self, returned: list[float], reached: list[float], staying_prior: tuple[float, float]) -> None:
        self._hazards, self._staying = (axis.ravel() for axis in np.meshgrid(HAZARDS, STAYING, indexing="ij"))
        log_weight = _log_beta(self._hazards, HAZARD_PRIOR) + _log_beta(self._staying, staying_prior)
        for place, (back, there) in enumerate(zip(returned, reached, strict=True)):
            if there > 0:
                heard = self._hazards * self._there(place + 0.5)
                log_weight += back * np.log(heard) + max(0.0, there - back) * np.log1p(-heard)
        weight = np.exp(log_weight - log_weight.max())
        self._weight = weight / weight.sum()

    def still_there(self, age_us: int, passes: Iterable[float] = ()) -> float:
        """Return the probability that an item is still there.

        Args:
            age_us: How long it has been silent, microseconds.
            passes: Probabilities with which counting passes would have heard it, and did not.
        """
        present = float(self._there(_doublings(age_us)) @ self._weight)
        missed = math.prod(1.0 - heard for heard in passes)
        return present * missed / (present * missed + 1.0 - present)

    def _there(self, doublings: float) -> npt.NDArray[np.float64]:
        silent = self._staying * (1.0 - self._hazards) ** doublings
        return np.asarray(silent / (silent + 1.0 - self._staying))


def _log_beta(at: npt.NDArray[np.float64], prior: tuple[float, float]) -> npt.NDArray[np.float64]:
    return np.asarray((prior[0] - 1.0) * np.log(at) + (prior[1] - 1.0) * np.log1p(-at))


def _doublings(age_us: int) -> float:
    return min(float(BIN_COUNT), math.log2(max(age_us, FIRST_BIN_US) / FIRST_BIN_US))


def bin_of(age_us: int) -> int:
    """Return the bin of a silence's age."""
    return min(BIN_COUNT - 1, max(0, (age_us // FIRST_BIN_US).bit_length() - 1))
