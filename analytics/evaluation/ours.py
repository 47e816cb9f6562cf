"""Our own location, in the form in which it is compared: rows of `locations` as stays.

Two readings of the same rows are compared, since both are asked for:

- *as said*: what somebody watching would have been told, from the moment it was told. A stay begins when its row came
  out and lasts until a row took it back, however far back either row dates the change. The moment is the row's
  `as_of_time` plus what the watermark waited then for late reads (`waits.py`).
- *in hindsight*: what the table says afterwards: the last revision of each stay, from `from_time` to `until_time`.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from analytics.evaluation.waits import WAITED_US
from analytics.stays import STAYS
from devices.site.model import Site

FOREVER_US = 2**62
"""End of what has not ended; later than any window."""


def stays_as_said(locations: pa.Table, site: Site) -> pa.Table:
    """Turn rows of `locations`, in the order they came out, to what was said from when until when.

    Rows that do not say what was waited are taken to have come after the allowed lateness.
    """
    locations = locations.combine_chunks()
    waited_us: Any = round(site.allowed_lateness_s * 1e6)
    if WAITED_US in locations.column_names:
        waited_us = _column(locations, WAITED_US).to_numpy()
    item = _column(locations, "epc_hex").dictionary_encode().indices.to_numpy()
    said_us = _column(locations, "as_of_time").cast(pa.int64()).to_numpy() + waited_us
    said_us = np.maximum.accumulate(said_us)  # the wait may have fallen between two rows
    here = pc.is_null(_column(locations, "until_time")).to_numpy(zero_copy_only=False)
    order = np.argsort(item, kind="stable")
    same_item = item[order][1:] == item[order][:-1]
    until_us = np.full(len(order), FOREVER_US)
    until_us[:-1] = np.where(same_item, said_us[order][1:], FOREVER_US)
    kept = here[order] & (until_us > said_us[order])
    return _stays(locations, order[kept], said_us[order][kept], until_us[kept])


def stays_in_hindsight(locations: pa.Table) -> pa.Table:
    """Turn rows of `locations` to the stays that the table holds: the last revision of each."""
    locations = locations.combine_chunks()
    item = _column(locations, "epc_hex").dictionary_encode().indices.to_numpy()
    from_us = _column(locations, "from_time").cast(pa.int64()).to_numpy()
    until_us = pc.fill_null(_column(locations, "until_time").cast(pa.int64()), FOREVER_US).to_numpy()
    order = np.lexsort((_column(locations, "revision").to_numpy(), from_us, item))
    same_stay = (item[order][1:] == item[order][:-1]) & (from_us[order][1:] == from_us[order][:-1])
    rows = order[np.append(~same_stay, [True] * bool(len(order))).astype(np.bool_)]
    return _stays(locations, rows, from_us[rows], until_us[rows])


def _stays(
    locations: pa.Table, rows: npt.NDArray[np.int64], from_us: npt.NDArray[np.int64], until_us: npt.NDArray[np.int64]
) -> pa.Table:
    taken = locations.select(["epc_hex", "zone", "confidence"]).take(pa.array(rows))
    return pa.table(
        {
            "epc_hex": taken["epc_hex"],
            "zone": taken["zone"],
            "from_us": from_us,
            "until_us": until_us,
            "confidence": taken["confidence"],
        },
        schema=STAYS,
    )


def _column(table: pa.Table, name: str) -> pa.Array:
    column = table[name]
    return column.chunk(0) if column.num_chunks else pa.array([], column.type)
