"""Where an item of a counting pass lies: beside the items that were read when it was, as loud as it was.

A handheld has no known place. But its beam is narrow and moves, so tags that hang together are read within the same
tenths of a second and equally loud, in every pass. An item is compared with *reference items*, whose places are known:
for each of its reads, how dense are the reads of a place's items around this time and RSSI of this pass? Densities of
its reads are multiplied, as if they were independent, over all passes.

In time the kernel has long tails (1 / (1 + (t / `TIME_S`)**2)): the beam comes back. In RSSI it is normal. A small
density everywhere (`ELSEWHERE`) bounds what one odd read can do.
"""

import numpy as np
import numpy.typing as npt

TIME_S = 0.1
"""Half width of the kernel in time, seconds."""
RSSI_DB = 4.0
"""Standard deviation of the kernel in RSSI, dB."""
ELSEWHERE = 1e-5
"""Density that every place has for every read."""
READS_AT_ONCE = 400
"""Reads that are compared at once: bounds the memory."""

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def place_scores(
    item: Ints, pass_number: Ints, time_s: Floats, rssi_dbm: Floats, *, place_of_item: Ints, places: int
) -> Floats:
    """Return how well each place agrees with each item's reads, as log densities; an item's own reads are left out.

    Args:
        item: Item of each read, from 0.
        pass_number: Pass of each read.
        time_s: Time of each read, seconds.
        rssi_dbm: RSSI of each read.
        place_of_item: Place of each item, from 0; -1 where it is not known: such items are no reference.
        places: Number of places.

    Returns:
        Items by places; the largest entry of a row is where the item lies. Rows of items without reads are zero.
    """
    scores = np.zeros((len(place_of_item), places))
    for one in np.unique(pass_number):
        chosen = pass_number == one
        _add_pass(scores, item[chosen], time_s[chosen], rssi_dbm[chosen], place_of_item)
    return scores


def _add_pass(scores: Floats, item: Ints, time_s: Floats, rssi_dbm: Floats, place_of_item: Ints) -> None:
    """Add what one pass says."""
    places = scores.shape[1]
    reads = np.bincount(item, minlength=len(place_of_item))
    known = np.flatnonzero(place_of_item[item] >= 0)
    by_place = known[np.argsort(place_of_item[item[known]], kind="stable")]
    place = place_of_item[item[by_place]]
    starts = np.searchsorted(place, np.arange(places))
    filled = np.diff(np.append(starts, len(place))) > 0
    references = np.bincount(place_of_item[place_of_item >= 0], minlength=places)
    for first in range(0, len(item), READS_AT_ONCE):
        mine = np.arange(first, min(first + READS_AT_ONCE, len(item)))
        gap_s = (time_s[mine][:, None] - time_s[by_place]) / TIME_S
        gap_db = (rssi_dbm[mine][:, None] - rssi_dbm[by_place]) / RSSI_DB
        kernel = np.exp(-0.5 * gap_db**2) / ((1.0 + gap_s**2) * TIME_S * RSSI_DB * reads[item[by_place]])
        kernel[item[mine][:, None] == item[by_place]] = 0.0
        density = np.zeros((len(mine), places))
        density[:, filled] = np.add.reduceat(kernel, starts[filled], axis=1)
        own = place_of_item[item[mine]][:, None] == np.arange(places)
        density /= np.maximum(1, references - own)
        np.add.at(scores, item[mine], np.log(density + ELSEWHERE))
