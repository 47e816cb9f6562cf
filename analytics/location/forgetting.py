"""Items that have been gone for long are forgotten, so that memory is bounded by what is there, not by what ever was.

A site meets new EPCs for as long as it trades. What departed, or was read and never located, and has not been read for
`FORGET_AFTER_S`, gives its number back; should it return, it is a new item. Forgetting happens on a grid of event time,
and the numbers are then those that the items would have, had rows come one at a time: those that are still there keep
their order, and behind them stands what waits for the watermark, in order of arrival. So it makes no difference how
rows were cut into chunks.
"""

import numpy as np
import numpy.typing as npt

from analytics.location.tracks import Tracks

FORGET_AFTER_S = 86_400
"""An item that has been gone for a day is forgotten: what is delivered daily and returned the next is still known."""
FORGET_GRID_S = 3_600
"""Forgetting happens on this grid of event time: it copies all that is known, once an hour."""

Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]


def find_gone(tracks: Tracks, now_s: int) -> npt.NDArray[np.bool_]:
    """Return which items are to be forgotten.

    Args:
        tracks: Those of all items.
        now_s: Event time, seconds.
    """
    last_us = tracks["last_us"]
    long_ago = (last_us > 0) & (last_us <= (now_s - FORGET_AFTER_S) * 1_000_000)
    return np.asarray(long_ago & (tracks["zone"] < 0))


def order_of_kept(tracks: Tracks, gone: npt.NDArray[np.bool_], waiting: Int32s, arrival: Int64s) -> Int32s:
    """Return the numbers of the items that are kept, in their new order.

    Args:
        tracks: Those of all items.
        gone: Which are to be forgotten.
        waiting: Item of each row that has not been taken in yet; below 0 for other rows.
        arrival: Place of each of them in order of arrival.
    """
    stays_known = (tracks["last_us"] > 0) & ~gone
    of_items = waiting >= 0
    items, arrived = waiting[of_items], arrival[of_items]
    in_order = items[np.argsort(arrived, kind="stable")]
    fresh, first = np.unique(in_order, return_index=True)
    fresh = fresh[np.argsort(first)]
    return np.concatenate([np.flatnonzero(stays_known), fresh[~stays_known[fresh]]]).astype(np.int32)
