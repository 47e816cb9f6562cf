"""Laws of fading: how the power of one link scatters from read to read, mean power one."""

import math
from enum import StrEnum

import numpy as np
import numpy.typing as npt

Float64s = npt.NDArray[np.float64]

_POWER_MIN = 1e-6


class FadingLaw(StrEnum):
    """Families of fading. Each has one parameter for a tag at rest and one for a carried tag."""

    RICIAN = "rician"
    """A direct path and many scattered ones; the parameter is the K factor, dB."""
    RAYLEIGH = "rayleigh"
    """Scattered paths alone; the parameter does not matter."""
    NAKAGAMI = "nakagami"
    """Power is gamma distributed; the parameter is the shape m, at least 0.5; 1 is Rayleigh."""
    LOG_NORMAL = "log_normal"
    """Power in dB is normal; the parameter is its standard deviation, dB."""


def fading_db(rng: np.random.Generator, law: FadingLaw, parameter: float, count: int) -> Float64s:
    """Draw fading in dB, mean power one.

    Args:
        rng: Random stream.
        law: Family.
        parameter: Its parameter, in the unit that `FadingLaw` says.
        count: How many.
    """
    match law:
        case FadingLaw.RICIAN:
            return rician_db(rng, parameter, count)
        case FadingLaw.RAYLEIGH:
            return _decibels(rng.standard_exponential(count))
        case FadingLaw.NAKAGAMI:
            return _decibels(rng.gamma(parameter, 1.0 / parameter, count))
        case FadingLaw.LOG_NORMAL:
            # Normal in dB around -sigma^2 ln(10) / 20, so that the mean power is one.
            return parameter * rng.standard_normal(count) - parameter**2 * math.log(10.0) / 20.0


def rician_db(rng: np.random.Generator, k_db: float, count: int) -> Float64s:
    """Draw Rician fading in dB, mean power one.

    Args:
        rng: Random stream.
        k_db: Power of the direct path over that of the scattered ones, dB.
        count: How many.
    """
    k = 10.0 ** (k_db / 10.0)
    scattered = rng.standard_normal((2, count)) * math.sqrt(0.5 / (k + 1.0))
    power = (math.sqrt(k / (k + 1.0)) + scattered[0]) ** 2 + scattered[1] ** 2
    return _decibels(power)


def _decibels(power: Float64s) -> Float64s:
    return np.asarray(10.0 * np.log10(np.maximum(power, _POWER_MIN)))
