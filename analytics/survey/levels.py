"""How strongly each antenna heard each tag of a survey at its place."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from analytics.location.places import Floats, Places
from analytics.steps.derived import microseconds
from analytics.survey.file import SurveyTag

READS_MIN = 2
"""Fewer reads than this are no level: a single one may be a stray."""

Ints = npt.NDArray[np.int64]


class SurveyLevels:
    """Sums reads up, table by table."""

    def __init__(self, places: Places, tags: Sequence[SurveyTag]) -> None:
        """Begin with nothing heard.

        Args:
            places: The site's map.
            tags: Tags at their places; a tag may have several, at different times.
        """
        self._places = places
        self._epcs = pa.array(sorted({tag.epc_hex for tag in tags}), pa.string())
        numbers = {epc: number for number, epc in enumerate(self._epcs.to_pylist())}
        self._tags_of: list[list[int]] = [[] for _ in numbers]
        for number, tag in enumerate(tags):
            self._tags_of[numbers[tag.epc_hex]].append(number)
        lowest, highest = np.iinfo(np.int64).min, np.iinfo(np.int64).max
        self._from_us = np.array([lowest if tag.from_us is None else tag.from_us for tag in tags], dtype=np.int64)
        self._until_us = np.array([highest if tag.until_us is None else tag.until_us for tag in tags], dtype=np.int64)
        shape = (len(places.antennas), len(tags))
        self.reads = np.zeros(shape)
        """Antennas by tags: reads with RSSI."""
        self._sum_dbm = np.zeros(shape)
        self.awake = np.zeros(len(places.antennas), dtype=np.bool_)
        """Antennas that heard anything at all while tags were out."""

    @property
    def level_dbm(self) -> Floats:
        """Antennas by tags: mean RSSI, NaN where an antenna did not hear a tag."""
        heard = self.reads >= READS_MIN
        level = np.divide(self._sum_dbm, self.reads, out=np.full(self.reads.shape, np.nan), where=heard)
        return np.asarray(level)

    def add(self, reads: pa.Table) -> None:
        """Take in rows of the stream `reads`, clocks corrected."""
        antenna = self._antennas(reads)
        known = antenna >= 0
        self.awake[np.unique(antenna[known])] = True
        epc = pc.index_in(reads["epc_hex"], self._epcs).combine_chunks()
        numbers = np.asarray(pc.fill_null(epc, -1).to_numpy(zero_copy_only=False), dtype=np.int64)
        dbm = np.asarray(pc.cast(reads["rssi_dbm"], pa.float64()).to_numpy(), dtype=np.float64)
        times = microseconds(reads["event_time"].combine_chunks())
        for number in np.unique(numbers[(numbers >= 0) & known]).tolist():
            mine = np.flatnonzero((numbers == number) & known & np.isfinite(dbm))
            for tag in self._tags_of[number]:
                during = mine[(times[mine] >= self._from_us[tag]) & (times[mine] < self._until_us[tag])]
                np.add.at(self.reads[:, tag], antenna[during], 1.0)
                np.add.at(self._sum_dbm[:, tag], antenna[during], dbm[during])

    def _antennas(self, reads: pa.Table) -> Ints:
        """Return each row's antenna; -1 for one that the site file does not have, or that was not named."""
        places = self._places
        index = pc.index_in(reads["reader"], pa.array(places.reader_ids, pa.string())).combine_chunks()
        reader = np.asarray(pc.fill_null(index, -1).to_numpy(zero_copy_only=False), dtype=np.int64)
        port = np.asarray(pc.fill_null(reads["antenna"], -1).to_numpy(), dtype=np.int64)
        last = places.port_antenna.shape[1] - 1
        port = np.where((port < 0) | (port > last), last, port)
        found = np.where(reader >= 0, places.port_antenna[reader, port], -1)
        return np.where(found < len(places.antennas), found, -1).astype(np.int64)
