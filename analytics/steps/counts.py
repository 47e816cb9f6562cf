"""The counts step: passes of handheld readers, what each heard of what is there, and what is surely missing.

Reads of *mobile* readers make passes:

```
idle  --a read of the reader-------------------------------->  open
open  --no read of it for `GAP_US`, or open for `LONGEST_US`->  closed  (rows of `counts` and `counted`)
```

Passes of a site that begin within `COUNT_GAP_US` of the end of the one before belong to one *count*. What should be
there is what the location step tells - items located, and those that fell silent within a day - and what earlier counts
heard, less what was sold by EPC. A stay is closed minutes after its item was last heard, and a pass takes no longer:
whether an item is there still is told by `analytics.counting.hearing` from the reads themselves. What follows from a
pass is in `analytics.counting.tally`.

Events are taken in the order of their times, so that chunks change nothing: location rows at their `as_of_time`, sales
and reads at their effective time.
"""

from collections import Counter
from dataclasses import dataclass, field

import msgspec
import numpy as np

from analytics.counting.hearing import Hearing, Presence, Ways
from analytics.counting.recapture import PASSES_LIMIT
from analytics.counting.tally import Expected, Heard, tally
from analytics.step import Arrived, Outputs
from analytics.steps.counts_events import (
    BEYOND,
    BUSINESS,
    LOCATION,
    OPENS,
    RESTATED,
    SILENT,
    SOLD,
    Event,
    FixedReads,
    business_events,
    location_events,
    reads,
)
from analytics.steps.counts_rows import CountRows, Pass
from analytics.steps.identity import identify
from analytics.steps.state_bytes import StateVersionError
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
MINUTE_US = 60 * 1_000_000
"""How exact it is when items are taken to have moved."""
HAZARD_PRIOR_S = 360_000.0
"""A hundred hours: so many item-seconds, with one departure, are believed of a site, and as many like the site's own of
each of its zones."""
LOST_PRIOR = 0.2
"""Share of silent items that are there, as believed with the weight of one item before a pass has found any."""
ZONE_SILENT = 4.0
"""So many silent items like those of the whole site are believed of each zone."""
_SURE = Presence(now=1.0, after=0.0, before=0.0)
_LOCATED_THERE = Presence(now=0.995, after=0.0, before=0.005)
_SILENT_THERE = Presence(now=0.75, after=0.0, before=0.25)
_LOCATED_STATE, _SILENT_STATE, _HEARD_STATE = range(3)
_VERSION = 2


class _Known(msgspec.Struct, array_like=True):
    """An item that is on the site, as far as is known."""

    zone: str
    state: int
    from_us: int
    """Since when it is known to be on the site without a break."""
    heard_us: int
    moved_us: int = 0
    """Since when it is in its zone."""
    came_from: str = ""
    """The zone where it was before."""
    confidence: float = 1.0
    """How sure it is that it is in its zone."""


class _Kept(msgspec.Struct, kw_only=True):
    """What is plain in the state."""

    version: int = _VERSION
    began_us: int = 0
    """Time of the first event of all."""
    known: dict[str, _Known] = {}
    """Items on the site, by EPC."""
    open: dict[str, Pass] = {}
    """Passes that go on, by reader."""
    closed: list[Pass] = []
    """Passes of the present count, oldest first."""
    pending: list[Event] = []
    """Events that wait for the watermark, in arrival order."""
    sold: dict[str, int] = {}
    """When items were sold that passes which go on had heard before."""
    moved: list[str] = []
    """Items that have moved in the present minute."""
    minute: int = 0
    """The present minute, of event time."""


class _Packed(msgspec.Struct, array_like=True):
    """A state as bytes."""

    kept: _Kept
    hearing: bytes
    waiting: tuple[list[int], list[str], list[str]]


@dataclass(slots=True)
class CountsState:
    """Everything that the counts step remembers of a site."""

    kept: _Kept = field(default_factory=_Kept)
    """Items, passes, and events that wait."""
    hearing: Hearing = field(default_factory=Hearing)
    """How fixed readers hear each item."""
    waiting: FixedReads = field(default_factory=FixedReads)
    """Their reads that wait for the watermark."""


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
        kept = state.kept
        of_handhelds, of_fixed = reads(arrived, mobile)
        state.waiting.add(of_fixed)
        kept.pending += [*location_events(arrived), *business_events(arrived), *of_handhelds]
        due = [event for event in kept.pending if event.time_us <= arrived.watermark_us]
        kept.pending = [event for event in kept.pending if event.time_us > arrived.watermark_us]
        due.sort(key=lambda event: (event.time_us, event.kind))
        work = _Work(state, site.id)
        for event in due:
            work.close_passes(event.time_us - 1)
            work.take(event)
        work.close_passes(arrived.watermark_us)
        work.pass_minute(arrived.watermark_us)
        work.listen(arrived.watermark_us)
        return state, work.rows.tables()

    def dump(self, state: CountsState) -> bytes:
        """Turn a state to bytes."""
        waiting = (state.waiting.time_us.tolist(), state.waiting.epc, state.waiting.reader)
        return msgspec.msgpack.encode(_Packed(state.kept, state.hearing.dump(), waiting), order="sorted")

    def load(self, blob: bytes, site: Site) -> CountsState:  # noqa: ARG002 - the interface of a step
        """Turn bytes back to a state."""
        try:
            packed = msgspec.msgpack.decode(blob, type=_Packed)
        except msgspec.ValidationError as error:  # version 1 was no array
            raise StateVersionError(f"counts state is of another version than {_VERSION}") from error
        if packed.kept.version != _VERSION:
            raise StateVersionError(f"counts state is of version {packed.kept.version}, expected {_VERSION}")
        times, epcs, readers = packed.waiting
        waiting = FixedReads(np.array(times, dtype=np.int64), epcs, readers)
        return CountsState(packed.kept, Hearing.load(packed.hearing), waiting)


class _Work:
    """Works through the events of one chunk."""

    def __init__(self, state: CountsState, site: str) -> None:
        self._state = state
        self._kept = state.kept
        self.rows = CountRows(site)

    def take(self, event: Event) -> None:
        """Take in one event."""
        self.pass_minute(event.time_us)
        kept = self._kept
        kept.began_us = kept.began_us or event.time_us
        if event.kind == BUSINESS:
            if event.what in SOLD:
                kept.known.pop(event.epc, None)
                if any(event.epc in one.reads for one in kept.open.values()):
                    kept.sold[event.epc] = event.time_us
        elif event.kind == LOCATION:
            self._locate(event)
        else:
            one = kept.open.get(event.what) or self._open(event)
            one.until_us = one.last_us[event.epc] = event.time_us
            one.reads[event.epc] = one.reads.get(event.epc, 0) + event.weight

    def _open(self, event: Event) -> Pass:
        zone_of = {epc: item.zone for epc, item in self._kept.known.items()}
        one = self._kept.open[event.what] = Pass(event.what, event.time_us, event.time_us, {}, {}, zone_of)
        return one

    def pass_minute(self, time_us: int) -> None:
        """Let the minute of a time begin: what has moved in the last one is heard otherwise from then on."""
        kept, minute = self._kept, time_us // MINUTE_US
        if minute > kept.minute and kept.moved:
            self.listen((kept.minute + 1) * MINUTE_US - 1)
            self._state.hearing.move(kept.moved)
            kept.moved = []
        kept.minute = minute

    def listen(self, until_us: int) -> None:
        """Take in what fixed readers have read until a time."""
        due = self._state.waiting.take_until(until_us)
        self._state.hearing.take(due.time_us, due.epc, due.reader)

    def close_passes(self, now_us: int) -> None:
        """Close the passes that are over by a time, in the order in which they end."""
        ends = {reader: min(one.until_us + GAP_US, one.from_us + LONGEST_US) for reader, one in self._kept.open.items()}
        for reader in sorted(ends, key=lambda reader: (ends[reader], reader)):
            if ends[reader] <= now_us:
                self.pass_minute(ends[reader])
                self.listen(ends[reader])
                self._close(self._kept.open.pop(reader), ends[reader])

    def _locate(self, event: Event) -> None:
        known = self._kept.known.get(event.epc)
        if event.weight == BEYOND:
            self._kept.known.pop(event.epc, None)
        elif known is None:
            if event.weight == OPENS:  # a stay that closes of an item that was sold is no news
                at_us = event.at_us
                self._kept.known[event.epc] = _Known(
                    event.what, _LOCATED_STATE, at_us, at_us, at_us, "", event.confidence
                )
        elif event.weight == RESTATED:
            known.confidence = event.confidence
        else:
            known.state = _SILENT_STATE if event.weight == SILENT else _LOCATED_STATE
            known.heard_us = max(event.at_us, known.heard_us)
            known.confidence = event.confidence
            if event.weight == OPENS and event.what != known.zone:
                known.zone, known.moved_us, known.came_from = event.what, event.at_us, known.zone
                self._kept.moved.append(event.epc)

    def _close(self, one: Pass, as_of_us: int) -> None:
        kept = self._kept
        if kept.closed and one.from_us > kept.closed[-1].until_us + COUNT_GAP_US:
            kept.closed = []
        kept.closed = [*kept.closed, one][-PASSES_LIMIT:]
        self._forget(as_of_us)
        known = self._expected(one, as_of_us)
        found = tally([_heard(earlier) for earlier in kept.closed], known)
        self.rows.add(one, found, passes=len(kept.closed), as_of_us=as_of_us, known=known)
        for epc in one.reads:
            item = kept.known.get(epc)
            if item is None and kept.sold.get(epc, 0) > one.last_us[epc]:
                continue
            if item is None:
                kept.known[epc] = _Known("", _HEARD_STATE, one.from_us, one.last_us[epc])
            else:
                item.heard_us = max(item.heard_us, one.last_us[epc])
        if not kept.open:
            kept.sold = {}

    def _forget(self, now_us: int) -> None:
        """Forget what was not heard for too long."""
        limit_us = {_SILENT_STATE: SILENT_KEPT_US, _HEARD_STATE: HEARD_KEPT_US}
        known = self._kept.known
        for epc in [e for e, item in known.items() if now_us - item.heard_us > limit_us.get(item.state, now_us)]:
            del known[epc]

    def _expected(self, one: Pass, now_us: int) -> dict[str, Expected]:
        """Return all items that are known, those included that the pass is the first to hear."""
        ways = self._ways(one, now_us)
        found = {}
        new = {
            epc: _Known("", _HEARD_STATE, one.from_us, at_us)
            for epc, at_us in one.last_us.items()
            if self._kept.sold.get(epc, 0) <= at_us
        }
        for epc, item in (new | self._kept.known).items():
            heard_us = max(item.heard_us, one.last_us.get(epc, 0))
            presence = self._state.hearing.presence(epc, now_us, one.until_us, heard_us, ways[item.zone])
            found[epc] = Expected(
                gtin=identify(epc)[1] or "",
                zone=item.came_from if item.came_from and item.moved_us > one.until_us else item.zone,
                heard_us=max(heard_us, self._state.hearing.heard_us(epc)),
                located=item.state == _LOCATED_STATE,
                from_us=item.from_us,
                moved_us=item.moved_us if item.moved_us <= one.until_us else item.from_us,
                confidence=item.confidence,
                presence=presence or self._believed(item, heard=epc in one.reads),
            )
        return found

    def _believed(self, item: _Known, *, heard: bool) -> Presence:
        """Return the presence of an item of which fixed readers tell too little."""
        if heard:
            return _SURE
        of_count = item.state == _HEARD_STATE and item.heard_us >= self._kept.closed[0].from_us
        return _LOCATED_THERE if of_count or item.state == _LOCATED_STATE else _SILENT_THERE

    def _ways(self, one: Pass, now_us: int) -> dict[str, Ways]:
        """Return how items of each zone fall silent: those that a pass finds all the same are lost, others left."""
        located, heard, silent, found = (Counter[str]() for _ in range(4))
        seconds: dict[str, float] = {}
        for epc, item in self._kept.known.items():
            if item.state == _SILENT_STATE:
                silent[item.zone] += 1
                found[item.zone] += epc in one.reads
            elif item.state == _LOCATED_STATE:
                since_us = max(self._kept.began_us, item.from_us)
                seconds[item.zone] = seconds.get(item.zone, 0.0) + max(0, now_us - since_us) / 1e6
                located[item.zone] += 1
                heard[item.zone] += epc in one.reads
        rate = (silent.total() + 1.0) / (sum(seconds.values()) + HAZARD_PRIOR_S)
        zones = {*silent, *seconds, ""}
        recalls = {zone: max(0.5, (heard[zone] + 1.0) / (located[zone] + 1.0)) for zone in zones}
        there = {zone: min(float(silent[zone]), found[zone] / recalls[zone]) for zone in zones}
        lost = (sum(there.values()) + LOST_PRIOR) / (silent.total() + 1.0)
        ways = {}
        for zone in zones:
            of_zone = (silent[zone] + rate * HAZARD_PRIOR_S) / (seconds.get(zone, 0.0) + HAZARD_PRIOR_S)
            share = min(0.95, (there[zone] + lost * ZONE_SILENT) / (silent[zone] + ZONE_SILENT))
            ways[zone] = Ways(hazard=of_zone * (1.0 - share), loss=of_zone * share)
        return ways


def _heard(one: Pass) -> Heard:
    return Heard(
        from_us=one.from_us,
        until_us=one.until_us,
        reads=one.reads,
        last_us=one.last_us,
        gtins={epc: identify(epc)[1] or "" for epc in one.reads},
        zone_of=one.zone_of,
    )
