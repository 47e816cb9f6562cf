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


def policy_of(sensitivity: float) -> Policy:
    """Return what a sensitivity to moves, 0 to 1, asks for."""
    shift = SENSITIVITY_LOG_ODDS * (MOVE_SENSITIVITY - sensitivity)
    return Policy(
        in_doubt=_shifted(IN_DOUBT_PROBABILITY, shift),
        arrived=_shifted(ARRIVED_PROBABILITY, shift),
        moved=_shifted(MOVED_PROBABILITY, shift),
        revised=_shifted(REVISED_PROBABILITY, REVISED_SHARE * shift),
    )


def _shifted(probability: float, log_odds: float) -> float:
    return 1.0 / (1.0 + (1.0 - probability) / probability * math.exp(-log_odds))
