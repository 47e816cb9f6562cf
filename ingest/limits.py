"""How much an edge log keeps, and which of its rows may go: rules without I/O."""

from collections.abc import Iterable
from dataclasses import dataclass

_TRIMMED_SHARE = 0.9  # a trim goes on to nine tenths of the bound, so that not every commit trims
_ROW_BYTES = 24  # what SQLite spends on a row besides payload and topic: header, offset, times, cell pointer


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeLogLimits:
    """Bounds of an edge log."""

    stored_bytes_max: int = 8 * 2**30
    """Bytes that the log may hold. Twenty readers with a publication of 5 kB a second write 100 kB/s: 8 GiB are a
    day of a cut-off store. At the bound the bridge stops reading, so the broker holds the rest."""
    kept_age_s: int = 24 * 3600
    """How long rows that every consumer is done with are kept all the same, seconds, measured back from the newest
    receive time: a mended decoder can then be run again over the last day."""

    def __post_init__(self) -> None:
        """Refuse bounds that cannot work."""
        if self.stored_bytes_max <= 0 or self.kept_age_s < 0:
            raise ValueError(f"edge log limits must be positive: {self}")


def released_through(
    oldest: Iterable[tuple[int, int, int]], limits: EdgeLogLimits, *, newest_us: int, stored_bytes: int
) -> int:
    """Decide through which offset rows may be dropped.

    Args:
        oldest: Offset, receive time (us) and size in bytes of the oldest rows, all below every consumer's cursor;
            no more of them are taken than needed.
        limits: Bounds of the log.
        newest_us: Receive time of the newest row of the log, microseconds.
        stored_bytes: What the log holds now.

    Returns:
        The last offset to drop; 0 for none. Rows go oldest first: while they are over age, or while the log would
        otherwise stay above nine tenths of its size bound.
    """
    through = 0
    age_limit_us = newest_us - limits.kept_age_s * 1_000_000
    target_bytes = int(limits.stored_bytes_max * _TRIMMED_SHARE)
    for edge_offset, received_us, row_bytes in oldest:
        if received_us >= age_limit_us and stored_bytes <= target_bytes:
            break
        stored_bytes -= row_bytes + _ROW_BYTES
        through = edge_offset
    return through
