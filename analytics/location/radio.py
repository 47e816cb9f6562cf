"""How strongly an antenna hears a tag from each cell: the radio law, and the likelihood tables made from it.

The law is log-distance path loss, there and back: mean RSSI = `rssi_1m` - `slope` * log10(distance), with a Gaussian
spread around it that holds shadowing, fading and tag orientation together. Relative evidence only: adding a constant
to all RSSI of a reader, as linear units do, changes its `rssi_1m` and nothing else once learnt.

Likelihood of a read, given that some antenna read the tag: a read with RSSI r by antenna a is as likely from cell m as
N(r; mean[a, m], spread), divided by how much all antennas together are likely to read a tag in m. The chance that a
tag *answers* at signal level r depends on r, not on m, so it cancels in the numerator.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from analytics.location.places import Floats, Places

RSSI_1M_DBM = -38.0
"""Mean RSSI at 1 m before anything is learnt: ETSI power, ceiling patch antenna, garment tag."""
SLOPE_DB = 36.0
"""Backscatter loses 2 x 10 n dB per decade of distance; n = 1.8 in a sales hall."""
SPREAD_DB = 6.0
"""Shadowing (4 dB), fading and orientation (4.5 dB) together."""
SENSITIVITY_DBM = -72.0
"""RSSI at which a tag answers every other time."""
SENSITIVITY_SPREAD_DB = 4.0
"""Width of that threshold over tags."""
STRAY_SHARE = 0.02
"""Share of reads that the law does not explain: reflections, a tag carried past, a wrong site file."""

RSSI_LOW_DBM = -95.0
"""RSSI of the first bin of the tables; weaker reads count as this."""
RSSI_BINS = 80
"""Bins of 1 dB."""
NO_RSSI_BIN = RSSI_BINS
"""The bin behind the last stands for a read without RSSI."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RadioLaw:
    """What the site is taken to do to radio."""

    rssi_1m_dbm: Floats
    """A: mean RSSI at 1 m, dBm."""
    slope_db: float
    """Loss per decade of distance, there and back, dB."""
    spread_db: float
    """Standard deviation around the mean, dB."""

    def mean_dbm(self, places: Places) -> Floats:
        """Return the mean RSSI of each antenna (rows) from each cell (columns), dBm."""
        return np.asarray(self.rssi_1m_dbm[:, None] - self.slope_db * np.log10(places.distance_m))


def physics(places: Places) -> RadioLaw:
    """Return the law that a site starts with, before its own traffic has taught better."""
    return RadioLaw(rssi_1m_dbm=np.full(places.antennas, RSSI_1M_DBM), slope_db=SLOPE_DB, spread_db=SPREAD_DB)


def zone_tables(places: Places, law: RadioLaw) -> npt.NDArray[np.float32]:
    """Tabulate log-likelihoods of one read.

    Returns:
        A by (`RSSI_BINS` + 1) by Z.
    """
    mean = law.mean_dbm(places)
    answers = 1.0 / (1.0 + np.exp(-(mean - SENSITIVITY_DBM) / SENSITIVITY_SPREAD_DB)) + 1e-4
    real = np.array([len(own) == 1 for own in places.antenna_members])
    heard = answers[real].sum(axis=0)
    levels = RSSI_LOW_DBM + np.arange(RSSI_BINS)
    off = (levels[None, :, None] - mean[:, None, :]) / law.spread_db
    density = np.exp(-0.5 * off**2) / (law.spread_db * np.sqrt(2 * np.pi))
    cells = (1 - STRAY_SHARE) * density / heard + STRAY_SHARE / RSSI_BINS / real.sum()
    without = (answers / heard)[:, None, :]
    cells = np.concatenate([cells, without], axis=1)
    in_zone = places.cell_zone[:, None] == np.arange(places.zones)[None, :]
    return np.asarray(np.log(cells @ (in_zone / in_zone.sum(axis=0))), dtype=np.float32)
