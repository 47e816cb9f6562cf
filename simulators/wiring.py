"""Which reader drives which antenna when, and in which Gen2 session: fixed for the day."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


class Wiring:
    """Antennas by reader and session, and the round in which each reader goes through its own.

    Columnar code addresses a *link* by session and by the antenna's column in that session: `session * columns +
    column`. Sessions with fewer antennas are filled up with an antenna that is none.
    """

    def __init__(self, reader_of: Sequence[int], *, sessions: int) -> None:
        """Wire antennas up.

        Args:
            reader_of: Reader number of each antenna, rising.
            sessions: Gen2 sessions in use; readers take them in turn.
        """
        self.reader_of = np.array(reader_of, dtype=np.int64)
        """Reader number of each antenna."""
        self.antennas = len(reader_of)
        """Number of antennas."""
        self.sessions = sessions
        """Gen2 sessions in use."""
        self.session_of = self.reader_of % sessions
        """Session of each antenna."""
        port = np.arange(self.antennas) - np.searchsorted(self.reader_of, self.reader_of)
        self.round_dwells = int(port.max()) + 1
        """Dwells in a round: one for each port of the reader with most antennas; the others pause for the rest."""
        self.columns = max(int((self.session_of == session).sum()) for session in range(sessions))
        """Antennas of the session with most of them."""
        self.antenna_of_link = np.full(sessions * self.columns, self.antennas)
        """Antenna of each link; the number of antennas where there is none."""
        for session in range(sessions):
            own = np.flatnonzero(self.session_of == session)
            self.antenna_of_link[session * self.columns : session * self.columns + len(own)] = own
        turn = np.append((port + self.reader_of) % self.round_dwells, self.round_dwells)
        self._turn_of_link = turn[self.antenna_of_link]

    def waiting_dwells(self, dwell: int) -> npt.NDArray[np.int64]:
        """Return after how many dwells, counted from one, each link's antenna is driven next."""
        return np.asarray((self._turn_of_link - dwell) % self.round_dwells)

    def by_link(self, values: npt.NDArray[np.float32], *, missing: float) -> npt.NDArray[np.float32]:
        """Rearrange values by item and antenna to session, item and column.

        Args:
            values: Items by antennas.
            missing: What stands where a session has no antenna in a column.
        """
        padded = np.concatenate([values, np.full((len(values), 1), missing, dtype=np.float32)], axis=1)
        links = padded.take(self.antenna_of_link, axis=1)
        return np.asarray(links.reshape(len(values), self.sessions, self.columns).transpose(1, 0, 2))
