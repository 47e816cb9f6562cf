"""The inventory step: book stock beside seen stock, an on-hand estimate with an interval, and exceptions.

It works through business events, shelf rows and location rows in the order of their times. An item is one of:

```
located  --stay closed, another opens------->  located
         --silent, a sale explains it------->  gone      (explained by a sale or transfer of its GTIN without EPC)
         --silent, nothing explains it------>  hidden    (still there with the probability of `silent_items`)
hidden   --a sale or transfer explains it--->  gone
         --a day without a read------------->  gone
any      --a counting pass hears it----------->  located   (nowhere in particular, unless fixed readers say where)
hidden   --a counting pass does not hear it-->  hidden    (less likely still there, by the pass's recall)
any      --sale or transfer names its EPC--->  sold      (no longer stock, wherever it is; a return ends that)
         --located again-------------------->  located   (whatever was assumed)
```

A sale or transfer out that names no EPC (a *departure* here) explains the silence of one unit of its GTIN: of those
that fell silent within `SALE_WINDOW_US` of it, the nearest in time. Where there is none yet it waits for one, and for
half an hour one of the located units is taken to be on its way out. Where none comes within the window, the last item
of the GTIN that is hidden is taken; where there is none, the unit was one that is never read. A negative adjustment
tells of units that were gone before: it explains the longest hidden ones and does not wait. `exit_without_sale` is told
of an item that fell silent in an exit zone, or went out of the site through a gate, with nothing to explain it after
`SALE_GRACE_US`. What `gate_events` says of gates moves items at once, whatever location still believes.

Book stock per GTIN: `book_stock` sets it; receipts, returns, transfers in and adjustments add; sales and transfers out
subtract; announced deliveries (`expected`) do not touch it. It is unknown until something sets or moves it.

Every 15 minutes of event time in which anything changed, rows say what stands where (`inventory_rows`). Measures are
defined in `analytics.accuracy`.
"""

import heapq
from typing import Any

import msgspec

from analytics import accuracy
from analytics.schemas import ALERTS, INVENTORY
from analytics.step import Arrived, Outputs
from analytics.steps.derived import table_of
from analytics.steps.gate_events import passage_events
from analytics.steps.identity import identify
from analytics.steps.inventory_events import (
    RESTATED,
    business_events,
    counted_events,
    location_events,
    shelf_events,
)
from analytics.steps.inventory_rows import InventoryRows, homes_of
from analytics.steps.inventory_state import (
    AT_EXIT,
    BUSINESS,
    COUNTED,
    ELSEWHERE,
    GATE,
    SHELF,
    VERSION,
    Due,
    Event,
    InventoryState,
    Item,
    Versioned,
)
from analytics.steps.silent_items import Silence
from analytics.steps.state_bytes import StateVersionError
from devices.observations import BusinessEventKind
from devices.site.model import Site, ZoneKind

GRID_US = 15 * 60 * 1_000_000
"""Rows are written on this grid of event time."""
MISPLACED_AFTER_US = 5 * 60 * 1_000_000
"""An item on a wrong part of the sales floor is carried about by somebody until it has been there this long."""
SALE_WINDOW_US = 2 * 3600 * 1_000_000
"""A departure without EPC explains a silence of its GTIN that began up to this long before or after: goods in a bag are
silent before the till, and shoppers go on shopping after it."""
SALE_GRACE_US = 5 * 60 * 1_000_000
"""A sale may be told this long after the item left: tills send receipts in bundles."""
HIDDEN_US = 24 * 3600 * 1_000_000
"""An item that fell silent inside the site and is not heard for a day is taken to be gone."""
DEPARTURES_LIMIT = 10_000
"""Departures of one GTIN that wait for a silence at most. A lorry with more units of one article than that moves the
book, but explains no more silences: each that waits is looked at with each item that falls silent."""
OPENING_US = 5 * 60 * 1_000_000
"""After the first item for so long, what is located for the first time has been there before, unless it is at the
dock."""
RECEIPT_LIMIT = 10_000
"""Units of one receipt that are looked for; more of one GTIN at once come in no store."""
BOOK_LIMIT = 10**15
"""Book stock of a GTIN stays within this, either way: sums of a million of them still fit 64 bits."""
COUNTED_US = 45 * 24 * 3600 * 1_000_000
"""An item that only a counting pass has heard is taken to be there until a pass that should hear it does not, or so
long."""
PASSES_KEPT = 16
"""Counting passes that an item's silence remembers."""
SOLD_MEMORY_US = 30 * 24 * 3600 * 1_000_000
"""A sold EPC is remembered this long. Bounds the memory; an item that comes back later is stock again."""

_SIGNS = {
    BusinessEventKind.RECEIPT: 1,
    BusinessEventKind.RETURN: 1,
    BusinessEventKind.TRANSFER_IN: 1,
    BusinessEventKind.ADJUSTMENT: 1,
    BusinessEventKind.SALE: -1,
    BusinessEventKind.TRANSFER_OUT: -1,
}
_DEPARTURES = (BusinessEventKind.SALE, BusinessEventKind.TRANSFER_OUT)
_COMINGS = (BusinessEventKind.RETURN, BusinessEventKind.TRANSFER_IN)
_EXIT, _MISPLACED, _FORGET_HIDDEN, _FORGET_SALE, _FORGET_DEPARTURE, _FORGET_COUNTED = range(6)


class InventoryStep:
    """Inventory and its exceptions."""

    name = "inventory"

    def initial(self, site: Site) -> InventoryState:  # noqa: ARG002 - the interface of a step
        """Return the state before anything happened."""
        return InventoryState()

    def step(self, state: InventoryState, arrived: Arrived, site: Site) -> tuple[InventoryState, Outputs]:
        """Take one chunk in; return rows and alerts due by its watermark."""
        state.pending.extend(business_events(arrived))
        state.pending.extend(shelf_events(arrived))
        state.pending.extend(location_events(arrived))
        state.pending.extend(counted_events(arrived))
        state.pending.extend(passage_events(arrived, site))
        due = [event for event in state.pending if event.time_us <= arrived.watermark_us]
        state.pending = [event for event in state.pending if event.time_us > arrived.watermark_us]
        due.sort(key=lambda event: (event.time_us, event.kind))
        work = _Work(state, site)
        for event in due:
            work.pass_time(event.time_us - 1)
            work.take(event)
        work.pass_time(arrived.watermark_us)
        return state, work.outputs()

    def dump(self, state: InventoryState) -> bytes:
        """Turn a state to bytes."""
        return msgspec.msgpack.encode(state, order="sorted")

    def load(self, blob: bytes, site: Site) -> InventoryState:  # noqa: ARG002 - the interface of a step
        """Turn bytes back to a state."""
        version = msgspec.msgpack.decode(blob, type=Versioned).version
        if version != VERSION:
            raise StateVersionError(f"inventory state is of version {version}, expected {VERSION}")
        return msgspec.msgpack.decode(blob, type=InventoryState)


def _bounded(quantity: int) -> int:
    return max(-BOOK_LIMIT, min(BOOK_LIMIT, quantity))


def _gtin_of(epc: str) -> str:
    return identify(epc)[1] or ""


class _Work:
    """Works through the events of one chunk."""

    def __init__(self, state: InventoryState, site: Site) -> None:
        self._state = state
        self._site = site
        self._exits = frozenset(zone.id for zone in site.zones if zone.kind is ZoneKind.EXIT)
        self._floor = frozenset(zone.id for zone in site.zones if zone.kind is ZoneKind.SALES_FLOOR)
        self._docks = frozenset(zone.id for zone in site.zones if zone.kind is ZoneKind.RECEIVING)
        self._homes = homes_of(site)
        self._rows: list[dict[str, Any]] = []
        self._alerts: list[dict[str, Any]] = []

    def outputs(self) -> Outputs:
        """Return the rows as tables."""
        tables = {"inventory": (self._rows, INVENTORY), "alerts": (self._alerts, ALERTS)}
        return {name: table_of(rows, schema) for name, (rows, schema) in tables.items() if rows}

    # --- time --------------------------------------------------------------------------------------------------

    def pass_time(self, to_us: int) -> None:
        """Do what falls due up to and including a time, before anything that happens later."""
        state = self._state
        while True:
            due_us = state.due[0].due_us if state.due else None
            grid_us = state.next_grid_us
            if due_us is not None and due_us <= to_us and (grid_us is None or due_us <= grid_us):
                self._look_again(heapq.heappop(state.due))
            elif grid_us is not None and grid_us <= to_us:
                if state.changed:
                    self._settle_deliveries(grid_us)
                    self._rows.extend(InventoryRows(state, self._site).rows(grid_us))
                    state.changed = False
                    state.next_grid_us = grid_us + GRID_US
                else:  # nothing happens before this: years may pass at once
                    idle_until_us = to_us if due_us is None else min(to_us, due_us)
                    state.next_grid_us = max(grid_us + GRID_US, -(-idle_until_us // GRID_US) * GRID_US)
            else:
                return

    def _settle_deliveries(self, now_us: int) -> None:
        """Take in what deliveries tell of items never read."""
        state = self._state
        for booked, unread in state.deliveries.settle(now_us):
            state.reads.deliver(booked, unread=unread)
        for seen_us in state.deliveries.leave_dock(now_us):
            state.reads.find(seen_us)

    def _look_again(self, due: Due) -> None:
        state = self._state
        if due.what == _EXIT:
            self._check_exit(due)
        elif due.what == _MISPLACED:
            self._check_misplaced(due)
        elif due.what == _FORGET_HIDDEN:
            self._give_up(due)
        elif due.what == _FORGET_COUNTED:
            item = state.items.get(due.key)
            if item is not None and not item.zone and item.from_us == due.since_us:
                if due.key not in state.sold:
                    self._count(due.key, -1)
                del state.items[due.key]
                state.changed = True
        elif due.what == _FORGET_SALE:
            if state.sold.get(due.key) == due.since_us and due.key not in state.items:
                del state.sold[due.key]
        elif due.since_us in state.departures.get(due.key, []):
            state.departures[due.key].remove(due.since_us)
            state.changed = True
            explained = self._explain_one(due.key, due.since_us, self._latest_hidden(due.key))
            if not explained and due.key in state.observed:
                state.reads.depart(1.0, unread=1.0)

    def _remind(self, due_us: int, what: int, key: str, since_us: int, zone: str = "") -> None:
        heapq.heappush(self._state.due, Due(due_us, what, key, since_us, zone))

    # --- events ------------------------------------------------------------------------------------------------

    def take(self, event: Event) -> None:
        """Take in one event."""
        state = self._state
        state.changed = True
        if state.next_grid_us is None:
            state.next_grid_us = -(-event.time_us // GRID_US) * GRID_US
        if event.kind == BUSINESS:
            self._take_business(event)
        elif event.kind == SHELF:
            state.shelf_units[event.key or ""] = event.quantity
        elif event.kind == COUNTED:
            self._take_counted(event)
        elif event.kind == GATE:
            self._take_out(event)
        elif event.quantity == 0:
            self._open_stay(event)
        elif event.quantity == RESTATED:
            item = state.items.get(event.key or "")
            if item is not None and item.zone == event.zone:
                item.confidence = event.confidence
        else:
            self._close_stay(event)

    def _take_business(self, event: Event) -> None:
        state = self._state
        if event.gtin is not None:
            if event.what == BusinessEventKind.EXPECTED:
                state.deliveries.announce(event.gtin, _bounded(event.quantity))
            elif event.what == BusinessEventKind.RECEIPT:
                state.deliveries.receive(event.gtin, min(event.quantity, RECEIPT_LIMIT), event.time_us)
            if event.what == BusinessEventKind.BOOK_STOCK:
                state.book[event.gtin] = _bounded(event.quantity)
            elif event.what in _SIGNS:
                change = _SIGNS[BusinessEventKind(event.what)] * event.quantity
                state.book[event.gtin] = _bounded(state.book.get(event.gtin, 0) + change)
        if event.what in _DEPARTURES:
            self._take_departure(event)
        elif event.what in _COMINGS and event.key is not None:
            self._take_back(event.key, event.gtin or "")
        elif event.what == BusinessEventKind.ADJUSTMENT and event.gtin is not None:
            for epc in self._longest_hidden(event.gtin, -event.quantity):
                self._end_silence(epc, event.time_us, returned=False)

    def _take_departure(self, event: Event) -> None:
        state = self._state
        if event.key is not None:
            if event.key not in state.sold:
                self._count(event.key, -1)
                if event.gtin in state.observed:
                    state.reads.depart(1.0, unread=float(not self._known(event.key)))
            state.sold[event.key] = event.time_us
            self._pop_silence(event.key)
            self._remind(event.time_us + SOLD_MEMORY_US, _FORGET_SALE, event.key, event.time_us)
        elif event.gtin is not None:
            room = DEPARTURES_LIMIT - len(state.departures.get(event.gtin, ()))
            for _ in range(min(event.quantity, room)):
                self._depart(event.gtin, event.time_us)
                self._remind(event.time_us + SALE_WINDOW_US, _FORGET_DEPARTURE, event.gtin, event.time_us)

    def _known(self, epc: str) -> bool:
        """Tell whether an item has been located, as far as is remembered."""
        state = self._state
        hidden = state.hidden.get(_gtin_of(epc), {})
        return epc in state.items or epc in state.moving or epc in hidden or epc in state.explained or epc in state.sold

    def _take_back(self, epc: str, gtin: str) -> None:
        """Let an item that a till or a transfer names come back: its departure was real, and is over."""
        state = self._state
        if epc in state.sold:
            del state.sold[epc]
            self._count(epc, 1)
            if epc not in state.items:
                state.moving.add(epc)
        elif epc in state.explained:
            del state.explained[epc]
            state.moving.add(epc)
        elif epc in state.items and state.departures.get(gtin):
            state.departures[gtin].pop()  # it was never silent for long, so its sale still waits

    def _depart(self, gtin: str, at_us: int) -> None:
        """Let a departure explain the silence nearest to it, or wait for one."""
        if not self._explain_one(gtin, at_us, self._nearest_hidden(gtin, at_us)):
            self._state.departures.setdefault(gtin, []).append(at_us)

    def _open_stay(self, event: Event) -> None:
        state, epc, zone = self._state, event.key or "", event.zone or ""
        moved = epc in state.moving
        state.moving.discard(epc)
        if event.gtin is not None and not moved and not self._known(epc):
            self._find(event.gtin, event.time_us, zone)
        self._end_silence(epc, event.from_us, returned=True)
        departure_us = state.explained.pop(epc, None)
        if departure_us is not None and departure_us > event.time_us - SALE_WINDOW_US:
            state.reads.depart(-1.0, unread=0.0)
            self._depart(event.gtin or "", departure_us)  # it explained nothing after all
        if event.gtin is not None:
            state.observed.add(event.gtin)
        if epc not in state.sold:
            self._count(epc, -1)  # where only a counting pass had heard it
        state.items[epc] = Item(event.gtin, zone, event.from_us, event.confidence)
        if epc not in state.sold:
            self._count(epc, 1)
        if accuracy.is_misplaced(zone, self._floor, self._homes.get(event.gtin or "", frozenset())):
            self._remind(max(event.from_us + MISPLACED_AFTER_US, event.time_us), _MISPLACED, epc, event.from_us, zone)

    def _find(self, gtin: str, at_us: int, zone: str) -> None:
        """Take in an item that is located for the first time."""
        reads, at_dock = self._state.reads, zone in self._docks
        opening = reads.began_us is None or at_us - reads.began_us < OPENING_US
        if (opening and not at_dock) or not self._state.deliveries.find(gtin, at_us, at_dock=at_dock):
            reads.find(at_us)

    def _close_stay(self, event: Event) -> None:
        state, epc = self._state, event.key or ""
        item = state.items.get(epc)
        if item is None:
            return
        if epc not in state.sold:
            self._count(epc, -1)
        del state.items[epc]
        if event.moved:
            state.moving.add(epc)
            return
        if epc not in state.sold:
            self._fall_silent(epc, item, event)

    def _take_out(self, event: Event) -> None:
        """Take in an item that went out through a gate that leads off the site, wherever it is located meanwhile."""
        state, epc = self._state, event.key or ""
        item = state.items.get(epc)
        if item is None or item.from_us > event.until_us:
            return
        if epc not in state.sold:
            self._count(epc, -1)
            self._fall_silent(epc, Item(item.gtin, event.zone or "", item.from_us), event)
        del state.items[epc]

    def _take_counted(self, event: Event) -> None:
        """Take in an item that a counting pass heard, or expected and did not hear."""
        state, epc = self._state, event.key or ""
        item = state.items.get(epc)
        if event.quantity and item is None and epc not in state.sold:
            self._end_silence(epc, event.from_us, returned=True)
            departure_us = state.explained.pop(epc, None)
            if departure_us is not None and departure_us > event.time_us - SALE_WINDOW_US:
                state.reads.depart(-1.0, unread=0.0)
                self._depart(event.gtin or "", departure_us)  # it explained nothing after all
            if event.gtin is not None:
                state.observed.add(event.gtin)
            state.items[epc] = Item(event.gtin, "", event.from_us)
            self._count(epc, 1)
            self._remind(event.time_us + COUNTED_US, _FORGET_COUNTED, epc, event.from_us)
        elif not event.quantity and item is not None and not item.zone:
            if epc not in state.sold:
                self._count(epc, -1)
                self._hide(epc, item.gtin or "", Silence(event.from_us, event.time_us, False, passes=[event.recall]))
            del state.items[epc]
        elif not event.quantity and item is None:
            silence = state.hidden.get(event.gtin or "", {}).get(epc)
            if silence is not None:
                passes = [*silence.passes, event.recall][-PASSES_KEPT:]
                state.hidden[event.gtin or ""][epc] = msgspec.structs.replace(silence, passes=passes)

    def _hide(self, epc: str, gtin: str, silence: Silence) -> None:
        self._state.hidden.setdefault(gtin, {})[epc] = silence
        self._remind(silence.known_us + HIDDEN_US, _FORGET_HIDDEN, epc, silence.since_us)

    def _fall_silent(self, epc: str, item: Item, event: Event) -> None:
        state, gtin, since_us = self._state, item.gtin or "", event.until_us
        at_exit = event.kind == GATE or item.zone in self._exits
        self._hide(epc, gtin, Silence(since_us, event.time_us, at_exit, item.zone))
        near = [at_us for at_us in state.departures.get(gtin, []) if abs(at_us - since_us) <= SALE_WINDOW_US]
        if near:
            nearest_us = min(near, key=lambda at_us: (abs(at_us - since_us), at_us))
            state.departures[gtin].remove(nearest_us)
            self._explain_one(gtin, nearest_us, epc)
        elif at_exit:
            self._remind(max(since_us + SALE_GRACE_US, event.time_us), _EXIT, epc, since_us, item.zone)

    def _count(self, epc: str, change: int) -> None:
        """Count an item in or out of seen stock, if it is located."""
        item = self._state.items.get(epc)
        if item is not None:
            zones = self._state.seen.setdefault(item.gtin or "", {})
            zones[item.zone] = zones.get(item.zone, 0) + change
            if zones[item.zone] == 0:
                del zones[item.zone]

    # --- silent items ------------------------------------------------------------------------------------------

    def _explain_one(self, gtin: str, departure_us: int, epc: str | None) -> bool:
        """Let a departure explain the silence of an item, if there is one."""
        if epc is None:
            return False
        del self._state.hidden[gtin][epc]
        self._state.explained[epc] = departure_us
        self._state.reads.depart(1.0, unread=0.0)
        return True

    def _pop_silence(self, epc: str) -> Silence | None:
        self._state.explained.pop(epc, None)
        return self._state.hidden.get(_gtin_of(epc), {}).pop(epc, None)

    def _end_silence(self, epc: str, at_us: int, *, returned: bool) -> None:
        silence = self._state.hidden.get(_gtin_of(epc), {}).pop(epc, None)
        if silence is not None:
            kind = AT_EXIT if silence.at_exit else ELSEWHERE
            self._state.histories[kind].end(silence, at_us, returned=returned)

    def _give_up(self, due: Due) -> None:
        """Forget an item that was silent for a day, unless it was heard since."""
        silence = self._state.hidden.get(_gtin_of(due.key), {}).get(due.key)
        if silence is not None and silence.since_us == due.since_us:
            self._end_silence(due.key, due.due_us, returned=False)
            self._state.changed = True
        elif silence is None and due.key not in self._state.items:
            self._state.explained.pop(due.key, None)

    def _nearest_hidden(self, gtin: str, at_us: int) -> str | None:
        silences = self._state.hidden.get(gtin, {})
        near = [(abs(s.since_us - at_us), epc) for epc, s in silences.items()]
        distance_us, epc = min(near, default=(SALE_WINDOW_US + 1, ""))
        return epc if distance_us <= SALE_WINDOW_US else None

    def _latest_hidden(self, gtin: str) -> str | None:
        return max(((s.since_us, epc) for epc, s in self._state.hidden.get(gtin, {}).items()), default=(0, None))[1]

    def _longest_hidden(self, gtin: str, count: int) -> list[str]:
        silences = self._state.hidden.get(gtin, {})
        return sorted(silences, key=lambda epc: (silences[epc].since_us, epc))[: max(0, count)]

    # --- exceptions --------------------------------------------------------------------------------------------

    def _check_exit(self, due: Due) -> None:
        """Alert about an item that left through an exit, unless something explains it by now, or it is back."""
        gtin = _gtin_of(due.key)
        silence = self._state.hidden.get(gtin, {}).get(due.key)
        if silence is not None and silence.since_us == due.since_us:
            self._alert("exit_without_sale", due, "error", due.since_us, gtin or None)

    def _check_misplaced(self, due: Due) -> None:
        item = self._state.items.get(due.key)
        if item is not None and item.from_us == due.since_us and due.key not in self._state.sold:
            self._alert("misplaced", due, "warning", due.due_us, item.gtin)

    def _alert(self, alert: str, due: Due, severity: str, time_us: int, gtin: str | None) -> None:
        detail = {"gtin": gtin, "since_us": due.since_us, "home_zones": sorted(self._homes.get(gtin or "", ()))}
        self._alerts.append(
            {
                "site": self._site.id,
                "alert": alert,
                "subject_kind": "item",
                "subject": due.key,
                "zone": due.zone,
                "severity": severity,
                "event_time": time_us,
                "detail": msgspec.json.encode(detail).decode(),
            }
        )
