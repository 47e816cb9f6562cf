"""The evidence behind rows of `locations`: which antennas heard an item, how often and how strongly.

It is written row by row in one kernel, straight into the bytes of a column.
"""

from collections.abc import Sequence

import msgspec
import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from analytics.location.cells import WEIGHT_MIN, Floats32, Int16s
from analytics.text_kernels import Bytes, Ends, put_tenths, put_text, string_array

Int64s = npt.NDArray[np.int64]

RSSI_DBM_MAX = 1e9
"""What a reader reports beyond this, either way, is shown as this."""
_NONE = np.float32(WEIGHT_MIN)
_NUMBER_BYTES_MAX = 16
_ROW_HEAD = np.frombuffer(b'{"antennas":[', dtype=np.uint8)
_ROW_TAIL = np.frombuffer(b"]}", dtype=np.uint8)
_ANTENNA = np.frombuffer(b'{"antenna":', dtype=np.uint8)
_READS = np.frombuffer(b',"reads":', dtype=np.uint8)
_RSSI = np.frombuffer(b',"rssi_dbm":', dtype=np.uint8)
_NULL = np.frombuffer(b"null", dtype=np.uint8)
_CLOSING, _COMMA = ord("}"), ord(",")


def describe(labels: Sequence[str], antennas: Int16s, weights: Floats32, means: Floats32) -> pa.StringArray:
    """Describe the evidence of each row.

    Args:
        labels: Of antennas, by number.
        antennas: Rows by slots: antenna numbers.
        weights: Rows by slots: reads; up to `WEIGHT_MIN` stands for none.
        means: Rows by slots: mean RSSI, dBm; NaN for none.

    Returns:
        JSON objects, the strongest antenna first.
    """
    quoted = [np.frombuffer(msgspec.json.encode(label), dtype=np.uint8) for label in labels]
    label_ends = np.cumsum([0, *(len(label) for label in quoted)]).astype(np.int64)
    longest = max((len(label) for label in quoted), default=0)
    of_antenna = len(_ANTENNA) + longest + len(_READS) + len(_RSSI) + 2 * _NUMBER_BYTES_MAX + 2
    heard = int(np.count_nonzero(weights > _NONE))
    text = np.empty(len(weights) * (len(_ROW_HEAD) + len(_ROW_TAIL)) + heard * of_antenna, dtype=np.uint8)
    ends = np.empty(len(weights), dtype=np.int64)
    label_text = np.concatenate([np.empty(0, dtype=np.uint8), *quoted])
    _describe(label_text, label_ends, antennas, weights, means, text, ends)
    return string_array(text, ends)


@numba.njit(cache=True)
def _describe(  # noqa: PLR0917 - kernels take their arrays one by one
    label_text: Bytes,
    label_ends: Int64s,
    antennas: Int16s,
    weights: Floats32,
    means: Floats32,
    text: Bytes,
    ends: Ends,
) -> None:
    order = np.empty(weights.shape[1], dtype=np.int64)
    place = 0
    for row in range(len(ends)):
        heard = _sort(weights[row], means[row], order)
        place = put_text(text, place, _ROW_HEAD)
        for rank in range(heard):
            slot = order[rank]
            antenna = antennas[row, slot]
            if rank:
                text[place] = _COMMA
                place += 1
            place = put_text(text, place, _ANTENNA)
            place = put_text(text, place, label_text[label_ends[antenna] : label_ends[antenna + 1]])
            place = put_text(text, place, _READS)
            place = put_tenths(text, place, np.float64(weights[row, slot]))
            place = put_text(text, place, _RSSI)
            if np.isnan(means[row, slot]):
                place = put_text(text, place, _NULL)
            else:
                place = put_tenths(text, place, min(max(np.float64(means[row, slot]), -RSSI_DBM_MAX), RSSI_DBM_MAX))
            text[place] = _CLOSING
            place += 1
        place = put_text(text, place, _ROW_TAIL)
        ends[row] = place


@numba.njit(cache=True)
def _sort(weights: Floats32, means: Floats32, order: Int64s) -> int:
    """List the slots that hold reads, the strongest first, those without RSSI last; return how many there are."""
    count = 0
    for slot in range(len(weights)):
        if weights[slot] <= _NONE:
            continue
        place = count
        while place > 0 and (
            means[slot] > means[order[place - 1]] or (np.isnan(means[order[place - 1]]) and not np.isnan(means[slot]))
        ):
            order[place] = order[place - 1]
            place -= 1
        order[place] = slot
        count += 1
    return count
