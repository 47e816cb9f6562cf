"""The state of the simulated store and its clock: items, agents that carry them, shelves, and what happens when.

A discrete-event simulation. Everything that goes on is a *process*: a generator that changes the world and yields
the time at which it wants to go on. Shoppers (`shoppers`) and staff (`staff`) are such processes; this file holds
what they share. Draws come from one stream in an order that the clock fixes, so a seed fixes the day.
"""

import heapq
from collections.abc import Generator, Iterator
from itertools import pairwise

import numpy as np

from devices.site.model import Point, ZoneKind
from simulators.book import Book
from simulators.goods import Goods
from simulators.packing import PackingLog
from simulators.plan import StorePlan
from simulators.truth import OFF_SITE, TruthLog

SECOND_US = 1_000_000
"""Microseconds in a second."""

Process = Generator[int, None, None]
"""Yields the time, in microseconds, at which it goes on."""

_SUBLEG_M = 2.0  # how far an item is carried within one row of the truth
_SHELF_SPREAD_M = (0.35, 0.22)  # where units lie around the middle of their shelf, standard deviation in x and y
_RACK_SPREAD_M = 0.35


class Agent:
    """A person, or a trolley pushed by one: walks and carries items."""

    __slots__ = ("_from_us", "_goal", "_start", "_until_us", "items", "zone")

    def __init__(self, zone: int, at: Point) -> None:
        self.zone = zone
        """Zone number where the agent is."""
        self.items: list[int] = []
        """What the agent carries."""
        self._start = self._goal = at
        self._from_us = self._until_us = 0

    def head_for(self, goal: Point, from_us: int, until_us: int) -> None:
        """Begin a straight walk from where the last one ended."""
        self._start, self._goal = self._goal, goal
        self._from_us, self._until_us = from_us, until_us

    @property
    def goal(self) -> Point:
        """Where the present walk ends; where the agent stands, if it has ended."""
        return self._goal

    def position(self, at_us: int) -> Point:
        """Return where the agent is at a time within the present walk or after it."""
        if at_us >= self._until_us:
            return self._goal
        share = (at_us - self._from_us) / (self._until_us - self._from_us)
        return (
            self._start[0] + share * (self._goal[0] - self._start[0]),
            self._start[1] + share * (self._goal[1] - self._start[1]),
        )


class World:
    """The store's true state, moved on by `advance`."""

    def __init__(
        self, *, plan: StorePlan, goods: Goods, book: Book, start_us: int, end_us: int, rng: np.random.Generator
    ) -> None:
        self.plan = plan
        """The store."""
        self.goods = goods
        """Every unit of the day."""
        self.book = book
        """What is booked."""
        self.rng = rng
        """The stream that every process draws from."""
        self.now_us = start_us
        """How far the world has moved on."""
        self.end_us = end_us
        """When the day ends."""
        self.truth = TruthLog(goods.count, start_us)
        """Where every item was."""
        self.packing = PackingLog()
        """What is in which carton and on which pallet."""
        self.product: list[int] = goods.product.tolist()
        """Product number of each item."""
        self.shelf_items: list[list[int]] = [[] for _ in plan.shelf_products]
        """Units that rest on each shelf, strays included."""
        self.shelf_grams = [0.0] * len(plan.shelf_products)
        """True mass on each shelf."""
        self.hands: dict[int, tuple[int, float]] = {}
        """Shelves that a hand leans on: until when, and with how many grams."""
        self.back_stock: list[list[int]] = [[] for _ in plan.products]
        """Units of each product in the back room."""
        self.strays: set[int] = set()
        """Units that rest where they do not belong."""
        self.sold: list[int] = []
        """Units that were paid for and are off site."""
        self.left = {"sold": 0, "stolen": 0, "transferred": 0, "packaging": 0}
        """Units that have left the site, by reason."""
        self.came = {"opening": 0, "delivered": 0, "returned": 0}
        """Units that have come on site, by reason."""
        self.carriers: dict[int, Agent] = {}
        """Agent that carries each carried item."""
        self.resting: dict[int, Point] = {}
        """Place of each item that rests on site."""
        self.home_shelves: list[list[int]] = [[] for _ in plan.products]
        """Shelves of each product."""
        for shelf, product in enumerate(plan.shelf_products):
            self.home_shelves[product].append(shelf)
        self._shelf_of: dict[int, int] = {}
        self._touched: set[int] = set()
        self._queue: list[tuple[int, int, Process]] = []
        self._spawned = 0

    # --- the clock ---------------------------------------------------------------------------------------------

    def spawn(self, process: Process, at_us: int) -> None:
        """Start a process at a time not before now."""
        self._spawned += 1
        heapq.heappush(self._queue, (at_us, self._spawned, process))

    def advance(self, until_us: int) -> None:
        """Let everything happen that happens up to and including a time."""
        queue = self._queue
        while queue and queue[0][0] <= until_us:
            self.now_us, number, process = heapq.heappop(queue)
            wake_us = next(process, None)
            if wake_us is not None:
                heapq.heappush(queue, (max(wake_us, self.now_us), number, process))
        self.now_us = until_us

    def after(self, seconds: float) -> int:
        """Return the time some seconds from now."""
        return self.now_us + round(seconds * SECOND_US)

    def drain_touched(self) -> list[int]:
        """Return the items whose place, posture or carrier changed since the last call, in order of number."""
        touched, self._touched = sorted(self._touched), set()
        return touched

    # --- items -------------------------------------------------------------------------------------------------

    def zone_of(self, item: int) -> int:
        """Return the number of the zone that an item is in, or `OFF_SITE`."""
        return self.truth.zone_at(item, self.now_us)

    def zone_kind(self, kind: ZoneKind) -> int:
        """Return the number of the zone of a kind."""
        return self.plan.layout.of_kind(kind)

    def lay_down(self, item: int, zone: int, at: Point) -> None:
        """Put an item that nobody holds somewhere to rest."""
        x, y = round(at[0], 2), round(at[1], 2)
        self.resting[item] = (x, y)
        self.truth.record(item, self.now_us, zone, x, y)
        self._touched.add(item)

    def lay_outside(self, item: int, at: Point) -> None:
        """Let an item that is no concern of the site lie beyond its walls: readers may hear it all the same."""
        self.resting[item] = at
        self._touched.add(item)

    def shelve(self, item: int, shelf: int) -> None:
        """Lay an item on a shelf: among its like, or as a stray."""
        zone = self.plan.shelf_zones[shelf]
        self.lay_down(item, zone, self._around(self.shelf_place(shelf), zone, _SHELF_SPREAD_M))
        self._shelf_of[item] = shelf
        self.shelf_items[shelf].append(item)
        self.shelf_grams[shelf] += self.plan.products[self.product[item]].unit_grams
        if self.plan.shelf_products[shelf] == self.product[item]:
            self.strays.discard(item)
        else:
            self.strays.add(item)

    def store_back(self, item: int) -> None:
        """Lay an item on its product's rack in the back room."""
        zone = self.zone_kind(ZoneKind.BACK_ROOM)
        self.lay_down(
            item, zone, self._around(self.rack_place(self.product[item]), zone, (_RACK_SPREAD_M, _RACK_SPREAD_M))
        )
        self.back_stock[self.product[item]].append(item)
        self.strays.discard(item)

    def leave_lying(self, item: int, zone: int) -> None:
        """Leave an item somewhere in a zone where it does not belong."""
        self.lay_down(item, zone, self.plan.layout.rectangles[zone].spot(self.rng))
        self.strays.add(item)

    def take(self, agent: Agent, item: int) -> None:
        """Let an agent pick an item up from wherever it rests."""
        shelf = self._shelf_of.pop(item, None)
        if shelf is not None:
            self.shelf_items[shelf].remove(item)
            self.shelf_grams[shelf] -= self.plan.products[self.product[item]].unit_grams
        elif item in self.back_stock[self.product[item]]:
            self.back_stock[self.product[item]].remove(item)
        self.strays.discard(item)
        del self.resting[item]
        self._hold(agent, item)

    def bring(self, agent: Agent, item: int) -> None:
        """Let an agent carry an item in from off site."""
        self._hold(agent, item)

    def release(self, agent: Agent, item: int) -> None:
        """Let an agent put an item out of hand; the caller says where to."""
        agent.items.remove(item)
        del self.carriers[item]
        self._touched.add(item)

    def carry_off(self, agent: Agent, item: int, reason: str) -> None:
        """Let an agent carry an item off site."""
        self.release(agent, item)
        self.truth.record(item, self.now_us, OFF_SITE, 0.0, 0.0)
        self.left[reason] += 1

    def lean_on(self, shelf: int, seconds: float, grams: float) -> None:
        """Let a hand rest on a shelf for a while."""
        self.hands[shelf] = (self.after(seconds), grams)

    def _hold(self, agent: Agent, item: int) -> None:
        agent.items.append(item)
        self.carriers[item] = agent
        x, y = agent.position(self.now_us)
        self.truth.record(item, self.now_us, agent.zone, round(x, 2), round(y, 2))
        self._touched.add(item)

    # --- places and ways ---------------------------------------------------------------------------------------

    def shelf_place(self, shelf: int) -> Point:
        """Return the middle of a shelf."""
        place = self.plan.site.shelves[shelf]
        assert place.x is not None
        assert place.y is not None
        return place.x, place.y

    def rack_place(self, product: int) -> Point:
        """Return the middle of a product's rack in the back room."""
        r = self.plan.layout.rectangles[self.zone_kind(ZoneKind.BACK_ROOM)]
        columns = -(-len(self.plan.products) // 3)
        column, row = product % columns, product // columns
        return r.x0 + (r.x1 - r.x0) * (column + 0.5) / columns, r.y0 + (r.y1 - r.y0) * (row + 0.5) / 3

    def walk(self, agent: Agent, zone: int, goal: Point) -> Process:
        """Walk to a place, through doors and over zone borders, with everything that the agent carries."""
        speed = float(self.rng.uniform(0.6, 1.2))
        way = self.plan.layout.route(agent.zone, zone)
        for here, there in pairwise(way):
            border = self.plan.layout.passages[here, there].point(float(self.rng.random()))
            yield from self._straight(agent, border, speed)
            agent.zone = there
        yield from self._straight(agent, goal, speed)
        for item in agent.items:
            self.truth.record(item, self.now_us, agent.zone, round(goal[0], 2), round(goal[1], 2))

    def _straight(self, agent: Agent, goal: Point, speed: float) -> Process:
        start = agent.goal
        distance = float(np.hypot(goal[0] - start[0], goal[1] - start[1]))
        parts = max(1, int(np.ceil(distance / _SUBLEG_M))) if agent.items else 1
        for part in range(1, parts + 1):
            share = part / parts
            stop = (start[0] + share * (goal[0] - start[0]), start[1] + share * (goal[1] - start[1]))
            until_us = self.after(distance / parts / speed)
            agent.head_for(stop, self.now_us, until_us)
            if agent.items:
                self._note_carried(agent, until_us)
            yield until_us

    def _note_carried(self, agent: Agent, until_us: int) -> None:
        x, y = agent.position((self.now_us + until_us) // 2)
        for item in agent.items:
            self.truth.record(item, self.now_us, agent.zone, round(x, 2), round(y, 2))
            self._touched.add(item)

    def _around(self, place: Point, zone: int, spread: tuple[float, float]) -> Point:
        dx, dy = self.rng.standard_normal(2).tolist()
        return self.plan.layout.rectangles[zone].inset((place[0] + dx * spread[0], place[1] + dy * spread[1]), 0.15)

    # --- for those who look at it ------------------------------------------------------------------------------

    def carried(self, at_us: int) -> Iterator[tuple[int, float, float]]:
        """Yield every carried item with its place."""
        for item, agent in self.carriers.items():
            x, y = agent.position(at_us)
            yield item, x, y
