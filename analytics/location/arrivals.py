"""From canonical batches to the rows that the location filter works on.

Three kinds of row, told apart by `item`: a read of an item by an antenna; with item -1, a sign of life of a reader
(`antenna` is then the reader's number); with item -2, a reader's going dark.
"""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from analytics.location.items import ItemTable
from analytics.location.pending import Column
from analytics.location.places import Places
from analytics.location.radio import NO_RSSI_BIN, RSSI_BINS, RSSI_LOW_DBM
from analytics.step import Arrived
from devices.observations import DeviceEventKind, SourceKind

LATE_LIMIT_S = 15.0
"""A read that is later than this says where an item was, not where it is: it is landed, but the filter leaves it out.
One that is less late counts at its effective time, when it came."""
LINEAR_FULL_SCALE_DB = 90.0
"""Linear RSSI has no zero point in dBm. Its decibels are shifted down by this, into the range that dBm readers report;
what remains is a constant of the reader, which the radio law learns."""
SIGN_OF_LIFE, WENT_DARK = -1, -2
_DARK = (DeviceEventKind.LOST, DeviceEventKind.DISCONNECTED, DeviceEventKind.SILENT)
_ABOUT_THE_PAST = (DeviceEventKind.GAP, DeviceEventKind.REPEAT, DeviceEventKind.CLOCK)
"""Findings of our own steps, which a reader that is dark may still cause."""

EMPTY: dict[str, Column] = {
    "time_us": np.empty(0, dtype=np.int64),
    "item": np.empty(0, dtype=np.int32),
    "antenna": np.empty(0, dtype=np.int16),
    "rssi_dbm": np.empty(0, dtype=np.float32),
}


def read_rows(arrived: Arrived, items: ItemTable, places: Places) -> dict[str, Column]:
    """Turn the reads of a chunk to rows; new EPCs get their item number."""
    batch = arrived.batches.get("reads")
    if batch is None or batch.num_rows == 0:
        return EMPTY
    times = np.asarray(arrived.effective_us["reads"], dtype=np.int64)
    readers = _numbers(batch["reader"], places.reader_ids)
    antennas = _antennas(batch["antenna"], readers, places)
    on_time = times - _microseconds(batch["event_time"]) <= LATE_LIMIT_S * 1e6
    locating = (antennas >= 0) & on_time
    whole = bool(locating.all())
    if whole:
        item = items.numbers_of(batch["epc_hex"])
    else:
        item = np.full(batch.num_rows, SIGN_OF_LIFE, dtype=np.int32)
        item[locating] = items.numbers_of(batch["epc_hex"].filter(pa.array(locating)))
    columns: dict[str, Column] = {
        "time_us": times,
        "item": item,
        "antenna": (antennas if whole else np.where(locating, antennas, readers)).astype(np.int16),
        "rssi_dbm": _rssi(batch),
    }
    known = readers >= 0
    return columns if known.all() else {name: column[known] for name, column in columns.items()}


def life_rows(arrived: Arrived, places: Places) -> dict[str, Column]:
    """Turn the device events of a chunk to rows."""
    batch = arrived.batches.get("device_events")
    if batch is None or batch.num_rows == 0:
        return EMPTY
    readers = _numbers(batch["source"], places.reader_ids)
    kinds = batch["event"].to_pylist()
    ours = np.array([kind == SourceKind.READER for kind in batch["source_kind"].to_pylist()], dtype=np.bool_)
    telling = ours & (readers >= 0) & np.array([kind not in _ABOUT_THE_PAST for kind in kinds], dtype=np.bool_)
    dark = np.array([kind in _DARK for kind in kinds], dtype=np.bool_)
    times = np.asarray(arrived.effective_us["device_events"], dtype=np.int64)[telling]
    return {
        "time_us": times,
        "item": np.where(dark, WENT_DARK, SIGN_OF_LIFE)[telling].astype(np.int32),
        "antenna": readers[telling].astype(np.int16),
        "rssi_dbm": np.full(len(times), np.nan, dtype=np.float32),
    }


def rssi_bins(rssi_dbm: Column) -> npt.NDArray[np.int16]:
    """Return the table bin of each RSSI; NaN stands for none."""
    missing = np.isnan(rssi_dbm)
    levels = np.rint(np.where(missing, RSSI_LOW_DBM, rssi_dbm) - RSSI_LOW_DBM)
    return np.where(missing, NO_RSSI_BIN, np.clip(levels, 0, RSSI_BINS - 1)).astype(np.int16)


def _numbers(names: pa.Array, known: tuple[str, ...]) -> npt.NDArray[np.int64]:
    """Return each name's number among the known, -1 for a stranger."""
    found = pc.index_in(names, value_set=pa.array(known, type=pa.string()))
    return np.asarray(pc.fill_null(found, -1).to_numpy(zero_copy_only=False), dtype=np.int64)


def _antennas(ports: pa.Array, readers: npt.NDArray[np.int64], places: Places) -> npt.NDArray[np.int64]:
    if places.port_antenna.size == 0:
        return np.full(len(readers), -1, dtype=np.int64)
    ways = places.port_antenna.shape[1]
    numbers = np.asarray(pc.fill_null(ports, -1).to_numpy(zero_copy_only=False)).astype(np.int64)
    numbers[(numbers < 0) | (numbers >= ways)] = ways - 1  # stands for no port
    found = places.port_antenna.ravel().take(readers * ways + numbers, mode="wrap")
    found[readers < 0] = -1
    return np.asarray(found, dtype=np.int64)


def _rssi(batch: pa.RecordBatch) -> npt.NDArray[np.float32]:
    """Return dBm; for a reader that reports linear power, dB relative to its unit; NaN where it reports neither."""
    dbm = np.asarray(batch["rssi_dbm"].to_numpy(zero_copy_only=False), dtype=np.float64)
    if batch["rssi_linear"].null_count < batch.num_rows:
        linear = np.asarray(batch["rssi_linear"].to_numpy(zero_copy_only=False), dtype=np.float64)
        relative = 10.0 * np.log10(np.where(linear > 0, linear, np.nan)) - LINEAR_FULL_SCALE_DB
        dbm = np.where(np.isnan(dbm), relative, dbm)
    return np.where(np.isfinite(dbm), dbm, np.nan).astype(np.float32)


def _microseconds(times: pa.Array) -> npt.NDArray[np.int64]:
    return np.asarray(times.cast(pa.int64()).to_numpy(zero_copy_only=False), dtype=np.int64)
