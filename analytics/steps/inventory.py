"""The inventory step: book stock beside seen stock, an on-hand estimate with an interval, and exceptions.

It works through business events, shelf rows and location rows in the order of their times. An item is one of:

```
located  --stay closed, another opens------->  located
         --silent, a sale explains it------->  gone      (explained by a sale or transfer of its GTIN without EPC)
         --silent, nothing explains it------>  hidden    (still there with the probability of `silent_items`)
hidden   --a sale or transfer explains it--->  gone
         --a day without a read------------->  gone
any      --sale or transfer names its EPC--->  sold      (no longer stock, wherever it is; a return ends that)
         --located again-------------------->  located   (whatever was assumed)
```

A sale or transfer out that names no EPC (a *departure* here) explains the silence of one unit of its GTIN: of those
that fell silent within `SALE_WINDOW_US` of it, the nearest in time. Where there is none yet it waits for one, and until
then one of the located units is taken to be on its way out. Where none comes within the window, the last item of the
GTIN that is hidden is taken; where there is none, the unit was one that is never read. A negative adjustment tells of
units that were gone before: it explains the longest hidden ones and does not wait. `exit_without_sale` is told of an
item that fell silent in an exit zone with nothing to explain it after `SALE_GRACE_US`.

Book stock per GTIN: `book_stock` sets it; receipts, returns, transfers in and adjustments add; sales and transfers out
subtract; announced deliveries (`expected`) do not touch it. It is unknown until something sets or moves it.

Every 15 minutes of event time in which anything changed, rows say what stands where. A GTIN's row has the estimate of
`accuracy.estimate_on_hand`; a zone's row has the units located there, raised by the never-read share, without silent
items. Formulas are in `analytics.accuracy`.
"""

import heapq
from collections.abc import Iterable
from typing import Any

import msgspec

from analytics import accuracy
from analytics.schemas import ALERTS, INVENTORY
from analytics.step import Arrived, Outputs
from analytics.steps.derived import table_of
from analytics.steps.identity import identify
from analytics.steps.silent_items import Chances, Silence, SilenceHistory
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
SOLD_MEMORY_US = 30 * 24 * 3600 * 1_000_000
"""A sold EPC is remembered this long. Bounds the memory; an item that comes back later is stock again."""
NEVER_READ = accuracy.Coverage(seen=99.0, missed=1.0)
"""Tagged units that no antenna ever hears: 1 in 100, known as well as 100 units would tell. An assumption. Nothing
updates it: what a site tells of EPCs comes from the same tags, and a sale without EPC that no silence follows may as
well be a till's mistake."""

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
_BUSINESS, _SHELF, _LOCATION = 0, 1, 2
_EXIT, _MISPLACED, _FORGET_HIDDEN, _FORGET_SALE, _FORGET_DEPARTURE = range(5)
_AT_EXIT, _ELSEWHERE = "exit", "elsewhere"
_VERSION = 2


class _Event(msgspec.Struct, array_like=True, frozen=True):
    """Something that waits for the watermark. One shape for all three kinds."""

    time_us: int
    kind: int
    """_BUSINESS, _SHELF or _LOCATION: the order within one microsecond."""
    what: str
    """Business event kind; empty otherwise."""
    key: str | None
    """EPC; the shelf's identifier for a shelf row."""
    gtin: str | None
    zone: str | None
    quantity: int
    """Units; for a location row, 0 where it opens a stay and 1 where it closes one."""
    from_us: int = 0
    until_us: int = 0
    moved: bool = False
    """A closing location row: whether the item went on to another zone."""


class _Item(msgspec.Struct, array_like=True):
    """A located item."""

    gtin: str | None
    zone: str
    from_us: int


class _Due(msgspec.Struct, array_like=True, frozen=True, order=True):
    """Something to look at again at a time."""

    due_us: int
    what: int
    key: str
    """EPC, or GTIN for a departure."""
    since_us: int
    """The time that it is about: start of the stay, end of the stay, sale or transfer."""
    zone: str


class _Versioned(msgspec.Struct):
    """The part of a state that every version has."""

    version: int


class InventoryState(msgspec.Struct, kw_only=True):
    """Everything that the inventory step remembers of a site."""

    version: int = _VERSION
    book: dict[str, int] = {}
    """Book stock by GTIN."""
    items: dict[str, _Item] = {}
    """Located items by EPC, sold ones included."""
    seen: dict[str, dict[str, int]] = {}
    """Located, unsold units by GTIN ('' for none) and zone."""
    hidden: dict[str, dict[str, Silence]] = {}
    """Silences that nothing explains, by GTIN ('' for none) and EPC."""
    explained: dict[str, int] = {}
    """Time of the departure that explains an item's silence, by EPC; for `HIDDEN_US` from the silence."""
    histories: dict[str, SilenceHistory] = msgspec.field(
        default_factory=lambda: {kind: SilenceHistory() for kind in (_AT_EXIT, _ELSEWHERE)}
    )
    """What came of earlier silences in exit zones, and elsewhere."""
    sold: dict[str, int] = {}
    """Time of sale, or of transfer out, by EPC."""
    departures: dict[str, list[int]] = {}
    """Times of sales and transfers out without EPC that have explained no silence yet, by GTIN."""
    shelf_units: dict[str, int] = {}
    """Units that scales count, by shelf."""
    observed: set[str] = set()
    """GTINs of which a tag was ever read."""
    pending: list[_Event] = []
    """Events that wait for the watermark, in arrival order."""
    due: list[_Due] = []
    """Heap of things to look at again."""
    next_grid_us: int | None = None
    """The next time of rows; `None` before anything happened."""
    changed: bool = False
    """Whether anything happened since the last rows."""


class InventoryStep:
    """Inventory and its exceptions."""

    name = "inventory"

    def initial(self, site: Site) -> InventoryState:  # noqa: ARG002 - the interface of a step
        """Return the state before anything happened."""
        return InventoryState()

    def step(self, state: InventoryState, arrived: Arrived, site: Site) -> tuple[InventoryState, Outputs]:
        """Take one chunk in; return rows and alerts due by its watermark."""
        state.pending.extend(_business_events(arrived))
        state.pending.extend(_shelf_events(arrived))
        state.pending.extend(_location_events(arrived))
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
        version = msgspec.msgpack.decode(blob, type=_Versioned).version
        if version != _VERSION:
            raise StateVersionError(f"inventory state is of version {version}, expected {_VERSION}")
        return msgspec.msgpack.decode(blob, type=InventoryState)


def _business_events(arrived: Arrived) -> list[_Event]:
    batch = arrived.batches.get("business_events")
    if batch is None or batch.num_rows == 0:
        return []
    columns = [batch[name].to_pylist() for name in ("event", "epc_hex", "gtin", "zone", "quantity")]
    times = arrived.effective_us["business_events"].tolist()
    found = []
    for time_us, what, epc, gtin, zone, quantity in zip(times, *columns, strict=True):
        of_epc = identify(epc)[1] if epc is not None and gtin is None else gtin
        found.append(_Event(time_us, _BUSINESS, what, epc, of_epc, zone, quantity))
    return found


def _shelf_events(arrived: Arrived) -> list[_Event]:
    table = arrived.derived.get("shelves")
    if table is None:
        return []
    times = table["from_time"].cast("int64").to_pylist()
    columns = [table[name].to_pylist() for name in ("shelf", "gtin", "zone", "units")]
    return [
        _Event(time_us, _SHELF, "", shelf, gtin, zone, units)
        for time_us, shelf, gtin, zone, units in zip(times, *columns, strict=True)
        if units is not None
    ]


def _location_events(arrived: Arrived) -> list[_Event]:
    table = arrived.derived.get("locations")
    if table is None:
        return []
    times = [table[name].cast("int64").to_pylist() for name in ("as_of_time", "from_time", "until_time")]
    columns = [table[name].to_pylist() for name in ("epc_hex", "gtin", "zone", "revision", "left_for")]
    return [
        _Event(
            as_of_us,
            _LOCATION,
            "",
            epc,
            gtin,
            zone,
            int(until_us is not None),
            from_us,
            until_us or 0,
            left is not None,
        )
        for as_of_us, from_us, until_us, epc, gtin, zone, revision, left in zip(*times, *columns, strict=True)
        if revision == 0 or until_us is not None
    ]


def _gtin_of(epc: str) -> str:
    return identify(epc)[1] or ""


class _Work:
    """Works through the events of one chunk."""

    def __init__(self, state: InventoryState, site: Site) -> None:
        self._state = state
        self._site = site
        self._exits = frozenset(zone.id for zone in site.zones if zone.kind is ZoneKind.EXIT)
        self._floor = frozenset(zone.id for zone in site.zones if zone.kind is ZoneKind.SALES_FLOOR)
        self._homes: dict[str, frozenset[str]] = {}
        for shelf in site.shelves:
            if shelf.gtin is not None:
                self._homes[shelf.gtin] = self._homes.get(shelf.gtin, frozenset()) | {shelf.zone}
        self._shelf_gtin = {shelf.id: shelf.gtin for shelf in site.shelves}
        self._chances: dict[bool, Chances] = {}
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
                    self._write_rows(grid_us)
                state.changed = False
                state.next_grid_us = grid_us + GRID_US
            else:
                return

    def _look_again(self, due: _Due) -> None:
        state = self._state
        if due.what == _EXIT:
            self._check_exit(due)
        elif due.what == _MISPLACED:
            self._check_misplaced(due)
        elif due.what == _FORGET_HIDDEN:
            self._give_up(due)
        elif due.what == _FORGET_SALE:
            if state.sold.get(due.key) == due.since_us and due.key not in state.items:
                del state.sold[due.key]
        elif due.since_us in state.departures.get(due.key, []):
            state.departures[due.key].remove(due.since_us)
            state.changed = True
            self._explain_one(due.key, due.since_us, self._latest_hidden(due.key))

    def _remind(self, due_us: int, what: int, key: str, since_us: int, zone: str = "") -> None:
        heapq.heappush(self._state.due, _Due(due_us, what, key, since_us, zone))

    # --- events ------------------------------------------------------------------------------------------------

    def take(self, event: _Event) -> None:
        """Take in one event."""
        state = self._state
        state.changed = True
        if state.next_grid_us is None:
            state.next_grid_us = -(-event.time_us // GRID_US) * GRID_US
        if event.kind == _BUSINESS:
            self._take_business(event)
        elif event.kind == _SHELF:
            state.shelf_units[event.key or ""] = event.quantity
        elif event.quantity == 0:
            self._open_stay(event)
        else:
            self._close_stay(event)

    def _take_business(self, event: _Event) -> None:
        state = self._state
        if event.gtin is not None:
            if event.what == BusinessEventKind.BOOK_STOCK:
                state.book[event.gtin] = event.quantity
            elif event.what in _SIGNS:
                change = _SIGNS[BusinessEventKind(event.what)] * event.quantity
                state.book[event.gtin] = state.book.get(event.gtin, 0) + change
        if event.what in _DEPARTURES:
            self._take_departure(event)
        elif event.what in _COMINGS and event.key is not None and event.key in state.sold:
            del state.sold[event.key]
            self._count(event.key, 1)
        elif event.what == BusinessEventKind.ADJUSTMENT and event.gtin is not None:
            for epc in self._longest_hidden(event.gtin, -event.quantity):
                self._end_silence(epc, event.time_us, returned=False)

    def _take_departure(self, event: _Event) -> None:
        state = self._state
        if event.key is not None:
            if event.key not in state.sold:
                self._count(event.key, -1)
            state.sold[event.key] = event.time_us
            self._pop_silence(event.key)
            self._remind(event.time_us + SOLD_MEMORY_US, _FORGET_SALE, event.key, event.time_us)
        elif event.gtin is not None:
            for _ in range(event.quantity):
                self._depart(event.gtin, event.time_us)
                self._remind(event.time_us + SALE_WINDOW_US, _FORGET_DEPARTURE, event.gtin, event.time_us)

    def _depart(self, gtin: str, at_us: int) -> None:
        """Let a departure explain the silence nearest to it, or wait for one."""
        if not self._explain_one(gtin, at_us, self._nearest_hidden(gtin, at_us)):
            self._state.departures.setdefault(gtin, []).append(at_us)

    def _open_stay(self, event: _Event) -> None:
        state, epc, zone = self._state, event.key or "", event.zone or ""
        self._end_silence(epc, event.from_us, returned=True)
        departure_us = state.explained.pop(epc, None)
        if departure_us is not None and departure_us > event.time_us - SALE_WINDOW_US:
            self._depart(event.gtin or "", departure_us)  # it explained nothing after all
        if event.gtin is not None:
            state.observed.add(event.gtin)
        state.items[epc] = _Item(event.gtin, zone, event.from_us)
        if epc not in state.sold:
            self._count(epc, 1)
        if accuracy.is_misplaced(zone, self._floor, self._homes.get(event.gtin or "", frozenset())):
            self._remind(max(event.from_us + MISPLACED_AFTER_US, event.time_us), _MISPLACED, epc, event.from_us, zone)

    def _close_stay(self, event: _Event) -> None:
        state, epc = self._state, event.key or ""
        item = state.items.get(epc)
        if item is None:
            return
        if epc not in state.sold:
            self._count(epc, -1)
        del state.items[epc]
        if event.moved:
            return
        if epc not in state.sold:
            self._fall_silent(epc, item, event)

    def _fall_silent(self, epc: str, item: _Item, event: _Event) -> None:
        state, gtin, since_us = self._state, item.gtin or "", event.until_us
        at_exit = item.zone in self._exits
        self._remind(event.time_us + HIDDEN_US, _FORGET_HIDDEN, epc, since_us)
        state.hidden.setdefault(gtin, {})[epc] = Silence(since_us, event.time_us, at_exit)
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
        return True

    def _pop_silence(self, epc: str) -> Silence | None:
        self._state.explained.pop(epc, None)
        return self._state.hidden.get(_gtin_of(epc), {}).pop(epc, None)

    def _end_silence(self, epc: str, at_us: int, *, returned: bool) -> None:
        silence = self._state.hidden.get(_gtin_of(epc), {}).pop(epc, None)
        if silence is not None:
            kind = _AT_EXIT if silence.at_exit else _ELSEWHERE
            self._state.histories[kind].end(silence, at_us, returned=returned)

    def _give_up(self, due: _Due) -> None:
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

    def _check_exit(self, due: _Due) -> None:
        """Alert about an item that left through an exit, unless something explains it by now, or it is back."""
        gtin = _gtin_of(due.key)
        silence = self._state.hidden.get(gtin, {}).get(due.key)
        if silence is not None and silence.since_us == due.since_us:
            self._alert("exit_without_sale", due, "error", due.since_us, gtin or None)

    def _check_misplaced(self, due: _Due) -> None:
        item = self._state.items.get(due.key)
        if item is not None and item.from_us == due.since_us and due.key not in self._state.sold:
            self._alert("misplaced", due, "warning", due.due_us, item.gtin)

    def _alert(self, alert: str, due: _Due, severity: str, time_us: int, gtin: str | None) -> None:
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

    # --- rows --------------------------------------------------------------------------------------------------

    def _write_rows(self, as_of_us: int) -> None:
        """Write the site's total, then each GTIN's, each followed by its zones."""
        state = self._state
        self._chances = self._weigh_history(as_of_us)
        gtins = sorted((state.book.keys() | state.seen.keys() | state.observed) - {""})
        rows = [row for gtin in gtins for row in self._gtin_rows(gtin, as_of_us)]
        totals = [row for row in rows if row["zone"] is None]
        observed = {row["gtin"]: row["on_hand"] for row in totals if row["gtin"] in state.observed}
        total = {
            "site": self._site.id,
            "as_of_time": as_of_us,
            "book_quantity": sum(state.book.values()) if state.book else None,
            "seen_quantity": sum(row["seen_quantity"] for row in totals) + sum(state.seen.get("", {}).values()),
            "on_hand": sum(row["on_hand"] for row in totals),
            "accuracy": accuracy.unit_accuracy(state.book, observed),
            "misplaced_quantity": sum(row["misplaced_quantity"] for row in totals),
        }
        spread_low = sum((row["on_hand"] - row["on_hand_low"]) ** 2 for row in totals) ** 0.5
        spread_high = sum((row["on_hand_high"] - row["on_hand"]) ** 2 for row in totals) ** 0.5
        total["on_hand_low"] = total["on_hand"] - spread_low
        total["on_hand_high"] = total["on_hand"] + spread_high
        self._rows.extend([total, *rows])

    def _gtin_rows(self, gtin: str, as_of_us: int) -> Iterable[dict[str, Any]]:
        state, homes = self._state, self._homes.get(gtin, frozenset())
        zones = state.seen.get(gtin, {})
        seen = sum(zones.values())
        estimate = self._estimate(gtin, seen, as_of_us)
        book = state.book.get(gtin)
        both_known = book is not None and gtin in state.observed
        common = {"site": self._site.id, "zone": None, "gtin": gtin, "as_of_time": as_of_us}
        wrong = {zone: count if accuracy.is_misplaced(zone, self._floor, homes) else 0 for zone, count in zones.items()}
        yield {
            **common,
            "book_quantity": book,
            "seen_quantity": seen,
            "on_hand": estimate.units,
            "on_hand_low": estimate.low,
            "on_hand_high": estimate.high,
            "accuracy": accuracy.unit_accuracy({gtin: book}, {gtin: estimate.units})
            if both_known and book is not None
            else None,
            "misplaced_quantity": sum(wrong.values()),
        }
        for zone in sorted(zones):
            here = accuracy.estimate_on_hand(zones[zone], (), 0, NEVER_READ)
            yield {
                **common,
                "zone": zone,
                "seen_quantity": zones[zone],
                "on_hand": here.units,
                "on_hand_low": here.low,
                "on_hand_high": here.high,
                "misplaced_quantity": wrong[zone],
            }

    def _weigh_history(self, now_us: int) -> dict[bool, Chances]:
        """Return the chances of silent items at a time, by whether they fell silent at an exit."""
        state = self._state
        silences = [silence for of_gtin in state.hidden.values() for silence in of_gtin.values()]
        return {
            at_exit: state.histories[kind].chances((s for s in silences if s.at_exit == at_exit), now_us)
            for at_exit, kind in ((True, _AT_EXIT), (False, _ELSEWHERE))
        }

    def _estimate(self, gtin: str, seen: int, now_us: int) -> accuracy.OnHand:
        """Estimate a GTIN's units. Without a tag ever read, scales give a floor and the book stands in."""
        state = self._state
        if gtin in state.observed:
            silences = state.hidden.get(gtin, {}).values()
            there = sorted(self._chances[s.at_exit].still_there(now_us - s.since_us) for s in silences)
            return accuracy.estimate_on_hand(seen, there, len(state.departures.get(gtin, ())), NEVER_READ)
        weighed = sum(units for shelf, units in state.shelf_units.items() if self._shelf_gtin.get(shelf) == gtin)
        booked = max(state.book.get(gtin, 0), weighed)
        return accuracy.OnHand(units=float(booked), low=float(weighed), high=float(max(2 * booked, weighed)))
