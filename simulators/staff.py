"""What staff do: take deliveries in, move them to the back room, fill shelves, put strays away, count, transfer."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from devices.observations import BusinessEventKind
from devices.site.model import ZoneKind
from simulators.cartons import PackingHabits, lay_out_packed, put_away_packed
from simulators.goods import Goods
from simulators.world import Agent, Process, World

_ARMFUL = 14
"""Units that one walk moves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StaffHabits:
    """How staff work, as probabilities and means."""

    associates: int = 2
    """People on the sales floor."""
    pause_s: float = 100.0
    """Mean pause between two walks, seconds."""
    trolleys: int = 0
    """People who do nothing but wheel the goods of one shelf to another."""
    trolley_units: int = 30
    """Units that a trolley holds."""
    trolley_pause_s: float = 90.0
    """Mean pause between two such tours, seconds."""
    tidy_share: float = 0.25
    """Probability that a walk is spent on strays, where any are noticed."""
    notice_share: float = 0.02
    """Probability that a walk notices a stray that hides among other goods; in the fitting room and at the till
    every one is seen."""
    receipt_error_share: float = 0.12
    """Share of receipt lines booked with another quantity than came."""
    short_delivery_share: float = 0.08
    """Share of announced lines that came with fewer units than announced."""
    count_error_share: float = 0.1
    """Share of shelf counts that are one unit off."""
    counts_per_day: int = 3
    """Products whose stock is counted by hand and corrected in the book."""
    unbooked_theft_mean: float = 0.5
    """Units of a product that were stolen before today and are still in the book, mean; Poisson."""
    unbooked_receipt_mean: float = 0.2
    """Units of a product that are in the store and not in the book, mean; Poisson."""


def lay_out_opening_stock(world: World, floor_share: float) -> None:
    """Fill shelves and racks with the opening stock, in the twinkling of an eye."""
    rng = world.rng
    for item in range(world.goods.count):
        if world.goods.delivery[item] != -1:
            continue
        world.came["opening"] += 1
        room = [s for s in world.home_shelves[world.product[item]] if len(world.shelf_items[s]) < _capacity(world, s)]
        if room and rng.random() < floor_share:
            world.shelve(item, min(room, key=lambda shelf: len(world.shelf_items[shelf])))
        else:
            world.store_back(item)


def lay_out_neighbour(world: World, rng: np.random.Generator) -> None:
    """Spread the neighbouring shop's goods behind the right-hand wall."""
    layout = world.plan.layout
    for item in np.flatnonzero(world.goods.delivery == Goods.NEIGHBOUR).tolist():
        x = layout.width + float(rng.uniform(0.3, world.plan.neighbour_m))
        world.lay_outside(item, (round(x, 2), round(float(rng.uniform(0.5, layout.depth - 0.5)), 2)))


def associate(world: World, habits: StaffHabits) -> Process:
    """Work on the sales floor all day: strays first if noticed, then whatever runs low."""
    rng = world.rng
    room = world.zone_kind(ZoneKind.BACK_ROOM)
    agent = Agent(room, world.plan.layout.rectangles[room].spot(rng))
    while True:
        yield world.after(float(rng.exponential(habits.pause_s)))
        noticed = _noticed(world, habits) if rng.random() < habits.tidy_share else []
        if noticed:
            yield from _tidy(world, agent, noticed)
            continue
        low = [shelf for shelf in range(len(world.shelf_items)) if _runs_low(world, shelf)]
        if low:
            yield from _replenish(world, agent, low[int(rng.integers(len(low)))])


def trolley(world: World, habits: StaffHabits) -> Process:
    """Wheel goods from shelf to shelf all day, as if the floor were laid out anew."""
    rng = world.rng
    room = world.zone_kind(ZoneKind.BACK_ROOM)
    agent = Agent(room, world.plan.layout.rectangles[room].spot(rng))
    while True:
        yield world.after(float(rng.exponential(habits.trolley_pause_s)))
        start, goal = rng.choice(len(world.shelf_items), size=2, replace=False).tolist()
        yield from world.walk(agent, world.plan.shelf_zones[start], world.shelf_place(start))
        for item in world.shelf_items[start][: habits.trolley_units]:
            world.take(agent, item)
            yield world.after(float(rng.uniform(0.5, 1.5)))
        yield from world.walk(agent, world.plan.shelf_zones[goal], world.shelf_place(goal))
        for item in list(agent.items):
            yield world.after(float(rng.uniform(1.0, 3.0)))
            world.release(agent, item)
            world.shelve(item, goal)


def _capacity(world: World, shelf: int) -> int:
    return world.plan.site.shelves[shelf].capacity_units or 1


def _runs_low(world: World, shelf: int) -> bool:
    minimum = world.plan.site.shelves[shelf].minimum_units or 0
    product = world.plan.shelf_products[shelf]
    return len(world.shelf_items[shelf]) <= minimum and bool(world.back_stock[product])


def _replenish(world: World, agent: Agent, shelf: int) -> Process:
    product = world.plan.shelf_products[shelf]
    room = world.zone_kind(ZoneKind.BACK_ROOM)
    yield from world.walk(agent, room, world.rack_place(product))
    yield world.after(float(world.rng.uniform(10, 30)))
    space = min(_ARMFUL, _capacity(world, shelf) - len(world.shelf_items[shelf]))
    for item in world.back_stock[product][: max(0, space)]:
        world.take(agent, item)
    yield from world.walk(agent, world.plan.shelf_zones[shelf], world.shelf_place(shelf))
    yield from _unload(world, agent, shelf)


def _unload(world: World, agent: Agent, shelf: int) -> Process:
    for item in list(agent.items):
        yield world.after(float(world.rng.uniform(1.5, 5.0)))
        world.lean_on(shelf, 1.0, float(world.rng.uniform(100, 1200)))
        world.release(agent, item)
        world.shelve(item, shelf)


def _noticed(world: World, habits: StaffHabits) -> list[int]:
    """Return the strays that catch the eye."""
    plain = {world.zone_kind(kind) for kind in (ZoneKind.FITTING_ROOM, ZoneKind.POINT_OF_SALE)}
    return [
        item
        for item in sorted(world.strays)
        if world.zone_of(item) in plain or world.rng.random() < habits.notice_share
    ]


def _tidy(world: World, agent: Agent, noticed: list[int]) -> Process:
    """Gather the noticed strays of one zone and put each where it belongs."""
    zones = Counter(world.zone_of(item) for item in noticed)
    zone = max(zones, key=lambda number: (zones[number], -number))
    for item in [item for item in noticed if world.zone_of(item) == zone][: _ARMFUL // 2]:
        if item not in world.strays or world.zone_of(item) != zone:  # somebody else has taken it meanwhile
            continue
        yield from world.walk(agent, zone, world.resting[item])
        if item in world.strays:
            world.take(agent, item)
            yield world.after(float(world.rng.uniform(2, 6)))
    for item in list(agent.items):
        homes = world.home_shelves[world.product[item]]
        shelf = min(homes, key=lambda home: len(world.shelf_items[home]))
        yield from world.walk(agent, world.plan.shelf_zones[shelf], world.shelf_place(shelf))
        world.release(agent, item)
        world.shelve(item, shelf)


def delivery(world: World, habits: StaffHabits, packing: PackingHabits, number: int) -> Process:
    """Let a delivery come in, be booked, and be put away."""
    rng = world.rng
    items = [item for item in range(world.goods.count) if world.goods.delivery[item] == number]
    packed = lay_out_packed(world, packing, number) if packing.carton_units else []
    if not packed:
        _lay_out_loose(world, items)
    world.came["delivered"] += len(items)
    yield world.after(float(rng.uniform(120, 420)))
    _book_receipts(world, habits, items, f"ASN-{number + 1:05d}")
    yield from put_away_packed(world, packing, number, packed) if packed else _put_away(world, items)


def _lay_out_loose(world: World, items: list[int]) -> None:
    """Put a delivery that is not packed down at the dock."""
    rng, dock = world.rng, world.zone_kind(ZoneKind.RECEIVING)
    rectangle = world.plan.layout.rectangles[dock]
    pallets = [rectangle.spot(rng, 0.8) for _ in range(1 + len(items) // 60)]
    for place, item in enumerate(items):
        x, y = pallets[place // 60]
        dx, dy = rng.uniform(-0.4, 0.4, size=2).tolist()
        world.lay_down(item, dock, rectangle.inset((x + dx, y + dy), 0.15))


def _book_receipts(world: World, habits: StaffHabits, items: list[int], note: str) -> None:
    rng = world.rng
    for product, count in sorted(Counter(world.product[item] for item in items).items()):
        booked = max(0, count + int(rng.choice([-2, -1, 1, 2]))) if rng.random() < habits.receipt_error_share else count
        if booked:
            world.book.post("erp", BusinessEventKind.RECEIPT, product, booked, world.now_us, transaction=note)


def _put_away(world: World, items: list[int]) -> Process:
    """Carry a delivery to its racks, a trolley load at a time."""
    dock, room = world.zone_kind(ZoneKind.RECEIVING), world.zone_kind(ZoneKind.BACK_ROOM)
    agent = Agent(room, world.plan.layout.rectangles[room].spot(world.rng))
    while items:
        load, items = items[: 2 * _ARMFUL], items[2 * _ARMFUL :]
        yield from world.walk(agent, dock, world.resting[load[0]])
        yield world.after(float(world.rng.uniform(15, 45)))
        for item in load:
            world.take(agent, item)
        yield from world.walk(agent, room, world.rack_place(world.product[load[0]]))
        for item in load:
            yield world.after(float(world.rng.uniform(1.0, 3.0)))
            world.release(agent, item)
            world.store_back(item)


def announce(world: World, habits: StaffHabits, number: int) -> Process:
    """Publish a delivery's shipping notice; some lines promise more than will come."""
    rng = world.rng
    items = [item for item in range(world.goods.count) if world.goods.delivery[item] == number]
    for product, count in sorted(Counter(world.product[item] for item in items).items()):
        promised = count + (1 + int(rng.integers(3)) if rng.random() < habits.short_delivery_share else 0)
        world.book.post(
            "erp", BusinessEventKind.EXPECTED, product, promised, world.now_us, transaction=f"ASN-{number + 1:05d}"
        )
    yield world.now_us


def count_by_hand(world: World, habits: StaffHabits) -> Process:
    """Count one product in the whole store and correct the book, sometimes wrongly."""
    rng = world.rng
    product = int(rng.integers(len(world.plan.products)))
    yield world.after(600.0)
    on_site = sum(1 for item, number in enumerate(world.product) if number == product and world.zone_of(item) >= 0)
    counted = on_site + (int(rng.choice([-1, 1])) if rng.random() < habits.count_error_share else 0)
    change = max(0, counted) - world.book.quantity(product)
    if change:
        world.book.post("erp", BusinessEventKind.ADJUSTMENT, product, change, world.now_us, transaction="COUNT")


def transfer_out(world: World) -> Process:
    """Send an armful of one product to another store."""
    rng = world.rng
    room, dock = world.zone_kind(ZoneKind.BACK_ROOM), world.zone_kind(ZoneKind.RECEIVING)
    product = max(range(len(world.back_stock)), key=lambda number: len(world.back_stock[number]))
    agent = Agent(room, world.plan.layout.rectangles[room].spot(rng))
    yield from world.walk(agent, room, world.rack_place(product))
    for item in world.back_stock[product][: _ARMFUL // 2]:
        world.take(agent, item)
    yield from world.walk(agent, dock, world.plan.layout.rectangles[dock].spot(rng, 0.8))
    yield world.after(float(rng.uniform(60, 240)))
    gone = len(agent.items)
    for item in list(agent.items):
        world.carry_off(agent, item, "transferred")
    if gone:
        world.book.post("erp", BusinessEventKind.TRANSFER_OUT, product, gone, world.now_us, transaction="TRANSFER-1")


def draw_opening_book(counts: list[int], habits: StaffHabits, rng: np.random.Generator) -> list[int]:
    """Draw the book stock at opening: the truth, plus units stolen unnoticed, minus units never booked in."""
    stolen = rng.poisson(habits.unbooked_theft_mean, size=len(counts)).tolist()
    extra = rng.poisson(habits.unbooked_receipt_mean, size=len(counts)).tolist()
    return [max(0, count + a - b) for count, a, b in zip(counts, stolen, extra, strict=True)]
