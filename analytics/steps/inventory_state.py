"""What the inventory step remembers of a site, and the events that it works through."""

import heapq

import msgspec

from analytics.steps.deliveries import Deliveries
from analytics.steps.identity import identify
from analytics.steps.never_read import ReadHistory
from analytics.steps.scales import Weighed
from analytics.steps.silent_items import AT_EXIT, ELSEWHERE, EXPLAINED, Explained, Silence, SilenceHistory

VERSION = 5
"""Format version of the state."""
BUSINESS, SHELF, LOCATION, COUNTED, GATE = range(5)
"""Kinds of event, in their order within one microsecond."""
EXIT, MISPLACED, FORGET_HIDDEN, FORGET_SALE, FORGET_DEPARTURE, FORGET_COUNTED = range(6)
"""What to look at again: an item that left through an exit or lies wrongly; what is forgotten after a time."""


def gtin_of(epc: str) -> str:
    """Return the GTIN that an EPC names; empty for none."""
    return identify(epc)[1] or ""


class Event(msgspec.Struct, array_like=True, frozen=True):
    """Something that waits for the watermark. One shape for all three kinds."""

    time_us: int
    kind: int
    """BUSINESS, SHELF, LOCATION, COUNTED or GATE: the order within one microsecond."""
    what: str
    """Business event kind; empty otherwise."""
    key: str | None
    """EPC; the shelf's identifier for a shelf row."""
    gtin: str | None
    zone: str | None
    quantity: int
    """Units; for a location row, 0 where it opens a stay, 2 where it restates one, 1 where it closes one and 3 where it
    takes one back; for a counted item, 1 where heard."""
    from_us: int = 0
    until_us: int = 0
    moved: bool = False
    """A closing location row: whether the item went on to another zone."""
    recall: float = 0.0
    """A counted item that was not heard: the recall of the pass."""
    confidence: float = 1.0
    """A location row: probability that its zone is right; a shelf row: how sure its count is."""
    document: str = ""
    """A business event: document that it belongs to; empty where that is not told."""


class Item(msgspec.Struct, array_like=True):
    """A located item."""

    gtin: str | None
    zone: str
    """Empty where only a counting pass has heard it: it is there, and nobody knows where."""
    from_us: int
    confidence: float = 1.0
    """Probability that the zone is right."""


class Due(msgspec.Struct, array_like=True, frozen=True, order=True):
    """Something to look at again at a time."""

    due_us: int
    what: int
    key: str
    """EPC, or GTIN for a departure."""
    since_us: int
    """The time that it is about: start of the stay, end of the stay, sale or transfer."""
    zone: str


class Versioned(msgspec.Struct):
    """The part of a state that every version has."""

    version: int


class InventoryState(msgspec.Struct, kw_only=True):
    """Everything that the inventory step remembers of a site."""

    version: int = VERSION
    book: dict[str, int] = {}
    """Book stock by GTIN."""
    items: dict[str, Item] = {}
    """Located items by EPC, sold ones included."""
    moving: set[str] = set()
    """Items that are located nowhere at the moment and about to be: on their way from one stay to the next, or
    returned."""
    seen: dict[str, dict[str, int]] = {}
    """Located, unsold units by GTIN ('' for none) and zone."""
    hidden: dict[str, dict[str, Silence]] = {}
    """Silences that nothing explains, by GTIN ('' for none) and EPC."""
    explained: dict[str, Explained] = {}
    """Silences that a departure explains, by EPC; for a day from the silence."""
    histories: dict[str, SilenceHistory] = msgspec.field(
        default_factory=lambda: {kind: SilenceHistory() for kind in (AT_EXIT, ELSEWHERE, EXPLAINED)}
    )
    """What came of earlier silences, by their kind."""
    sold: dict[str, int] = {}
    """Time of sale, or of transfer out, by EPC."""
    departures: dict[str, list[int]] = {}
    """Times of sales and transfers out without EPC that have explained no silence yet, by GTIN."""
    weighed: dict[str, Weighed] = {}
    """What scales count, by shelf."""
    reads: ReadHistory = msgspec.field(default_factory=ReadHistory)
    """What tells of items never read."""
    deliveries: Deliveries = msgspec.field(default_factory=Deliveries)
    """Receipts, and what was heard of them."""
    observed: set[str] = set()
    """GTINs of which a tag was ever read."""
    pending: list[Event] = []
    """Events that wait for the watermark, in arrival order."""
    due: list[Due] = []
    """Heap of things to look at again."""
    next_grid_us: int | None = None
    """The next time of rows; `None` before anything happened."""
    changed: bool = False
    """Whether anything happened since the last rows."""

    def remind(self, due_us: int, what: int, key: str, since_us: int, zone: str = "") -> None:
        """Have something looked at again at a time."""
        heapq.heappush(self.due, Due(due_us, what, key, since_us, zone))

    def count(self, epc: str, change: int) -> None:
        """Count an item in or out of seen stock, if it is located."""
        item = self.items.get(epc)
        if item is not None:
            zones = self.seen.setdefault(item.gtin or "", {})
            zones[item.zone] = zones.get(item.zone, 0) + change
            if zones[item.zone] == 0:
                del zones[item.zone]

    def knows(self, epc: str) -> bool:
        """Tell whether an item has been located, as far as is remembered."""
        silent = epc in self.hidden.get(gtin_of(epc), {}) or epc in self.explained
        return silent or epc in self.items or epc in self.moving or epc in self.sold
