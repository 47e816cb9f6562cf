"""Probabilities of reads, from the simulator's laws and parameters alone.

The *margin* of a link is the mean power above the mean tag's sensitivity, in dB. Given where an item lies, its margin
towards an antenna is taken to be normal around what the law of propagation says: shadowing, installation, what the tag
touches and how it is turned add up. Given the margin, reads and their RSSI follow from the laws of fading and waking.
Margins lie on a grid, and so does what is special about a link's RSSI, its *reflection* (with the port's offset).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simulators.fading import fading_db
from simulators.propagation import PropagationLaw
from simulators.radio_law import RadioLaw
from simulators.streams import random_stream

MARGIN_STEP_DB = 1.5
"""Step of the margins' grid; twice that is a whole number of RSSI bins."""
MARGINS_DB = np.arange(-12.0, 27.1, MARGIN_STEP_DB)
"""Margins: from one that is never read to one that always is."""
REFLECTION_STEP_DB = 2.0
"""Step of the reflections' grid."""
MEAN_STEP_DB = 1.0
"""Step of expected margins."""
MEANS_DB = np.arange(-40.0, 27.1, MEAN_STEP_DB)
"""Expected margins."""
BIN_DB = 0.5
"""Width of RSSI bins."""
FADED_DB = np.arange(-70.0, 40.0, BIN_DB)
"""RSSI above what the margin and the reflection make it: fading, twice, and noise."""
RSSI_DBM = np.arange(-100.0, -9.0, BIN_DB)
"""RSSI."""

_DRAWS = 400_000
_NEVER = 1e-12

Float64s = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """What is not known about a link before its first read, as a normal law."""

    margin_shift_db: float
    """Mean of what is added to the expected margin."""
    margin_db: float
    """Standard deviation of the margin."""
    reflection_db: float
    """Standard deviation of the reflection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadLaw:
    """How a tag in one state, at rest or carried, answers."""

    margin_share: Float64s
    """Means by margins: probability of each margin, given the expected one."""
    reflection_share: Float64s
    """Probability of each reflection."""
    log_read: Float64s
    """Margins by faded RSSI: log probability that an attempt is read with such an RSSI."""
    read: Float64s
    """Margins: probability that an attempt is read."""
    mean_log_read: Float64s
    """Means by RSSI: the log probability for one who knows nothing of the link but its expected margin."""
    mean_read: Float64s
    """Means: probability that an attempt is read, likewise."""


def reflections_db(spread_db: float) -> Float64s:
    """Return the grid of reflections: three standard deviations either side."""
    half = max(1, round(3.0 * spread_db / REFLECTION_STEP_DB))
    return np.asarray(REFLECTION_STEP_DB * np.arange(-half, half + 1, dtype=np.float64))


def spread_of(radio: RadioLaw, propagation: PropagationLaw, *, carried: bool, told: bool) -> Spread:
    """Add up what is not known about a link.

    Args:
        radio: The law of tags and readers.
        propagation: The law of propagation.
        carried: Whether the tag is in somebody's hands.
        told: Whether shadowing, installation and offsets of the site are known.
    """
    rng = random_stream(1, "observer orientation")
    axis = rng.standard_normal((_DRAWS, 3))
    sine_squared = 1.0 - axis[:, 0] ** 2 / (axis**2).sum(axis=1)
    turned_db = 10.0 * np.log10(np.maximum(sine_squared, 10.0 ** (-radio.orientation_floor_db / 10.0)))
    body_db = np.maximum(0.0, radio.body_loss_db * (1.0 + rng.standard_normal(_DRAWS))) if carried else np.zeros(1)
    site_db = 0.0 if told else propagation.shadow_db**2 + propagation.installation_db**2
    offset_db = 0.0 if told else radio.rssi_offset_db
    return Spread(
        margin_shift_db=float(turned_db.mean() - body_db.mean()),
        margin_db=float(np.sqrt(radio.link_spread_db**2 + turned_db.var() + body_db.var() + site_db)),
        reflection_db=float(np.hypot(radio.backscatter_spread_db, offset_db)),
    )


def read_law(radio: RadioLaw, spread: Spread, *, carried: bool) -> ReadLaw:
    """Tabulate how a tag answers."""
    rng = random_stream(1, f"observer fading {carried}")
    faded = fading_db(rng, radio.fading, radio.fading_parameters[carried], _DRAWS)
    wakes = rng.logistic(0.0, radio.wake_width_db, _DRAWS) + radio.sensitivity_spread_db * rng.standard_normal(_DRAWS)
    shown = 2.0 * faded + radio.rssi_noise_db * rng.standard_normal(_DRAWS) + rng.uniform(-0.25, 0.25, _DRAWS)
    column = np.clip(np.round((shown - FADED_DB[0]) / BIN_DB).astype(np.int64), 0, len(FADED_DB) - 1)
    joint = np.array(
        [np.bincount(column[margin + faded + wakes > 0.0], minlength=len(FADED_DB)) / _DRAWS for margin in MARGINS_DB]
    )
    margin_share = _normal_shares(MARGINS_DB, MEANS_DB + spread.margin_shift_db, spread.margin_db)
    reflections = reflections_db(spread.reflection_db)
    reflection_share = _normal_shares(reflections, np.zeros(1), spread.reflection_db)[0]
    read = joint.sum(axis=1)
    seen = np.zeros((len(MARGINS_DB), len(RSSI_DBM)))
    base = 2.0 * radio.sensitivity_dbm - radio.tx_power_dbm - radio.modulation_loss_db
    for row, margin in enumerate(MARGINS_DB):
        for share, reflection in zip(reflection_share, reflections, strict=True):
            places = np.round((RSSI_DBM - base - 2.0 * margin - reflection - FADED_DB[0]) / BIN_DB).astype(np.int64)
            inside = (places >= 0) & (places < len(FADED_DB))
            seen[row, inside] += share * joint[row, places[inside]]
    return ReadLaw(
        margin_share=margin_share,
        reflection_share=reflection_share,
        log_read=np.log(_smoothed(joint) + _NEVER),
        read=np.minimum(read, 1.0 - 1e-6),
        mean_log_read=np.log(margin_share @ seen + _NEVER),
        mean_read=margin_share @ read,
    )


def _smoothed(joint: Float64s) -> Float64s:
    """Take the grain of the draws off, half a dB either side, and give rare RSSI a tail."""
    padded = np.pad(joint, ((0, 0), (2, 2)), mode="edge")
    smooth = sum(padded[:, k : k + joint.shape[1]] for k in range(5)) / 5.0
    return np.asarray(smooth + 1e-7 * joint.sum(axis=1, keepdims=True))


def _normal_shares(grid: Float64s, means: Float64s, deviation: float) -> Float64s:
    """Return the probability of each grid value around each mean; what lies beyond the grid counts to its ends."""
    step = grid[1] - grid[0]
    edges = np.concatenate([[-np.inf], grid[:-1] + step / 2, [np.inf]])
    below = _normal_cdf((edges[None, :] - means[:, None]) / max(deviation, 1e-3))
    return np.asarray(np.diff(below, axis=1))


def _normal_cdf(z: Float64s) -> Float64s:
    """Standard normal distribution function, to 1e-7 (Abramowitz and Stegun 26.2.17)."""
    t = 1.0 / (1.0 + 0.2316419 * np.abs(z))
    terms = (0.319381530, -0.356563782, 1.781477937, -1.821255978, 1.330274429)
    tail = np.exp(-0.5 * np.minimum(np.abs(z), 40.0) ** 2) / np.sqrt(2.0 * np.pi)
    tail = tail * sum(term * t ** (power + 1) for power, term in enumerate(terms))
    return np.asarray(np.where(z > 0, 1.0 - tail, tail))
