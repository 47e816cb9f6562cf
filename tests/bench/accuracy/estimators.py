"""What is compared: our answers, the baselines' and the ideal observer's, all as stays, at one setting or at many."""

import math
from collections.abc import Callable
from functools import partial

import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from analytics.baselines import edgex_stays, strongest_in_window
from analytics.baselines.edgex import DEFAULT, GARMENT, MobilityParameters
from analytics.stays import STAYS
from devices.site.model import Site
from simulators.observer import Observation

THRESHOLDS = (0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999, 0.9999)
"""How sure the ideal observer has to be of another zone before a move is reported."""
WINDOWS_S = (3, 5, 10, 20, 30, 60, 120)
"""Windows of "strongest"."""
HOLD_OFFS_MS = (500, 2_000, 5_000, 10_000, 20_000, 30_000, 60_000)
"""Hold-offs of EdgeX's profile, beside the slopes of its two configurations and two thresholds."""
EDGEX_THRESHOLDS_DB = (3.0, 6.0)

Estimator = Callable[[pa.Table, Site], pa.Table]


def settings() -> dict[str, dict[str, Estimator]]:
    """Return every setting of the baselines that have any, by baseline and setting."""
    edgex: dict[str, Estimator] = {
        f"slope {base.slope_db_per_ms:g}, {threshold:g} dB, {hold_off / 1000:g} s": partial(
            edgex_stays,
            parameters=MobilityParameters(
                slope_db_per_ms=base.slope_db_per_ms, threshold_db=threshold, holdoff_ms=float(hold_off)
            ),
        )
        for base in (DEFAULT, GARMENT)
        for threshold in EDGEX_THRESHOLDS_DB
        for hold_off in HOLD_OFFS_MS
    }
    strongest: dict[str, Estimator] = {
        f"{window} s": partial(strongest_in_window, window_us=window * 1_000_000) for window in WINDOWS_S
    }
    return {"EdgeX": edgex, "strongest": strongest}


def observed_stays(observation: Observation, threshold: float = 0.0) -> pa.Table:
    """Turn what the ideal observer believes to stays: the likeliest zone, or a zone held until another is sure enough.

    Whether an item is here at all is always decided by the likelier of the two.
    """
    items, ticks, _ = observation.belief.shape
    said = np.empty((items, ticks), dtype=np.int64)
    _decide(observation.belief, threshold, said)
    sure = np.take_along_axis(observation.belief, said[:, :, None], axis=2)[:, :, 0].astype(np.float64)
    rounded = np.round(sure, 2)
    change = np.ones((items, ticks), dtype=np.bool_)
    change[:, 1:] = (said[:, 1:] != said[:, :-1]) | (rounded[:, 1:] != rounded[:, :-1])
    item, tick = np.nonzero(change)
    following = np.append(np.where(item[1:] == item[:-1], tick[1:], ticks), ticks)
    names = pa.array([*observation.zones, ""], pa.string())
    from_us = observation.start_us + (tick + 1) * 1_000_000
    until_us = observation.start_us + (following + 1) * 1_000_000
    until_us[following == ticks] = math.floor(observation.start_us + (ticks + 1) * 1_000_000)
    here = said[item, tick] < len(observation.zones)
    confidence = sure[item, tick]
    return pa.table(
        {
            "epc_hex": pa.array(observation.epcs, pa.string()).take(pa.array(item[here])),
            "zone": names.take(pa.array(said[item, tick][here])),
            "from_us": from_us[here],
            "until_us": until_us[here],
            "confidence": confidence[here],
        },
        schema=STAYS,
    )


@numba.njit(cache=True)
def _decide(belief: npt.NDArray[np.float32], threshold: float, said: npt.NDArray[np.int64]) -> None:
    items, ticks, columns = belief.shape
    gone = columns - 1
    for item in range(items):
        now = -1
        for tick in range(ticks):
            row = belief[item, tick]
            best = 0
            for zone in range(1, gone):
                if row[zone] > row[best]:
                    best = zone
            if now < 0 or row[best] >= threshold:
                now = best
            said[item, tick] = gone if row[gone] > 0.5 else now
