"""Which rows have been here before: a bounded memory of row keys.

Two generations of keys are kept. New keys go into the younger; when it is old or full, the elder is forgotten and
the younger takes its place. Age is receive time, of which pauses count for `PAUSE_US` at most, so an outage of hours
does not wear the memory out: what was in flight when it began is still known when it is over. All of it depends on
the sequence of rows alone.
"""

from dataclasses import dataclass, field

import numba
import numpy as np
import numpy.typing as npt

from analytics.steps.row_keys import Keys

MEMORY_US = 600_000_000
"""A key is remembered for at least this long, 10 minutes of traffic, and at most twice that. A broker redelivers on
reconnection, and readers keep ten minutes of reports by default (Zebra)."""

PAUSE_US = 10_000_000
"""A longer pause between rows counts as this much: so a clock of the bridge that jumps does no harm either."""

KEYS_LIMIT = 1 << 20
"""Keys in a generation: 10 minutes at 1,700 rows/s of one site. A faster site remembers less time, never fewer
rows. Two generations are at most 2 x 2**20 x 8 B = 16 MB in a checkpoint and twice that in memory."""

_FIRST_SLOTS = 1 << 10
"""Slots that a table begins with: 8 kB for a quiet site. Tables double when half full."""

_COUNT, _AGE, _NEWEST = range(3)
"""Numbers of the young generation: keys in it, its age, when the last row was received."""
_NEVER = np.iinfo(np.int64).min


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
    _elder: Keys = field(default_factory=_empty_table)
    _life: npt.NDArray[np.int64] = field(default_factory=lambda: np.array([0, 0, _NEVER], dtype=np.int64))

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
            room = min(self._young.size // 2, self.keys_limit)
            row = _admit(
                keys,
                comparable,
                received_us,
                repeated,
                row,
                self._young,
                self._elder,
                self._life,
                room,
                self.memory_us,
            )
            if row == keys.size:
                return repeated
            if self._life[_AGE] >= self.memory_us or room == self.keys_limit:
                self._elder, self._young = self._young, _empty_table()
                self._life[[_COUNT, _AGE]] = 0
            else:
                self._young = _table_of(self._young[self._young != 0], 2 * self._young.size)

    def dump(self) -> tuple[npt.NDArray[np.int64], Keys, Keys]:
        """Return the young generation's numbers, and the keys of both generations, sorted."""
        return self._life, np.sort(self._young[self._young != 0]), np.sort(self._elder[self._elder != 0])

    @classmethod
    def load(cls, life: npt.NDArray[np.int64], young: Keys, elder: Keys) -> "RepeatMemory":
        """Return the memory that `dump` described."""
        return cls(
            _young=_table_of(young, _slots_for(young.size)),
            _elder=_table_of(elder, _slots_for(elder.size)),
            _life=life,
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
    elder: Keys,
    life: npt.NDArray[np.int64],
    room: int,
    memory_us: int,
) -> int:
    """Admit rows from `first` on; stop before the row at which the tables have to change, and return it."""
    for row in range(first, keys.size):
        if not comparable[row]:
            continue
        if life[_NEWEST] != _NEVER:
            life[_AGE] += min(max(received_us[row] - life[_NEWEST], 0), PAUSE_US)
        life[_NEWEST] = received_us[row]
        if life[_AGE] >= memory_us:
            return row
        key = keys[row]
        slot = _slot(young, key)
        if young[slot] == key:
            repeated[row] = True
            continue
        known = elder[_slot(elder, key)] == key
        if life[_COUNT] < room:
            young[slot] = key
            life[_COUNT] += 1
        elif not known:
            return row
        repeated[row] = known
    return keys.size
