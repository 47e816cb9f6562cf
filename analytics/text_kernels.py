"""Text written straight into bytes: what the kernels that build string columns have in common."""

from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from llvmlite import ir  # type: ignore[import-untyped]  # numba's own dependency
from numba.core import types
from numba.extending import intrinsic

Bytes = npt.NDArray[np.uint8]
Ends = npt.NDArray[np.int64]
Number = Any
"""An int, or one of numpy's: kernels make no difference."""

COLUMN_BYTES_MAX = 2**31 - 1
"""A string column counts its bytes with 32 bits: that is the evidence of millions of rows in one chunk."""
SPARE_BYTES = 15
"""Text is copied sixteen bytes at a time: so many bytes behind where it ends are read, and written over."""
_MINUS, _POINT = np.uint8(45), np.uint8(46)
_ZERO, _TEN = np.uint64(48), np.uint64(10)


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


def piece_of(text: bytes) -> Bytes:
    """Return a text as `put_piece` takes it: with spare bytes behind it."""
    return np.frombuffer(text + bytes(SPARE_BYTES), dtype=np.uint8)


def _copy_sixteen(_: Any, to: Any, at: Any, source: Any, start: Any) -> Any:  # noqa: ARG001 - as it is called
    """Say how `copy_sixteen` is compiled: one instruction that reads and one that writes."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        ends = []
        for place in (0, 2):
            array = context.make_array(signature.args[place])(context, builder, arguments[place])
            address = builder.add(builder.ptrtoint(array.data, ir.IntType(64)), arguments[place + 1])
            ends.append(builder.inttoptr(address, ir.VectorType(ir.IntType(8), 16).as_pointer()))
        builder.store(builder.load(ends[1], align=1), ends[0], align=1)
        return context.get_dummy_value()

    return types.void(to, types.int64, source, types.int64), generate


copy_sixteen: Any = intrinsic(_copy_sixteen)
"""In kernels: `copy_sixteen(to, at, source, start)` copies sixteen bytes, wherever they lie in two arrays of bytes."""


@numba.njit(cache=True)
def put_piece(text: Bytes, at: int, piece: Bytes) -> int:
    """Write a piece as `piece_of` makes it; return where the next bytes go. See `SPARE_BYTES`."""
    return put_part(text, at, piece, 0, len(piece) - SPARE_BYTES)


@numba.njit(cache=True)
def put_part(text: Bytes, at: int, source: Bytes, start: int, stop: int) -> int:
    """Write part of a text; return where the next bytes go. See `SPARE_BYTES`."""
    for place in range(0, stop - start, SPARE_BYTES + 1):
        copy_sixteen(text, at + place, source, start + place)
    return at + stop - start


@numba.njit(cache=True)
def put_digits(text: Bytes, at: int, value: Number, digits: int) -> int:
    """Write a number, 0 or more, with so many digits, its last ones; return where the next bytes go."""
    left = np.uint64(value)
    for index in range(digits - 1, -1, -1):
        text[np.uint64(at + index)] = np.uint8(_ZERO + left % _TEN)
        left //= _TEN
    return at + digits


@numba.njit(cache=True)
def digits_of(value: Number) -> int:
    """Return how many digits a number, 0 or more, has."""
    digits, limit = 1, np.int64(10)
    while value >= limit and digits < 18:  # beyond, ten times the limit is no int64
        digits, limit = digits + 1, 10 * limit
    return digits if value < limit else digits + 1


@numba.njit(cache=True)
def put_tenths(text: Bytes, at: int, value: float) -> int:
    """Write a number with one decimal, as Python and JSON write it; return where the next bytes go.

    Rounding is numpy's: to even, after multiplying by ten. The value is below 1e12 either way.
    """
    tenths = np.uint64(np.rint(abs(value) * 10.0))
    if np.signbit(value):
        text[np.uint64(at)] = _MINUS
        at += 1
    whole = tenths // _TEN
    at = put_digits(text, at, whole, digits_of(np.int64(whole)))
    text[np.uint64(at)] = _POINT
    text[np.uint64(at + 1)] = np.uint8(_ZERO + tenths % _TEN)
    return at + 2
