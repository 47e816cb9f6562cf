"""The ERP's book stock, as wrong as real ones: what is booked, not what is there, and the events that tell of it."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from devices.observations import BusinessEventKind


@dataclass(frozen=True, slots=True, kw_only=True)
class BusinessRecord:
    """One event that the till or the ERP publishes."""

    feed: str
    """Identifier of the feed."""
    kind: BusinessEventKind
    """What happened."""
    event_id: str
    """The feed's own identifier of the event."""
    at_us: int
    """When, by the feed's clock."""
    quantity: int
    """Units, as `devices.observations.BusinessEvent` counts them."""
    gtin: str
    """GTIN-14."""
    epc_hex: str | None = None
    """The item, where the feed knows it."""
    zone: str | None = None
    """Zone that it concerns."""
    transaction: str | None = None
    """Document that it belongs to."""


_SIGN = {
    BusinessEventKind.RECEIPT: 1,
    BusinessEventKind.RETURN: 1,
    BusinessEventKind.TRANSFER_IN: 1,
    BusinessEventKind.SALE: -1,
    BusinessEventKind.TRANSFER_OUT: -1,
    BusinessEventKind.ADJUSTMENT: 1,
    BusinessEventKind.EXPECTED: 0,
    BusinessEventKind.BOOK_STOCK: 0,
}


class Book:
    """Book stock per product, and every business event in order of time."""

    def __init__(self, gtins: Sequence[str], opening: Sequence[int], start_us: int) -> None:
        self._gtins = list(gtins)
        self._times = [[start_us] for _ in gtins]
        self._quantities = [[quantity] for quantity in opening]
        self._count = 0
        self._fresh: list[BusinessRecord] = []

    def post(
        self,
        feed: str,
        kind: BusinessEventKind,
        product: int,
        quantity: int,
        at_us: int,
        *,
        epc_hex: str | None = None,
        zone: str | None = None,
        transaction: str | None = None,
    ) -> None:
        """Book an event and publish it.

        Args:
            feed: Feed that reports it.
            kind: What happened.
            product: Product number.
            quantity: Units as the kind counts them: positive, signed for an adjustment.
            at_us: When.
            epc_hex: The item, where the feed knows it.
            zone: Zone that it concerns.
            transaction: Document that it belongs to.
        """
        self._count += 1
        change = _SIGN[kind] * quantity
        if change:
            self._times[product].append(at_us)
            self._quantities[product].append(self._quantities[product][-1] + change)
        self._fresh.append(
            BusinessRecord(
                feed=feed,
                kind=kind,
                event_id=f"{feed.upper()}-{self._count:07d}",
                at_us=at_us,
                quantity=quantity,
                gtin=self._gtins[product],
                epc_hex=epc_hex,
                zone=zone,
                transaction=transaction,
            )
        )

    def post_stock(self, at_us: int) -> None:
        """Publish the absolute book stock of every product."""
        for product in range(len(self._gtins)):
            self.post("erp", BusinessEventKind.BOOK_STOCK, product, self.quantity(product), at_us)

    def quantity(self, product: int, at_us: int | None = None) -> int:
        """Return a product's book stock, now or at a time that the simulation has reached."""
        quantities = self._quantities[product]
        if at_us is None:
            return quantities[-1]
        return quantities[max(0, bisect_right(self._times[product], at_us) - 1)]

    def stock(self, at_us: int) -> dict[str, int]:
        """Return the book stock by GTIN at a time that the simulation has reached."""
        return {gtin: self.quantity(product, at_us) for product, gtin in enumerate(self._gtins)}

    def drain(self) -> list[BusinessRecord]:
        """Return the events since the last call."""
        fresh, self._fresh = self._fresh, []
        return fresh
