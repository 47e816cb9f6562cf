"""How far a consumer of the edge log is behind: publications that it is not done with, and how old the oldest is."""

import time

from deploy.telemetry.report import Told
from ingest.edge_log import EdgeLog

CATCHING_UP_S = 60.0
"""A consumer is catching up, and not ready, while a publication waits for it longer than this."""


def tell_lag(told: Told, consumer: str, log: EdgeLog, done_through: int) -> None:
    """Add a consumer's lag and whether it has caught up.

    Args:
        told: Where to.
        consumer: `jobs` or `forward`.
        log: The edge log.
        done_through: Last edge offset that it is done with.

    Raises:
        EdgeLogError: The log cannot be read now.
    """
    waiting = log.count_after(done_through)
    oldest_us = received_after(log, done_through)
    seconds = 0.0 if oldest_us is None else max(0.0, time.time() - oldest_us / 1e6)
    told.put("tagtide_consumer_lag_publications", waiting, consumer)
    told.put("tagtide_consumer_lag_seconds", seconds, consumer)
    told.check(
        "caught_up",
        ok=seconds <= CATCHING_UP_S,
        says=f"{waiting:,} publications wait, the oldest for {seconds:,.0f} s",
        do="after an outage it catches up by itself: see that the number falls; if it does not, this machine is too "
        "slow for what comes, or what it writes to is away",
    )


def received_after(log: EdgeLog, offset: int) -> int | None:
    """Return when the first publication behind an edge offset was received, microseconds; `None` where none is."""
    found = log.read(offset, 1, 1)
    return found[0].publication.received_us if found else None
