"""Where items were, as intervals: the one form in which estimators answer and truth is compared.

A table in `STAYS` form has one row per item and interval `[from_us, until_us)`. A zone that is an empty string means
"not here"; so does a time that no row covers. Rows of one item do not overlap; their order does not matter.
"""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

STAYS = pa.schema(
    [
        pa.field("epc_hex", pa.string(), nullable=False),
        pa.field("zone", pa.string(), nullable=False),
        pa.field("from_us", pa.int64(), nullable=False),
        pa.field("until_us", pa.int64(), nullable=False),
        pa.field("confidence", pa.float64()),
    ]
)
"""Columns of a table of stays; a null confidence means that none was stated."""

NOT_HERE = ""
"""Zone of an item that is not on site."""


def stays_from_states(
    epcs: pa.Array,
    zones: list[str],
    *,
    item: npt.NDArray[np.int32],
    time_us: npt.NDArray[np.int64],
    zone: npt.NDArray[np.int32],
    departed_after_us: int,
    starts_anew: npt.NDArray[np.bool_] | None = None,
) -> pa.Table:
    """Turn "after this read, the item is here" into stays.

    A stay lasts until the item's next state in another zone, and in any case no longer than `departed_after_us` after
    the last read within it: an item that is silent for longer has left, and its next read begins a new stay.

    Args:
        epcs: EPCs by item number.
        zones: Zone names by zone number.
        item: Item number of each read; sorted.
        time_us: Time of each read; rising within an item.
        zone: Zone number after each read; -1 for not here.
        departed_after_us: Silence that means departure, microseconds.
        starts_anew: Whether the item had departed before this read; by default, where its silence was too long.
    """
    if len(item) == 0:
        return STAYS.empty_table()
    same_item = np.concatenate([[False], item[1:] == item[:-1]])
    silence_us = np.concatenate([[0], np.diff(time_us)])
    anew = ~same_item | (silence_us > departed_after_us if starts_anew is None else starts_anew)
    anew |= np.concatenate([[True], zone[1:] != zone[:-1]])
    first = np.flatnonzero(anew)
    last = np.concatenate([first[1:], [len(item)]]) - 1
    until_us = time_us[last] + departed_after_us
    has_next = np.concatenate([item[first[1:]] == item[first[:-1]], [False]])
    next_us = np.concatenate([time_us[first[1:]], [0]])
    until_us = np.where(has_next, np.minimum(until_us, next_us), until_us)
    kept = (zone[first] >= 0) & (until_us > time_us[first])
    rows = first[kept]
    names = pa.array(zones, pa.string())
    return pa.table(
        {
            "epc_hex": epcs.take(pa.array(item[rows])),
            "zone": names.take(pa.array(zone[rows])),
            "from_us": time_us[rows],
            "until_us": until_us[kept],
            "confidence": pa.nulls(len(rows), pa.float64()),
        },
        schema=STAYS,
    )
