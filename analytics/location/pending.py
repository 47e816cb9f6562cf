"""Rows that wait for the watermark, as columns, in arrival order."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Column = npt.NDArray[Any]


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
        self._parts = [self._empty if due.all() else {name: column[~due] for name, column in columns.items()}]
        kind = np.minimum(columns["item"][due], 0)
        order = np.lexsort((-kind, columns["time_us"][due]))
        return {name: column[due][order] for name, column in columns.items()}

    def columns(self) -> dict[str, Column]:
        """Return all rows, in arrival order."""
        if len(self._parts) > 1:
            self._parts = [{name: np.concatenate([part[name] for part in self._parts]) for name in self._empty}]
        return dict(self._parts[0])

    def __len__(self) -> int:
        """Count the rows."""
        return sum(len(part["time_us"]) for part in self._parts)
