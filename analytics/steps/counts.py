"""The counts step: passes of handheld readers, what each heard of what is there, and what is surely missing.

Reads of *mobile* readers make passes:

```
idle  --a read of the reader-------------------------------->  open
open  --no read of it for `GAP_US`, or open for `LONGEST_US`->  closed  (rows of `counts` and `counted`)
```

Passes of a site that begin within `COUNT_GAP_US` of the end of the one before belong to one *count*. What should be
there is what the location step tells - items located, and those that fell silent within a day - and what earlier counts
heard, less what was sold by EPC. What follows from a pass is in `analytics.counting.tally`.

Events are taken in the order of their times, so that chunks change nothing: location rows at their `as_of_time`, sales
and reads at their effective time.
"""

from typing import Any

import msgspec

from analytics import on_hand
from analytics.counting.recapture import PASSES_LIMIT
from analytics.counting.tally import Expected, Heard, Tally, tally
from analytics.schemas import COUNTED, COUNTS, OUTSIDE
from analytics.step import Arrived, Outputs
from analytics.steps.derived import table_of
from analytics.steps.identity import identify
from analytics.steps.state_bytes import StateVersionError
from devices.observations import BusinessEventKind
from devices.site.model import Site

GAP_US = 2 * 60 * 1_000_000
"""A pass is over when its reader has read nothing for this long: somebody has put it down."""
LONGEST_US = 4 * 3600 * 1_000_000
"""A pass that goes on for longer is closed, and another begins: its items are remembered until then."""
COUNT_GAP_US = 2 * 3600 * 1_000_000
"""A pass that begins later than this after the last one is of another count."""
SILENT_KEPT_US = 24 * 3600 * 1_000_000
"""Items that fell silent are expected for this long."""
HEARD_KEPT_US = 45 * 24 * 3600 * 1_000_000
"""Items that only handhelds have heard are expected for this long: counts come monthly."""
_LOCATED, _SILENT, _HEARD = range(3)
_LOCATION, _BUSINESS, _READ = range(3)
_MOVED = 2
_ENDS = {None: 1, OUTSIDE: 3}
"""What the weight of a location row's event says of one that closes a stay, by `left_for`; else `_MOVED`."""
_GONE = (BusinessEventKind.SALE, BusinessEventKind.TRANSFER_OUT)
_BACK = (BusinessEventKind.RETURN, BusinessEventKind.TRANSFER_IN)
_VERSION = 1


class _Event(msgspec.Struct, array_like=True, frozen=True):
    """Something that waits for the watermark."""

    time_us: int
    kind: int
    what: str
    """Reader of a read, kind of a business event, zone of a location row."""
    epc: str
    weight: int
    """Air reads; for a location row, 0 where it opens a stay, 1 where it closes one, 2 where that leads to another."""
    at_us: int
    """When it was heard: until when, for a row that closes a stay."""


class _Known(msgspec.Struct, array_like=True):
    """An item that is on the site, as far as is known."""

    zone: str
    state: int
    from_us: int
    """Since when it is known to be on the site without a break."""
    heard_us: int


class _Pass(msgspec.Struct):
    """One pass."""

    reader: str
    from_us: int
    until_us: int
    reads: dict[str, int] = {}


class CountsState(msgspec.Struct, kw_only=True):
    """Everything that the counts step remembers of a site."""

    version: int = _VERSION
    known: dict[str, _Known] = {}
    """Items on the site, by EPC."""
    open: dict[str, _Pass] = {}
    """Passes that go on, by reader."""
    closed: list[_Pass] = []
    """Passes of the present count, oldest first."""
    pending: list[_Event] = []
    """Events that wait for the watermark, in arrival order."""


class CountsStep:
    """Counting passes."""

    name = "counts"

    def initial(self, site: Site) -> CountsState:  # noqa: ARG002 - the interface of a step
        """Return the state before anything was seen."""
        return CountsState()

    def step(self, state: CountsState, arrived: Arrived, site: Site) -> tuple[CountsState, Outputs]:
        """Take one chunk in; return the rows of passes that are over by its watermark."""
        mobile = frozenset(reader.id for reader in site.readers if reader.mobile)
        if not mobile:
            return state, {}
        state.pending += [*_locations(arrived), *_business(arrived), *_reads(arrived, mobile)]
        due = [event for event in state.pending if event.time_us <= arrived.watermark_us]
        state.pending = [event for event in state.pending if event.time_us > arrived.watermark_us]
        due.sort(key=lambda event: (event.time_us, event.kind))
        work = _Work(state, site.id)
        for event in due:
            work.close_passes(event.time_us - 1)
            work.take(event)
        work.close_passes(arrived.watermark_us)
        return state, work.outputs()

    def dump(self, state: CountsState) -> bytes:
        """Turn a state to bytes."""
        return msgspec.msgpack.encode(state, order="sorted")

    def load(self, blob: bytes, site: Site) -> CountsState:  # noqa: ARG002 - the interface of a step
        """Turn bytes back to a state."""
        state = msgspec.msgpack.decode(blob, type=CountsState)
        if state.version != _VERSION:
            raise StateVersionError(f"counts state is of version {state.version}, expected {_VERSION}")
        return state


def _locations(arrived: Arrived) -> list[_Event]:
    table = arrived.derived.get("locations")
    if table is None:
        return []
    times = [table[name].cast("int64").to_pylist() for name in ("as_of_time", "from_time", "until_time")]
    columns = [table[name].to_pylist() for name in ("epc_hex", "zone", "revision", "left_for")]
    return [
        _Event(as_of_us, _LOCATION, zone, epc, 0 if until_us is None else _ENDS.get(left, _MOVED), until_us or from_us)
        for as_of_us, from_us, until_us, epc, zone, revision, left in zip(*times, *columns, strict=True)
        if revision == 0 or until_us is not None
    ]


def _business(arrived: Arrived) -> list[_Event]:
    batch = arrived.batches.get("business_events")
    if batch is None or batch.num_rows == 0:
        return []
    times = arrived.effective_us["business_events"].tolist()
    columns = [batch[name].to_pylist() for name in ("event", "epc_hex")]
    return [
        _Event(time_us, _BUSINESS, what, epc, 0, time_us)
        for time_us, what, epc in zip(times, *columns, strict=True)
        if epc is not None and what in (*_GONE, *_BACK)
    ]


def _reads(arrived: Arrived, mobile: frozenset[str]) -> list[_Event]:
    batch = arrived.batches.get("reads")
    if batch is None or batch.num_rows == 0:
        return []
    times = arrived.effective_us["reads"].tolist()
    columns = [batch[name].to_pylist() for name in ("reader", "epc_hex", "read_count")]
    return [
        _Event(time_us, _READ, reader, epc, max(1, count or 1), time_us)
        for time_us, reader, epc, count in zip(times, *columns, strict=True)
        if reader in mobile
    ]


class _Work:
    """Works through the events of one chunk."""

    def __init__(self, state: CountsState, site: str) -> None:
        self._state = state
        self._site = site
        self._counts: list[dict[str, Any]] = []
        self._counted: list[dict[str, Any]] = []

    def outputs(self) -> Outputs:
        """Return the rows as tables."""
        tables = {"counts": (self._counts, COUNTS), "counted": (self._counted, COUNTED)}
        return {name: table_of(rows, schema) for name, (rows, schema) in tables.items() if rows}

    def take(self, event: _Event) -> None:
        """Take in one event."""
        state, epc = self._state, event.epc
        known = state.known.get(epc)
        if event.kind == _BUSINESS:
            if event.what in _GONE:
                state.known.pop(epc, None)
        elif event.kind == _LOCATION:
            from_us = event.at_us if known is None else known.from_us
            how = _SILENT if event.weight == 1 else _LOCATED
            if event.weight == _ENDS[OUTSIDE]:
                state.known.pop(epc, None)
            elif event.weight == 0 or known is not None:  # a stay that closes of an item that was sold is no news
                state.known[epc] = _Known(event.what, how, from_us, max(event.at_us, known.heard_us if known else 0))
        else:
            one = state.open.setdefault(event.what, _Pass(event.what, event.time_us, event.time_us, {}))
            one.until_us = event.time_us
            one.reads[epc] = one.reads.get(epc, 0) + event.weight

    def close_passes(self, now_us: int) -> None:
        """Close the passes that are over by a time, in the order in which they end."""
        ends = {
            reader: min(one.until_us + GAP_US, one.from_us + LONGEST_US) for reader, one in self._state.open.items()
        }
        for reader in sorted(ends, key=lambda reader: (ends[reader], reader)):
            if ends[reader] <= now_us:
                self._close(self._state.open.pop(reader), ends[reader])

    def _close(self, one: _Pass, as_of_us: int) -> None:
        state = self._state
        if state.closed and one.from_us > state.closed[-1].until_us + COUNT_GAP_US:
            state.closed = []
        state.closed = [*state.closed, one][-PASSES_LIMIT:]
        expected = {
            epc: item for epc, item in self._expected(as_of_us).items() if state.known[epc].from_us <= one.from_us
        }
        found = tally([_heard(earlier) for earlier in state.closed], expected)
        name = f"{one.reader}-{one.from_us // 1_000_000}"
        self._write_counts(one, name, found, as_of_us, expected)
        self._write_counted(one, name, found, as_of_us, expected)
        for epc in one.reads:
            known = state.known.get(epc)
            if known is None:
                state.known[epc] = _Known("", _HEARD, one.from_us, one.until_us)
            else:
                known.heard_us = max(known.heard_us, one.until_us)

    def _expected(self, now_us: int) -> dict[str, Expected]:
        """Return what should be there; forget what was not heard for too long."""
        state = self._state
        kept_us = {_SILENT: SILENT_KEPT_US, _HEARD: HEARD_KEPT_US}
        for epc in [
            e for e, known in state.known.items() if now_us - known.heard_us > kept_us.get(known.state, now_us)
        ]:
            del state.known[epc]
        return {
            epc: Expected(
                gtin=identify(epc)[1] or "",
                zone=known.zone,
                heard_us=known.heard_us,
                located=known.state == _LOCATED,
            )
            for epc, known in state.known.items()
        }

    def _write_counts(self, one: _Pass, name: str, found: Tally, as_of_us: int, expected: dict[str, Expected]) -> None:
        total, recall = found.total, found.recalls[-1]
        common = {
            "site": self._site,
            "pass": name,
            "reader": one.reader,
            "from_time": one.from_us,
            "until_time": one.until_us,
            "passes": len(self._state.closed),
            "as_of_time": as_of_us,
        }
        self._counts.append(
            {
                **common,
                "seen_quantity": len(one.reads),
                "estimate": total.units,
                "estimate_low": total.low,
                "estimate_high": total.high,
                "recall": recall,
                "further_quantity": total.further,
                "missing_quantity": sum(found.missing.values()),
            }
        )
        gone: dict[str, float] = {}
        for epc, probability in found.missing.items():
            gtin = expected[epc].gtin
            gone[gtin] = gone.get(gtin, 0.0) + probability
        ends = on_hand.intervals([units for _, units in found.by_gtin.values()], on_hand.INTERVAL_PROBABILITY)
        for (gtin, (seen, units)), (low, high) in zip(found.by_gtin.items(), ends, strict=True):
            self._counts.append(
                {
                    **common,
                    "gtin": gtin,
                    "seen_quantity": seen,
                    "estimate": units.mean,
                    "estimate_low": min(float(low), units.mean),
                    "estimate_high": max(float(high), units.mean),
                    "recall": min(1.0, seen / units.mean) if units.mean > 0 else None,
                    "missing_quantity": gone.get(gtin, 0.0),
                }
            )

    def _write_counted(self, one: _Pass, name: str, found: Tally, as_of_us: int, expected: dict[str, Expected]) -> None:
        common = {"site": self._site, "pass": name, "as_of_time": as_of_us}
        for epc in sorted(one.reads):
            uri, gtin = identify(epc)
            self._counted.append(
                {
                    **common,
                    "epc_hex": epc,
                    "epc_uri": uri,
                    "gtin": gtin,
                    "zone": expected[epc].zone or None if epc in expected else None,
                    "heard": True,
                    "reads": one.reads[epc],
                    "last_heard_time": one.until_us,
                    "missing_probability": 0.0,
                    "recall": found.recalls[-1],
                }
            )
        for epc, probability in found.missing.items():
            uri, gtin = identify(epc)
            item = expected[epc]
            self._counted.append(
                {
                    **common,
                    "epc_hex": epc,
                    "epc_uri": uri,
                    "gtin": gtin,
                    "zone": item.zone or None,
                    "heard": False,
                    "reads": 0,
                    "last_heard_time": item.heard_us,
                    "missing_probability": probability,
                    "recall": found.recalls[-1],
                }
            )


def _heard(one: _Pass) -> Heard:
    return Heard(reads=one.reads, gtins={epc: identify(epc)[1] or "" for epc in one.reads})
