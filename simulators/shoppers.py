"""What shoppers do: come in, browse, pick up, put back or misplace, try on, pay or steal, leave, bring goods back."""

from collections.abc import Generator
from dataclasses import dataclass

from devices.observations import BusinessEventKind
from devices.site.model import Point, ZoneKind
from simulators.world import SECOND_US, Agent, Process, World


@dataclass(frozen=True, slots=True, kw_only=True)
class ShopperHabits:
    """How shoppers behave, as probabilities and means."""

    per_hour: float = 40.0
    """Shoppers that come in, mean per hour; Poisson."""
    shelves_mean: float = 5.0
    """Shelves that a shopper stops at."""
    browse_s: float = 35.0
    """Median stop at a shelf, seconds; log-normal."""
    pick_share: float = 0.42
    """Probability that a shopper picks something up at a shelf."""
    second_unit_share: float = 0.12
    """Probability that it is two units."""
    armful_share: float = 0.0
    """Probability that a shopper who picks something up takes an armful."""
    armful_units: int = 10
    """Units of an armful, as far as the shelf has them."""
    change_mind_share: float = 0.22
    """Probability, at each further shelf, that something carried is put down again."""
    misplace_share: float = 0.35
    """Of what is put down again, the share that is left where the shopper happens to be."""
    try_on_share: float = 0.55
    """Probability that a shopper with clothes visits the fitting room."""
    reject_share: float = 0.4
    """Share of what is tried on that is not wanted."""
    theft_share: float = 0.02
    """Share of shoppers with goods who leave without paying."""
    conceal_share: float = 0.015
    """Share of paying shoppers who conceal one unit."""
    till_misscan_share: float = 0.006
    """Share of units that the till books under another GTIN."""
    epc_till_share: float = 0.7
    """Share of sales of tagged units in which the till reads the tag."""
    returns_per_hour: float = 2.0
    """Shoppers who bring a unit back, mean per hour."""


def arrivals(world: World, habits: ShopperHabits, close_us: int) -> Process:
    """Let shoppers come in until doors close, more of them in the middle of the opening hours."""
    open_us, rng = world.now_us, world.rng
    peak = 1.5 * habits.per_hour / 3600.0
    while peak > 0:
        yield world.after(float(rng.exponential(1.0 / peak)))
        if world.now_us >= close_us:
            return
        share = (world.now_us - open_us) / (close_us - open_us)
        if rng.random() * 1.5 < 0.5 + 3.0 * share * (1.0 - share):  # mean of the right side over a day: 1
            world.spawn(_shop(world, habits), world.now_us)


def returners(world: World, habits: ShopperHabits, close_us: int) -> Process:
    """Let shoppers bring back units that were sold today."""
    rng = world.rng
    while habits.returns_per_hour > 0:
        yield world.after(float(rng.exponential(3600.0 / habits.returns_per_hour)))
        if world.now_us >= close_us:
            return
        if world.sold:
            item = world.sold.pop(int(rng.integers(len(world.sold))))
            world.spawn(_bring_back(world, item), world.now_us)


def _shop(world: World, habits: ShopperHabits) -> Process:
    rng = world.rng
    agent = _enter(world)
    stops = 1 + int(rng.poisson(habits.shelves_mean - 1))
    for shelf in rng.integers(len(world.shelf_items), size=stops).tolist():
        yield from _visit(world, agent, shelf, habits)
    if rng.random() < habits.try_on_share and any(_fitted(world, item) for item in agent.items):
        yield from _try_on(world, agent, habits)
    if agent.items and rng.random() >= habits.theft_share:
        yield from _pay(world, agent, habits)
    elif agent.items:
        yield from _leave(world, agent, paid=frozenset())
    else:
        yield from _walk_out(world, agent)


def _enter(world: World) -> Agent:
    zone = world.zone_kind(ZoneKind.EXIT)
    return Agent(zone, _doorway(world, zone))


def _doorway(world: World, zone: int) -> Point:
    r = world.plan.layout.rectangles[zone]
    return r.x0 + (0.35 + 0.3 * float(world.rng.random())) * (r.x1 - r.x0), r.y0 + 0.1


def _visit(world: World, agent: Agent, shelf: int, habits: ShopperHabits) -> Process:
    """Stop at a shelf: look, perhaps put something down, perhaps pick something up."""
    rng = world.rng
    zone = world.plan.shelf_zones[shelf]
    x, y = world.shelf_place(shelf)
    front = world.plan.layout.rectangles[zone].inset((x, y - 0.6), 0.15)
    yield from world.walk(agent, zone, front)
    stop_s = habits.browse_s * float(rng.lognormal(0.0, 0.6))
    yield world.after(0.6 * stop_s)
    if agent.items and rng.random() < habits.change_mind_share:
        stayed = yield from _put_down(world, agent, shelf, habits)
        if not stayed:
            return
    stock = world.shelf_items[shelf]
    if stock and rng.random() < habits.pick_share:
        world.lean_on(shelf, float(rng.uniform(0.8, 3.0)), float(rng.uniform(150, 2500)))
        yield world.after(1.0)
        units = 1 + int(rng.random() < habits.second_unit_share)
        if habits.armful_share and rng.random() < habits.armful_share:
            units = habits.armful_units
        for _ in range(min(units, len(stock))):
            world.take(agent, stock[int(rng.integers(len(stock)))])
    elif rng.random() < 0.3:  # feels the cloth
        world.lean_on(shelf, float(rng.uniform(0.5, 2.0)), float(rng.uniform(50, 800)))
    yield world.after(0.4 * stop_s)


def _put_down(world: World, agent: Agent, shelf: int, habits: ShopperHabits) -> Generator[int, None, bool]:
    """Put one unit down: on the shelf at hand, or back where it belongs; return whether the shopper stayed."""
    rng = world.rng
    item = agent.items[int(rng.integers(len(agent.items)))]
    homes = world.home_shelves[world.product[item]]
    if shelf in homes or rng.random() < habits.misplace_share:
        _shelve_by_hand(world, agent, item, shelf)
        return True
    home = homes[int(rng.integers(len(homes)))]
    yield from world.walk(agent, world.plan.shelf_zones[home], world.shelf_place(home))
    _shelve_by_hand(world, agent, item, home)
    return False


def _shelve_by_hand(world: World, agent: Agent, item: int, shelf: int) -> None:
    world.release(agent, item)
    world.shelve(item, shelf)
    world.lean_on(shelf, float(world.rng.uniform(0.5, 2.0)), float(world.rng.uniform(100, 1500)))


def _fitted(world: World, item: int) -> bool:
    product: int = world.product[item]
    return world.plan.products[product].fitted


def _try_on(world: World, agent: Agent, habits: ShopperHabits) -> Process:
    rng = world.rng
    zone = world.zone_kind(ZoneKind.FITTING_ROOM)
    yield from world.walk(agent, zone, world.plan.layout.rectangles[zone].spot(rng, 0.6))
    yield world.after(150.0 * float(rng.lognormal(0.0, 0.5)))
    for item in [item for item in agent.items if _fitted(world, item)]:
        if rng.random() < habits.reject_share:
            world.release(agent, item)
            world.leave_lying(item, zone)


def _pay(world: World, agent: Agent, habits: ShopperHabits) -> Process:
    rng = world.rng
    zone = world.zone_kind(ZoneKind.POINT_OF_SALE)
    yield from world.walk(agent, zone, world.plan.layout.rectangles[zone].spot(rng, 0.8))
    yield world.after(60.0 * float(rng.lognormal(0.0, 0.7)))
    concealed = agent.items[0] if len(agent.items) > 1 and rng.random() < habits.conceal_share else None
    paid = [item for item in agent.items if item != concealed]
    transaction = f"RECEIPT-{int(rng.integers(10**8)):08d}"
    for item in paid:
        yield world.after(float(rng.uniform(1.5, 4.0)))
        _book_sale(world, item, transaction, habits)
    yield world.after(float(rng.uniform(10, 40)))
    yield from _leave(world, agent, paid=frozenset(paid))


def _book_sale(world: World, item: int, transaction: str, habits: ShopperHabits) -> None:
    rng = world.rng
    product = world.product[item]
    epc = world.goods.epc_hex[item] if world.goods.readable[item] and rng.random() < habits.epc_till_share else None
    if rng.random() < habits.till_misscan_share:
        product, epc = int(rng.integers(len(world.plan.products))), None
    world.book.post("till", BusinessEventKind.SALE, product, 1, world.now_us, epc_hex=epc, transaction=transaction)


def _leave(world: World, agent: Agent, *, paid: frozenset[int]) -> Process:
    yield from _walk_out(world, agent)
    for item in list(agent.items):
        world.carry_off(agent, item, "sold" if item in paid else "stolen")
        if item in paid and world.goods.readable[item]:
            world.sold.append(item)


def _walk_out(world: World, agent: Agent) -> Process:
    zone = world.zone_kind(ZoneKind.EXIT)
    yield from world.walk(agent, zone, _doorway(world, zone))
    yield world.now_us + SECOND_US // 2


def _bring_back(world: World, item: int) -> Process:
    """Bring a sold unit back to the till, where it stays until staff put it away."""
    rng = world.rng
    agent = _enter(world)
    world.bring(agent, item)
    world.came["returned"] += 1
    till = world.zone_kind(ZoneKind.POINT_OF_SALE)
    yield from world.walk(agent, till, world.plan.layout.rectangles[till].spot(rng, 0.8))
    yield world.after(90.0 * float(rng.lognormal(0.0, 0.5)))
    epc = world.goods.epc_hex[item]
    world.book.post("till", BusinessEventKind.RETURN, world.product[item], 1, world.now_us, epc_hex=epc)
    world.release(agent, item)
    world.leave_lying(item, till)
    yield from _walk_out(world, agent)
