"""How fast a forwarder may read when it is behind: a bounded rate on top of what comes in. No I/O.

After hours without Kafka an edge log holds gigabytes. Read as fast as it goes they would take a core of the edge box,
its uplink, and the cluster that a thousand stores come back to at the same time. So the backlog shrinks at a bounded
rate, while what comes in meanwhile is added to the allowance: a forwarder that keeps up is never slowed down, however
much comes in, and one that is behind always gets nearer.

Everything goes in edge order, live behind backlog: what is new reaches Kafka when what is old is there (ADR 10).
"""

_QUANTUM_S = 0.1  # a backlog is read in portions of so much time: ten chunks a second, not a thousand small ones
_SAVED_S = 1.0  # an allowance that was not used lasts so long
_MEAN_SHARE = 0.2  # weight of the last portion in the mean size of a publication


class DrainPace:
    """An allowance of payload bytes that grows with time and with what comes in."""

    def __init__(self, bytes_per_s: float | None, *, now_s: float) -> None:
        """Begin with a portion to spend.

        Args:
            bytes_per_s: Payload bytes per second by which a backlog may shrink; `None` for no bound.
            now_s: The time, of a clock that never goes back.
        """
        self._bytes_per_s = bytes_per_s
        self._at_s = now_s
        self._allowance = 0.0 if bytes_per_s is None else bytes_per_s * _QUANTUM_S
        self._waiting_rows: int | None = None
        self._mean_bytes: float | None = None

    def may_read(self, now_s: float, waiting_rows: int) -> int | None:
        """Return how many payload bytes may be read now: 0 for none, `None` where there is no bound.

        Args:
            now_s: The time.
            waiting_rows: Publications in the edge log that were not read.
        """
        if self._bytes_per_s is None:
            return None
        came_rows = 0 if self._waiting_rows is None else max(0, waiting_rows - self._waiting_rows)
        mean_bytes = self._mean_bytes or 0.0
        saved = self._bytes_per_s * _SAVED_S + came_rows * mean_bytes
        grown = self._allowance + self._bytes_per_s * (now_s - self._at_s) + came_rows * mean_bytes
        self._allowance = min(grown, max(saved, self._allowance))
        self._at_s, self._waiting_rows = now_s, waiting_rows
        portion = self._bytes_per_s * _QUANTUM_S
        if self._mean_bytes is not None:
            portion = min(portion, waiting_rows * mean_bytes)
        return int(self._allowance) if self._allowance >= max(portion, 1.0) else 0

    def stand_still(self) -> None:
        """Take note that nothing can be read now, since Kafka is away: what comes in until then is backlog too."""
        self._waiting_rows = None

    def read(self, rows: int, payload_bytes: int) -> None:
        """Take note of what was read.

        Args:
            rows: Publications.
            payload_bytes: Bytes of their payloads.
        """
        if self._waiting_rows is not None:
            self._waiting_rows = max(0, self._waiting_rows - rows)
        self._allowance -= payload_bytes
        mean_bytes = payload_bytes / max(1, rows)
        known = self._mean_bytes
        self._mean_bytes = mean_bytes if known is None else known + _MEAN_SHARE * (mean_bytes - known)
