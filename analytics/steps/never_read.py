"""The share of a site's tagged units that are never read, as its own history has it. Evidence comes in five kinds.

* **Departures**: sales and transfers out take units from the whole stock, so the share of them that are never read is
  the stock's. One that names an EPC that was located, or that a silence explains, was of a unit that is read. One that
  names an EPC that never was located, or that no silence explains for half an hour, was of one that is not - or the
  till has scanned the wrong article, which happens with one of a few shares, `WRONG_ARTICLE_SHARES`.
* **Deliveries**: units booked and announced alike, and not heard within the hour.
* **Late finds**: items that are located for the first time long after the step began, and did not come with a delivery:
  the later the fewer, and so many are still to be found (`late_finds`).
* **Scales** under tagged goods count units whatever their tags do (`analytics.on_scales`): how likely what they say is,
  share by share. What is wrong with location is wrong for many at once, so it counts to the power of `SCALES_POWER`.
* **The book as a whole**: book less units read, added up over GTINs, is units never read and units that the book has
  and the store has not: about one in a hundred, give or take as much (`SHRINK_MEAN`, `SHRINK_SPREAD`). It is one weak
  observation about the site's share. No GTIN's own book enters its own estimate, or there would be nothing left to
  compare the book with.

Departures, deliveries, scales and the book give a posterior over `SHARES`, from a prior with its median at one in a
hundred; late finds add their own. Of the first two, each says of a number of units how many of them no antenna had
heard. What differs from GTIN to GTIN is allowed for in `analytics.on_hand.never_read`.
"""

import math
from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from analytics.on_hand import ShareBelief
from analytics.steps.late_finds import FIND_BIN_COUNT, find_bin, to_be_found

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
    """Units of deliveries that were booked as announced."""
    delivered_unread: float = 0.0
    """Those of them that were not heard within the hour."""
    began_us: int | None = None
    """When the first item was located."""
    finds: list[float] = msgspec.field(default_factory=lambda: [0.0] * FIND_BIN_COUNT)
    """First finds by the age of the history at them."""

    def depart(self, units: float, *, unread: float) -> None:
        """Count units that left."""
        self.departed += units
        self.departed_unread += unread
        if self.departed > UNITS_LIMIT:
            self.departed, self.departed_unread = self.departed / 2.0, self.departed_unread / 2.0

    def deliver(self, units: float, *, unread: float) -> None:
        """Count units of a delivery."""
        self.delivered += units
        self.delivered_unread += unread
        if self.delivered > UNITS_LIMIT:
            self.delivered, self.delivered_unread = self.delivered / 2.0, self.delivered_unread / 2.0

    def find(self, at_us: int) -> None:
        """Count an item that was located for the first time, outside of deliveries."""
        if self.began_us is None:
            self.began_us = at_us
        self.finds[find_bin(at_us - self.began_us)] += 1.0

    def belief(
        self,
        *,
        waiting: int,
        located: int,
        now_us: int,
        missing: Sequence[float] = (),
        disturbed: float = 0.0,
        scales: Floats | None = None,
    ) -> ShareBelief:
        """Return what all of it says.

        Args:
            waiting: Departures that no silence has explained for half an hour, and that are counted nowhere yet.
            located: Units located.
            now_us: Time, microseconds.
            missing: For each GTIN with a book, booked units less those read and those still to be heard.
            disturbed: Share of units of GTINs of which something is silent: there a departure of a unit never read
                takes a silence for its own.
            scales: Log likelihood of what scales say, for each of `SHARES`: of units never read, late finds included.
        """
        log_weight = -0.5 * ((np.log(SHARES) - math.log(PRIOR_MEDIAN)) / PRIOR_SPREAD) ** 2
        unread = self.departed_unread + waiting
        read = max(0.0, self.departed + waiting - unread)
        shown = SHARES * (1.0 - disturbed) * SHOWN_SHARE
        ways = [
            math.log(prior) + unread * np.log(shown + wrong) + read * np.log1p(-(shown + wrong))
            for wrong, prior in WRONG_ARTICLE_SHARES
        ]
        log_weight = log_weight + np.logaddexp.reduce(ways)
        log_weight += self.delivered_unread * np.log(SHARES)
        log_weight += max(0.0, self.delivered - self.delivered_unread) * np.log1p(-SHARES)
        log_weight += _of_book(missing, located)
        late = [(min(LATE_MAX, units / max(1.0, located)), share) for units, share in self.to_be_found(now_us, located)]
        shares = np.concatenate([SHARES + (1.0 - SHARES) * part for part, _ in late])
        log_weight = np.concatenate([log_weight + math.log(weight) for _, weight in late])
        if scales is not None:
            log_weight += np.interp(np.log(shares), np.log(SHARES), scales)
        weight = np.exp(log_weight - log_weight.max())
        return ShareBelief(shares=shares, weights=weight / weight.sum())

    def to_be_found(self, now_us: int, located: int) -> list[tuple[float, float]]:
        """Return how many units are there, readable, and not found yet: numbers with their probabilities."""
        return [(0.0, 1.0)] if self.began_us is None else to_be_found(self.finds, now_us - self.began_us, located)


def _of_book(missing: Sequence[float], located: int) -> npt.NDArray[np.float64]:
    """Return how well each share agrees with the book as a whole, as log likelihoods."""
    if len(missing) < BOOK_GTINS_MIN or located <= 0:
        return np.zeros(len(SHARES))
    units = np.array(missing)
    middle = float(np.median(units))
    reach = 3.0 * max(1.0, 1.48 * float(np.median(np.abs(units - middle))))
    kept = np.clip(units, middle - reach, middle + reach)  # one garbled book is not the site's
    expected = located * (SHARES / (1.0 - SHARES) + SHRINK_MEAN)
    spread = (len(units) * max(0.5, float(kept.var()))) + (located * SHRINK_SPREAD) ** 2
    return np.asarray(-0.5 * (float(kept.sum()) - expected) ** 2 / spread)
