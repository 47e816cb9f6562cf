"""Which rows have been here before: a bounded memory of row keys.

Two generations of keys are kept. New keys go into the younger; when it is old or full, the elder is forgotten and
the younger takes its place. Age is counted in receive time and only rows make it pass, so an outage of hours does
not wear the memory out: what was in flight when it began is still known when it is over. All of it depends on the
sequence of rows alone.
"""

from dataclasses import dataclass, field

import numba
import numpy as np
import numpy.typing as npt

from analytics.steps.row_keys import Keys

MEMORY_US = 600_000_000
"""A key is remembered for at least this long, 10 minutes of receive time in which rows come (at most twice that).
A broker redelivers on reconnection and readers keep ten minutes of reports by default (Zebra: 10 min)."""

KEYS_LIMIT = 1 << 20
"""Keys in a generation: 10 minutes at 1,700 rows/s of one site. A faster site remembers less time, never fewer
rows. Two generations are at most 2 x 2**20 x 8 B = 16 MB in a checkpoint and twice that in memory."""

_FIRST_SLOTS = 1 << 10
"""Slots that a table begins with: 8 kB for a quiet site. Tables double when half full."""


def _empty_table() -> Keys:
    return np.zeros(_FIRST_SLOTS, dtype=np.uint64)


@dataclass(slots=True, kw_only=True)
class RepeatMemory:
    """Keys of the rows of the last minutes."""

    memory_us: int = MEMORY_US
    """How long keys are remembered at least."""
    keys_limit: int = KEYS_LIMIT
    """How many keys a generation holds at most."""
    _young: Keys = field(default_factory=_empty_table)
    _young_count: int = 0
    _elder: Keys = field(default_factory=_empty_table)
    _began_us: int | None = None

    def admit(
        self, keys: Keys, comparable: npt.NDArray[np.bool_], received_us: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.bool_]:
        """Take rows in and say which of them are repeats.

        Args:
            keys: Keys of the rows, in row order.
            comparable: Rows that can be told from one another; others are never repeats and not remembered.
            received_us: When each row was received.

        Returns:
            True for each row whose key is remembered, from an earlier call or from an earlier row of this one.
        """
        repeated = np.zeros(keys.size, dtype=np.bool_)
        row = 0
        while True:
            if self._began_us is None and row < keys.size:
                self._began_us = int(received_us[row])
            room = min(self._young.size // 2, self.keys_limit)
            row, self._young_count = _admit(
                keys,
                comparable,
                received_us,
                repeated,
                row,
                self._young,
                self._young_count,
                room,
                self._elder,
                self._began_us or 0,
                self.memory_us,
            )
            if row == keys.size:
                return repeated
            if abs(int(received_us[row]) - (self._began_us or 0)) >= self.memory_us or room == self.keys_limit:
                self._elder, self._young = self._young, _empty_table()
                self._young_count, self._began_us = 0, int(received_us[row])
            else:
                self._young = _table_of(self._young[self._young != 0], 2 * self._young.size)

    def dump(self) -> tuple[int | None, Keys, Keys]:
        """Return when the young generation began, and the keys of both generations, sorted."""
        return self._began_us, np.sort(self._young[self._young != 0]), np.sort(self._elder[self._elder != 0])

    @classmethod
    def load(cls, began_us: int | None, young: Keys, elder: Keys) -> "RepeatMemory":
        """Return the memory that `dump` described."""
        return cls(
            _young=_table_of(young, _slots_for(young.size)),
            _young_count=young.size,
            _elder=_table_of(elder, _slots_for(elder.size)),
            _began_us=began_us,
        )


def _slots_for(count: int) -> int:
    slots = _FIRST_SLOTS
    while slots < 2 * count:
        slots *= 2
    return slots


def _table_of(keys: Keys, slots: int) -> Keys:
    table = np.zeros(slots, dtype=np.uint64)
    _insert_all(table, keys)
    return table


@numba.njit(cache=True, inline="always")
def _slot(table: Keys, key: np.uint64) -> np.uint64:
    """Return where a key stands in an open-addressing table, or the free slot where it would go."""
    mask = np.uint64(table.size - 1)
    slot = key & mask
    while table[slot] != np.uint64(0) and table[slot] != key:
        slot = (slot + np.uint64(1)) & mask
    return slot


@numba.njit(cache=True)
def _insert_all(table: Keys, keys: Keys) -> None:
    for key in keys:
        table[_slot(table, key)] = key


@numba.njit(cache=True)
def _admit(  # noqa: PLR0917  numba's kernels take their arrays by place
    keys: Keys,
    comparable: npt.NDArray[np.bool_],
    received_us: npt.NDArray[np.int64],
    repeated: npt.NDArray[np.bool_],
    first: int,
    young: Keys,
    young_count: int,
    room: int,
    elder: Keys,
    began_us: int,
    memory_us: int,
) -> tuple[int, int]:
    """Admit rows from `first` on; stop before the row at which the tables have to change. Returns it and the count."""
    for row in range(first, keys.size):
        if not comparable[row]:
            continue
        if abs(received_us[row] - began_us) >= memory_us:
            return row, young_count
        key = keys[row]
        slot = _slot(young, key)
        if young[slot] == key:
            repeated[row] = True
            continue
        if young_count >= room:
            return row, young_count
        repeated[row] = elder[_slot(elder, key)] == key
        young[slot] = key
        young_count += 1
    return keys.size, young_count
