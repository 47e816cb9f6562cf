"""States to bytes and back: a format version, plain values, and arrays."""

from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

Arrays = dict[str, npt.NDArray[Any]]


class _Column(msgspec.Struct, array_like=True):
    dtype: str
    shape: tuple[int, ...]
    data: bytes


class _Packed(msgspec.Struct, array_like=True):
    version: int
    values: dict[str, int | float | str | bool | None]
    columns: dict[str, _Column]


class StateVersionError(ValueError):
    """The bytes hold a state of another format version."""


def pack(version: int, values: dict[str, int | float | str | bool | None], arrays: Arrays) -> bytes:
    """Turn values and arrays to bytes.

    Args:
        version: Format version of the state.
        values: Plain values by name.
        arrays: Arrays by name.

    Returns:
        Bytes that `unpack` understands; equal states give equal bytes.
    """
    columns = {
        name: _Column(array.dtype.str, array.shape, np.ascontiguousarray(array).tobytes())
        for name, array in arrays.items()
    }
    return msgspec.msgpack.encode(_Packed(version, values, columns))


def unpack(version: int, blob: bytes) -> tuple[dict[str, int | float | str | bool | None], Arrays]:
    """Turn bytes back to values and (writable) arrays.

    Raises:
        StateVersionError: The bytes are of another version than `version`.
    """
    packed = msgspec.msgpack.decode(blob, type=_Packed)
    if packed.version != version:
        raise StateVersionError(f"state is of version {packed.version}, expected {version}")
    arrays: Arrays = {
        name: np.frombuffer(column.data, dtype=column.dtype).reshape(column.shape).copy()
        for name, column in packed.columns.items()
    }
    return packed.values, arrays
