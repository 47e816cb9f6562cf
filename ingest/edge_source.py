"""The edge log as a source of chunks for the jobs: the shorter of the two ways, without Kafka.

Implements `analytics.source.RecordSource` without importing it. A position is a small JSON object: which edge log,
and the last offset that was handed out.
"""

import time
from collections.abc import Callable
from typing import Protocol

import msgspec

from devices.bulk import TopicDirectory, decode_publications
from devices.chunk import Chunk
from devices.errors import EdgeLogError
from devices.publication import LoggedPublication
from ingest.errors import EdgeLogPositionError

CURSOR = "jobs"
"""Name of the jobs' cursor in the edge log."""

_POLL_INTERVAL_S = 0.02  # an empty look costs 20 us; fifty a second are 0.1 % of a core
_PUBLICATIONS_MAX = 50_000  # rows of the log in one poll, however few rows each of them gives
_BYTES_MAX = 16 * 2**20  # payload bytes in one poll; the worst JSON takes 40 times that while it is decoded


class _Position(msgspec.Struct, frozen=True, kw_only=True):
    edge_id: str
    offset: int
    received_us: int | None = None  # of the publication at the offset: tells an older copy that was put back


class SourceLog(Protocol):
    """What a source uses of an edge log."""

    edge_id: str

    @property
    def path(self) -> object:
        """Where it is, for people."""
        ...

    @property
    def last_offset(self) -> int:
        """Offset of the newest publication; 0 where the log is empty."""
        ...

    def read(self, after: int, limit_rows: int, limit_bytes: int) -> list[LoggedPublication]:
        """Return the publications behind an offset, in order."""
        ...

    def move_cursor(self, name: str, offset: int) -> None:
        """Tell that a consumer is done with everything up to an offset."""
        ...

    def is_next(self, offset: int, found: int) -> bool:
        """Whether nothing was ever stored between an offset and a later one that was found."""
        ...

    def received_us(self, offset: int) -> int | None:
        """Return the receive time of the publication at an offset; `None` where it is not kept."""
        ...

    def close(self) -> None:
        """Close it."""
        ...


def offset_of(position: bytes) -> int:
    """Return the edge offset that a position stands behind.

    Raises:
        EdgeLogError: It is not a position of an edge log.
    """
    return _decoded(position).offset


class EdgeLogSource:
    """Chunks decoded from one edge log."""

    def __init__(
        self,
        log: SourceLog,
        directory: TopicDirectory,
        *,
        cursor: str | None = CURSOR,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin at the oldest publication that is kept, and keep the log from trimming what is not released.

        Args:
            log: The edge log; the source closes it in the end.
            directory: Which topics belong to which sites.
            cursor: Name of the consumer; `None` for one that reads what is kept anyway and holds nothing back, such as
                a rebuild: what is trimmed under it is missing at the beginning.
            sleep: Waits between looks.
            monotonic: Seconds, for the deadline of a poll.
        """
        self._log = log
        self._directory = directory
        self._cursor = cursor
        self._sleep = sleep
        self._monotonic = monotonic
        self._rows_per_publication = 1.0
        self._from_beginning = True
        self._offset = 0
        self._is_ahead = False  # of the log's end: an older copy of it was put back
        self._received_us: int | None = None
        if cursor is not None:
            log.move_cursor(cursor, 0)

    def poll(self, *, max_rows: int, timeout_s: float) -> list[Chunk]:
        """Return the next chunks, about `max_rows` rows at most; an empty list if none came within `timeout_s`.

        Raises:
            EdgeLogPositionError: Publications behind the position are gone.
            EdgeLogError: The log cannot be read.
        """
        deadline = self._monotonic() + timeout_s
        while True:
            found = self._read(max_rows)
            chunks = decode_publications(found, edge_id=self._log.edge_id, directory=self._directory)
            if chunks:
                # How many publications make max_rows is learnt from the last; where chunks end changes no result.
                self._rows_per_publication = max(1.0, sum(chunk.rows for chunk in chunks) / len(found))
                return chunks
            left_s = deadline - self._monotonic()
            if left_s <= 0:
                return []
            if not found:
                self._sleep(min(_POLL_INTERVAL_S, left_s))

    @property
    def offset(self) -> int:
        """Edge offset of the last publication that `poll` has handed out, or found nothing in."""
        return self._offset

    def position(self) -> bytes:
        """Return a token for the place behind everything that `poll` has handed out."""
        return msgspec.json.encode(
            _Position(edge_id=self._log.edge_id, offset=self._offset, received_us=self._received_us)
        )

    def seek(self, position: bytes | None) -> None:
        """Go to a place that `position` named; `None` is the beginning of what is kept.

        A place behind the log's end means that an older copy of the log was put back. The bridge's next run goes on
        above it (`ingest.offset_jumps`), so that nothing new is taken for something old.

        Raises:
            EdgeLogPositionError: The position is of another edge log, or another publication has its offset now.
        """
        place = None if position is None else self._checked(position)
        self._offset = 0 if place is None else place.offset
        self._received_us = None if place is None else place.received_us
        self._from_beginning = self._offset == 0
        self._is_ahead = self._offset > self._log.last_offset

    @property
    def is_away(self) -> bool:
        """Whether nothing can be read: never, an edge log that cannot be read is an error."""
        return False

    def release(self, position: bytes) -> None:
        """Tell that nothing before a place will be asked for again, so that it may be trimmed."""
        # An older copy of the log that was put back ends before it: everything that it has is done with.
        offset = min(self._checked(position).offset, self._log.last_offset)
        if self._cursor is not None:
            self._log.move_cursor(self._cursor, offset)

    def close(self) -> None:
        """Close the log."""
        self._log.close()

    def _read(self, max_rows: int) -> list[LoggedPublication]:
        limit_rows = max(1, min(_PUBLICATIONS_MAX, int(max_rows / self._rows_per_publication)))
        found = self._log.read(self._offset, limit_rows, _BYTES_MAX)
        if not found:
            return found
        if self._is_ahead and found[0].edge_offset == self._offset + 1:
            raise self._other_history(self._offset)
        if not self._from_beginning and not self._log.is_next(self._offset, found[0].edge_offset):
            raise EdgeLogPositionError(
                f"{self._log.path}: publications {self._offset + 1} to {found[0].edge_offset - 1} are no longer kept",
                hint="they were trimmed after being released; start again from the beginning of what is kept",
            )
        self._from_beginning = self._is_ahead = False
        self._offset = found[-1].edge_offset
        self._received_us = found[-1].publication.received_us
        return found

    def _checked(self, position: bytes) -> _Position:
        place = _decoded(position)
        if place.edge_id != self._log.edge_id:
            raise EdgeLogPositionError(
                f"{self._log.path} is edge log {self._log.edge_id}, the position is of {place.edge_id}",
                hint="the edge log was replaced: put the old one back, or give the jobs a fresh --data directory",
            )
        found_us = self._log.received_us(place.offset)
        if place.received_us is not None and found_us not in (None, place.received_us):
            raise self._other_history(place.offset)
        return place

    def _other_history(self, offset: int) -> EdgeLogPositionError:
        return EdgeLogPositionError(
            f"{self._log.path} holds another publication at {offset} than the one that the jobs have had",
            hint="an older copy of the edge log was put back and written on with a clock that was behind: give the"
            " jobs a fresh --data directory",
        )


def _decoded(position: bytes) -> _Position:
    try:
        return msgspec.json.decode(position, type=_Position)
    except msgspec.DecodeError as cause:
        raise EdgeLogError(f"not a position of an edge log: {position!r}") from cause
