"""Small tables of corrected reads, and the site that they come from, for tests of baselines and evaluation."""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from devices.schemas import TIMESTAMP
from devices.site import Antenna, Reader, Site, Zone, ZoneKind


def site_of(*zone_ids: str) -> Site:
    """A site with one reader `r` whose antenna 1 is in the first zone, antenna 2 in the second, and so on."""
    zones = tuple(
        Zone(
            id=zone_id,
            kind=ZoneKind.SALES_FLOOR,
            polygon=((10.0 * i, 0.0), (10.0 * i + 10, 0.0), (10.0 * i + 10, 8.0), (10.0 * i, 8.0)),
        )
        for i, zone_id in enumerate(zone_ids)
    )
    antennas = tuple(Antenna(port=i + 1, x=10.0 * i + 5, y=4.0, zone=zone_id) for i, zone_id in enumerate(zone_ids))
    return Site(id="s", zones=zones, readers=(Reader(id="r", profile="tagtide", mqtt_topic="t", antennas=antennas),))


@dataclass(frozen=True, kw_only=True)
class Read:
    """One read; times in seconds."""

    at_s: float
    antenna: int | None = 1
    rssi_dbm: float | None = -60.0
    epc: str = "E1"
    received_s: float | None = None
    publication: int | None = None
    reader: str = "r"
    late: bool = False


def table_of(reads: Sequence[Read]) -> pa.Table:
    """The corrected reads table of reads that are given in the order received."""
    received = [read.at_s if read.received_s is None else read.received_s for read in reads]
    return pa.table(
        {
            "epc_hex": pa.array([read.epc for read in reads], pa.string()),
            "reader": pa.array([read.reader for read in reads], pa.string()),
            "antenna": pa.array([read.antenna for read in reads], pa.int16()),
            "event_time": pa.array([round(read.at_s * 1e6) for read in reads], TIMESTAMP),
            "received_time": pa.array([round(time * 1e6) for time in received], TIMESTAMP),
            "rssi_dbm": pa.array([read.rssi_dbm for read in reads], pa.float64()),
            "late": pa.array([read.late for read in reads], pa.bool_()),
            "edge_offset": pa.array(
                [i if read.publication is None else read.publication for i, read in enumerate(reads)], pa.int64()
            ),
        }
    )


def intervals(stays: pa.Table) -> list[tuple[str, str, float, float]]:
    """Stays as (epc, zone, from, until) in seconds, sorted."""
    return sorted(
        (row["epc_hex"], row["zone"], row["from_us"] / 1e6, row["until_us"] / 1e6) for row in stays.to_pylist()
    )
