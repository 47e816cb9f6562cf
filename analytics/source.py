"""Where a runner's chunks come from: the small interface behind which the edge log and Kafka stand."""

from typing import Protocol

from devices.chunk import Chunk


class RecordSource(Protocol):
    """An ordered, repeatable source of chunks.

    Per site and edge log, chunks come in edge order without gaps or overlaps. After a `seek` to a position, the
    same rows come again in the same order; where one chunk ends and the next begins may differ.
    """

    def poll(self, *, max_rows: int, timeout_s: float) -> list[Chunk]:
        """Return the next chunks, about `max_rows` rows at most; an empty list if none came within `timeout_s`."""
        ...

    def position(self) -> bytes:
        """Return a token for the place behind everything that `poll` has handed out."""
        ...

    def seek(self, position: bytes | None) -> None:
        """Go to a place that `position` named; `None` is the beginning of what is kept."""
        ...

    def release(self, position: bytes) -> None:
        """Tell that nothing before a place will be asked for again, so that it may be trimmed."""
        ...

    @property
    def is_away(self) -> bool:
        """Whether nothing comes because what is behind this source does not answer."""
        ...

    def close(self) -> None:
        """Let go of files and connections."""
        ...
