"""Exceptions of single items: out through an exit with nothing to explain it; on a wrong part of the sales floor."""

from typing import Any

import msgspec

from analytics import accuracy
from analytics.steps.inventory_state import EXIT, MISPLACED, Due, Event, InventoryState, gtin_of
from analytics.steps.inventory_zones import homes_of
from devices.site.model import Site, ZoneKind

MISPLACED_AFTER_US = 5 * 60 * 1_000_000
"""An item on a wrong part of the sales floor is carried about by somebody until it has been there this long."""
SALE_GRACE_US = 5 * 60 * 1_000_000
"""A sale may be told this long after the item left: tills send receipts in bundles."""


class Exceptions:
    """Watches items, and tells what should not be."""

    def __init__(self, state: InventoryState, site: Site) -> None:
        self._state = state
        self._site = site
        self._floor = frozenset(zone.id for zone in site.zones if zone.kind is ZoneKind.SALES_FLOOR)
        self._homes = homes_of(site)
        self.alerts: list[dict[str, Any]] = []
        """Rows of the table of alerts, in the order in which they were told."""

    def watch_exit(self, epc: str, since_us: int, now_us: int, zone: str) -> None:
        """Look again at an item that fell silent at an exit, once a sale would have been told."""
        self._state.remind(max(since_us + SALE_GRACE_US, now_us), EXIT, epc, since_us, zone)

    def watch_place(self, epc: str, event: Event) -> None:
        """Look again at an item that is located where it does not belong."""
        if accuracy.is_misplaced(event.zone or "", self._floor, self._homes.get(event.gtin or "", frozenset())):
            due_us = max(event.from_us + MISPLACED_AFTER_US, event.time_us)
            self._state.remind(due_us, MISPLACED, epc, event.from_us, event.zone or "")

    def check_exit(self, due: Due) -> None:
        """Alert about an item that left through an exit, unless something explains it by now, or it is back."""
        gtin = gtin_of(due.key)
        silence = self._state.hidden.get(gtin, {}).get(due.key)
        if silence is not None and silence.since_us == due.since_us:
            self._alert("exit_without_sale", due, "error", due.since_us, gtin or None)

    def check_misplaced(self, due: Due) -> None:
        """Alert about an item that lies wrongly, unless it was carried on or sold."""
        item = self._state.items.get(due.key)
        if item is not None and item.from_us == due.since_us and due.key not in self._state.sold:
            self._alert("misplaced", due, "warning", due.due_us, item.gtin)

    def _alert(self, alert: str, due: Due, severity: str, time_us: int, gtin: str | None) -> None:
        detail = {"gtin": gtin, "since_us": due.since_us, "home_zones": sorted(self._homes.get(gtin or "", ()))}
        self.alerts.append(
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
