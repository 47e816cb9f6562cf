"""The EdgeX mobility profile over a site's reads: what it would have said, as stays.

Each publication is one report: its reader is the device, its receive time the origin. RSSI is rounded to whole dBm,
as the service reports it. Antennas are aliased to their zones; an antenna without a zone keeps the service's own
name, which is no zone of the site. The check for departures is taken to run all the time.

`edgex_stays_plain` drives `edgex.EdgeXMobility` report by report; `edgex_stays` does the same item by item in
compiled code. They give the same stays, which a test holds them to.
"""

from itertools import pairwise

import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from analytics.baselines.columns import NO_ANTENNA, ReadColumns, columns_of
from analytics.baselines.edgex import (
    DEPARTED_MS,
    WINDOW_SAMPLES,
    EdgeXMobility,
    EventKind,
    MobilityEvent,
    MobilityParameters,
    ReportedTag,
    zone_aliases,
)
from analytics.stays import NOT_HERE, STAYS, stays_from_states
from devices.site.model import Site

Int64s = npt.NDArray[np.int64]
Int32s = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float64]


def edgex_stays(reads: pa.Table, site: Site, parameters: MobilityParameters) -> pa.Table:
    """Estimate stays as the EdgeX mobility profile does.

    Args:
        reads: Corrected reads, as `analytics.baselines.columns.columns_of` takes them.
        site: Their site.
        parameters: Which configuration.

    Returns:
        Stays; places without a zone under the service's own name for them.
    """
    columns = columns_of(reads)
    reference_ms, time_ms = _report_times(columns)
    place, place_zone, zones = _places(columns, site)
    order = np.argsort(columns.item, kind="stable")
    item = columns.item[order]
    located = np.empty(len(order), dtype=np.int32)
    anew = np.empty(len(order), dtype=np.bool_)
    last_read_ms = np.empty(len(order), dtype=np.int64)
    _locate(
        item,
        columns.publication[order],
        place[order],
        place_zone,
        np.rint(columns.rssi_dbm)[order],
        reference_ms[order],
        time_ms[order],
        parameters.slope_db_per_ms,
        parameters.threshold_db,
        parameters.intercept_db,
        located,
        anew,
        last_read_ms,
    )
    return stays_from_states(
        columns.epcs,
        zones,
        item=item,
        time_us=last_read_ms * 1000,
        zone=located,
        departed_after_us=DEPARTED_MS * 1000,
        starts_anew=anew,
    )


def edgex_stays_plain(reads: pa.Table, site: Site, parameters: MobilityParameters) -> pa.Table:
    """Do the same with `EdgeXMobility`, a report at a time: slow, and obvious."""
    columns = columns_of(reads)
    mobility = EdgeXMobility(parameters, aliases=_aliases(site))
    epcs = columns.epcs.to_pylist()
    said: dict[str, list[tuple[int, str]]] = {epc: [] for epc in epcs}

    def say(event: MobilityEvent) -> None:
        departs = event.kind is EventKind.DEPARTED
        time_us = (event.time_ms + (DEPARTED_MS if departs else 0)) * 1000
        changes = said[event.epc]
        if changes and changes[-1][0] > time_us:
            changes.pop()  # a report came after the departure with a read from before it
        changes.append((time_us, NOT_HERE if departs else event.location))

    starts = np.flatnonzero(np.diff(columns.publication, prepend=-1))
    for start, end in pairwise([*starts.tolist(), len(columns.item)]):
        origin_us = int(columns.received_us[start])
        for event in mobility.depart(origin_us // 1000):
            say(event)
        for event in mobility.report(
            columns.readers[columns.reader[start]], origin_us * 1000, _tags(columns, epcs, start, end)
        ):
            say(event)
    last_us = max((int(time) for time in columns.received_us), default=0) + 2 * DEPARTED_MS * 1000
    for event in mobility.depart(last_us // 1000):
        say(event)
    rows = [
        {"epc_hex": epc, "zone": zone, "from_us": from_us, "until_us": until_us}
        for epc, changes in said.items()
        for (from_us, zone), (until_us, _) in pairwise(changes)
        if zone != NOT_HERE and until_us > from_us
    ]
    return pa.Table.from_pylist(rows, schema=STAYS)


def _tags(columns: ReadColumns, epcs: list[str], start: int, end: int) -> list[ReportedTag]:
    return [
        ReportedTag(
            epc=epcs[columns.item[row]],
            antenna=None if columns.antenna[row] == NO_ANTENNA else int(columns.antenna[row]),
            rssi_dbm=None if np.isnan(columns.rssi_dbm[row]) else float(np.rint(columns.rssi_dbm[row])),
            last_seen_us=int(columns.event_us[row]),
        )
        for row in range(start, end)
    ]


def _report_times(columns: ReadColumns) -> tuple[Int64s, Int64s]:
    """Return each read's reference time and its own adjusted time, milliseconds."""
    if len(columns.item) == 0:
        return columns.received_us, columns.event_us
    starts = np.flatnonzero(np.diff(columns.publication, prepend=-1))
    sizes = np.diff(np.append(starts, len(columns.item)))
    newest_us = np.repeat(np.maximum.reduceat(columns.event_us, starts), sizes)
    origin_us = np.repeat(columns.received_us[starts], sizes)
    return origin_us // 1000, (columns.event_us + origin_us - newest_us) // 1000


def _places(columns: ReadColumns, site: Site) -> tuple[Int32s, Int32s, list[str]]:
    """Return the place number of each read (-1 without one), the zone number of each place, and the zone names."""
    ports = int(columns.antenna.max(initial=0)) + 1
    pairs = columns.reader.astype(np.int64) * ports + columns.antenna
    unplaced = (columns.antenna == NO_ANTENNA) | np.isnan(columns.rssi_dbm)
    distinct, numbers = np.unique(np.where(unplaced, -1, pairs), return_inverse=True)
    offset = int(distinct[:1].tolist() == [-1])
    place: Int32s = numbers.astype(np.int32) - offset
    aliases = _aliases(site)
    names = [f"{columns.readers[pair // ports]}_{pair % ports}" for pair in distinct[offset:].tolist()]
    names = [aliases.get(name, name) for name in names]
    zones = list(dict.fromkeys(names))
    return place, np.array([zones.index(name) for name in names], dtype=np.int32), zones


def _aliases(site: Site) -> dict[str, str]:
    return zone_aliases(
        (reader.id, antenna.port, antenna.zone) for reader in site.readers for antenna in reader.antennas
    )


@numba.njit(cache=True)
def _locate(  # noqa: PLR0917 - kernels take their arrays one by one
    item: Int32s,
    publication: Int64s,
    place: Int32s,
    place_zone: Int32s,
    rssi: Floats,
    reference_ms: Int64s,
    time_ms: Int64s,
    slope: float,
    threshold: float,
    intercept: float,
    located: Int32s,
    anew: npt.NDArray[np.bool_],
    last_read_ms: Int64s,
) -> None:
    """Follow each item through its reads; fill in its zone, whether it had departed, and its newest read time."""
    places = len(place_zone)
    samples = np.zeros((places, WINDOW_SAMPLES))
    count = np.zeros(places, dtype=np.int64)  # samples ever added to a window
    total = np.zeros(places)
    heard_ms = np.zeros(places, dtype=np.int64)
    current = -1
    newest_ms = np.int64(0)
    for row in range(len(item)):
        first = row == 0 or item[row] != item[row - 1]
        silent = newest_ms < reference_ms[row] - DEPARTED_MS
        anew[row] = first or (silent and publication[row] != publication[row - 1])  # checked between reports
        if anew[row]:
            count[:] = 0
            total[:] = 0.0
            heard_ms[:] = 0
        if first:
            current = -1
            newest_ms = np.int64(0)
        newest_ms = max(newest_ms, time_ms[row])
        last_read_ms[row] = newest_ms
        here = place[row]
        if here >= 0:
            slot = count[here] % WINDOW_SAMPLES
            if count[here] >= WINDOW_SAMPLES:
                total[here] -= samples[here, slot]
            total[here] += rssi[row]
            samples[here, slot] = rssi[row]
            count[here] += 1
            heard_ms[here] = max(heard_ms[here], time_ms[row])
            if current < 0 or current == here or count[current] == 0:
                current = here
            elif count[here] >= 2:
                falling = slope * (reference_ms[row] - heard_ms[current]) + intercept
                mean_here = total[here] / min(count[here], WINDOW_SAMPLES)
                mean_current = total[current] / min(count[current], WINDOW_SAMPLES)
                if mean_here > mean_current + min(threshold, falling):
                    current = here
        located[row] = place_zone[current] if current >= 0 else -1
