"""What the inventory step works through, as events: business events, shelf rows, location rows, counted items."""

from analytics.aggregation.levels import PackingLevel, packing_level
from analytics.schemas import OUTSIDE
from analytics.step import Arrived
from analytics.steps.identity import identify
from analytics.steps.inventory_state import BUSINESS, COUNTED, LOCATION, SHELF, Event

RESTATED = 2
"""What the quantity of a location row's event says of one that restates a stay,"""
TAKEN_BACK = 3
"""and of one that takes a stay back, since the item is outside."""


def business_events(arrived: Arrived) -> list[Event]:
    """Return what business systems said, each event with the GTIN that it concerns."""
    batch = arrived.batches.get("business_events")
    if batch is None or batch.num_rows == 0:
        return []
    names = ("event", "epc_hex", "gtin", "zone", "quantity", "business_transaction")
    columns = [batch[name].to_pylist() for name in names]
    times = arrived.effective_us["business_events"].tolist()
    found = []
    for time_us, what, epc, gtin, zone, quantity, document in zip(times, *columns, strict=True):
        of_epc = identify(epc)[1] if epc is not None and gtin is None else gtin
        found.append(Event(time_us, BUSINESS, what, epc, of_epc, zone, quantity, document=document or ""))
    return found


def shelf_events(arrived: Arrived) -> list[Event]:
    """Return what scales count."""
    table = arrived.derived.get("shelves")
    if table is None:
        return []
    times = table["from_time"].cast("int64").to_pylist()
    columns = [table[name].to_pylist() for name in ("shelf", "gtin", "zone", "units", "confidence")]
    return [
        Event(time_us, SHELF, "", shelf, gtin, zone, units, confidence=0.0 if confidence is None else confidence)
        for time_us, shelf, gtin, zone, units, confidence in zip(times, *columns, strict=True)
        if units is not None
    ]


def location_events(arrived: Arrived) -> list[Event]:
    """Return what happens to located items; cartons, pallets and the like are no stock."""
    table = arrived.derived.get("locations")
    if table is None:
        return []
    times = [table[name].cast("int64").to_pylist() for name in ("as_of_time", "from_time", "until_time")]
    names = ("epc_hex", "gtin", "zone", "revision", "left_for", "confidence")
    columns = [table[name].to_pylist() for name in names]
    return [
        Event(
            as_of_us,
            LOCATION,
            "",
            epc,
            gtin,
            zone,
            (TAKEN_BACK if left == OUTSIDE else 1) if until_us is not None else RESTATED if revision else 0,
            from_us,
            until_us or 0,
            left is not None,
            confidence=confidence,
        )
        for as_of_us, from_us, until_us, epc, gtin, zone, revision, left, confidence in zip(
            *times, *columns, strict=True
        )
        if packing_level(epc) < PackingLevel.LOGISTIC_UNIT
    ]


def counted_events(arrived: Arrived) -> list[Event]:
    """Return what counting passes heard, or expected and did not hear."""
    table = arrived.derived.get("counted")
    if table is None:
        return []
    times = [table[name].cast("int64").to_pylist() for name in ("as_of_time", "last_heard_time")]
    columns = [table[name].to_pylist() for name in ("epc_hex", "gtin", "heard", "recall")]
    return [
        Event(as_of_us, COUNTED, "", epc, gtin, None, int(heard), heard_us, recall=recall)
        for as_of_us, heard_us, epc, gtin, heard, recall in zip(*times, *columns, strict=True)
    ]
