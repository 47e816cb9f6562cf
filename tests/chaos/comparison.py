"""The other side of the comparison: what the lake holds of each publication, and what that means."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from analytics.query import ask, connect
from tests.chaos.faults import Fault, Kind
from tests.chaos.ledger import Entry
from tests.chaos.publications import Promise

_SQL: Mapping[str, str] = {
    "reads": """
        SELECT reader || ' ' || epoch_us(reader_time) AS key, count(DISTINCT epc_hex) AS different,
               count(*) AS all_rows, max(epoch_us(received_time)) AS last_us
        FROM reads GROUP BY 1""",
    "readings": """
        SELECT CASE WHEN reader_time IS NULL THEN printf('%.3f', value) ELSE source || ' ' || epoch_us(reader_time) END
               AS key, 1 AS different, count(*) AS all_rows, max(epoch_us(received_time)) AS last_us
        FROM readings GROUP BY 1""",
    "device_events": """
        SELECT source || ' ' || epoch_us(reader_time) AS key, 1 AS different, count(*) AS all_rows,
               max(epoch_us(received_time)) AS last_us
        FROM device_events WHERE event = 'heartbeat' GROUP BY 1""",
    "business_events": """
        SELECT event_id AS key, 1 AS different, count(*) AS all_rows, max(epoch_us(received_time)) AS last_us
        FROM business_events GROUP BY 1""",
    "rejects": """
        SELECT decode(bytes) AS key, 1 AS different, count(*) AS all_rows, max(epoch_us(received_time)) AS last_us
        FROM rejects GROUP BY 1""",
}
"""Every row that a device caused, by publication: how many different ones there are, and how many in all."""

_SESSION_LOST_US = 5_000_000
"""What was acknowledged this long before or after a broker's file is removed counts as lost with it."""

BROKER_DEATHS = frozenset(
    {Kind.KILL_MOSQUITTO, Kind.KILL_PAIR, Kind.KILL_ALL, Kind.KILL_STORM, Kind.BROKER_ALONE, Kind.SESSION_LOST}
)
"""Kinds of fault in which Mosquitto may be killed."""


@dataclass(slots=True)
class Landed:
    """What the lake holds of one publication."""

    different: int
    """Different rows."""
    rows: int
    """Rows in all."""
    last_us: int
    """When the bridge received the last of them."""


@dataclass(slots=True)
class Share:
    """What happened around one kind of fault."""

    faults: int = 0
    """How many there were."""
    acknowledged: int = 0
    """Publications acknowledged from the beginning of such a fault to the beginning of the next fault."""
    rejected: int = 0
    """Of these, malformed or of an unknown topic, and landed as rejects."""
    lost: int = 0
    """Acknowledged publications that are not in the lake, or not whole."""
    duplicated: int = 0
    """Publications of dialects that promise exactly once which are in the lake more often."""
    repeated: int = 0
    """Publications that promise only at least once which are in the lake more often."""


@dataclass(slots=True)
class Comparison:
    """The outcome."""

    acknowledged: int = 0
    """Publications that the broker acknowledged."""
    lost: list[Entry] = field(default_factory=list)
    """Those of them that are not in the lake, or not whole."""
    duplicated: list[Entry] = field(default_factory=list)
    """Those that are there more often than promised."""
    repeated: int = 0
    """Those of at least once that are there more than once."""
    rejected: int = 0
    """Those that are rejects, as they should be."""
    strange: list[str] = field(default_factory=list)
    """Rows of publications that nobody made."""
    shares: dict[Kind | None, Share] = field(default_factory=dict)
    """The same by kind of fault; `None` is before the first one and after the last one's recovery."""

    @property
    def lost_with_broker(self) -> int:
        """Publications lost around the death of a broker: without its journal, nobody but its memory had some."""
        return sum(share.lost for kind, share in self.shares.items() if kind in BROKER_DEATHS)


def landed(data: Path) -> dict[tuple[str, str], Landed]:
    """Return what the lake of a data directory holds, by table and key."""
    connection = connect(data)
    found = {}
    for table, sql in _SQL.items():
        for row in ask(connection, sql).to_pylist():
            found[table, str(row["key"])] = Landed(row["different"], row["all_rows"], row["last_us"])
    return found


def missing(entries: Iterable[Entry], data: Path) -> int:
    """Return how many of these publications are not in the lake yet."""
    have = landed(data)
    return sum(not _is_whole(entry, have) for entry in entries)


def compare(entries: Sequence[Entry], have: Mapping[tuple[str, str], Landed], faults: Sequence[Fault]) -> Comparison:
    """Compare what was acknowledged with what has landed.

    Args:
        entries: Every publication.
        have: What the lake holds.
        faults: What was done, in order.
    """
    result = Comparison(shares={None: Share()})
    timeline = _Timeline(faults)
    for fault in faults:
        result.shares.setdefault(fault.kind, Share()).faults += 1
    for entry in entries:
        if entry.acknowledged_us is not None:
            result.acknowledged += 1
            result.shares[timeline.during(entry.acknowledged_us)].acknowledged += 1
            _judge(entry, entry.acknowledged_us, have, timeline, result)
    known = {(entry.publication.table, entry.publication.key) for entry in entries}
    result.strange = [f"{table}: {key}" for table, key in have if (table, key) not in known]
    return result


def _judge(
    entry: Entry,
    acknowledged_us: int,
    have: Mapping[tuple[str, str], Landed],
    timeline: "_Timeline",
    result: Comparison,
) -> None:
    publication = entry.publication
    if not _is_whole(entry, have):
        result.lost.append(entry)
        result.shares[timeline.cause_of_loss(acknowledged_us)].lost += 1
        return
    here = have[publication.table, publication.key]
    if publication.table == "rejects":
        result.rejected += 1
        result.shares[timeline.during(acknowledged_us)].rejected += 1
    if here.rows == publication.rows:
        return
    share = result.shares[timeline.during(here.last_us)]
    if publication.promise is Promise.EXACTLY_ONCE:
        result.duplicated.append(entry)
        share.duplicated += 1
    else:
        result.repeated += 1
        share.repeated += 1


def _is_whole(entry: Entry, have: Mapping[tuple[str, str], Landed]) -> bool:
    here = have.get((entry.publication.table, entry.publication.key))
    return here is not None and here.different >= entry.publication.rows


class _Timeline:
    """Which fault was going on when."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self._faults = faults
        self._begins = [fault.began_us for fault in faults]

    def during(self, at_us: int) -> Kind | None:
        """The last fault that had begun."""
        before = bisect_right(self._begins, at_us)
        return self._faults[before - 1].kind if before else None

    def cause_of_loss(self, acknowledged_us: int) -> Kind | None:
        """The removed file beside it; else the next death of a broker; else the fault that was going on."""
        for fault in self._faults:
            near = fault.began_us - _SESSION_LOST_US <= acknowledged_us <= fault.ended_us + _SESSION_LOST_US
            if fault.kind is Kind.SESSION_LOST and near:
                return fault.kind
        for fault in self._faults:
            if fault.ended_us >= acknowledged_us and fault.kind in BROKER_DEATHS:
                return fault.kind
        return self.during(acknowledged_us)
