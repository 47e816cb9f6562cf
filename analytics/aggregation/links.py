"""How sure we are that one thing is in another: a *link* between a child and a candidate for its parent.

Lying side by side proves little, and lying there for longer proves no more. What proves something is that two things
*come into a zone at the same time*, and what disproves it is that one of them goes and the other stays. So a link
holds two numbers:

* `log_odds`: of "it is in it" against "it only happens to be there". Each *trip* that both make, which is a move into
  the same zone at about the same time, adds the logarithm of

      f(d) / (SHARED_RIDE * f(d) + background)

  where d is the difference of the times at which they came, f its density if they came together, `SHARED_RIDE` the
  share of what travels with a logistic unit and is not in it, and `background` the chance per second that an item
  comes into this zone just so, as the minute before has it.
* `apart_us`: since when they have been in different zones. Either one was taken out of the other then, or one of the
  two is located wrongly or late, of which the latter grows less likely with every second:

      log-odds of "still in it" = APART_LOG_ODDS - seconds apart * (their confidences multiplied) / APART_S

All candidates of one level of packing compete for a child: a carton out of a load of three has a third of the odds
until the three go separate ways. Candidates of different levels do not: an item is in a carton and, with it, on a
pallet.

After SPIRE (Cao, Sutton, Diao, Shenoy: Distributed inference and query processing for RFID tracking and monitoring,
PVLDB 4, 2011), whose weights of co-location and change points these are, with two differences: evidence is counted
by moves and not by readings, since readings of things at rest do not become more independent with their number; and
it is worked out from located stays and not from raw reads, so that whatever location knows of radio is in it.
"""

import math
from collections.abc import Iterable

import msgspec

PRIOR_LOG_ODDS = math.log(0.25)
"""Before any trip: of five things beside a logistic unit that moves, one is in it."""
SHARED_RIDE = 0.1
"""Share of what travels with a logistic unit, at the same time and to the same zone, without being in it."""
APPEARED_TOGETHER = 0.5
"""The same of things that come onto the site, or are heard again, at the same time: a whole delivery does."""
ARRIVAL_SPREAD_S = 20.0
"""Mean difference of the times since which two things that travel together are located in a zone (Laplace). Those times
are known to some seconds only, and must not tell two cartons of one load apart by themselves."""
MATCH_S = 30.0
"""A difference of more than this is no common trip."""
OTHER_ORIGIN = 0.2
"""Share of common trips in which the two seem to come from different zones: one was missed somewhere on the way."""
TRIP_US = 60_000_000
"""Zones that are entered within this time belong to one trip, which counts once: by the best of them."""
APART_LOG_ODDS = 1.5
APART_S = 15.0
"""Seconds in which the log-odds of "still in it" fall by one, while two things are surely in different zones."""


class Link(msgspec.Struct, array_like=True):
    """What is believed of one child and one candidate."""

    log_odds: float
    """Of "in it", from trips."""
    trips: int
    """Trips that both have made."""
    trip_us: int
    """When the last one began,"""
    trip_gain: float
    """and what it added."""
    from_us: int
    """When they came into a zone together for the first time: since when they are known to be together."""
    apart_us: int = 0
    """Since when they have been in different zones; 0 while they are not."""
    revision: int = -1
    """Of the last row; -1 before the first."""
    stated: float = 0.0
    """Its confidence."""

    def travel(self, came_us: int, gain: float) -> None:
        """Take in that both came into a zone."""
        if came_us - self.trip_us < TRIP_US:
            better = max(0.0, gain - self.trip_gain)
            self.log_odds += better
            self.trip_gain += better
            return
        self.log_odds += gain
        self.trips += 1
        self.trip_us, self.trip_gain = came_us, gain

    def weight(self, now_us: int, sureness: float) -> float:
        """Return the odds of "in it", others left aside.

        Args:
            now_us: The present.
            sureness: Confidences of both locations, multiplied.
        """
        together = 1.0
        if self.apart_us:
            still = APART_LOG_ODDS - (now_us - self.apart_us) * 1e-6 * sureness / APART_S
            together = 1.0 / (1.0 + math.exp(min(700.0, -still)))
        return math.exp(min(700.0, self.log_odds)) * together


def first_link(came_us: int, gain: float) -> Link:
    """Return the link of two things that have come into a zone together for the first time."""
    return Link(log_odds=PRIOR_LOG_ODDS + gain, trips=1, trip_us=came_us, trip_gain=gain, from_us=came_us)


def trip_gain(difference_s: float, background_per_s: float, *, same_origin: bool, appeared: bool = False) -> float:
    """Return what a common move into a zone adds to the log-odds.

    Args:
        difference_s: Between the times at which the two came.
        background_per_s: Chance per second that an item of this zone has come by itself.
        same_origin: Whether both came from the same zone.
        appeared: Whether either came from nowhere.
    """
    density = math.exp(-abs(difference_s) / ARRIVAL_SPREAD_S) / (2.0 * ARRIVAL_SPREAD_S)
    by_chance = APPEARED_TOGETHER if appeared else SHARED_RIDE
    gain = math.log(density / (by_chance * density + background_per_s))
    return gain if same_origin else gain + math.log(OTHER_ORIGIN)


def probabilities(weights: Iterable[float]) -> list[float]:
    """Return the probability of each candidate of one level; what is missing to 1 is for none of them."""
    known = list(weights)
    total = 1.0 + math.fsum(known)
    return [weight / total for weight in known]


def log_odds_of(probability: float) -> float:
    """Return the log-odds of a probability, which is kept away from 0 and 1."""
    bounded = min(max(probability, 0.001), 0.999)
    return math.log(bounded / (1.0 - bounded))
