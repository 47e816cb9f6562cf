"""A passage as numbers: how long, how strong on which side, and in which order.

Signal power is taken above the gate's floor, the level of its weakest reads, so that neither a reader's unit nor its
gain is learnt by accident. Times are seconds, or shares of the passage's length where the pace of walking must not
matter.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from analytics.gate.passages import Passage

Vector = npt.NDArray[np.float64]

_BINS: Final = 8  # slices of a passage: about a second each, as long as an antenna's beam is crossed
_SHORTEST_S = 0.1
_QUIET_SHARE = 0.05  # added before a logarithm: a slice with no power at all is five hundredths of the mean
_ENDS = 3
_EDGE_READS = 5


def features(passage: Passage, floor_db: float) -> Vector:
    """Sum up a passage.

    Args:
        passage: Whose reads.
        floor_db: Level of the gate's weakest reads, on the passage's scale.

    Returns:
        A vector of `FEATURE_COUNT` numbers.
    """
    at_s = (passage.time_us - passage.time_us[0]) / 1e6
    length_s = max(float(at_s[-1]), _SHORTEST_S)
    above_db = passage.level_db - floor_db
    parts = [_whole(passage, at_s, length_s, above_db)]
    for side in (0, 1):
        mine = passage.side == side
        parts += [_one_side(at_s[mine], above_db[mine], length_s, len(at_s)), _profile(at_s, above_db, mine, length_s)]
    return np.concatenate(parts)


def _whole(passage: Passage, at_s: Vector, length_s: float, above_db: Vector) -> Vector:
    changes = np.diff(passage.side) != 0
    steps = np.abs(np.diff(above_db)[~changes])
    strongest = float(above_db.max())
    crossings = float(changes.sum())
    return np.array(
        [
            length_s,
            np.log(len(at_s)),
            length_s / len(at_s),
            float(np.diff(at_s).max()) if len(at_s) > 1 else 0.0,
            float(steps.mean()) if len(steps) else 0.0,
            float(above_db.std()),
            strongest - float(np.median(above_db)),
            strongest - float(above_db[-_ENDS:].mean()),
            strongest - float(above_db[:_ENDS].mean()),
            crossings,
            crossings / length_s,
            float(above_db[:_EDGE_READS].mean()),
            float(above_db[-_EDGE_READS:].mean()),
        ]
    )


def _one_side(at_s: Vector, above_db: Vector, length_s: float, reads: int) -> Vector:
    if len(at_s) == 0:  # as neutral as can be: in the middle, at the floor, of no duration
        return np.array([0.0, 0.0, 0.0, 0.0, 0.0, 0.5, length_s / 2, 0.5, length_s, length_s, 0.0, 0.5])
    power = 10.0 ** (above_db / 10.0)
    total = float(power.sum())
    centre_s = float((power * at_s).sum()) / total
    spread_s = float(np.sqrt((power * (at_s - centre_s) ** 2).sum() / total))
    return np.array(
        [
            len(at_s) / reads,
            np.log1p(len(at_s)),
            float(above_db.max()),
            float(above_db.mean()),
            float(above_db.std()),
            centre_s / length_s,
            centre_s,
            float(at_s.mean()) / length_s,
            float(at_s[0]),
            length_s - float(at_s[-1]),
            spread_s,
            float(at_s[int(above_db.argmax())]) / length_s,
        ]
    )


def _profile(at_s: Vector, above_db: Vector, mine: npt.NDArray[np.bool_], length_s: float) -> Vector:
    power = np.where(mine, 10.0 ** (above_db / 10.0), 0.0)
    slices = np.minimum((at_s / length_s * _BINS).astype(int), _BINS - 1)
    scale = _BINS / len(at_s)
    power_share = np.bincount(slices, weights=power, minlength=_BINS) * scale
    read_share = np.bincount(slices, weights=mine.astype(float), minlength=_BINS) * scale
    return np.concatenate([np.log(power_share + _QUIET_SHARE), read_share])


FEATURE_COUNT: Final = 13 + 2 * (12 + 2 * _BINS)
"""Length of a feature vector."""
