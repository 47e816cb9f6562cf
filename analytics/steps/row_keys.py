"""One 64-bit number per row that says what the device sent: equal rows have equal keys.

Owned here: reading Arrow's buffers and mixing them, columnar. What a key is used for is `repeats.py`'s affair.

A key mixes every column that it is asked for, each with a salt of its own, so that the same value in another column
gives another key. A null mixes nothing in. Two different rows share a key by accident once in 2**64 pairs: with two
million keys remembered, one read in 10**13 would be taken for a repeat, less often than memory flips a bit.
"""

import hashlib
from collections.abc import Sequence

import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa

Keys = npt.NDArray[np.uint64]

_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # odd, 2**64 / golden ratio: spreads low bits upwards
_AVALANCHE_1 = np.uint64(0xFF51AFD7ED558CCD)  # MurmurHash3's 64-bit finaliser
_AVALANCHE_2 = np.uint64(0xC4CEB9FE1A85EC53)


def row_keys(batch: pa.RecordBatch, columns: Sequence[str], *, stream: str) -> Keys:
    """Return a key per row over some of its columns.

    Args:
        batch: Rows of a canonical stream.
        columns: Names of the columns that take part.
        stream: Name of the stream; rows of different streams never share a key but by accident.

    Returns:
        Keys, never 0.
    """
    keys = np.full(batch.num_rows, _salt(stream), dtype=np.uint64)
    for name in columns:
        column = batch.column(name)
        if column.null_count == len(column):
            continue
        salt = np.uint64(_salt(name))
        valid = _validity(column)
        if pa.types.is_string(column.type):
            offsets, data = _string_buffers(column)
            _mix_strings(keys, offsets, data, valid, salt)
        else:
            _mix_words(keys, _words(column), valid, salt)
    _finish(keys)
    return keys


def _salt(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little")


def _validity(column: pa.Array) -> npt.NDArray[np.uint8]:
    """Return 1 per value and 0 per null; empty where nothing is null."""
    if not column.null_count:
        return np.empty(0, dtype=np.uint8)
    bits = np.frombuffer(column.buffers()[0], dtype=np.uint8)
    return np.unpackbits(bits, bitorder="little")[column.offset : column.offset + len(column)]


def _words(column: pa.Array) -> npt.NDArray[np.uint64]:
    """Return a fixed-width column's values as 64-bit words; what stands under a null is arbitrary."""
    width: int = column.type.bit_width
    kind = np.dtype(f"i{width // 8}")
    values = np.frombuffer(column.buffers()[1], dtype=kind)[column.offset : column.offset + len(column)]
    return values.astype(np.int64, copy=False).view(np.uint64)


def _string_buffers(column: pa.Array) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint8]]:
    _, offsets, data = column.buffers()
    ends = np.frombuffer(offsets, dtype=np.int32)[column.offset : column.offset + len(column) + 1]
    return ends, np.frombuffer(data, dtype=np.uint8) if data is not None else np.empty(0, dtype=np.uint8)


@numba.njit(cache=True, inline="always")
def _mix(key: np.uint64, word: np.uint64) -> np.uint64:
    key = (key ^ word) * _MULTIPLIER
    return key ^ (key >> np.uint64(32))


@numba.njit(cache=True)
def _mix_words(keys: Keys, words: npt.NDArray[np.uint64], valid: npt.NDArray[np.uint8], salt: np.uint64) -> None:
    for row in range(keys.size):
        if valid.size == 0 or valid[row]:
            keys[row] = _mix(_mix(keys[row], salt), words[row])


@numba.njit(cache=True)
def _mix_strings(
    keys: Keys,
    offsets: npt.NDArray[np.int32],
    data: npt.NDArray[np.uint8],
    valid: npt.NDArray[np.uint8],
    salt: np.uint64,
) -> None:
    """Mix strings in by words of eight bytes, and their length, so that no padding can make two alike."""
    for row in range(keys.size):
        if valid.size and not valid[row]:
            continue
        at, end = np.uint64(offsets[row]), np.uint64(offsets[row + 1])
        key = _mix(_mix(keys[row], salt), end - at)
        while at + np.uint64(8) <= end:
            word = np.uint64(0)
            for byte in range(8):
                word |= np.uint64(data[at + np.uint64(byte)]) << np.uint64(8 * byte)
            key = _mix(key, word)
            at += np.uint64(8)
        word = np.uint64(0)
        while at < end:
            word = (word << np.uint64(8)) | np.uint64(data[at])
            at += np.uint64(1)
        keys[row] = _mix(key, word)


@numba.njit(cache=True)
def _finish(keys: Keys) -> None:
    for row in range(keys.size):
        key = keys[row]
        key = (key ^ (key >> np.uint64(33))) * _AVALANCHE_1
        key = (key ^ (key >> np.uint64(33))) * _AVALANCHE_2
        key ^= key >> np.uint64(33)
        keys[row] = key or np.uint64(1)
