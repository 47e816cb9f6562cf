"""Text written straight into bytes: what the kernels that build string columns have in common."""

from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa

Bytes = npt.NDArray[np.uint8]
Ends = npt.NDArray[np.int64]
Number = Any
"""An int, or one of numpy's: kernels make no difference."""

COLUMN_BYTES_MAX = 2**31 - 1
"""A string column counts its bytes with 32 bits: that is the evidence of millions of rows in one chunk."""
_MINUS, _POINT, _ZERO = 45, 46, 48


def string_array(text: Bytes, ends: Ends, known: npt.NDArray[np.bool_] | None = None) -> pa.StringArray:
    """Return texts that lie one behind the other as a column, without copying them.

    Args:
        text: All of them.
        ends: Where each ends, and the next begins.
        known: Which are not null; all, where not given.

    Raises:
        pa.ArrowCapacityError: They are longer than a column may be, as Arrow itself says it.
    """
    if len(ends) and ends[-1] > COLUMN_BYTES_MAX:
        raise pa.ArrowCapacityError(f"a column of {ends[-1]} bytes of text: cut chunks smaller")
    offsets = np.zeros(len(ends) + 1, dtype=np.int32)
    offsets[1:] = ends
    valid = None if known is None else pa.array(known).buffers()[1]
    return pa.Array.from_buffers(pa.string(), len(ends), [valid, pa.py_buffer(offsets), pa.py_buffer(text)])


def text_of(epcs: pa.StringArray) -> tuple[Bytes, npt.NDArray[np.int32]]:
    """Return the bytes of a column without nulls, and where each text begins and the last ends, without copying."""
    rows = len(epcs)
    if rows == 0:
        return np.zeros(1, dtype=np.uint8), np.zeros(1, dtype=np.int32)
    _, offsets_buffer, text_buffer = epcs.buffers()
    offsets = np.frombuffer(offsets_buffer, dtype=np.int32)[epcs.offset : epcs.offset + rows + 1]
    text = np.frombuffer(text_buffer, dtype=np.uint8) if text_buffer is not None else np.zeros(1, dtype=np.uint8)
    return text, offsets


@numba.njit(cache=True)
def put_text(text: Bytes, at: int, piece: Bytes) -> int:
    """Write bytes; return where the next go."""
    for index in range(len(piece)):
        text[at + index] = piece[index]
    return at + len(piece)


@numba.njit(cache=True)
def put_digits(text: Bytes, at: int, value: Number, digits: int) -> int:
    """Write a number, 0 or more, with so many digits, its last ones; return where the next bytes go."""
    for index in range(digits - 1, -1, -1):
        text[at + index] = _ZERO + value % 10
        value //= 10
    return at + digits


@numba.njit(cache=True)
def digits_of(value: Number) -> int:
    """Return how many digits a number, 0 or more, has."""
    digits = 1
    while value >= 10:
        value //= 10
        digits += 1
    return digits


@numba.njit(cache=True)
def put_tenths(text: Bytes, at: int, value: float) -> int:
    """Write a number with one decimal, as Python and JSON write it; return where the next bytes go.

    Rounding is numpy's: to even, after multiplying by ten. The value is below 1e12 either way.
    """
    tenths = np.int64(np.rint(abs(value) * 10.0))
    if np.signbit(value):
        text[at] = _MINUS
        at += 1
    at = put_digits(text, at, tenths // 10, digits_of(tenths // 10))
    text[at] = _POINT
    text[at + 1] = _ZERO + tenths % 10
    return at + 2
