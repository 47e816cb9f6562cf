"""How strongly an antenna hears a tag from each cell: the radio law, and the tables that the filter works with.

The law is backscatter over log-distance path loss: mean RSSI = transmit power + 2 (gain - pattern - path - walls)
+ a constant for the tag + what the site has taught. Around the mean there are two spreads. *Place spread* stays while
an item lies still - shadowing, orientation, what it touches - so many reads of one antenna narrow it down no further
than one. *Fading spread* is drawn anew with each read. Keeping them apart is what makes evidence saturate: an antenna
that heard an item a hundred times says where it is little better than one that heard it ten times.

*Which* antennas hear an item, and in what shares, is evidence of its own, as far as antennas are taken to run alike.
That one antenna did not hear it says no more here than its share going to others does: beside that, misses added
nothing on simulated stores, and they need to be known from antennas that did not run.
"""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from analytics.location.places import Floats, Places

TX_POWER_DBM = 30.0
"""Conducted power, where the site file does not say: what ETSI readers are set to."""
GAIN_DBI = 6.0
"""Antenna gain, where the site file does not say: a ceiling panel."""
BEAMWIDTH_DEG = 75.0
"""Half-power beam width, where the site file does not say: such a panel's."""
BACK_LOBE_DB = 20.0
"""How far an antenna's pattern falls below its peak at most."""
LOSS_AT_1_M_DB = 31.2
"""Free-space loss over the first metre at 866 MHz, 20 log10(4 pi / wavelength); 0.5 dB more at 915 MHz."""
PATH_LOSS_EXPONENT = 2.2
"""Loss per distance beyond the first metre: furnished halls are measured at 2.0 to 2.5."""
TAG_DB = -13.0
"""What a tag does to RSSI both ways: its gain (2 x 2 dBi), polarisation (2 x -3 dB), its turn away from the antenna
(2 x -3 dB) and modulation (-5 dB)."""
EDGE_DBM = -67.0
"""RSSI at which tags stop answering at 30 dBm: 2 x -18 dBm of sensitivity - 30 dBm - 5 dB of modulation, and fading
that lets the lucky ones through."""
PLACE_SPREAD_DB = 11.0
"""Standard deviation of what stays, in RSSI, that is both ways: shadowing 2 x 3 dB, what the tag touches 2 x 3 dB, its
orientation 2 x 2.5 dB, cable and antenna 2 x 1.5 dB, reflection 3 dB."""
WEIGHING_SPREAD_DB = 16.0
"""The same where all antennas are weighed together to find the place: what is in one's way is in its neighbour's,
so together they say less than each by itself (ADR 22)."""
FADING_SPREAD_DB = 6.0
"""Standard deviation from read to read: Rician with 7 dB of direct path, both ways."""
ANSWER_SPREAD_DB = 9.0
"""Standard deviation of what decides whether a tag is heard, in RSSI."""
STRAY_CHANCE = 1e-3
"""Chance that an antenna hears a tag that the law does not let it hear."""
TAIL_DEGREES = 4.0
"""Degrees of freedom of the tails: carried, covered and reflected tags are far off the law, and often."""

RSSI_LOW_DBM = -95.0
"""RSSI of the first bin of the tables; weaker reads count as this."""
RSSI_BINS = 80
"""Bins of 1 dB."""
NO_RSSI_BIN = RSSI_BINS
"""The bin behind the last stands for a read without RSSI."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutsideLaw:
    """What is known of items that are heard and are not here; see `outside`."""

    weights: Floats
    """Outer cells: share of all items that lie there."""
    gap_s: float = 1.0
    """Usual time between reads of an item."""
    gap_power: float = 0.0
    """To which power longer gaps speak for outside."""

    @property
    def share(self) -> float:
        """Share of all items that are outside."""
        return float(self.weights.sum())

    def as_table(self) -> dict[str, Any]:
        """Return it as fields of `RadioTables`."""
        return {
            "outer_weight": self.weights.astype(np.float32),
            "outer_share": np.float32(self.share),
            "outer_gap_log": np.float32(math.log(self.gap_s)),
            "outer_gap_power": np.float32(self.gap_power),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class RadioLaw:
    """What the site is taken to do to radio."""

    level_db: Floats
    """Readers: what is added to the RSSI of all antennas of a reader, because it counts in other units."""
    offset_db: Floats
    """R: what is added to the RSSI of an antenna, because it is hung, cabled or surrounded otherwise than the site
    file says."""
    outside: OutsideLaw = OutsideLaw(weights=np.zeros(0))
    """What lies beyond the outline; no weights for none."""
    version: int = 0
    """0 for physics; one more with each law that is put in force."""
    as_of_us: int = 0
    """When it was put in force, event time."""


class RadioTables(NamedTuple):
    """The law as the filter needs it: arrays of float32. A tuple, since that is what kernels take."""

    mean_dbm: npt.NDArray[np.float32]
    """A by M: mean RSSI."""
    share: npt.NDArray[np.float32]
    """A by M: of the reads of a tag in a cell, the share that falls to each antenna."""
    log_share: npt.NDArray[np.float32]
    """Its logarithm."""
    likelihood: npt.NDArray[np.float32]
    """A by bins by M: probability density of a read, by this antenna with this RSSI, of a tag in a cell."""
    newcomer: npt.NDArray[np.float32]
    """A by bins: logarithm of that density for a tag that may be in any cell."""
    newcomer_density: npt.NDArray[np.float32]
    """That density itself."""
    weighing_variance: np.float32
    """What stays, as cells are weighed: variance of RSSI, dB^2."""
    place_variance: np.float32
    """What stays, as single reads are judged."""
    fading_variance: np.float32
    """What is drawn anew with each read."""
    outer_dbm: npt.NDArray[np.float32]
    """A by outer cells: mean RSSI."""
    outer_log_share: npt.NDArray[np.float32]
    """A by outer cells: logarithm of the antenna's share of reads."""
    outer_weight: npt.NDArray[np.float32]
    """Outer cells: share of all items that lie there."""
    outer_share: np.float32
    """Their sum."""
    outer_gap_log: np.float32
    """Logarithm of the usual time between reads, seconds."""
    outer_gap_power: np.float32
    """To which power longer gaps speak for outside."""


def physics(places: Places) -> RadioLaw:
    """Return the law that a site starts with, before its own traffic has taught better."""
    return RadioLaw(
        level_db=np.zeros(len(places.reader_ids)),
        offset_db=np.zeros(len(places.antennas)),
        outside=OutsideLaw(weights=np.zeros(len(places.outer.cell_xy) if places.outer else 0)),
    )


def mean_rssi_dbm(places: Places) -> Floats:
    """Return the mean RSSI by physics, and by a survey where there was one, real antennas by cells, dBm."""

    def of_each(values: list[float]) -> Floats:
        return np.array(values, dtype=np.float64).reshape(-1, 1)

    power = of_each([_known(antenna.tx_power_dbm, TX_POWER_DBM) for antenna in places.antennas])
    gain = of_each([_known(antenna.gain_dbi, GAIN_DBI) for antenna in places.antennas])
    beamwidth = of_each([_known(antenna.beamwidth_deg, BEAMWIDTH_DEG) for antenna in places.antennas])
    pattern = np.minimum(12.0 * (places.off_axis_deg / beamwidth) ** 2, BACK_LOBE_DB)
    path = LOSS_AT_1_M_DB + 10.0 * PATH_LOSS_EXPONENT * np.log10(np.maximum(places.distance_m, 1.0))
    return np.asarray(power + 2.0 * (gain - pattern - path - places.wall_db) + TAG_DB + places.residual_db)


def tabulate(places: Places, law: RadioLaw) -> RadioTables:
    """Turn a law to tables.

    The density of a read, given that some antenna read the tag: N(r; mean[a, m]) with tails, divided by how likely
    all antennas together are to hear a tag in m. The chance that a tag answers at level r depends on r and not on m,
    so it cancels.
    """
    if not places.antennas or not places.zones:
        return _nothing()
    mean, share = _expected(places, law)
    outer_mean, outer_share = _expected(places.outer, law) if places.outer else (np.ones((len(mean), 0)),) * 2
    spread = math.hypot(PLACE_SPREAD_DB, FADING_SPREAD_DB)
    levels = RSSI_LOW_DBM + np.arange(RSSI_BINS)
    off = (levels[None, :, None] - mean[:, None, :]) / spread
    density = (1.0 + off**2 / TAIL_DEGREES) ** (-0.5 * (TAIL_DEGREES + 1.0)) / spread
    likelihood = np.concatenate([share[:, None, :] * density, share[:, None, :]], axis=1)
    return RadioTables(
        mean_dbm=mean.astype(np.float32),
        share=share.astype(np.float32),
        log_share=np.log(share).astype(np.float32),
        likelihood=likelihood.astype(np.float32),
        newcomer=np.log(likelihood.mean(axis=2)).astype(np.float32),
        newcomer_density=likelihood.mean(axis=2).astype(np.float32),
        weighing_variance=np.float32(WEIGHING_SPREAD_DB**2),
        place_variance=np.float32(PLACE_SPREAD_DB**2),
        fading_variance=np.float32(FADING_SPREAD_DB**2),
        outer_dbm=outer_mean.astype(np.float32),
        outer_log_share=np.log(outer_share).astype(np.float32),
        **law.outside.as_table(),
    )


def _expected(places: Places, law: RadioLaw) -> tuple[Floats, Floats]:
    """Return mean RSSI and share of reads, antennas by cells."""
    taught = mean_rssi_dbm(places) + law.offset_db[:, None]
    answers = 0.5 * (1.0 + _erf((taught - EDGE_DBM) / (ANSWER_SPREAD_DB * math.sqrt(2.0)))) + STRAY_CHANCE
    share_real = answers / answers.sum(axis=0)
    measured = taught + law.level_db[places.antenna_reader[: len(places.antennas)]][:, None]
    mean = np.array([measured[list(own)].max(axis=0) for own in places.antenna_members])
    share = np.array([share_real[list(own)].sum(axis=0) for own in places.antenna_members])
    return mean, share


def _nothing() -> RadioTables:
    """Return the tables of a site without antennas or without zones: nothing can be located there."""
    flat, deep = np.zeros((0, 0), dtype=np.float32), np.zeros((0, RSSI_BINS + 1, 0), dtype=np.float32)
    one = np.float32(1.0)
    return RadioTables(
        mean_dbm=flat,
        share=flat,
        log_share=flat,
        likelihood=deep,
        newcomer=flat,
        newcomer_density=flat,
        weighing_variance=one,
        place_variance=one,
        fading_variance=one,
        outer_dbm=flat,
        outer_log_share=flat,
        outer_weight=np.zeros(0, dtype=np.float32),
        outer_share=np.float32(0.0),
        outer_gap_log=np.float32(0.0),
        outer_gap_power=np.float32(0.0),
    )


def _known(value: float | None, otherwise: float) -> float:
    return otherwise if value is None else value


def _erf(x: Floats) -> Floats:
    """Return the error function, to 1.5e-7 (Abramowitz and Stegun 7.1.26)."""
    t = 1.0 / (1.0 + 0.3275911 * np.abs(x))
    series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    return np.asarray(np.sign(x) * (1.0 - series * np.exp(-(x**2))))
