"""The items of a site: each distinct EPC gets a small number, in order of first arrival, by which arrays are indexed.

An open-addressing hash table over the EPCs' bytes: about 50 bytes an item, and no Python object per read or item.
Hashing is our own (FNV-1a, eight bytes at a time), so numbers and probe order are the same in every process.
"""

from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from analytics.location.kernel import kernel, prefetch
from analytics.text_kernels import string_array, text_of

Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]

_FNV_OFFSET = np.uint64(0xCBF29CE484222325)
_FNV_PRIME = np.uint64(0x100000001B3)
_1, _2, _3, _4, _5, _6, _7 = (np.uint64(place) for place in range(1, 8))
_8, _16, _24, _29, _32, _40, _48, _56 = (np.uint64(bits) for bits in (8, 16, 24, 29, 32, 40, 48, 56))
_EMPTY = np.int32(-1)
_SLOTS_MIN = 1024
ROWS_AHEAD = 4
"""So many rows before it is looked at, memory is fetched into the cache."""
_LOAD_MAX = 0.6
"""Share of slots in use above which the table doubles: linear probing stays near one probe below it."""


class ItemTable:
    """Numbers for EPCs. An item that left keeps its number, should it come back soon (see `forgetting`)."""

    def __init__(self) -> None:
        self._slots: Int32s = np.full(_SLOTS_MIN, _EMPTY, dtype=np.int32)
        self._text: Bytes = np.zeros(32 * _SLOTS_MIN, dtype=np.uint8)
        self._ends: Int64s = np.zeros(_SLOTS_MIN, dtype=np.int64)
        self._count = 0

    def __len__(self) -> int:
        """Count the items."""
        return self._count

    def numbers_of(self, epcs: pa.StringArray) -> Int32s:
        """Return the number of each EPC, giving new ones to those not yet known.

        Args:
            epcs: Upper-case hexadecimal, without nulls.

        Returns:
            One number per row.
        """
        rows = len(epcs)
        if rows == 0:
            return np.empty(0, dtype=np.int32)
        text, offsets = text_of(epcs)
        numbers = np.empty(rows, dtype=np.int32)
        hashes = np.empty(rows, dtype=np.uint64)
        _hash_rows(text, offsets, hashes)
        done = 0
        while done < rows:
            self._make_room(int(offsets[done + 1] - offsets[done]))
            done, self._count = _number_rows(
                text, offsets, hashes, numbers, done, self._slots, self._text, self._ends, self._count, _LOAD_MAX
            )
        return numbers

    def epcs_of(self, numbers: Int32s) -> pa.StringArray:
        """Return the EPC of each number."""
        ends = np.empty(len(numbers), dtype=np.int64)
        size = _measure(numbers, self._ends, ends)
        text = np.empty(size, dtype=np.uint8)
        _gather(numbers, self._text, self._ends, text, ends)
        return string_array(text, ends)

    def text_from(self, number: int) -> tuple[Bytes, Int64s]:
        """Return the EPCs from a number on: their text, and where each begins and the last one ends."""
        bounds = np.zeros(self._count + 1 - number, dtype=np.int64)
        bounds[1:] = self._ends[number : self._count]
        bounds[0] = self._ends[number - 1] if number else 0
        return self._text, bounds

    def epc_hex(self, number: int) -> str:
        """Return the EPC of a number."""
        start = int(self._ends[number - 1]) if number else 0
        return bytes(self._text[start : int(self._ends[number])]).decode("ascii")

    def keep(self, numbers: Int32s) -> None:
        """Forget all items but some, which are numbered anew, in the given order."""
        fresh = ItemTable()
        fresh.numbers_of(self.epcs_of(numbers))
        self._slots, self._text, self._ends, self._count = fresh._slots, fresh._text, fresh._ends, fresh._count

    @property
    def bytes_used(self) -> int:
        """Memory in use, bytes."""
        return self._slots.nbytes + self._text.nbytes + self._ends.nbytes

    def columns(self) -> dict[str, npt.NDArray[Any]]:
        """Return what `restore` needs."""
        end = int(self._ends[self._count - 1]) if self._count else 0
        return {"item_text": self._text[:end], "item_ends": self._ends[: self._count]}

    @classmethod
    def restore(cls, text: Bytes, ends: Int64s) -> "ItemTable":
        """Rebuild the table from `columns`."""
        table = cls()
        offsets = np.zeros(len(ends) + 1, dtype=np.int32)
        offsets[1:] = ends
        buffers = [None, pa.py_buffer(offsets.tobytes()), pa.py_buffer(text.tobytes())]
        table.numbers_of(cast("pa.StringArray", pa.Array.from_buffers(pa.string(), len(ends), buffers)))
        return table

    def _make_room(self, text_bytes: int) -> None:
        """See to it that at least one more item fits, whose EPC has so many characters."""
        if self._count + 1 > _LOAD_MAX * len(self._slots):
            self._slots = np.full(2 * len(self._slots), _EMPTY, dtype=np.int32)
            _reindex(self._slots, self._text, self._ends, self._count)
        if self._count + 1 > len(self._ends):
            self._ends = np.concatenate([self._ends, np.zeros(len(self._ends) // 4, dtype=np.int64)])
        used = int(self._ends[self._count - 1]) if self._count else 0
        if used + text_bytes > len(self._text):
            more = max(len(self._text) // 4, text_bytes)
            self._text = np.concatenate([self._text, np.zeros(more, dtype=np.uint8)])


@kernel
def _word(text: Bytes, start: int) -> np.uint64:
    """Return eight bytes as a number. Written out, and with indexes that cannot be negative, to become one load."""
    at = np.uint64(start)
    return np.uint64(
        np.uint64(text[at])
        | np.uint64(text[at + _1]) << _8
        | np.uint64(text[at + _2]) << _16
        | np.uint64(text[at + _3]) << _24
        | np.uint64(text[at + _4]) << _32
        | np.uint64(text[at + _5]) << _40
        | np.uint64(text[at + _6]) << _48
        | np.uint64(text[at + _7]) << _56
    )


@kernel
def _hash(text: Bytes, start: int, stop: int) -> np.uint64:
    value = _FNV_OFFSET
    words = start + (stop - start) // 8 * 8
    for position in range(start, words, 8):
        value = (value ^ _word(text, position)) * _FNV_PRIME
        value ^= value >> _32
    for position in range(words, stop):
        value = (value ^ np.uint64(text[position])) * _FNV_PRIME
    return np.uint64(value ^ (value >> _29))


@kernel
def _same(  # noqa: PLR0917
    one: Bytes, start: int, stop: int, other: Bytes, other_start: int, other_stop: int
) -> bool:
    if stop - start != other_stop - other_start:
        return False
    words = start + (stop - start) // 8 * 8
    shift = other_start - start
    for position in range(start, words, 8):
        if _word(one, position) != _word(other, position + shift):
            return False
    for position in range(words, stop):  # noqa: SIM110 - numba has no generator expressions
        if one[position] != other[position + shift]:
            return False
    return True


@kernel
def _measure(numbers: Int32s, known_ends: Int64s, ends: Int64s) -> int:
    """Find where the EPC of each number ends once they lie one behind the other; return the last of these."""
    at = 0
    for row in range(len(numbers)):
        number = numbers[row]
        at += known_ends[number] - (known_ends[number - 1] if number else 0)
        ends[row] = at
    return at


@kernel
def _gather(numbers: Int32s, known: Bytes, known_ends: Int64s, text: Bytes, ends: Int64s) -> None:
    """Copy the EPC of each number to its end."""
    start = 0
    for row in range(len(numbers)):
        source = known_ends[numbers[row] - 1] if numbers[row] else 0
        for place in range(start, ends[row]):
            text[place] = known[source]
            source += 1
        start = ends[row]


@kernel
def _reindex(slots: Int32s, known: Bytes, ends: Int64s, count: int) -> None:
    mask = np.uint64(len(slots) - 1)
    start = 0
    for number in range(count):
        slot = _hash(known, start, ends[number]) & mask
        while slots[slot] >= 0:
            slot = (slot + np.uint64(1)) & mask
        slots[slot] = number
        start = ends[number]


@kernel
def _hash_rows(text: Bytes, offsets: Int32s, hashes: npt.NDArray[np.uint64]) -> None:
    for row in range(len(hashes)):
        hashes[row] = _hash(text, offsets[row], offsets[row + 1])


@kernel
def _ask_ahead(row: int, hashes: npt.NDArray[np.uint64], slots: Int32s, known: Bytes, ends: Int64s) -> None:
    """Ask for what rows further on will need: first their slot, then what it points to, then what that points to."""
    mask = np.uint64(len(slots) - 1)
    last = len(hashes) - 1
    prefetch(slots, np.int64(hashes[min(row + 3 * ROWS_AHEAD, last)] & mask))
    prefetch(ends, max(slots[hashes[min(row + 2 * ROWS_AHEAD, last)] & mask], 0))
    candidate = slots[hashes[min(row + ROWS_AHEAD, last)] & mask]
    if candidate > 0:
        prefetch(known, ends[candidate - 1])


@kernel
def _number_rows(  # noqa: PLR0917 - kernels take their arrays one by one
    text: Bytes,
    offsets: Int32s,
    hashes: npt.NDArray[np.uint64],
    numbers: Int32s,
    done: int,
    slots: Int32s,
    known: Bytes,
    ends: Int64s,
    count: int,
    load_max: float,
) -> tuple[int, int]:
    """Number rows from `done` on; return early, with the row to go on at, where a table is full."""
    mask = np.uint64(len(slots) - 1)
    for row in range(done, len(numbers)):
        start, stop = offsets[row], offsets[row + 1]
        _ask_ahead(row, hashes, slots, known, ends)
        slot = hashes[row] & mask
        found = -1
        while slots[slot] >= 0:
            candidate = slots[slot]
            known_start = ends[candidate - 1] if candidate else 0
            if _same(text, start, stop, known, known_start, ends[candidate]):
                found = candidate
                break
            slot = (slot + np.uint64(1)) & mask
        if found < 0:
            used = ends[count - 1] if count else 0
            if count + 1 > load_max * len(slots) or count + 1 > len(ends) or used + stop - start > len(known):
                return row, count
            for place in range(stop - start):
                known[used + place] = text[start + place]
            ends[count] = used + stop - start
            slots[slot] = count
            found = count
            count += 1
        numbers[row] = found
    return len(numbers), count
