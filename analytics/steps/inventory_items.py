"""Items as antennas and counting passes tell of them: located, on their way, hidden.

```
located  --stay closed, another opens------->  located
         --silent, a departure explains it-->  gone
         --silent, nothing explains it------>  hidden    (`inventory_silences`)
any      --a counting pass hears it--------->  located   (nowhere in particular, unless fixed readers say where)
hidden   --a counting pass does not hear it->  hidden    (less likely still there, by the pass's recall)
any      --located again-------------------->  located   (whatever was assumed)
```

An item whose EPC was sold goes on being located, and is in no count.
"""

import msgspec

from analytics.steps.inventory_departures import Departures
from analytics.steps.inventory_exceptions import Exceptions
from analytics.steps.inventory_silences import Silences
from analytics.steps.inventory_state import FORGET_COUNTED, GATE, Due, Event, InventoryState, Item
from analytics.steps.silent_items import Silence
from devices.site.model import Site, ZoneKind

OPENING_US = 5 * 60 * 1_000_000
"""After the first item for so long, what is located for the first time has been there before, unless it is at the
dock."""
COUNTED_US = 45 * 24 * 3600 * 1_000_000
"""An item that only a counting pass has heard is taken to be there until a pass that should hear it does not, or so
long."""
PASSES_KEPT = 16
"""Counting passes that an item's silence remembers."""


class LocatedItems:
    """Items of a site."""

    def __init__(
        self, state: InventoryState, site: Site, silences: Silences, departures: Departures, exceptions: Exceptions
    ) -> None:
        self._state = state
        self._exits = frozenset(zone.id for zone in site.zones if zone.kind is ZoneKind.EXIT)
        self._docks = frozenset(zone.id for zone in site.zones if zone.kind is ZoneKind.RECEIVING)
        self._silences = silences
        self._departures = departures
        self._exceptions = exceptions

    def open_stay(self, event: Event) -> None:
        """Take in that an item is located."""
        state, epc, zone = self._state, event.key or "", event.zone or ""
        moved = epc in state.moving
        state.moving.discard(epc)
        if event.gtin is not None and not moved and not state.knows(epc):
            self._find(event.gtin, event.time_us, zone)
        self._be_heard(epc, event)
        if epc not in state.sold:
            state.count(epc, -1)  # where only a counting pass had heard it
        state.items[epc] = Item(event.gtin, zone, event.from_us, event.confidence)
        if epc not in state.sold:
            state.count(epc, 1)
        self._exceptions.watch_place(epc, event)

    def _find(self, gtin: str, at_us: int, zone: str) -> None:
        """Take in an item that is located for the first time."""
        reads, at_dock = self._state.reads, zone in self._docks
        opening = reads.began_us is None or at_us - reads.began_us < OPENING_US
        if (opening and not at_dock) or not self._state.deliveries.find(gtin, at_us, at_dock=at_dock):
            reads.find(gtin, at_us)

    def _be_heard(self, epc: str, event: Event) -> None:
        """End whatever was assumed of an item that had fallen silent."""
        self._silences.end(epc, event.from_us, returned=True)
        self._departures.disprove(epc, event.gtin or "", event.from_us, event.time_us)
        if event.gtin is not None:
            self._state.observed.add(event.gtin)

    def restate(self, event: Event) -> None:
        """Take in how sure a stay is now."""
        item = self._state.items.get(event.key or "")
        if item is not None and item.zone == event.zone:
            item.confidence = event.confidence

    def close_stay(self, event: Event) -> None:
        """Take in that an item has moved on, or is not heard any more."""
        state, epc = self._state, event.key or ""
        item = state.items.get(epc)
        if item is None:
            return
        if epc not in state.sold:
            state.count(epc, -1)
        del state.items[epc]
        if event.moved:
            state.moving.add(epc)
        elif epc not in state.sold:
            self._fall_silent(epc, item, event)

    def take_back(self, event: Event) -> None:
        """Take in that an item was never here: it is read from outside."""
        state, epc = self._state, event.key or ""
        if epc not in state.sold:
            state.count(epc, -1)
        state.items.pop(epc, None)

    def leave(self, event: Event) -> None:
        """Take in an item that went out through a gate that leads off the site, wherever it is located meanwhile."""
        state, epc = self._state, event.key or ""
        item = state.items.get(epc)
        if item is None or item.from_us > event.until_us:
            return
        if epc not in state.sold:
            state.count(epc, -1)
            self._fall_silent(epc, Item(item.gtin, event.zone or "", item.from_us), event)
        del state.items[epc]

    def _fall_silent(self, epc: str, item: Item, event: Event) -> None:
        gtin, since_us = item.gtin or "", event.until_us
        at_exit = event.kind == GATE or item.zone in self._exits
        self._silences.begin(epc, gtin, Silence(since_us, event.time_us, at_exit, item.zone))
        if not self._departures.claim(epc, gtin, since_us) and at_exit:
            self._exceptions.watch_exit(epc, since_us, event.time_us, item.zone)

    def take_counted(self, event: Event) -> None:
        """Take in an item that a counting pass heard, or expected and did not hear."""
        state, epc = self._state, event.key or ""
        item = state.items.get(epc)
        if event.quantity and item is None and epc not in state.sold:
            self._be_heard(epc, event)
            state.items[epc] = Item(event.gtin, "", event.from_us)
            state.count(epc, 1)
            state.remind(event.time_us + COUNTED_US, FORGET_COUNTED, epc, event.from_us)
        elif not event.quantity and item is not None and not item.zone:
            if epc not in state.sold:
                state.count(epc, -1)
                silence = Silence(event.from_us, event.time_us, False, passes=[event.recall])
                self._silences.begin(epc, item.gtin or "", silence)
            del state.items[epc]
        elif not event.quantity and item is None:
            silences = state.hidden.get(event.gtin or "", {})
            if epc in silences:
                passes = [*silences[epc].passes, event.recall][-PASSES_KEPT:]
                silences[epc] = msgspec.structs.replace(silences[epc], passes=passes)

    def forget_counted(self, due: Due) -> None:
        """Forget an item that only a counting pass has heard, long ago."""
        item = self._state.items.get(due.key)
        if item is not None and not item.zone and item.from_us == due.since_us:
            if due.key not in self._state.sold:
                self._state.count(due.key, -1)
            del self._state.items[due.key]
            self._state.changed = True
