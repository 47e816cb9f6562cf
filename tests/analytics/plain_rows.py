"""The obvious way to describe evidence and to name items, a row at a time: what the kernels are held against."""

import json
import math
from collections.abc import Sequence

import numpy as np

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
