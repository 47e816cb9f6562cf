"""The laws of tags and readers on the air: every parameter with its unit, and what a read on the air is."""

from dataclasses import dataclass
from typing import assert_never

import numpy as np
import numpy.typing as npt

from simulators.catalogue import Material
from simulators.fading import FadingLaw

CHANNELS_KHZ = (865_700, 866_300, 866_900, 867_500)
"""The four high-power channels of ETSI EN 302 208."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RadioLaw:
    """Parameters of tags and readers."""

    tx_power_dbm: float = 30.0
    """Conducted power of every antenna."""
    tag_gain_dbi: float = 2.0
    """Peak gain of a tag's dipole."""
    sensitivity_dbm: float = -16.5
    """Mean power that wakes a tag among its like: chips wake at -20 dBm or less, stacked goods cost the rest."""
    sensitivity_spread_db: float = 1.3
    """Standard deviation of sensitivity from tag to tag."""
    link_spread_db: float = 3.0
    """Standard deviation of what a tag's immediate surroundings do to one antenna's signal, one way; drawn anew
    whenever the tag is moved."""
    orientation_floor_db: float = 8.0
    """How deep the null of a tag's dipole is at most."""
    body_loss_db: float = 3.0
    """Mean one-way loss to a carried tag, by the body beside it; its spread is the same."""
    fading: FadingLaw = FadingLaw.RICIAN
    """Family of fading from read to read."""
    rest_k_db: float = 7.0
    """Rician K factor of fading from read to read of a tag at rest."""
    moving_k_db: float = 3.0
    """Rician K factor for a carried tag."""
    rest_nakagami_m: float = 3.0
    """Shape of Nakagami fading of a tag at rest."""
    moving_nakagami_m: float = 1.2
    """Shape of Nakagami fading of a carried tag."""
    rest_log_normal_db: float = 3.0
    """Standard deviation of log-normal fading of a tag at rest, one way."""
    moving_log_normal_db: float = 5.0
    """Standard deviation of log-normal fading of a carried tag, one way."""
    leather_loss_db: float = 1.0
    """One-way loss of a tag on leather."""
    liquid_loss_db: float = 3.0
    """One-way loss of a tag on something liquid."""
    metal_loss_db: float = 3.5
    """One-way loss of a tag on metal."""
    wake_width_db: float = 0.6
    """Width of the logistic law of answering over power above sensitivity."""
    modulation_loss_db: float = 5.0
    """What backscatter loses in the tag."""
    rssi_noise_db: float = 0.5
    """Standard deviation of the reader's measurement."""
    backscatter_spread_db: float = 6.0
    """Standard deviation of what a tag's reflection towards one antenna differs by, drawn anew whenever the tag is
    moved: it shows in RSSI and not in whether the tag wakes."""
    rssi_offset_db: float = 2.0
    """Standard deviation, from antenna port to antenna port, of what the reader's RSSI is off by."""
    receiver_sensitivity_dbm: float = -84.0
    """Weaker answers are not heard."""
    dwell_s: float = 0.5
    """How long a reader stays on one antenna."""
    window_s: float = 1.0
    """Longest time for which everything is taken to stand still: carried tags are where they are in its middle."""
    reads_per_second: float = 250.0
    """Singulations per second that a reader manages, slotted ALOHA overhead included."""
    sessions: int = 1
    """Gen2 sessions in use; where there are several, neighbouring readers take different ones."""
    persistence_moving_s: float = 4.0
    """Longest persistence of a carried tag: it loses power in nulls and forgets."""
    persistence_spread: float = 0.2
    """Relative standard deviation of persistence from tag to tag."""

    @property
    def fading_parameters(self) -> tuple[float, float]:
        """Parameter of the family of fading, at rest and carried."""
        match self.fading:
            case FadingLaw.RICIAN:
                return self.rest_k_db, self.moving_k_db
            case FadingLaw.NAKAGAMI:
                return self.rest_nakagami_m, self.moving_nakagami_m
            case FadingLaw.LOG_NORMAL:
                return self.rest_log_normal_db, self.moving_log_normal_db
            case FadingLaw.RAYLEIGH:
                return 0.0, 0.0
        assert_never(self.fading)

    def material_loss_db(self, material: Material) -> float:
        """Return what a tag loses to what it is fixed to, one way, dB."""
        losses = {
            Material.LEATHER: self.leather_loss_db,
            Material.LIQUID: self.liquid_loss_db,
            Material.METAL: self.metal_loss_db,
        }
        return losses.get(material, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class AirReads:
    """Reads on the air, column by column, in order of time."""

    time_us: npt.NDArray[np.int64]
    """True time."""
    reader: npt.NDArray[np.int64]
    """Reader number."""
    antenna: npt.NDArray[np.int64]
    """Antenna number over all readers."""
    item: npt.NDArray[np.int64]
    """Item number."""
    rssi_dbm: npt.NDArray[np.float64]
    """Received signal strength as measured, not yet rounded."""
    frequency_khz: npt.NDArray[np.int64]
    """Carrier."""
    phase_deg: npt.NDArray[np.float64]
    """Backscatter phase, 0 to 360."""

    def __len__(self) -> int:
        return len(self.time_us)
