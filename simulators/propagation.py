"""The law of propagation: how strongly an antenna's signal arrives at a place, before the tag has its say.

One-way gain in dB of each antenna at each cell of a fine floor grid: antenna pattern, log-distance path loss, walls
in the way and shadowing that neighbouring places share. What differs from tag to tag is `radio`'s business.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

import numpy as np
import numpy.typing as npt

from devices.site.model import Antenna, Wall
from simulators.plan import StorePlan

CELL_M = 0.25
"""Edge of a grid cell."""
TAG_HEIGHT_M = 1.0
"""Height of every tag: a table, a rail, a hand."""

_WAVES = 24  # Fourier features of a shadowing field; its correlation is Gaussian to within 1/sqrt(24)


class AntennaPattern(StrEnum):
    """How gain falls off an antenna's axis."""

    PANEL = "panel"
    """12 dB (angle / beam width)^2: what data sheets are drawn with, and what the product assumes."""
    PATCH = "patch"
    """A power of the cosine that is 3 dB down at half the beam width: wider skirts than a panel."""
    OMNI = "omni"
    """The same in all directions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PropagationLaw:
    """Parameters of the law. The defaults are a furnished store at 866 MHz."""

    loss_at_1_m_db: float = 31.2
    """Free-space loss over the first metre: 20 log10(4 pi / wavelength)."""
    exponent: float = 2.2
    """Path-loss exponent beyond the first metre."""
    polarisation_loss_db: float = 3.0
    """Circular antenna to linear tag."""
    pattern: AntennaPattern = AntennaPattern.PANEL
    """How gain falls off an antenna's axis; beam widths are the site file's."""
    back_lobe_db: float = 20.0
    """How far the antenna pattern falls at most below its peak."""
    installation_db: float = 1.5
    """Standard deviation of what cable, connectors and ceiling tiles do to an antenna, one way."""
    shadow_db: float = 3.0
    """Standard deviation of shadowing by place, one way."""
    shadow_distance_m: float = 1.5
    """Distance at which the shadowing of two places is correlated by 0.6."""


class PropagationField:
    """One-way gain of every antenna at every cell of the floor."""

    def __init__(self, *, plan: StorePlan, law: PropagationLaw, rng: np.random.Generator) -> None:
        self.law = law
        """Parameters."""
        self.places = np.array([(antenna.x, antenna.y, antenna.z) for _, antenna in plan.antennas])
        """x, y and z of each antenna, metres."""
        self._columns = int(np.ceil((plan.layout.width + plan.neighbour_m) / CELL_M))
        self._rows = int(np.ceil(plan.layout.depth / CELL_M))
        x: npt.NDArray[np.float64] = CELL_M * (np.arange(self._columns, dtype=np.float64) + 0.5)
        y: npt.NDArray[np.float64] = CELL_M * (np.arange(self._rows, dtype=np.float64) + 0.5)
        grid_x, grid_y = np.meshgrid(x, y)
        cells = np.column_stack([grid_x.ravel(), grid_y.ravel()])
        self.expected_db = np.stack(
            [expected_gain_db(antenna, cells, plan.site.walls, law) for _, antenna in plan.antennas], axis=1
        ).astype(np.float32)
        """Gain by law alone, cells by antennas: what an observer without a survey can know."""
        self.installation_db = law.installation_db * rng.standard_normal(len(plan.antennas))
        """What installation adds to each antenna's gain."""
        self.gain_db = (
            self.expected_db + self.installation_db + _shadow_fields(len(plan.antennas), x, y, law, rng)
        ).astype(np.float32)
        """Gain with this store's installation and shadowing, cells by antennas."""

    def cell(self, x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
        """Return the cell number of places in metres."""
        column = np.minimum(np.maximum((x / CELL_M).astype(np.int64), 0), self._columns - 1)
        row = np.minimum(np.maximum((y / CELL_M).astype(np.int64), 0), self._rows - 1)
        return row * self._columns + column


def expected_gain_db(
    antenna: Antenna, points: npt.NDArray[np.float64], walls: tuple[Wall, ...], law: PropagationLaw
) -> npt.NDArray[np.float64]:
    """Compute the gain from an antenna to tags at points, without shadowing.

    Args:
        antenna: Looks straight down, unless it says where to.
        points: Places in metres, n by 2.
        walls: Wall lines with their one-way loss.
        law: Parameters.

    Returns:
        One-way gain in dB, antenna gain included, n values.
    """
    flat = np.hypot(points[:, 0] - antenna.x, points[:, 1] - antenna.y)
    drop = antenna.z - TAG_HEIGHT_M
    distance = np.hypot(flat, drop)
    pattern_db = _pattern_db(law, _off_axis_deg(antenna, points, flat, drop), antenna.beamwidth_deg or 75.0)
    path_db = law.loss_at_1_m_db + 10.0 * law.exponent * np.log10(np.maximum(distance, 1.0))
    wall_db = np.zeros(len(points))
    for wall in walls:
        wall_db += (wall.loss_db or 0.0) * _crosses((antenna.x, antenna.y), points, wall)
    return np.asarray((antenna.gain_dbi or 0.0) - pattern_db - path_db - wall_db - law.polarisation_loss_db)


def _off_axis_deg(
    antenna: Antenna, points: npt.NDArray[np.float64], flat: npt.NDArray[np.float64], drop: float
) -> npt.NDArray[np.float64]:
    """Return the angle between an antenna's axis and each point, degrees."""
    if antenna.downtilt_deg is None:
        return np.asarray(np.degrees(np.arctan2(flat, drop)))
    azimuth, tilt = np.radians(antenna.azimuth_deg or 0.0), np.radians(antenna.downtilt_deg)
    axis = np.array([np.cos(azimuth) * np.cos(tilt), np.sin(azimuth) * np.cos(tilt), -np.sin(tilt)])
    ray = np.column_stack([points[:, 0] - antenna.x, points[:, 1] - antenna.y, np.full(len(points), -drop)])
    cosine = ray @ axis / np.maximum(np.linalg.norm(ray, axis=1), 1e-9)
    return np.asarray(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))))


def _pattern_db(
    law: PropagationLaw, off_axis_deg: npt.NDArray[np.float64], beamwidth_deg: float
) -> npt.NDArray[np.float64]:
    """Return how far gain falls below its peak."""
    match law.pattern:
        case AntennaPattern.PANEL:
            return np.minimum(12.0 * (off_axis_deg / beamwidth_deg) ** 2, law.back_lobe_db)
        case AntennaPattern.PATCH:
            power = np.log10(0.5) / np.log10(np.cos(np.radians(beamwidth_deg / 2)))
            cosine = np.cos(np.radians(np.minimum(off_axis_deg, 89.9)))
            return np.asarray(np.minimum(-10.0 * power * np.log10(cosine), law.back_lobe_db))
        case AntennaPattern.OMNI:
            return np.zeros(len(off_axis_deg))
    assert_never(law.pattern)


def _crosses(start: tuple[float, float], ends: npt.NDArray[np.float64], wall: Wall) -> npt.NDArray[np.bool_]:
    """Return which straight lines from `start` to `ends` cross a wall."""
    (ax, ay), (bx, by) = wall.start, wall.end
    sx, sy = start

    def side(px: npt.NDArray[np.float64] | float, py: npt.NDArray[np.float64] | float) -> npt.NDArray[np.float64]:
        return np.asarray((bx - ax) * (py - ay) - (by - ay) * (px - ax))

    def side_of_line(px: float, py: float) -> npt.NDArray[np.float64]:
        return np.asarray((ends[:, 0] - sx) * (py - sy) - (ends[:, 1] - sy) * (px - sx))

    apart = side(sx, sy) * side(ends[:, 0], ends[:, 1]) < 0
    return np.asarray(apart & (side_of_line(ax, ay) * side_of_line(bx, by) < 0))


def _shadow_fields(
    antennas: int, x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], law: PropagationLaw, rng: np.random.Generator
) -> npt.NDArray[np.float64]:
    """Draw one correlated field for each antenna over a grid, by random Fourier features of a Gaussian kernel.

    Each feature is the cosine of a plane wave, which splits into factors of x and y.
    """
    fields = np.empty((len(y) * len(x), antennas))
    for antenna in range(antennas):
        wave_x, wave_y = rng.standard_normal((2, _WAVES)) / law.shadow_distance_m
        turn_x = np.outer(x, wave_x) + rng.uniform(0.0, 2.0 * np.pi, _WAVES)
        turn_y = np.outer(y, wave_y)
        field = np.einsum("yw,xw->yx", np.cos(turn_y), np.cos(turn_x))
        field -= np.einsum("yw,xw->yx", np.sin(turn_y), np.sin(turn_x))
        fields[:, antenna] = field.ravel()
    return np.asarray(fields * law.shadow_db * np.sqrt(2.0 / _WAVES))
