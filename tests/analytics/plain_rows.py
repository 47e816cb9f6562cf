"""The obvious way to describe evidence and to name items, a row at a time: what the kernels are held against."""

import json
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from analytics.location.cells import WEIGHT_MIN

Heard = Sequence[tuple[int, float, float]]
"""Antenna, reads and mean RSSI (NaN for none) of each slot."""


def evidence_text(labels: Sequence[str], heard: Heard) -> str:
    """Return the JSON object of one row."""
    counted = [slot for slot in heard if np.float32(slot[1]) > np.float32(WEIGHT_MIN)]
    shown = sorted(counted, key=lambda slot: math.inf if math.isnan(slot[2]) else -slot[2])
    antennas = [
        {
            "antenna": labels[antenna],
            "reads": float(np.round(np.float64(reads), 1)),
            "rssi_dbm": None if math.isnan(mean) else float(np.round(np.float64(mean), 1)),
        }
        for antenna, reads, mean in shown
    ]
    return json.dumps({"antennas": antennas}, separators=(",", ":"), ensure_ascii=False)


def power_weighted(antenna_xy: npt.NDArray[np.float64], heard: Heard) -> tuple[float, float]:
    """Return the mean position of the antennas, weighted by reads and power, metres; NaN where none heard the item."""
    counted = [slot for slot in heard if np.float32(slot[1]) > np.float32(WEIGHT_MIN)]
    if not counted:
        return math.nan, math.nan
    strongest = max((mean for _, _, mean in counted if not math.isnan(mean)), default=0.0)
    power = [reads * 10.0 ** (0.0 if math.isnan(mean) else (mean - strongest) / 10.0) for _, reads, mean in counted]
    at = [sum(p * antenna_xy[slot[0]][axis] for p, slot in zip(power, counted, strict=True)) for axis in (0, 1)]
    return at[0] / sum(power), at[1] / sum(power)
