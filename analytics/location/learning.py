"""What a site's own traffic teaches about its radio: the unit that a reader counts in, and each antenna's offset.

*Level of a reader.* Tags stop answering where the power that reaches them ends, whatever the store looks like, so the
weakest RSSI that a reader reports lies near `WEAKEST_DBM` if it reports dBm. Where it lies further off than tags
differ, the reader counts in other units (linear ones, say), and its level is shifted.

*Offset of an antenna.* The items that an antenna hears lie in cells that all antennas together found. What it hears
above or below physics there, on average over items and compared with the other antennas, is its own: cable, tilt,
shelves around it. It is believed by `OFFSET_TRUST`, since the cells were found with the help of this very antenna.

Both are learnt on a grid of event time from the state of the tracks, and nothing else is.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from analytics.location.places import Floats, Places
from analytics.location.radio import RSSI_BINS, RSSI_LOW_DBM, RadioLaw, mean_rssi_dbm

LEARN_GRID_S = 120
"""The law is looked at again on this grid of event time."""
EDGE_SHARE = 0.05
"""The weakest RSSI of a reader is taken to be the one below which this share of its reads lies."""
WEAKEST_DBM = -74.0
"""Where that lies for readers that report dBm: below `EDGE_DBM` by what reflection and fading do to single reads,"""
WEAKEST_TOLERANCE_DB = 16.0
"""give or take this much: tags and powers are that different, and linear units are further off."""
READS_MIN = 200
"""A reader's level is not judged on fewer reads."""
OFFSET_TRUST = 0.7
"""Share of an antenna's mean residual that becomes its offset."""
OFFSET_PRIOR_ITEMS = 40.0
"""As many items without residual speak against an offset."""
OFFSET_DB_MAX = 8.0
"""An antenna further off than this is hung elsewhere, or dead; a person has to look."""
MEMORY = 0.85
"""Share of what was counted that is kept from one look to the next: it lasts for about seven."""
CHANGE_DB = 0.5
"""A law that differs less than this from the one in force is not worth new tables."""
HEARD_MIN = 2.0
"""Reads behind a mean RSSI that counts."""


@dataclass(slots=True)
class Lessons:
    """What was counted so far."""

    reads: Floats
    """Readers by RSSI bins: reads."""
    residual_db: Floats
    """R: sum over items of mean RSSI minus physics."""
    items: Floats
    """R: how many items that is."""

    @classmethod
    def none(cls, places: Places) -> "Lessons":
        """Return nothing counted."""
        count = len(places.antennas)
        return cls(np.zeros((len(places.reader_ids), RSSI_BINS)), np.zeros(count), np.zeros(count))


def count_reads(lessons: Lessons, places: Places, antennas: npt.NDArray[np.int16], bins: npt.NDArray[np.int16]) -> None:
    """Count reads by reader and RSSI."""
    with_rssi = bins < RSSI_BINS
    flat = places.antenna_reader[antennas[with_rssi]] * RSSI_BINS + bins[with_rssi]
    lessons.reads += np.bincount(flat, minlength=lessons.reads.size).reshape(lessons.reads.shape)


def learn(lessons: Lessons, places: Places, law: RadioLaw, tracks: npt.NDArray[np.void], *, time_us: int) -> RadioLaw:
    """Look at the tracks, count, and return the law that follows; the same object where nothing much changed.

    Args:
        lessons: What was counted; changed.
        places: The site.
        law: The law in force.
        tracks: Of all items.
        time_us: Event time of the look, from which a new law holds.
    """
    _count_residuals(lessons, places, law, tracks)
    mean = np.divide(lessons.residual_db, lessons.items, out=np.zeros_like(lessons.items), where=lessons.items > 0)
    known = lessons.items >= 1.0
    common = float(np.median(mean[known])) if known.any() else 0.0
    believed = OFFSET_TRUST * lessons.items / (lessons.items + OFFSET_PRIOR_ITEMS)
    offset = np.clip(np.where(known, believed * (mean - common), 0.0), -OFFSET_DB_MAX, OFFSET_DB_MAX)
    level = np.array([_level(counts, law.level_db[reader]) for reader, counts in enumerate(lessons.reads)])
    lessons.reads *= MEMORY
    changed = np.abs(offset - law.offset_db).max(initial=0.0) >= CHANGE_DB or not np.array_equal(level, law.level_db)
    if not changed:
        return law
    return replace(law, level_db=level, offset_db=offset, version=law.version + 1, as_of_us=time_us)


def _count_residuals(lessons: Lessons, places: Places, law: RadioLaw, tracks: npt.NDArray[np.void]) -> None:
    real = len(places.antennas)
    settled = tracks[(tracks["zone"] >= 0) & (tracks["doubt_us"] == 0)]
    antennas, levels = settled["settled_antenna"], settled["settled_dbm"]
    counts = (settled["settled_weight"] >= HEARD_MIN) & (antennas < real) & np.isfinite(levels)
    item, slot = np.nonzero(counts)
    antenna = antennas[item, slot].astype(np.int64)
    physics = mean_rssi_dbm(places)[antenna, settled["cell"][item]] + law.level_db[places.antenna_reader[antenna]]
    residual = levels[item, slot].astype(np.float64) - physics
    lessons.residual_db = MEMORY * lessons.residual_db + np.bincount(antenna, weights=residual, minlength=real)
    lessons.items = MEMORY * lessons.items + np.bincount(antenna, minlength=real)


def _level(counts: Floats, before_db: float) -> float:
    """Return the level of a reader, dB; the one before where its weakest reads do not speak against it."""
    total = counts.sum()
    if total < READS_MIN:
        return before_db
    edge_dbm = RSSI_LOW_DBM + float(np.searchsorted(np.cumsum(counts), EDGE_SHARE * total))
    shift = edge_dbm - WEAKEST_DBM
    return before_db if abs(shift - before_db) <= WEAKEST_TOLERANCE_DB else shift
