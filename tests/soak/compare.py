"""What was sent beside what is in the lake."""

from dataclasses import dataclass
from pathlib import Path

from analytics.query import ask, connect
from tests.soak.store import READERS, Sent


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """Sent and landed, of one kind."""

    kind: str
    """Reads of a reader, business events, weights, rejects, or repeats that were recognised."""
    sent: int
    """How many were sent."""
    lost: int
    """How many of them are not in the lake."""
    more: int
    """How many rows are in the lake that should not be."""


def landed_reads(data: Path) -> int:
    """Return how many reads are in the lake."""
    return int(ask(connect(data), "SELECT count(*) n FROM reads")["n"][0].as_py())


def compare(data: Path, sent: Sent) -> list[Compared]:
    """Compare all kinds."""
    connection = connect(data)
    reads = ask(
        connection,
        "SELECT reader, count(*) landed, count(DISTINCT source_seq) numbers, min(source_seq) least,"
        " max(source_seq) most FROM reads GROUP BY reader",
    ).to_pylist()
    by_reader = {row["reader"]: row for row in reads}
    found = []
    for reader in range(READERS):
        row = by_reader.get(f"r{reader}", {"landed": 0, "numbers": 0, "least": 1, "most": 0})
        strange = row["least"] < 1 or row["most"] > sent.reads[reader]
        found.append(
            Compared(
                kind=f"reads of r{reader}",
                sent=sent.reads[reader],
                lost=sent.reads[reader] - row["numbers"],
                more=row["landed"] - row["numbers"] + strange,
            )
        )
    counts = ask(
        connection,
        "SELECT (SELECT count(*) FROM business_events) events, (SELECT count(DISTINCT event_id) FROM business_events)"
        " event_ids, (SELECT count(*) FROM readings) weights, (SELECT count(*) FROM rejects) rejects,"
        " (SELECT coalesce(sum(\"count\"), 0) FROM device_events WHERE event = 'repeat') repeats",
    ).to_pylist()[0]
    found.append(_compared("business events", sent.business_events, counts["event_ids"], counts["events"]))
    found.append(_compared("weights", sent.weights, counts["weights"], counts["weights"]))
    found.append(_compared("rejects", sent.garbled, counts["rejects"], counts["rejects"]))
    return found


def repeats_told(data: Path) -> int:
    """Return how many repeats the lake's device events count; those of the last minute are not told yet."""
    sql = "SELECT coalesce(sum(\"count\"), 0)::BIGINT n FROM device_events WHERE event = 'repeat'"
    return int(ask(connect(data), sql)["n"][0].as_py())


def _compared(kind: str, sent: int, distinct: int, rows: int) -> Compared:
    return Compared(kind=kind, sent=sent, lost=max(0, sent - distinct), more=rows - min(sent, distinct))
