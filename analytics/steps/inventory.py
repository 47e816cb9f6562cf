"""The inventory step: book stock beside seen stock, an on-hand estimate with an interval, and exceptions.

It works through business events, shelf rows, location rows, counted items and passages through gates, in the order of
their times, and keeps the clock. What each of them does is said elsewhere:

| module | what it owns |
|---|---|
| `inventory_events` | turns rows of other steps to events |
| `inventory_state` | what is remembered |
| `inventory_book` | book stock |
| `inventory_items` | items located, moved on, fallen silent; the states of an item are drawn there |
| `inventory_silences` | items that nothing explains the silence of |
| `inventory_departures` | sales and transfers out, and which silences they explain |
| `inventory_exceptions` | `exit_without_sale` and `misplaced` |
| `deliveries`, `scales` | what is booked and not heard yet; what scales count on each shelf |
| `never_read`, `late_finds`, `hard_gtins` | shares never read, and not found yet; of which GTINs the latter are |
| `inventory_beliefs` | what is believed at a time: share never read, who is still there, what scales say |
| `inventory_zones` | units of a GTIN zone by zone |
| `inventory_rows` | the rows |

Every 15 minutes of event time in which anything changed, rows say what stands where. Measures are defined in
`analytics.accuracy`.
"""

import heapq
from typing import Any

import msgspec

from analytics.schemas import ALERTS, INVENTORY
from analytics.step import Arrived, Outputs
from analytics.steps.derived import table_of
from analytics.steps.gate_events import passage_events
from analytics.steps.inventory_book import book
from analytics.steps.inventory_departures import Departures
from analytics.steps.inventory_events import (
    RESTATED,
    TAKEN_BACK,
    business_events,
    counted_events,
    location_events,
    shelf_events,
)
from analytics.steps.inventory_exceptions import Exceptions
from analytics.steps.inventory_items import LocatedItems
from analytics.steps.inventory_rows import InventoryRows
from analytics.steps.inventory_silences import Silences
from analytics.steps.inventory_state import (
    BUSINESS,
    COUNTED,
    EXIT,
    FORGET_COUNTED,
    FORGET_HIDDEN,
    FORGET_SALE,
    GATE,
    MISPLACED,
    SHELF,
    VERSION,
    Due,
    Event,
    InventoryState,
    Versioned,
)
from analytics.steps.scales import lag_of, weigh
from analytics.steps.state_bytes import StateVersionError
from devices.observations import BusinessEventKind
from devices.site.model import Site

GRID_US = 15 * 60 * 1_000_000
"""Rows are written on this grid of event time."""

_DEPARTURES = (BusinessEventKind.SALE, BusinessEventKind.TRANSFER_OUT)
_COMINGS = (BusinessEventKind.RETURN, BusinessEventKind.TRANSFER_IN)


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
            raise StateVersionError(
                f"inventory state is of version {version}, expected {VERSION}: `tagtide rebuild` starts it anew"
            )
        return msgspec.msgpack.decode(blob, type=InventoryState)


class _Work:
    """Works through the events of one chunk, and through the time between them."""

    def __init__(self, state: InventoryState, site: Site) -> None:
        self._state = state
        self._site = site
        self._exceptions = Exceptions(state, site)
        self._silences = Silences(state)
        self._departures = Departures(state, self._silences)
        self._items = LocatedItems(state, site, self._silences, self._departures, self._exceptions)
        self._rows: list[dict[str, Any]] = []

    def outputs(self) -> Outputs:
        """Return the rows as tables."""
        tables = {"inventory": (self._rows, INVENTORY), "alerts": (self._exceptions.alerts, ALERTS)}
        return {name: table_of(rows, schema) for name, (rows, schema) in tables.items() if rows}

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
        for line in state.deliveries.settle(now_us):
            state.reads.deliver(line, state.deliveries.wrong())
        for gtin, seen_us in state.deliveries.leave_dock(now_us):
            state.reads.find(gtin, seen_us)

    def _look_again(self, due: Due) -> None:
        if due.what == EXIT:
            self._exceptions.check_exit(due)
        elif due.what == MISPLACED:
            self._exceptions.check_misplaced(due)
        elif due.what == FORGET_HIDDEN:
            self._silences.give_up(due)
        elif due.what == FORGET_COUNTED:
            self._items.forget_counted(due)
        elif due.what == FORGET_SALE:
            self._departures.forget_sale(due)
        else:
            self._departures.expire(due)

    def take(self, event: Event) -> None:
        """Take in one event."""
        state = self._state
        state.changed = True
        if state.next_grid_us is None:
            state.next_grid_us = -(-event.time_us // GRID_US) * GRID_US
        if event.kind == BUSINESS:
            self._take_business(event)
        elif event.kind == SHELF:
            self._weigh(event.key or "", event)
        elif event.kind == COUNTED:
            self._items.take_counted(event)
        elif event.kind == GATE:
            self._items.leave(event)
        elif event.quantity == 0:
            self._items.open_stay(event)
        elif event.quantity == RESTATED:
            self._items.restate(event)
        elif event.quantity == TAKEN_BACK:
            self._items.take_back(event)
        else:
            self._items.close_stay(event)

    def _weigh(self, shelf: str, event: Event) -> None:
        state = self._state
        state.weighed[shelf] = weigh(
            state.weighed.get(shelf),
            event.quantity,
            event.time_us,
            confidence=event.confidence,
            lag_us=lag_of(self._site),
        )

    def _take_business(self, event: Event) -> None:
        if event.gtin is not None:
            book(self._state, event.gtin, event)
        if event.what in _DEPARTURES:
            self._departures.take(event)
        elif event.what in _COMINGS and event.key is not None:
            self._departures.take_back(event.key, event.gtin or "")
        elif event.what == BusinessEventKind.ADJUSTMENT and event.gtin is not None:
            for epc in self._silences.longest(event.gtin, -event.quantity):
                self._silences.end(epc, event.time_us, returned=False)
