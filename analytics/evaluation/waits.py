"""When a row of `locations` was said: its `as_of_time`, and what the watermark waited then for late reads."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from analytics.schemas import LOCATIONS
from analytics.step import Arrived

WAITED_US = "waited_us"
"""Name of the column that evaluation adds."""


def with_wait(locations: pa.Table, arrived: Arrived) -> pa.Table:
    """Add to the rows that came out of a chunk what was waited for them, microseconds, as it was at the chunk's end."""
    return locations.append_column(WAITED_US, pa.array(np.full(locations.num_rows, arrived.wait_us, dtype=np.int64)))


def all_waited(tables: Sequence[pa.Table]) -> pa.Table:
    """Join such tables, of which there may be none."""
    return pa.concat_tables([LOCATIONS.empty_table().append_column(WAITED_US, pa.array([], pa.int64())), *tables])
