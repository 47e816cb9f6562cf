"""What publishers hand over, and writing times the way dialects do."""

from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple


class Sent(NamedTuple):
    """One publication as a device hands it to its network."""

    sent_us: int
    """True time of sending."""
    topic: str
    """MQTT topic."""
    payload: bytes
    """Payload."""
    retained: bool = False
    """Whether the broker is asked to keep it."""


@lru_cache(maxsize=4096)
def second_text(second: int) -> str:
    """Return a UTC second as `2026-03-02T09:00:05`."""
    return datetime.fromtimestamp(second, tz=UTC).strftime("%Y-%m-%dT%H:%M:%S")


def nanosecond_text(time_us: int, nanoseconds: int) -> str:
    """Return a time as Impinj readers write it: nine digits and `Z`."""
    second, rest = divmod(time_us, 1_000_000)
    return f"{second_text(second)}.{rest * 1000 + nanoseconds:09d}Z"


def millisecond_text(time_us: int) -> str:
    """Return a time as Zebra readers write it: three digits and `+0000` without a colon."""
    second, rest = divmod(time_us, 1_000_000)
    return f"{second_text(second)}.{rest // 1000:03d}+0000"


def microsecond_text(time_us: int) -> str:
    """Return a time as RFC 3339 with six digits and `Z`."""
    second, rest = divmod(time_us, 1_000_000)
    return f"{second_text(second)}.{rest:06d}Z"
