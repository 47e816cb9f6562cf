"""Rows that wait for the watermark, as columns, in arrival order."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Column = npt.NDArray[Any]

KINDS_MAX = 4
"""Kinds of row at most: those told by `item` are 0 (an item's), -1 and so on. Times in us leave room for them."""


class PendingRows:
    """Columns of equal length. Always there: `time_us`, and `item`, which is below 0 for other kinds of row."""

    def __init__(self, columns: Mapping[str, Column]) -> None:
        self._parts: list[Mapping[str, Column]] = [columns]
        self._empty = {name: column[:0] for name, column in columns.items()}

    def add(self, columns: Mapping[str, Column]) -> None:
        """Append rows."""
        if len(columns["time_us"]):
            self._parts.append(columns)

    def take(self, through_us: int) -> dict[str, Column]:
        """Remove and return the rows due at or before a time, ordered by time, then kind, then arrival."""
        columns = self.columns()
        due = columns["time_us"] <= through_us
        if not due.any():
            return dict(self._empty)
        whole = bool(due.all())
        self._parts = [self._empty if whole else {name: column[~due] for name, column in columns.items()}]
        taken = columns if whole else {name: column[due] for name, column in columns.items()}
        rank = taken["time_us"] * KINDS_MAX - np.minimum(taken["item"], 0)
        if (rank[1:] >= rank[:-1]).all():  # as one reader's reads come
            return dict(taken)
        order = np.argsort(rank, kind="stable")
        return {name: column[order] for name, column in taken.items()}

    def columns(self) -> dict[str, Column]:
        """Return all rows, in arrival order."""
        if len(self._parts) > 1:
            self._parts = [{name: np.concatenate([part[name] for part in self._parts]) for name in self._empty}]
        return dict(self._parts[0])

    def __len__(self) -> int:
        """Count the rows."""
        return sum(len(part["time_us"]) for part in self._parts)
