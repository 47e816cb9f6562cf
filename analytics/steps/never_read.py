"""The share of a site's tagged units that are never read, as its own history has it. Evidence comes in five kinds.

* **Departures**: sales and transfers out take units from the whole stock, so the share of them that are never read is
  the stock's. One that names an EPC that was located, or that a silence explains, was of a unit that is read. One that
  names an EPC that never was located, or that no silence explains for half an hour, was of one that is not - or the
  till has scanned the wrong article, which happens with one of a few shares, `WRONG_ARTICLE_SHARES`.
* **Deliveries**: units booked and not heard within the hour: never read, or wrongly booked (`deliveries`).
* **Late finds**: items that are located for the first time long after the step began, and did not come with a delivery:
  the later the fewer, and so many are still to be found (`late_finds`).
* **Scales** under tagged goods count units whatever their tags do (`analytics.on_scales`): how likely what they say is,
  share by share. What is wrong with location is wrong for many at once, so it counts to the power of `SCALES_POWER`.
* **The book as a whole**: book less units read, added up over GTINs, is units never read and units that the book has
  and the store has not: about one in a hundred, give or take as much (`SHRINK_MEAN`, `SHRINK_SPREAD`). It is one weak
  observation about the site's share. No GTIN's own book enters its own estimate, or there would be nothing left to
  compare the book with.

Units that are not read are of two kinds: dead tags, of which the prior has one in a hundred in the middle, and tags
that are not found yet, of which late finds tell. What is sold or delivered is carried past antennas, and found if it
can be: departures and deliveries tell of dead tags. Scales and the book do not know the kinds apart, and tell of both
together. What differs from GTIN to GTIN is allowed for in `analytics.on_hand` and `analytics.steps.hard_gtins`.
"""

import math
from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from analytics.on_hand import ShareBelief
from analytics.steps.deliveries import MATCH_BEFORE_US, Line, heard_chances
from analytics.steps.late_finds import (
    FIND_BIN_COUNT,
    FIND_FADES_US,
    LATE_DOUBLINGS,
    LATE_KEPT,
    LATE_US,
    find_bin,
    to_be_found,
)

Floats = npt.NDArray[np.float64]

SHARES = np.geomspace(0.0005, 0.4, 28)
"""Shares that are weighed."""
PRIOR_MEDIAN, PRIOR_SPREAD = 0.01, 1.0
"""Before any evidence: log-normal, 90 % between 0.002 and 0.05. An assumption,
and a wide one."""
WRONG_ARTICLE_SHARES = ((0.001, 0.25), (0.004, 0.35), (0.012, 0.3), (0.03, 0.1))
"""Shares of departures that were booked as another article, each with its prior probability."""
SHOWN_SHARE = 0.5
"""Of departures of units never read, the share that no silence of another unit explains by chance, where nothing is
silent at the moment: thefts and items heard again later explain some."""
SHRINK_MEAN, SHRINK_SPREAD = 0.009, 0.012
"""Net share of the book that is not in the store, before any count: mean and standard deviation from store to store.
An assumption; it is what keeps the book from saying more."""
BOOK_GTINS_MIN = 8
"""GTINs with book and tags that it takes to say something of the book as a whole."""
UNITS_LIMIT = 4000.0
"""Units beyond which evidence of a kind is halved: a site changes, and old history fades."""
LATE_MAX = 0.2
"""More than this share is not taken to be still to be found: a burst of new items is a delivery."""
SCALES_POWER = 0.5
"""What scales say of the share, and of how doubtful locations are, counts to this power."""


class ReadHistory(msgspec.Struct):
    """What has been counted."""

    departed: float = 0.0
    """Units that left with a sale or transfer."""
    departed_unread: float = 0.0
    """Those of them that were never located."""
    delivered: float = 0.0
    """Units of deliveries that have told."""
    delivered_told: list[float] = msgspec.field(default_factory=lambda: [0.0] * len(SHARES))
    """Log likelihood of how many of them were heard within the hour, for each of `SHARES`."""
    began_us: int | None = None
    """When the first item was located."""
    finds: list[float] = msgspec.field(default_factory=lambda: [0.0] * FIND_BIN_COUNT)
    """First finds by the age of the history at them."""
    late: dict[str, list[int]] = {}
    """When items were located for the first time that were found late on the first day, by GTIN; the newest."""

    def depart(self, units: float, *, unread: float) -> None:
        """Count units that left."""
        self.departed += units
        self.departed_unread += unread
        if self.departed > UNITS_LIMIT:
            self.departed, self.departed_unread = self.departed / 2.0, self.departed_unread / 2.0

    def deliver(self, line: Line, wrong: float) -> None:
        """Count a line of a delivery that has settled; a share `wrong` of lines is booked wrongly."""
        chances = heard_chances(line, SHARES, wrong)
        self.delivered += line.booked
        told = np.array(self.delivered_told) + np.log(np.maximum(chances / chances.max(), 1e-6))
        if self.delivered > UNITS_LIMIT:
            self.delivered, told = self.delivered / 2.0, told / 2.0
        self.delivered_told = told.tolist()

    def find(self, gtin: str, at_us: int) -> None:
        """Count an item that was located for the first time, outside of deliveries."""
        if self.began_us is None:
            self.began_us = at_us
        age_us = at_us - self.began_us
        self.finds[find_bin(age_us)] += 1.0
        if LATE_US <= age_us < FIND_FADES_US:
            late = self.late.setdefault(gtin, [])
            late.append(at_us)
            del late[:-LATE_KEPT]

    def belief(
        self,
        *,
        waiting: int,
        located: int,
        now_us: int,
        missing: Sequence[float] = (),
        late: Sequence[float] = (),
        disturbed: float = 0.0,
        scales: Floats | None = None,
        waiting_share: float = 0.0,
    ) -> ShareBelief:
        """Return what all of it says.

        Args:
            waiting: Departures that no silence has explained for half an hour, and that are counted nowhere yet.
            located: Units located.
            now_us: Time, microseconds.
            missing: For each GTIN with a book, booked units less those read and those still to be heard.
            late: For each of these GTINs, units that are likely readable and not found yet.
            disturbed: Share of units of GTINs of which something is silent: there a departure of a unit never read
                takes a silence for its own.
            scales: Log likelihood of what scales say, for each of `SHARES`.
            waiting_share: Share of units located whose GTIN is announced: what is found of it waits for a receipt.
        """
        of_dead = self._departures(waiting, disturbed) + np.array(self.delivered_told)
        of_dead -= 0.5 * ((np.log(SHARES) - math.log(PRIOR_MEDIAN)) / PRIOR_SPREAD) ** 2
        of_both = _of_book(missing, late, located) + (0.0 if scales is None else scales)
        found = self.to_be_found(now_us, located, waiting_share)
        parts = np.array([min(LATE_MAX, units / max(1.0, located)) for units, _ in found])
        log_weight = of_dead[:, None] + np.log([share for _, share in found])[None, :]
        both = SHARES[:, None] + (1.0 - SHARES)[:, None] * parts[None, :]
        log_weight += np.interp(np.log(both), np.log(SHARES), of_both)
        weight = np.exp(log_weight - log_weight.max()).ravel()
        shares, lates = (axis.ravel() for axis in np.meshgrid(SHARES, parts, indexing="ij"))
        return ShareBelief(shares=shares, late=lates, weights=weight / weight.sum())

    def _departures(self, waiting: int, disturbed: float) -> Floats:
        """Return how well each share agrees with departures, as log likelihoods."""
        unread = self.departed_unread + waiting
        read = max(0.0, self.departed + waiting - unread)
        shown = SHARES * (1.0 - disturbed) * SHOWN_SHARE
        ways = [
            math.log(prior) + unread * np.log(shown + wrong) + read * np.log1p(-(shown + wrong))
            for wrong, prior in WRONG_ARTICLE_SHARES
        ]
        return np.asarray(np.logaddexp.reduce(ways))

    def found_late(self, now_us: int) -> dict[str, list[int]]:
        """Return when items were found late, by GTIN, in the last doublings of the age."""
        if self.began_us is None or now_us - self.began_us >= FIND_FADES_US:
            return {}
        from_us = self.began_us + (now_us - self.began_us) // 2**LATE_DOUBLINGS
        return {gtin: [at_us for at_us in late if at_us >= from_us] for gtin, late in self.late.items()}

    def to_be_found(self, now_us: int, located: int, waiting_share: float = 0.0) -> list[tuple[float, float]]:
        """Return how many units are there, readable, and not found yet: numbers with their probabilities."""
        if self.began_us is None:
            return [(0.0, 1.0)]
        return to_be_found(self.finds, now_us - self.began_us, located, (MATCH_BEFORE_US, waiting_share))


def _of_book(missing: Sequence[float], late: Sequence[float], located: int) -> npt.NDArray[np.float64]:
    """Return how well each share agrees with the book as a whole, as log likelihoods.

    Args:
        missing: For each GTIN, units that the book has and nobody has read.
        late: Of these, as many as are likely not found yet: where tags are hard to read, it is no garbled book.
        located: Units located.
    """
    if len(missing) < BOOK_GTINS_MIN or located <= 0:
        return np.zeros(len(SHARES))
    foreseen = np.array(late) if len(late) == len(missing) else np.zeros(len(missing))
    units = np.array(missing) - foreseen
    middle = float(np.median(units))
    reach = 3.0 * max(1.0, 1.48 * float(np.median(np.abs(units - middle))))
    kept = np.clip(units, middle - reach, middle + reach)  # one garbled book is not the site's
    expected = located * (SHARES / (1.0 - SHARES) + SHRINK_MEAN)
    spread = (len(units) * max(0.5, float(kept.var()))) + (located * SHRINK_SPREAD) ** 2
    return np.asarray(-0.5 * (float(kept.sum() + foreseen.sum()) - expected) ** 2 / spread)
