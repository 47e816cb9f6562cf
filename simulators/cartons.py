"""Deliveries that come packed: cartons on a pallet, carried to the back room, opened on the floor, and gone when empty.

Cartons carry an SSCC and pallets a GRAI. What is in what, and until when, is the truth of `aggregations`.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from devices.site.model import ZoneKind
from simulators.goods import Goods
from simulators.packing import PALLET_UNITS
from simulators.world import Agent, Process, World

CARTONS_MAX = 2
"""Cartons that one walk moves from the dock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackingHabits:
    """How deliveries are packed and unpacked."""

    carton_units: int = 0
    """Units of a carton; 0 for deliveries that come loose."""
    open_after_s: float = 240.0
    """Mean time for which a carton stands in the back room, seconds."""
    pick_share: float = 0.3
    """Share of cartons out of which somebody takes a few units in the back room."""
    pick_units: int = 3
    """Units that are taken out of those."""


def lay_out_packed(world: World, habits: PackingHabits, number: int) -> list[tuple[int, list[int]]]:
    """Put a delivery down at the dock, on its pallets; return each carton with its contents."""
    dock = world.zone_kind(ZoneKind.RECEIVING)
    rectangle = world.plan.layout.rectangles[dock]
    items, cartons, pallets = (_of(world.goods, number, kind) for kind in (None, "carton", "pallet"))
    spots = [rectangle.spot(world.rng, 0.8) for _ in pallets]
    packed = []
    for place, carton in enumerate(cartons):
        contents = items[place * habits.carton_units : (place + 1) * habits.carton_units]
        pallet = place * habits.carton_units // PALLET_UNITS
        dx, dy = world.rng.uniform(-0.4, 0.4, size=2).tolist()
        at = rectangle.inset((spots[pallet][0] + dx, spots[pallet][1] + dy), 0.15)
        for thing in (carton, *contents):
            world.lay_down(thing, dock, at)
            world.packing.put(thing, [pallets[pallet]] if thing == carton else [carton, pallets[pallet]], world.now_us)
        packed.append((carton, contents))
    for pallet_item, spot in zip(pallets, spots, strict=True):
        world.lay_down(pallet_item, dock, spot)
    return packed


def put_away_packed(world: World, habits: PackingHabits, number: int, packed: list[tuple[int, list[int]]]) -> Process:
    """Carry cartons to the back room, one or two at a time, and the empty pallets away."""
    dock, room = world.zone_kind(ZoneKind.RECEIVING), world.zone_kind(ZoneKind.BACK_ROOM)
    agent = Agent(room, world.plan.layout.rectangles[room].spot(world.rng))
    pallets = _of(world.goods, number, "pallet")
    while packed:
        count = 1 + int(world.rng.integers(CARTONS_MAX))
        load, packed = packed[:count], packed[count:]
        yield from world.walk(agent, dock, world.resting[load[0][0]])
        yield world.after(float(world.rng.uniform(15, 45)))
        for carton, contents in load:
            for thing in (carton, *contents):
                world.take(agent, thing)
                for pallet in pallets:
                    world.packing.take_out(thing, pallet, world.now_us)
        yield from world.walk(agent, room, world.plan.layout.rectangles[room].spot(world.rng))
        for carton, contents in load:
            _set_down(world, agent, room, (carton, *contents))
            opened_us = world.after(30.0 + float(world.rng.exponential(habits.open_after_s)))
            world.spawn(_unpack(world, habits, carton, contents), opened_us)
    for pallet in pallets:
        yield from _take_away(world, agent, pallet)


def _set_down(world: World, agent: Agent, zone: int, things: tuple[int, ...]) -> None:
    for thing in things:
        world.release(agent, thing)
        world.lay_down(thing, zone, agent.goal)


def _unpack(world: World, habits: PackingHabits, carton: int, contents: list[int]) -> Process:
    """Take some units out in the back room, perhaps; carry the carton to its shelf, empty it, take it away."""
    room = world.zone_kind(ZoneKind.BACK_ROOM)
    agent = Agent(room, world.plan.layout.rectangles[room].spot(world.rng))
    if world.rng.random() < habits.pick_share:
        picked, contents = contents[: habits.pick_units], contents[habits.pick_units :]
        yield from world.walk(agent, room, world.resting[carton])
        for item in picked:
            world.packing.take_out(item, carton, world.now_us)
            world.take(agent, item)
        yield from _shelve_all(world, agent, picked)
        yield world.after(float(world.rng.exponential(habits.open_after_s)))
    yield from world.walk(agent, room, world.resting[carton])
    for thing in (carton, *contents):
        world.take(agent, thing)
    if contents:
        product = Counter(world.product[item] for item in contents).most_common(1)[0][0]
        shelf = world.home_shelves[product][0]
        zone = world.plan.shelf_zones[shelf]
        yield from world.walk(agent, zone, world.shelf_place(shelf))
        _set_down(world, agent, zone, (carton, *contents))
        yield world.after(float(world.rng.uniform(20, 90)))
        for item in contents:
            yield world.after(float(world.rng.uniform(1.5, 5.0)))
            world.packing.take_out(item, carton, world.now_us)
            world.take(agent, item)
        yield from _shelve_all(world, agent, contents)
        yield from world.walk(agent, zone, world.resting[carton])
        world.take(agent, carton)
    yield from _carry_out(world, agent, carton)


def _shelve_all(world: World, agent: Agent, items: list[int]) -> Process:
    for item in items:
        homes = world.home_shelves[world.product[item]]
        shelf = min(homes, key=lambda home: len(world.shelf_items[home]))
        yield from world.walk(agent, world.plan.shelf_zones[shelf], world.shelf_place(shelf))
        world.release(agent, item)
        world.shelve(item, shelf)


def _take_away(world: World, agent: Agent, thing: int) -> Process:
    dock = world.zone_kind(ZoneKind.RECEIVING)
    yield from world.walk(agent, dock, world.resting[thing])
    world.take(agent, thing)
    yield from _carry_out(world, agent, thing)


def _carry_out(world: World, agent: Agent, thing: int) -> Process:
    dock = world.zone_kind(ZoneKind.RECEIVING)
    yield from world.walk(agent, dock, world.plan.layout.rectangles[dock].spot(world.rng, 0.8))
    yield world.after(float(world.rng.uniform(20, 60)))
    world.carry_off(agent, thing, "packaging")


def _of(goods: Goods, delivery: int, kind: str | None) -> list[int]:
    """Return the numbers of a delivery's items, cartons or pallets."""
    if kind is None:
        return [item for item in range(goods.count) if goods.delivery[item] == delivery]
    return [item for item, packed in enumerate(goods.packaging) if packed == (kind, delivery)]


def readable_containments(world: World, end_us: int) -> Iterator[tuple[str, str, int, int]]:
    """Yield parent's and child's EPC, from and until, of each containment between things with tags that work."""
    goods = world.goods
    for one in world.packing.containments:
        if goods.readable[one.child] and goods.readable[one.parent]:
            until_us = end_us if one.until_us is None else one.until_us
            yield goods.epc_hex[one.parent], goods.epc_hex[one.child], one.from_us, until_us
