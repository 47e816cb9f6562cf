"""The units of a simulated day: those that lie in the store at opening and those that deliveries will bring."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from devices.epc import encode_sgtin96
from simulators.catalogue import COMPANY_PREFIX, Product
from simulators.packing import packaging_epcs


@dataclass(frozen=True, slots=True, kw_only=True)
class Goods:
    """Every unit of the day, column by column. A unit's index is its number."""

    product: npt.NDArray[np.int16]
    """Product number."""
    delivery: npt.NDArray[np.int16]
    """Which delivery brings it, -1 for the opening stock, `NEIGHBOUR` for what is never on site."""
    epc_hex: tuple[str, ...]
    """EPC of its tag; empty for goods without tags."""
    readable: npt.NDArray[np.bool_]
    """Whether it has a tag that works."""
    opening: npt.NDArray[np.int64]
    """Units of each product at opening."""
    packaging: tuple[tuple[str, int] | None, ...]
    """Of cartons and pallets: `carton` or `pallet`, and which delivery brings it; `None` for goods."""

    NO_PRODUCT: ClassVar[int] = -1
    """What `product` says of cartons and pallets."""
    PACKAGING: ClassVar[int] = -3
    """What `delivery` says of cartons and pallets."""
    NEIGHBOUR: ClassVar[int] = -2
    """What `delivery` says of goods that belong to the neighbouring shop."""

    @property
    def count(self) -> int:
        """Number of units."""
        return len(self.epc_hex)

    def key(self, item: int) -> str:
        """Name a unit in the truth about items that are never read: its EPC, or its number."""
        return self.epc_hex[item] or f"untagged-{item}"


def draw_goods(
    products: Sequence[Product],
    *,
    items: int,
    deliveries: int,
    delivered_items: int,
    neighbour_items: int = 0,
    dead_tag_share: float,
    carton_units: int = 0,
    rng: np.random.Generator,
) -> Goods:
    """Draw the day's units.

    Args:
        products: The assortment.
        items: Units at opening.
        deliveries: Number of deliveries.
        delivered_items: Units of all deliveries together.
        neighbour_items: Units of the neighbouring shop that antennas may hear through the wall.
        dead_tag_share: Share of tagged goods whose tag is dead or torn off.
        carton_units: Units of a carton in which deliveries come; 0 for loose ones.
        rng: Random stream.

    Returns:
        Opening stock first, then delivery by delivery, then the neighbour's; products in runs, as they are packed.
        Cartons and pallets come last.
    """
    weights = rng.gamma(6.0, size=len(products))
    opening = _shares(items, weights)
    runs = [(product, -1, int(count)) for product, count in enumerate(opening)]
    for delivery in range(deliveries):
        chosen = np.sort(rng.choice(len(products), size=max(2, len(products) // 3), replace=False))
        counts = _shares(_part(delivered_items, deliveries, delivery), rng.gamma(3.0, size=len(chosen)))
        runs += [(int(product), delivery, int(count)) for product, count in zip(chosen, counts, strict=True)]
    if neighbour_items:
        shares = _shares(neighbour_items, np.ones(len(products)))
        runs += [(product, Goods.NEIGHBOUR, int(count)) for product, count in enumerate(shares)]
    product_of = np.repeat([run[0] for run in runs], [run[2] for run in runs]).astype(np.int16)
    delivery_of = np.repeat([run[1] for run in runs], [run[2] for run in runs]).astype(np.int16)
    tagged = np.array([product.tagged for product in products])[product_of]
    alive = rng.random(len(product_of)) >= dead_tag_share
    first_serials = rng.integers(10_000, 2**34, size=len(products))
    epcs = _epcs(products, product_of, tagged, first_serials)
    packaging = _packaging(delivery_of, deliveries, carton_units)
    more = len(packaging)
    return Goods(
        product=np.append(product_of, np.full(more, Goods.NO_PRODUCT, dtype=np.int16)),
        delivery=np.append(delivery_of, np.full(more, Goods.PACKAGING, dtype=np.int16)),
        epc_hex=(*epcs, *(epc for epc, _ in packaging)),
        readable=np.append(tagged & alive, np.ones(more, dtype=np.bool_)),
        opening=opening,
        packaging=(*[None] * len(epcs), *(kind for _, kind in packaging)),
    )


def _packaging(
    delivery_of: npt.NDArray[np.int16], deliveries: int, carton_units: int
) -> list[tuple[str, tuple[str, int]]]:
    """Return EPC, kind and delivery of each carton and pallet."""
    found: list[tuple[str, tuple[str, int]]] = []
    for delivery in range(deliveries if carton_units else 0):
        cartons, pallets = packaging_epcs(int((delivery_of == delivery).sum()), carton_units, delivery)
        found += [(epc, ("carton", delivery)) for epc in cartons]
        found += [(epc, ("pallet", delivery)) for epc in pallets]
    return found


def _epcs(
    products: Sequence[Product],
    product_of: npt.NDArray[np.int16],
    tagged: npt.NDArray[np.bool_],
    first_serials: npt.NDArray[np.int64],
) -> tuple[str, ...]:
    """Number the units of a product one after the other, as a printer does."""
    serial = first_serials.tolist()
    epcs = []
    for product, has_tag in zip(product_of.tolist(), tagged.tolist(), strict=True):
        serial[product] += 1
        epc = encode_sgtin96(products[product].gtin, serial[product], len(COMPANY_PREFIX)) if has_tag else ""
        epcs.append(epc)
    return tuple(epcs)


def _part(total: int, parts: int, number: int) -> int:
    return total // parts + (number < total % parts)


def _shares(total: int, weights: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Split a whole number in proportion to weights, largest remainders first."""
    exact = total * weights / weights.sum()
    counts = np.floor(exact).astype(np.int64)
    rest = total - int(counts.sum())
    counts[np.argsort(counts - exact, kind="stable")[:rest]] += 1
    return np.asarray(counts)
