"""How much an edge log keeps, which of its rows may go, and when it takes no more: rules without I/O."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

_TRIMMED_SHARE = 0.9  # a trim goes on to nine tenths of the bound, so that not every commit trims
_RESUMED_SHARE = 0.95  # a log that was at a bound takes again below this share of it: told once, cleared once
_ROW_BYTES = 24  # what SQLite spends on a row besides payload and topic: header, offset, times, cell pointer


class Bound(StrEnum):
    """A bound at which the edge log takes no more."""

    BYTES = "bytes"
    """It holds as much as it may."""
    DISK = "disk"
    """Too little of the disk is free."""
    AGE = "age"
    """What its consumers still need goes too far back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeLogLimits:
    """Bounds of an edge log. At each of them the bridge stops reading, so that the broker holds the rest."""

    stored_bytes_max: int = 8 * 2**30
    """Bytes that the log may hold. Twenty readers with a publication of 5 kB a second write 100 kB/s: 8 GiB are a
    day of a cut-off store; at 5,000 reads/s in publications of 50 (0.5 MB/s) they are almost five hours."""
    kept_age_s: int = 24 * 3600
    """How long rows that every consumer is done with are kept all the same, seconds, measured back from the newest
    receive time: a mended decoder can then be run again over the last day, and the lake rebuilt from it."""
    backlog_age_s_max: int = 30 * 86400
    """How far back what a consumer still needs may go, seconds. A small site (3 kB/s) takes 30 days to fill 8 GiB, so
    this bound is for smaller ones: after a month without its jobs a person should look, not the disk fill up."""
    disk_free_bytes_min: int = 512 * 2**20
    """Room that is left on the log's disk, free pages inside the log included. The jobs land rows down to 64 MiB free,
    and only they make room in the log again: the rest is theirs, some minutes of work at the busiest site."""

    def __post_init__(self) -> None:
        """Refuse bounds that cannot work."""
        if (
            min(self.stored_bytes_max, self.backlog_age_s_max) <= 0
            or min(self.kept_age_s, self.disk_free_bytes_min) < 0
        ):
            raise ValueError(f"edge log limits must be positive: {self}")


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeLogUse:
    """What an edge log takes now."""

    stored_bytes: int
    """Bytes of the file that hold data."""
    room_bytes: int
    """Bytes that can still be written: free on its disk, and free pages inside the file."""
    backlog_age_s: float
    """Receive time between the oldest row that a consumer still needs and the newest row, seconds."""


def reached_bound(use: EdgeLogUse, limits: EdgeLogLimits, *, holding: bool = False) -> Bound | None:
    """Return the bound at which a log is, `None` where it takes more.

    Args:
        use: What it takes now.
        limits: Its bounds.
        holding: Whether it was at a bound before; it then has to come clear of it, or the bridge would stop and go.
    """
    share = _RESUMED_SHARE if holding else 1.0
    if use.stored_bytes >= limits.stored_bytes_max * share:
        return Bound.BYTES
    if use.room_bytes < limits.disk_free_bytes_min / share:
        return Bound.DISK
    if use.backlog_age_s > limits.backlog_age_s_max * share:
        return Bound.AGE
    return None


def released_through(
    oldest: Iterable[tuple[int, int, int]], limits: EdgeLogLimits, *, newest_us: int, use: EdgeLogUse
) -> int:
    """Decide through which offset rows may be dropped.

    Args:
        oldest: Offset, receive time (us) and size in bytes of the oldest rows, all below every consumer's cursor;
            no more of them are taken than needed.
        limits: Bounds of the log.
        newest_us: Receive time of the newest row of the log, microseconds.
        use: What the log takes now.

    Returns:
        The last offset to drop; 0 for none. Rows go oldest first: while they are over age, or while the log would
        otherwise stay above nine tenths of its size bound, or its disk close to having too little room.
    """
    through = 0
    age_limit_us = newest_us - limits.kept_age_s * 1_000_000
    excess_bytes = max(
        use.stored_bytes - int(limits.stored_bytes_max * _TRIMMED_SHARE),
        int(limits.disk_free_bytes_min / _TRIMMED_SHARE) - use.room_bytes,
    )
    for edge_offset, received_us, row_bytes in oldest:
        if received_us >= age_limit_us and excess_bytes <= 0:
            break
        excess_bytes -= row_bytes + _ROW_BYTES
        through = edge_offset
    return through
