"""Sales and transfers out, and which silences they explain.

One that names an EPC takes that item off. One without EPC (a *departure* here) explains the silence of one unit of its
GTIN: of those that fell silent within `SALE_WINDOW_US` of it, the nearest in time. Where there is none yet it waits for
one. Where none comes within the window, the last item of the GTIN that is hidden is taken; where there is none, the
unit was one that is never read. An item that is heard again was not the one that left: its departure goes on waiting.
"""

from analytics.steps.inventory_silences import SALE_WINDOW_US, Silences
from analytics.steps.inventory_state import FORGET_DEPARTURE, FORGET_SALE, Due, Event, InventoryState

DEPARTURES_LIMIT = 10_000
"""Departures of one GTIN that wait for a silence at most. A lorry with more units of one article than that moves the
book, but explains no more silences: each that waits is looked at with each item that falls silent."""
SOLD_MEMORY_US = 30 * 24 * 3600 * 1_000_000
"""A sold EPC is remembered this long. Bounds the memory; an item that comes back later is stock again."""


class Departures:
    """Departures of a site, those that name an EPC and those that look for one."""

    def __init__(self, state: InventoryState, silences: Silences) -> None:
        self._state = state
        self._silences = silences

    def take(self, event: Event) -> None:
        """Take in a sale or a transfer out."""
        state = self._state
        if event.key is not None:
            self._sell(event.key, event)
        elif event.gtin is not None:
            room = DEPARTURES_LIMIT - len(state.departures.get(event.gtin, ()))
            for _ in range(min(event.quantity, room)):
                self._explain_or_wait(event.gtin, event.time_us)
                state.remind(event.time_us + SALE_WINDOW_US, FORGET_DEPARTURE, event.gtin, event.time_us)

    def _sell(self, epc: str, event: Event) -> None:
        state = self._state
        if epc not in state.sold:
            state.count(epc, -1)
            if event.gtin in state.observed:
                state.reads.depart(1.0, unread=float(not state.knows(epc)))
        state.sold[epc] = event.time_us
        self._silences.drop(epc)
        state.remind(event.time_us + SOLD_MEMORY_US, FORGET_SALE, epc, event.time_us)

    def _explain_or_wait(self, gtin: str, at_us: int) -> None:
        """Let a departure explain the silence nearest to it, or wait for one."""
        if not self._silences.explain(gtin, at_us, self._silences.nearest(gtin, at_us)):
            self._state.departures.setdefault(gtin, []).append(at_us)

    def claim(self, epc: str, gtin: str, since_us: int) -> bool:
        """Let the departure that waits nearest to it explain a silence that has begun, if there is one."""
        waiting = self._state.departures.get(gtin, [])
        near = [(abs(at_us - since_us), at_us) for at_us in waiting if abs(at_us - since_us) <= SALE_WINDOW_US]
        if not near:
            return False
        nearest_us = min(near)[1]
        waiting.remove(nearest_us)
        return self._silences.explain(gtin, nearest_us, epc)

    def take_back(self, epc: str, gtin: str) -> None:
        """Let an item that a till or a transfer names come back: its departure was real, and is over."""
        state = self._state
        if epc in state.sold:
            del state.sold[epc]
            state.count(epc, 1)
            if epc not in state.items:
                state.moving.add(epc)
        elif epc in state.explained:
            del state.explained[epc]
            state.moving.add(epc)
        elif epc in state.items and state.departures.get(gtin):
            state.departures[gtin].pop()  # it was never silent for long, so its sale still waits

    def disprove(self, epc: str, gtin: str, heard_us: int, now_us: int) -> None:
        """Let an item be heard again whose silence a departure had explained: it explained nothing after all."""
        departure_us = self._silences.end_explained(epc, heard_us, returned=True)
        if departure_us is not None and departure_us > now_us - SALE_WINDOW_US:
            self._state.reads.depart(-1.0, unread=0.0)
            self._explain_or_wait(gtin, departure_us)

    def expire(self, due: Due) -> None:
        """Let a departure that no silence has explained within its window take the last one there is."""
        state, gtin = self._state, due.key
        if due.since_us not in state.departures.get(gtin, []):
            return
        state.departures[gtin].remove(due.since_us)
        state.changed = True
        explained = self._silences.explain(gtin, due.since_us, self._silences.latest(gtin))
        if not explained and gtin in state.observed:
            state.reads.depart(1.0, unread=1.0)

    def forget_sale(self, due: Due) -> None:
        """Forget a sold EPC that is long gone."""
        if self._state.sold.get(due.key) == due.since_us and due.key not in self._state.items:
            del self._state.sold[due.key]
