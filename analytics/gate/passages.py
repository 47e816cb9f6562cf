"""Passages: what one tag's reads at a gate were between two long silences."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

GAP_S = 10.0
"""A longer silence ends a passage. In 45 recorded sessions a box that went through and back was out of both antennas'
sight for 5 s at most."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Passage:
    """Reads of one tag at one gate, in order of time."""

    epc: str
    """Whose."""
    time_us: npt.NDArray[np.int64]
    """When, microseconds since the epoch; rising."""
    side: npt.NDArray[np.int8]
    """0 for antennas on the outer side of the gate, 1 for those on the inner side."""
    level_db: npt.NDArray[np.float64]
    """Signal strength in decibels above any fixed level, the same for all passages of a gate."""

    def __post_init__(self) -> None:
        """Check the shapes."""
        assert len(self.time_us) == len(self.side) == len(self.level_db) > 0, "a passage has reads, of three columns"

    @property
    def seconds(self) -> float:
        """From the first read to the last."""
        return float(self.time_us[-1] - self.time_us[0]) / 1e6

    @property
    def reads(self) -> int:
        """Number of reads."""
        return len(self.time_us)


def split_passages(
    epc: npt.NDArray[np.str_],
    time_us: npt.NDArray[np.int64],
    side: npt.NDArray[np.int8],
    level_db: npt.NDArray[np.float64],
    *,
    gap_s: float = GAP_S,
) -> list[Passage]:
    """Cut the reads of one gate into passages.

    Args:
        epc: Tag of each read, in any order.
        time_us: Its time, microseconds since the epoch.
        side: Its antenna's side of the gate, 0 or 1.
        level_db: Its signal strength, decibels.
        gap_s: A longer silence of a tag ends its passage, seconds.

    Returns:
        Passages by tag and time.
    """
    order = np.lexsort((time_us, epc))
    epc, time_us, side, level_db = epc[order], time_us[order], side[order], level_db[order]
    return [
        Passage(epc=str(epc[part][0]), time_us=time_us[part], side=side[part], level_db=level_db[part])
        for part in _parts(epc, time_us, gap_s)
    ]


def level_of_linear(rssi_linear: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return decibels of a reader whose RSSI is linear; what is not positive counts as 1, the least it can say."""
    return 10.0 * np.log10(np.maximum(rssi_linear, 1.0))


def _parts(epc: npt.NDArray[np.str_], time_us: npt.NDArray[np.int64], gap_s: float) -> Iterator[slice]:
    begins = np.flatnonzero((epc[1:] != epc[:-1]) | (np.diff(time_us) > gap_s * 1e6)) + 1
    edges = [0, *begins.tolist(), len(epc)]
    return (slice(low, high) for low, high in pairwise(edges) if high > low)
