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
from analytics.text_kernels import SPARE_BYTES, Bytes, Ends, piece_of, put_part, put_piece, put_tenths, string_array

Int64s = npt.NDArray[np.int64]

RSSI_DBM_MAX = 1e9
"""What a reader reports beyond this, either way, is shown as this."""
_NONE = np.float32(WEIGHT_MIN)
_NUMBER_BYTES_MAX = 16
_ROW_HEAD, _ROW_TAIL = piece_of(b'{"antennas":['), piece_of(b"]}")
_ANTENNA, _READS = b'{"antenna":', b',"reads":'
_RSSI, _NULL = piece_of(b',"rssi_dbm":'), piece_of(b"null")
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
    heads = [_ANTENNA + msgspec.json.encode(label) + _READS for label in labels]
    head_ends = np.cumsum([0, *(len(head) for head in heads)]).astype(np.int64)
    longest = max((len(head) for head in heads), default=0)
    of_antenna = longest + len(_RSSI) + 2 * _NUMBER_BYTES_MAX + 2
    heard = int(np.count_nonzero(weights > _NONE))
    room = len(weights) * (len(_ROW_HEAD) + len(_ROW_TAIL)) + heard * of_antenna + SPARE_BYTES
    text = np.empty(room, dtype=np.uint8)
    ends = np.empty(len(weights), dtype=np.int64)
    _describe(piece_of(b"".join(heads)), head_ends, antennas, weights, means, text, ends)
    return string_array(text, ends)


@numba.njit(cache=True)
def _describe(  # noqa: PLR0917 - kernels take their arrays one by one
    heads: Bytes,
    head_ends: Int64s,
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
        place = put_piece(text, place, _ROW_HEAD)
        for rank in range(heard):
            slot = order[rank]
            antenna = antennas[row, slot]
            if rank:
                text[place] = _COMMA
                place += 1
            place = put_part(text, place, heads, head_ends[antenna], head_ends[antenna + 1])
            place = put_tenths(text, place, np.float64(weights[row, slot]))
            place = put_piece(text, place, _RSSI)
            if np.isnan(means[row, slot]):
                place = put_piece(text, place, _NULL)
            else:
                place = put_tenths(text, place, min(max(np.float64(means[row, slot]), -RSSI_DBM_MAX), RSSI_DBM_MAX))
            text[place] = _CLOSING
            place += 1
        place = put_piece(text, place, _ROW_TAIL)
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
