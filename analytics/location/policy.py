"""How sure another zone has to be before an item is said to have moved there: a site's choice of quick or quiet.

What somebody carries passes zones in which it will not stay, and a few reads of it are often sure of the wrong one. So
most is asked while an item is on its way, and less once it has lain: waiting for some reads keeps out more false moves
than asking for more confidence later does, and costs fewer moves. The sensitivity in force (`budget`) shifts all of
this together, on the scale of log-odds, where beliefs add up.
"""

import math
from typing import NamedTuple

from devices.site.model import MOVE_SENSITIVITY

IN_DOUBT_PROBABILITY = 0.85
"""How likely another zone has to be, at `MOVE_SENSITIVITY`, while an item is in doubt;"""
ARRIVED_PROBABILITY = 0.93
"""for `ARRIVED_US` after a move;"""
MOVED_PROBABILITY = 0.65
"""for the rest of `MOVING_US`, when where it lies shows better with each read;"""
REVISED_PROBABILITY = 0.9
"""and without any move: the first estimate was wrong, or the radio law is."""
PASSING_LOG_ODDS = -1.5
"""A doubt of lower odds than this, as a logarithm, is passed over where the item's own zone was likely enough: four in
five or more of those come to nothing, and until then no belief that mixes them in could tell of a move."""
AT_HOME_MIN = 0.5
"""How likely that zone must have been at least, since other evidence and kin have changed a little since."""
SENSITIVITY_LOG_ODDS = 4.0
"""By how much the log-odds that are asked for fall from sensitivity 0 to 1."""
REVISED_SHARE = 0.5
"""Share of that shift where there was no move: such a change tells of the estimate, not of the item."""


class Policy(NamedTuple):
    """What is asked for, as kernels need it: probabilities."""

    in_doubt: float
    arrived: float
    moved: float
    revised: float
    at_home: float
    """And how likely its own zone was when last looked at, for a doubt of odds below `PASSING_LOG_ODDS` to be passed
    over: no other zone could then be as likely as any of the others ask for."""


def policy_of(sensitivity: float) -> Policy:
    """Return what a sensitivity to moves, 0 to 1, asks for."""
    shift = SENSITIVITY_LOG_ODDS * (MOVE_SENSITIVITY - sensitivity)
    in_doubt, arrived = _shifted(IN_DOUBT_PROBABILITY, shift), _shifted(ARRIVED_PROBABILITY, shift)
    moved, revised = _shifted(MOVED_PROBABILITY, shift), _shifted(REVISED_PROBABILITY, REVISED_SHARE * shift)
    # If its zone is as likely as `a` unless it moved, with odds `o`, another is no likelier than (1 - a + o) / (1 + o).
    room = (1.0 - min(in_doubt, arrived, moved, revised)) * (1.0 + math.exp(PASSING_LOG_ODDS))
    return Policy(in_doubt=in_doubt, arrived=arrived, moved=moved, revised=revised, at_home=max(AT_HOME_MIN, room))


def _shifted(probability: float, log_odds: float) -> float:
    return 1.0 / (1.0 + (1.0 - probability) / probability * math.exp(-log_odds))
