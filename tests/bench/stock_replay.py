"""A day's landed tables as the inventory step gets them: all at once, or from one time of rows to the next."""

from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow as pa

from analytics.step import Arrived
from analytics.steps.inventory import GRID_US
from devices.schemas import TIMESTAMP

_EVENT_TIME = {"business_events": "event_time", "shelves": "from_time", "locations": "as_of_time"}


def sorted_tables(tables: Mapping[str, pa.Table]) -> dict[str, pa.Table]:
    """Return tables in the order of what the step goes by."""
    orders = {name: [(_EVENT_TIME[name], "ascending")] for name in tables}
    orders["locations"] += [("epc_hex", "ascending"), ("revision", "descending")]
    return {name: table.sort_by(orders[name]) for name, table in tables.items()}


def arrived_of(site: str, tables: Mapping[str, pa.Table], until_us: int | None = None) -> Arrived:
    """Return tables as one chunk, whose watermark is a time, or that of the last row."""
    business = tables["business_events"].combine_chunks().to_batches()
    times = _times(tables, "business_events")
    last_us = int(max(np.max(times, initial=0), np.max(_times(tables, "locations"), initial=0)))
    return Arrived(
        site=site,
        edge_id="again",
        batches={"business_events": business[0]} if business else {},
        effective_us={"business_events": times},
        watermark_us=last_us if until_us is None else until_us,
        previous_watermark_us=0,
        derived={name: tables[name] for name in ("shelves", "locations")},
    )


def quarters(site: str, tables: Mapping[str, pa.Table]) -> Iterator[tuple[int, Arrived]]:
    """Yield each time of rows, and what arrived since the one before."""
    tables = sorted_tables(tables)
    times = {name: _times(tables, name) for name in tables}
    first, last = (int(end([end(at) for at in times.values() if len(at)])) for end in (np.min, np.max))
    before = dict.fromkeys(tables, 0)
    for until_us in range(-(-first // GRID_US) * GRID_US, last + 1, GRID_US):
        ends = {name: int(np.searchsorted(times[name], until_us, side="right")) for name in tables}
        parts = {name: table.slice(before[name], ends[name] - before[name]) for name, table in tables.items()}
        yield until_us, arrived_of(site, parts, until_us)
        before = ends


def _times(tables: Mapping[str, pa.Table], name: str) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.asarray(tables[name][_EVENT_TIME[name]].cast(TIMESTAMP).cast(pa.int64()).to_numpy())
