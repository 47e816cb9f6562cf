"""What gates tell the inventory: items that went out of the site or came in, for sure enough to count by."""

from analytics.gate.direction import Direction
from analytics.step import Arrived
from analytics.steps.inventory_state import COUNTED, GATE, Event
from devices.site.model import Site

SURE = 0.9
"""Least probability of a direction that moves stock: one in ten that is wrong is put right when the item is located."""


def passage_events(arrived: Arrived, site: Site) -> list[Event]:
    """Turn passages through gates that lead off the site to events.

    An item that came in is there, and nobody knows where yet: like one that a counting pass heard.
    """
    table = arrived.derived.get("passages")
    if table is None:
        return []
    zone_of = {gate.id: gate.inside_zone for gate in site.gates if gate.outside_zone is None}
    times = [table[name].cast("int64").to_pylist() for name in ("as_of_time", "until_time")]
    columns = [table[name].to_pylist() for name in ("gate", "epc_hex", "gtin", "direction", "confidence")]
    found = []
    for as_of_us, until_us, gate, epc, gtin, direction, confidence in zip(*times, *columns, strict=True):
        if gate not in zone_of or confidence < SURE:
            continue
        if direction == Direction.OUTBOUND:
            found.append(Event(as_of_us, GATE, "", epc, gtin, zone_of[gate], 0, until_us, until_us))
        elif direction == Direction.INBOUND:
            found.append(Event(as_of_us, COUNTED, "", epc, gtin, None, 1, until_us))
    return found
