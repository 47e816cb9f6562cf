"""Rows that wait for the watermark, as columns, in arrival order."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Column = npt.NDArray[Any]
Places = npt.NDArray[np.int64]

KINDS_MAX = 4
"""Kinds of row at most: those told by `item` are 0 (an item's), -1 and so on. Times in us leave room for them."""


class PendingRows:
    """Columns of equal length. Always there: `time_us`, and `item`, which is below 0 for other kinds of row."""

    def __init__(self, columns: Mapping[str, Column]) -> None:
        self._parts: list[Mapping[str, Column]] = [columns]
        self._empty = {name: column[:0] for name, column in columns.items()}
        self.arrival: tuple[Places, Places] = (np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))
        """Places in order of arrival of the rows last taken, and of those left then."""

    def add(self, columns: Mapping[str, Column]) -> None:
        """Append rows."""
        if len(columns["time_us"]):
            self._parts.append(columns)

    def take(self, through_us: int) -> dict[str, Column]:
        """Remove and return the rows due at or before a time, ordered by time, then kind, then arrival."""
        columns = self.columns()
        due = columns["time_us"] <= through_us
        taken_at = np.flatnonzero(due)
        self.arrival = taken_at, np.flatnonzero(~due)
        if not len(taken_at):
            return dict(self._empty)
        whole = len(taken_at) == len(due)
        self._parts = [self._empty if whole else {name: column[~due] for name, column in columns.items()}]
        taken = columns if whole else {name: column[due] for name, column in columns.items()}
        rank = taken["time_us"] * KINDS_MAX - np.minimum(taken["item"], 0)
        if (rank[1:] >= rank[:-1]).all():  # as one reader's reads come
            return dict(taken)
        order = np.argsort(rank, kind="stable")
        self.arrival = taken_at[order], self.arrival[1]
        return {name: column[order] for name, column in taken.items()}

    def renumber(self, numbers: npt.NDArray[np.int32]) -> None:
        """Give each row's item its new number; other kinds of row stay as they are."""
        columns = self.columns()
        self._parts = [{**columns, "item": renumbered(columns["item"], numbers)}]

    def columns(self) -> dict[str, Column]:
        """Return all rows, in arrival order."""
        if len(self._parts) > 1:
            parts = [part for part in self._parts if len(part["time_us"])] or [self._empty]
            whole = {name: np.concatenate([part[name] for part in parts]) for name in self._empty}
            self._parts = [whole if len(parts) > 1 else parts[0]]
        return dict(self._parts[0])

    def __len__(self) -> int:
        """Count the rows."""
        return sum(len(part["time_us"]) for part in self._parts)


def renumbered(items: Column, numbers: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """Return new numbers of rows' items, of which some are below 0 and stay so."""
    return np.where(items >= 0, numbers[np.maximum(items, 0)], items).astype(np.int32)
