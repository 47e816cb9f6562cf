"""Book stock of a GTIN, as business events move it.

`book_stock` sets it; receipts, returns, transfers in and adjustments add; sales and transfers out subtract; announced
deliveries (`expected`) do not touch it. It is unknown until something sets or moves it.
"""

from analytics.steps.inventory_state import Event, InventoryState
from devices.observations import BusinessEventKind

RECEIPT_LIMIT = 10_000
"""Units of one receipt that are looked for; more of one GTIN at once come in no store."""
BOOK_LIMIT = 10**15
"""Book stock of a GTIN stays within this, either way: sums of a million of them still fit 64 bits."""

_SIGNS = {
    BusinessEventKind.RECEIPT: 1,
    BusinessEventKind.RETURN: 1,
    BusinessEventKind.TRANSFER_IN: 1,
    BusinessEventKind.ADJUSTMENT: 1,
    BusinessEventKind.SALE: -1,
    BusinessEventKind.TRANSFER_OUT: -1,
}


def book(state: InventoryState, gtin: str, event: Event) -> None:
    """Take a business event into the book, and into what is known of deliveries."""
    if event.what == BusinessEventKind.EXPECTED:
        state.deliveries.announce(gtin, _bounded(event.quantity), event.document)
    elif event.what == BusinessEventKind.RECEIPT:
        units = min(event.quantity, RECEIPT_LIMIT)
        for seen_us in state.deliveries.receive(gtin, units, event.time_us, event.document):
            state.reads.find(gtin, seen_us)
    if event.what == BusinessEventKind.BOOK_STOCK:
        state.book[gtin] = _bounded(event.quantity)
    elif event.what in _SIGNS:
        change = _SIGNS[BusinessEventKind(event.what)] * event.quantity
        state.book[gtin] = _bounded(state.book.get(gtin, 0) + change)


def _bounded(quantity: int) -> int:
    return max(-BOOK_LIMIT, min(BOOK_LIMIT, quantity))
