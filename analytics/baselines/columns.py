"""Corrected reads as arrays, the form in which baselines take them in."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from devices.site.model import Site

NO_ANTENNA = -1
"""Port of a read that names no antenna."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadColumns:
    """Reads as arrays of the same length, in the order in which they were received."""

    epcs: pa.Array
    """EPCs by item number."""
    item: npt.NDArray[np.int32]
    """Item number."""
    event_us: npt.NDArray[np.int64]
    """Corrected time of the read."""
    received_us: npt.NDArray[np.int64]
    """When its publication was received."""
    publication: npt.NDArray[np.int64]
    """Number of its publication, rising."""
    readers: list[str]
    """Readers by reader number."""
    reader: npt.NDArray[np.int32]
    """Reader number."""
    antenna: npt.NDArray[np.int32]
    """Antenna port, or `NO_ANTENNA`."""
    rssi_dbm: npt.NDArray[np.float64]
    """Signal strength, not-a-number where none was reported in dBm."""
    late: npt.NDArray[np.bool_]
    """Whether it came after its time had been decided."""

    def zone_numbers(self, site: Site) -> npt.NDArray[np.int32]:
        """Return the number of the zone that each read speaks for, -1 where its antenna has none."""
        zone_number = {zone.id: number for number, zone in enumerate(site.zones)}
        reader_number = {reader: number for number, reader in enumerate(self.readers)}
        ports = int(self.antenna.max(initial=0)) + 2  # the last column stands for `NO_ANTENNA`
        zone_at = np.full((len(self.readers), ports), -1, dtype=np.int32)
        for reader in site.readers:
            for antenna in reader.antennas:
                if antenna.zone is not None and reader.id in reader_number and antenna.port < ports - 1:
                    zone_at[reader_number[reader.id], antenna.port] = zone_number[antenna.zone]
        zones: npt.NDArray[np.int32] = zone_at[self.reader, self.antenna]
        return zones


def columns_of(reads: pa.Table) -> ReadColumns:
    """Turn corrected reads to arrays.

    Args:
        reads: Rows of the `reads` stream behind the arrival step, in the order received. Needs `epc_hex`,
            `event_time`, `received_time`, `reader`, `antenna` and `rssi_dbm`; uses `edge_offset` and `late` if there.
    """
    item, epcs = _encoded(reads["epc_hex"])
    reader, readers = _encoded(reads["reader"])
    received_us = _numbers(reads["received_time"])
    if "edge_offset" in reads.column_names:
        publication = _numbers(reads["edge_offset"])
    else:
        changed = np.concatenate([[False], (np.diff(received_us) != 0) | (np.diff(reader) != 0)])[: len(reader)]
        publication = np.cumsum(changed)
    late = np.zeros(len(item), dtype=np.bool_)
    if "late" in reads.column_names:
        late = pc.fill_null(reads["late"], fill_value=False).to_numpy(zero_copy_only=False).astype(np.bool_)
    return ReadColumns(
        epcs=epcs,
        item=item,
        event_us=_numbers(reads["event_time"]),
        received_us=received_us,
        publication=publication,
        readers=readers.to_pylist(),
        reader=reader,
        antenna=pc.fill_null(reads["antenna"].cast(pa.int32()), NO_ANTENNA).to_numpy(),
        rssi_dbm=pc.fill_null(reads["rssi_dbm"].cast(pa.float64()), float("nan")).to_numpy(),
        late=late,
    )


def _encoded(column: pa.ChunkedArray) -> tuple[npt.NDArray[np.int32], pa.Array]:
    """Number the distinct values of a column in the order of their first row."""
    encoded = pa.concat_arrays(
        [chunk.cast(pa.string()) for chunk in column.chunks] or [pa.array([], pa.string())]
    ).dictionary_encode()
    return encoded.indices.to_numpy(zero_copy_only=False).astype(np.int32), encoded.dictionary


def _numbers(column: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    numbers: npt.NDArray[np.int64] = column.cast(pa.int64()).to_numpy()
    return numbers
