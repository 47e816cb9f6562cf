"""Items that no antenna hears any more and that nothing has explained yet: which they are, and how silences end.

```
hidden  --a sale or transfer explains it--->  gone
        --its EPC is sold, or comes back--->  no longer hidden
        --a day without a read------------->  gone
```

How likely a hidden item is still there follows from what came of earlier silences (`silent_items`), which this file
counts. Which silence a departure explains is in `inventory_departures`.
"""

from analytics.steps.inventory_state import FORGET_HIDDEN, Due, InventoryState, gtin_of
from analytics.steps.silent_items import EXPLAINED, Explained, Silence

HIDDEN_US = 24 * 3600 * 1_000_000
"""An item that fell silent inside the site and is not heard for a day is taken to be gone."""
SALE_WINDOW_US = 2 * 3600 * 1_000_000
"""A departure without EPC explains a silence of its GTIN that began up to this long before or after: goods in a bag are
silent before the till, and shoppers go on shopping after it."""


class Silences:
    """Silences of a site's items, by GTIN and EPC."""

    def __init__(self, state: InventoryState) -> None:
        self._state = state

    def begin(self, epc: str, gtin: str, silence: Silence) -> None:
        """Let an item be hidden from now on."""
        self._state.hidden.setdefault(gtin, {})[epc] = silence
        self._state.remind(silence.known_us + HIDDEN_US, FORGET_HIDDEN, epc, silence.since_us)

    def end(self, epc: str, at_us: int, *, returned: bool) -> None:
        """Let a silence be over, and teach what silences come to."""
        silence = self._state.hidden.get(gtin_of(epc), {}).pop(epc, None)
        if silence is not None:
            self._state.histories[silence.kind].end(silence, at_us, returned=returned)

    def drop(self, epc: str) -> None:
        """Forget a silence, explained or not, without a lesson."""
        self._state.explained.pop(epc, None)
        self._state.hidden.get(gtin_of(epc), {}).pop(epc, None)

    def explain(self, gtin: str, departure_us: int, epc: str | None) -> bool:
        """Let a departure explain the silence of an item, if there is one."""
        if epc is None:
            return False
        self._state.explained[epc] = Explained(departure_us, self._state.hidden[gtin].pop(epc))
        self._state.reads.depart(1.0, unread=0.0)
        return True

    def end_explained(self, epc: str, at_us: int, *, returned: bool) -> int | None:
        """Let a silence that a departure explains be over, and teach; return when the departure was, if one did."""
        explained = self._state.explained.pop(epc, None)
        if explained is None:
            return None
        if not explained.silence.at_exit:
            self._state.histories[EXPLAINED].end(explained.silence, at_us, returned=returned)
        return explained.departure_us

    def give_up(self, due: Due) -> None:
        """Forget an item that was silent for a day, unless it was heard since."""
        silence, explained = self.of(due.key), self._state.explained.get(due.key)
        if silence is not None and silence.since_us == due.since_us:
            self.end(due.key, due.due_us, returned=False)
            self._state.changed = True
        elif explained is not None and explained.silence.since_us == due.since_us:
            self.end_explained(due.key, due.due_us, returned=False)
            self._state.changed = True

    def of(self, epc: str) -> Silence | None:
        """Return an item's silence that nothing has explained."""
        return self._state.hidden.get(gtin_of(epc), {}).get(epc)

    def nearest(self, gtin: str, at_us: int) -> str | None:
        """Return the item whose silence began nearest to a time, within the window of a sale."""
        silences = self._state.hidden.get(gtin, {})
        near = [(abs(silence.since_us - at_us), epc) for epc, silence in silences.items()]
        distance_us, epc = min(near, default=(SALE_WINDOW_US + 1, ""))
        return epc if distance_us <= SALE_WINDOW_US else None

    def latest(self, gtin: str) -> str | None:
        """Return the item that fell silent last."""
        silences = self._state.hidden.get(gtin, {})
        return max(((silence.since_us, epc) for epc, silence in silences.items()), default=(0, None))[1]

    def longest(self, gtin: str, count: int) -> list[str]:
        """Return the items that have been silent longest."""
        silences = self._state.hidden.get(gtin, {})
        return sorted(silences, key=lambda epc: (silences[epc].since_us, epc))[: max(0, count)]
