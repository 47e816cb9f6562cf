"""Two baselines that need no more than a paragraph: the last read wins, and the strongest zone of 10 s wins.

Both take reads in the order of their corrected times, leave out those that came too late to count, and take an item
to have left when it was not read for `DEPARTED_US`. A read whose antenna has no zone shows that the item is there,
but not where.
"""

import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from analytics.baselines.columns import ReadColumns, columns_of
from analytics.stays import stays_from_states
from devices.site.model import Site

WINDOW_US = 10_000_000
"""Window of strongest-in-window."""
DEPARTED_US = 600_000_000
"""Silence that means departure: the same for all baselines, that of the EdgeX service."""

Int64s = npt.NDArray[np.int64]
Int32s = npt.NDArray[np.int32]


def last_read_wins(reads: pa.Table, site: Site) -> pa.Table:
    """Estimate that an item is in the zone of the antenna that read it last.

    Args:
        reads: Corrected reads, as `analytics.baselines.columns.columns_of` takes them.
        site: Their site.

    Returns:
        Stays.
    """
    columns = columns_of(reads)
    order = _in_time(columns)
    item, zone = columns.item[order], columns.zone_numbers(site)[order]
    return _stays(columns, site, order, _last_known(item, zone))


def strongest_in_window(reads: pa.Table, site: Site, *, window_us: int = WINDOW_US) -> pa.Table:
    """Estimate that an item is in the zone with the highest mean RSSI over a window, decided at each read.

    The mean is over all reads of a zone's antennas in `(t - window_us, t]`, in dBm. Of equal means, that of the zone
    where the item is wins, then the first zone of the site file. Reads without RSSI in dBm count for no zone; an item
    none of whose reads in the window has any stays where it is.

    Args:
        reads: Corrected reads, as `analytics.baselines.columns.columns_of` takes them.
        site: Their site.
        window_us: Length of the window, microseconds.

    Returns:
        Stays.
    """
    columns = columns_of(reads)
    order = _in_time(columns)
    item, zone = columns.item[order], columns.zone_numbers(site)[order]
    rssi_dbm = columns.rssi_dbm[order]
    zone[np.isnan(rssi_dbm)] = -1
    hundredths = np.rint(np.nan_to_num(rssi_dbm) * 100).astype(np.int64)  # whole numbers: sums without rounding
    won = np.empty(len(order), dtype=np.int32)
    _strongest(item, columns.event_us[order], zone, hundredths, len(site.zones), window_us, won)
    return _stays(columns, site, order, won)


def _in_time(columns: ReadColumns) -> Int64s:
    """Return the order by item and time, those that came too late left out; of equal times, as received."""
    kept = np.flatnonzero(~columns.late)
    order = np.lexsort((columns.event_us[kept], columns.item[kept]))
    in_time: Int64s = kept[order]
    return in_time


def _last_known(item: Int32s, zone: Int32s) -> Int32s:
    """Carry an item's last zone over its reads that have none; before its first zone it is nowhere."""
    known = np.where(zone >= 0, np.arange(len(zone)), -1)
    carried = np.maximum.accumulate(known) if len(known) else known
    same = (carried >= 0) & (item[carried] == item)
    return np.where(same, zone[carried], -1).astype(np.int32)


def _stays(columns: ReadColumns, site: Site, order: Int64s, zone: Int32s) -> pa.Table:
    return stays_from_states(
        columns.epcs,
        [entry.id for entry in site.zones],
        item=columns.item[order],
        time_us=columns.event_us[order],
        zone=zone,
        departed_after_us=DEPARTED_US,
    )


@numba.njit(cache=True)
def _strongest(  # noqa: PLR0917 - kernels take their arrays one by one
    item: Int32s, time_us: Int64s, zone: Int32s, rssi: Int64s, zones: int, window_us: int, won: Int32s
) -> None:
    total = np.zeros(zones, dtype=np.int64)
    count = np.zeros(zones, dtype=np.int64)
    oldest = 0
    here = -1
    for row in range(len(item)):
        if row > 0 and item[row] != item[row - 1]:
            total[:] = 0
            count[:] = 0
            oldest = row
            here = -1
        while time_us[oldest] <= time_us[row] - window_us:
            if zone[oldest] >= 0:
                total[zone[oldest]] -= rssi[oldest]
                count[zone[oldest]] -= 1
            oldest += 1
        if zone[row] >= 0:
            total[zone[row]] += rssi[row]
            count[zone[row]] += 1
        if here >= 0 and row > 0 and time_us[row] - time_us[row - 1] > DEPARTED_US:
            here = -1
        best = here if here >= 0 and count[here] > 0 else -1
        for other in range(zones):
            if count[other] > 0 and (best < 0 or total[other] * count[best] > total[best] * count[other]):
                best = other
        if best >= 0:
            here = best
        won[row] = here
