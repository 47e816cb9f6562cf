"""The aggregation step: what is in which carton, on which pallet, as far as moving together tells.

It reads the `locations` rows of the same chunk. Logistic units are known by their codes (`aggregation.levels`); how
sure a containment is, `aggregation.links` says. This file keeps the grid of event time on which rows are worked
through, finds what came into a zone together with a logistic unit, and tells what follows. A containment's rows:

```
none    --it is OPEN_PROBABILITY likely---------------------------------->  open    (revision 0)
open    --its probability has changed, and both are in one zone---------->  open    (a further revision)
open    --they have been apart for long enough, or the unit is gone------>  none    (the last revision)
```

`until_time` is then when they parted, which is known some time later. What is silent while the unit that it is in is
heard stays in it: goods in a full carton often are. A unit that is silent for long, while they are heard, is gone.
"""

import itertools
from typing import Any

import msgspec

from analytics.aggregation.levels import packing_level
from analytics.aggregation.links import MATCH_S, Link, first_link, log_odds_of, probabilities, trip_gain
from analytics.aggregation.state import VERSION, AggregationState, Coming, Event, Place
from analytics.schemas import AGGREGATIONS, OUTSIDE
from analytics.step import Arrived, Outputs
from analytics.steps.derived import table_of
from analytics.steps.identity import identify
from analytics.steps.state_bytes import StateVersionError
from devices.site.model import Site

GRID_US = 10_000_000
"""Rows are worked through, and told, on this grid of event time."""
OPEN_PROBABILITY = 0.6
"""A containment that is this likely gets a row,"""
CLOSE_PROBABILITY = 0.2
"""and its last one when it has become this unlikely."""
RESTATE_LOG_ODDS = 1.0
"""A containment whose log-odds have changed by this much since its last row gets another one."""
BACKGROUND_US = 60_000_000
"""How many things come into a zone by themselves, without a logistic unit, is counted over this long before,"""
BACKGROUND_GAP_US = 15_000_000
"""up to this long before what is looked at: its own company comes later than that."""
WARM_UP_US = 300_000_000
"""What is located for the first time while the site itself is new tells nothing: everything appears then."""
CANDIDATES = 4
"""Parents of one level that are kept in mind for a child; the likeliest."""
FORGET_US = 4 * 3_600_000_000
"""A thing in a unit that has been silent for this long is where nobody knows: that it was in it ends."""
UNIT_GONE_US = 900_000_000
"""A logistic unit is labelled on its outside: one that has been silent for this long, while what was in it is heard, is
gone."""
LATELY_LIMIT = 1000
"""Comings into one zone that are remembered at most: a wave of more things than that in three minutes has none told
apart."""
_LATELY_US = BACKGROUND_US + BACKGROUND_GAP_US + 120_000_000
_ROWS = "aggregations"


class AggregationStep:
    """Which item is in which carton, and which carton on which pallet."""

    name = "aggregation"

    def initial(self, site: Site) -> AggregationState:  # noqa: ARG002 - the interface of a step
        """Return the state before anything was located."""
        return AggregationState()

    def step(self, state: AggregationState, arrived: Arrived, site: Site) -> tuple[AggregationState, Outputs]:
        """Take one chunk in; return the containments that began, changed or ended by its watermark."""
        state.pending += _events(arrived)
        through_us = arrived.watermark_us // GRID_US * GRID_US
        if through_us <= state.tick_us:
            return state, {}
        due = [event for event in state.pending if event.as_of_us <= through_us]
        state.pending = [event for event in state.pending if event.as_of_us > through_us]
        due.sort(key=lambda event: event.as_of_us)
        work = _Work(state, site.id)
        for mark_us, events in itertools.groupby(due, key=lambda event: -(-event.as_of_us // GRID_US) * GRID_US):
            work.pass_marks(mark_us - GRID_US)
            work.take(list(events))
            work.pass_marks(mark_us)
        work.pass_marks(through_us)
        return state, {_ROWS: table_of(work.rows, AGGREGATIONS)} if work.rows else {}

    def dump(self, state: AggregationState) -> bytes:
        """Turn a state to bytes."""
        return msgspec.msgpack.encode(state)

    def load(self, blob: bytes, site: Site) -> AggregationState:  # noqa: ARG002 - the interface of a step
        """Turn bytes back to a state."""
        version = msgspec.msgpack.decode(blob, type=_Versioned).version
        if version != VERSION:
            raise StateVersionError(f"aggregation state is of version {version}, expected {VERSION}")
        return msgspec.msgpack.decode(blob, type=AggregationState)


class _Versioned(msgspec.Struct):
    """The part of a state that every version has."""

    version: int


def _events(arrived: Arrived) -> list[Event]:
    table = arrived.derived.get("locations")
    if table is None:
        return []
    times = [table[name].cast("int64").to_pylist() for name in ("as_of_time", "from_time", "until_time")]
    columns = [table[name].to_pylist() for name in ("epc_hex", "zone", "left_for", "confidence", "revision")]
    return [
        Event(
            as_of_us, epc, zone, from_us, until_us or 0, None if left_for == OUTSIDE else left_for, confidence, revision
        )
        for as_of_us, from_us, until_us, epc, zone, left_for, confidence, revision in zip(*times, *columns, strict=True)
    ]


class _Work:
    """Works through the events of one chunk."""

    def __init__(self, state: AggregationState, site: str) -> None:
        self._state = state
        self._site = site
        self.rows: list[dict[str, Any]] = []

    # --- what happens ------------------------------------------------------------------------------------------

    def take(self, events: list[Event]) -> None:
        """Take in what became known since the last mark of the grid."""
        for event in events:
            if event.until_us:
                self._leave(event)
            elif event.revision == 0:
                self._come(event)
            elif event.epc in self._state.places:
                self._state.places[event.epc].confidence = event.confidence

    def _leave(self, event: Event) -> None:
        state = self._state
        state.items_in[event.zone] = max(0, state.items_in.get(event.zone, 0) - 1)
        if event.left_for is not None:
            state.origins[event.epc] = event.zone
        elif self._is_linked(event.epc):
            state.places[event.epc].until_us = event.until_us
            self._disturb(event.epc)
        else:
            state.places.pop(event.epc, None)

    def _come(self, event: Event) -> None:
        state = self._state
        state.began_us = state.began_us or event.as_of_us
        state.items_in[event.zone] = state.items_in.get(event.zone, 0) + 1
        state.places[event.epc] = Place(event.zone, event.confidence, event.from_us)
        origin = state.origins.pop(event.epc, "")
        came = Coming(event.from_us, event.epc, event.zone, origin, int(packing_level(event.epc)))
        if not origin and event.as_of_us - state.began_us <= WARM_UP_US:
            return
        lately = state.lately.setdefault(event.zone, [])
        self._match(came, lately)
        lately.append(came)
        if len(lately) > LATELY_LIMIT:
            del lately[0]
        self._disturb(event.epc)

    def _is_linked(self, epc: str) -> bool:
        return epc in self._state.links or epc in self._state.children

    def _disturb(self, epc: str) -> None:
        """Look at everything that a thing is in, or that is in it, at the next mark."""
        for child in (epc, *self._state.children.get(epc, ())):
            if child in self._state.links:
                self._state.restless[child] = None

    # --- who came together -------------------------------------------------------------------------------------

    def _match(self, came: Coming, lately: list[Coming]) -> None:
        """Link a thing that came into a zone with those that came there at about the same time."""
        state = self._state
        company: dict[str, Coming] = {}
        for other in reversed(lately):
            near = abs(other.time_us - came.time_us) <= MATCH_S * 1e6
            if near and other.level != came.level and other.epc in state.places:
                company.setdefault(other.epc, other)
        if not company:
            return
        before_us = came.time_us - BACKGROUND_GAP_US
        alone = sum(
            before_us - BACKGROUND_US <= other.time_us < before_us and not other.level and other.epc not in state.links
            for other in lately
        )
        background = (alone + 0.1) / (state.items_in[came.zone] + 10) / (BACKGROUND_US * 1e-6)
        for other in company.values():
            difference_s = (came.time_us - other.time_us) * 1e-6
            same = came.origin == other.origin
            appeared = not (came.origin and other.origin)
            gain = trip_gain(difference_s, background, same_origin=same or appeared, appeared=appeared)
            parent, child = (came, other) if came.level > other.level else (other, came)
            self._travelled(parent.epc, child.epc, min(came.time_us, other.time_us), gain)

    def _travelled(self, parent: str, child: str, came_us: int, gain: float) -> None:
        state = self._state
        candidates = state.links.setdefault(child, {})
        if parent in candidates:
            candidates[parent].travel(came_us, gain)
        else:
            candidates[parent] = first_link(came_us, gain)
            state.children.setdefault(parent, []).append(child)
            self._keep_likeliest(child, int(packing_level(parent)))
        state.restless[child] = None

    def _keep_likeliest(self, child: str, level: int) -> None:
        links = self._state.links[child]
        rivals = [parent for parent in links if packing_level(parent) == level]
        untold = [parent for parent in rivals if links[parent].revision < 0]
        if len(rivals) > CANDIDATES and untold:
            self._drop(child, min(untold, key=lambda parent: (links[parent].log_odds, parent)))

    # --- what follows ------------------------------------------------------------------------------------------

    def pass_marks(self, to_us: int) -> None:
        """Look at restless children at each mark of the grid, up to one."""
        state = self._state
        while state.tick_us < to_us:
            if not state.restless:
                state.tick_us = to_us
                break
            state.tick_us = state.tick_us + GRID_US if state.tick_us else to_us
            looked_at, state.restless = list(state.restless), {}
            for child in looked_at:
                self._look_at(child, state.tick_us)
        oldest_us = state.tick_us - _LATELY_US
        for zone in [zone for zone, comings in state.lately.items() if comings[0].time_us < oldest_us]:
            kept = [came for came in state.lately[zone] if came.time_us >= oldest_us]
            if kept:
                state.lately[zone] = kept
            else:
                del state.lately[zone]

    def _look_at(self, child: str, now_us: int) -> None:
        """Work out how likely a child is in each of its candidates, and tell what changed."""
        state, place = self._state, self._state.places[child]
        links = state.links[child]
        by_level: dict[int, list[str]] = {}
        for parent, link in links.items():
            self._compare(link, place, state.places[parent])
            by_level.setdefault(int(packing_level(parent)), []).append(parent)
        for parents in by_level.values():
            sure = [place.confidence * state.places[parent].confidence for parent in parents]
            weights = [links[parent].weight(now_us, one) for parent, one in zip(parents, sure, strict=True)]
            for parent, probability in zip(parents, probabilities(weights), strict=True):
                self._tell(parent, child, links[parent], probability, now_us)
        if child in state.links and (
            any(self._may_end(parent, link) for parent, link in links.items()) or place.until_us
        ):
            state.restless[child] = None

    def _may_end(self, parent: str, link: Link) -> bool:
        """Return whether time alone may end a link."""
        return bool(link.apart_us or self._state.places[parent].until_us)

    def _compare(self, link: Link, child: Place, parent: Place) -> None:
        """Note since when two things are in different zones. Where one falls silent, it stays as it was."""
        if child.zone == parent.zone:
            link.apart_us = 0
        elif not (link.apart_us or child.until_us or parent.until_us):
            link.apart_us = max(child.from_us, parent.from_us)

    def _tell(self, parent: str, child: str, link: Link, probability: float, now_us: int) -> None:
        state = self._state
        gone_us = _gone_us(state.places[child], state.places[parent], now_us)
        if gone_us:
            if link.revision >= 0:
                self._row(parent, child, link, link.stated, now_us, until_us=gone_us, ended="departed")
            self._drop(child, parent)
        elif probability <= CLOSE_PROBABILITY and (link.revision >= 0 or link.apart_us):
            if link.revision >= 0:
                ended = "apart" if link.apart_us else "another unit is likelier"
                self._row(parent, child, link, probability, now_us, until_us=link.apart_us or now_us, ended=ended)
            if link.apart_us:
                self._drop(child, parent)
            else:
                link.revision = -1
        elif link.apart_us:
            return
        elif link.revision < 0:
            if probability >= OPEN_PROBABILITY:
                self._row(parent, child, link, probability, now_us)
        elif abs(log_odds_of(probability) - log_odds_of(link.stated)) >= RESTATE_LOG_ODDS:
            self._row(parent, child, link, probability, now_us)

    def _drop(self, child: str, parent: str) -> None:
        """Forget a candidate."""
        state = self._state
        del state.links[child][parent]
        state.children[parent].remove(child)
        if not state.children[parent]:
            del state.children[parent]
        if not state.links[child]:
            del state.links[child]
            state.restless.pop(child, None)
        for epc in (child, parent):
            if state.places[epc].until_us and not self._is_linked(epc):
                del state.places[epc]

    def _row(
        self,
        parent: str,
        child: str,
        link: Link,
        probability: float,
        now_us: int,
        *,
        until_us: int | None = None,
        ended: str | None = None,
    ) -> None:
        link.revision += 1
        link.stated = probability
        child_uri, child_gtin = identify(child)
        evidence = {"trips": link.trips, "last_trip_us": link.trip_us, "log_odds": round(link.log_odds, 2)}
        self.rows.append(
            {
                "site": self._site,
                "parent_epc_hex": parent,
                "parent_epc_uri": identify(parent)[0],
                "child_epc_hex": child,
                "child_epc_uri": child_uri,
                "child_gtin": child_gtin,
                "from_time": link.from_us,
                "until_time": None if until_us is None else max(until_us, link.from_us + 1),
                "confidence": probability,
                "evidence": msgspec.json.encode(evidence if ended is None else evidence | {"ended": ended}).decode(),
                "as_of_time": now_us,
                "revision": link.revision,
            }
        )


def _gone_us(child: Place, parent: Place, now_us: int) -> int:
    """Return when two things were last heard, where nothing holds them together any more; 0 where something does."""
    if child.until_us and parent.until_us:
        return max(child.until_us, parent.until_us)
    if parent.until_us:
        return parent.until_us if now_us - parent.until_us >= UNIT_GONE_US else 0
    return child.until_us if child.until_us and now_us - child.until_us >= FORGET_US else 0
