"""Things on one trolley share a fate: what each tag's reads say of the direction is said of the whole load.

The model: at one time one load is at the gate, and it has one direction. A tag that is there at the same time belongs
to the load with probability `BELONGS`, and otherwise has a direction of its own - a box that stands beside the gate
while a trolley goes through. With the likelihood of each tag's reads under each direction, the posterior of the load's
direction and of each tag's is a sum over these two cases (Bayes' rule; the tags are independent given the load).
"""

import numpy as np
import numpy.typing as npt

from analytics.gate.passages import Passage

Matrix = npt.NDArray[np.float64]

BELONGS = 0.9
"""Probability that a tag which is at the gate together with others moves with them."""
OVERLAP = 0.5
"""Passages are at the gate together when they share this part of the longer one's time..."""
GLIMPSE_READS = 5
"""...or when one has no more reads than this, all within the other's time: a box deep inside the load."""
_LEAST = 1e-4  # no likelihood is surer than this: a classifier that is wrong must be outvoted by its neighbours


def shared_fate(likelihood: Matrix, loads: npt.NDArray[np.int64], *, belongs: float = BELONGS) -> Matrix:
    """Return the probability of each direction for each passage.

    Args:
        likelihood: Of each passage's reads (rows) under each direction (columns), up to a factor for each row.
        loads: Number of the load that each passage may belong to, as `loads_of` gives them.
        belongs: Probability that it does belong.
    """
    result = np.empty_like(likelihood)
    for load in np.unique(loads):
        members = np.flatnonzero(loads == load)
        result[members] = _one_load(likelihood[members] + _LEAST, belongs)
    return result


def loads_of(passages: list[Passage]) -> npt.NDArray[np.int64]:
    """Number the loads: passages that are at the gate together, by time.

    Each passage joins the load of the longest passage that it is together with, so that loads do not chain up over
    an hour of trolleys in close succession.
    """
    loads = np.full(len(passages), -1, dtype=np.int64)
    longest_first = sorted(range(len(passages)), key=lambda at: (-passages[at].reads, at))
    founders: list[int] = []
    for at in longest_first:
        joined = [founder for founder in founders if _together(passages[founder], passages[at])]
        if joined:
            loads[at] = loads[joined[0]]
        else:
            loads[at] = len(founders)
            founders.append(at)
    return loads


def _together(founder: Passage, passage: Passage) -> bool:
    begin_us = max(founder.time_us[0], passage.time_us[0])
    end_us = min(founder.time_us[-1], passage.time_us[-1])
    if end_us < begin_us:
        return False
    if passage.reads <= GLIMPSE_READS:
        return bool(begin_us == passage.time_us[0] and end_us == passage.time_us[-1])
    longer_us = max(founder.time_us[-1] - founder.time_us[0], passage.time_us[-1] - passage.time_us[0])
    return bool(end_us - begin_us >= OVERLAP * longer_us)


def _one_load(likelihood: Matrix, belongs: float) -> Matrix:
    directions = likelihood.shape[1]
    alone = likelihood.mean(axis=1)  # a direction of its own, each as likely as the others before the reads
    of_load = np.log(belongs * likelihood + (1 - belongs) * alone[:, None]).sum(axis=0)
    load = np.exp(of_load - of_load.max())
    load /= load.sum()
    member = (
        belongs * likelihood / (belongs * likelihood + (1 - belongs) * alone[:, None])
    )  # given the load's direction
    stranger = 1.0 - member @ load
    own = likelihood / (directions * alone[:, None])
    return np.asarray(member * load + stranger[:, None] * own)
