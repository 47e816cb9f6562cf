"""How things move, learnt from other days of the same habits: rates of picking up, walking, standing and putting down.

Worlds of other seeds run without radio and are looked at once a second. Which goods belong where is part of the plan
of a store and not of its day, so it is learnt too: where units of a product lie at opening, and are put down later.
"""

import dataclasses
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from devices.site.model import ZoneKind
from simulators.config import DayConfig
from simulators.day import StoreDay
from simulators.goods import Goods
from simulators.observer.cells import OUTSIDE, Cells
from simulators.world import SECOND_US

NEAR = 12
"""Cells that something may be put down in from where one stands."""
OTHER_SEEDS = (9001, 9002)
"""Days from which the rates are learnt: in neither set of scenarios."""

_REACH_M = 0.7
_STILL_M = 0.05
_PRIOR_S = 30.0  # seconds of a zone's mean that each cell's own rate starts from

Float64s = npt.NDArray[np.float64]
Int64s = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """Probabilities per second, by cell, and where things go."""

    opening: Float64s
    """Products by cells: probability of each cell for an item at opening; what is missing to 1 is not on site yet."""
    rest_to_stand: Float64s
    """An item at rest is picked up by somebody who goes on standing there."""
    rest_to_walk: Float64s
    """An item at rest is picked up by somebody who walks."""
    stand_to_walk: Float64s
    """Somebody with an item starts to walk."""
    stand_to_rest: Float64s
    """Somebody who stands puts an item down."""
    walk_to_stand: Float64s
    """Somebody who walks stops."""
    walk_to_rest: Float64s
    """Somebody who walks puts an item down."""
    walk_to_gone: Float64s
    """Somebody leaves the site."""
    gone_to_rest: float
    """An item that is not on site is delivered,"""
    arrivals: Float64s
    """to these cells;"""
    gone_to_walk: float
    """or is brought back, from the cells through which people leave."""
    entry: Float64s
    """Probability of each cell for what is brought back."""
    near_cell: Int64s
    """C by `NEAR`: cells in reach of each cell."""
    near_share: Float64s
    """Products by C by `NEAR`: probability that what is put down there lies in each of them."""


class _Counts:
    """What was seen, by cell."""

    def __init__(self, products: int, cells: int) -> None:
        self.rest_s, self.stand_s, self.walk_s = np.zeros(cells), np.zeros(cells), np.zeros(cells)
        self.gone_s = 0.0
        self.opening, self.lying, self.arrivals = (
            np.zeros((products, cells)),
            np.zeros((products, cells)),
            np.zeros(cells),
        )
        self.changes: dict[tuple[str, str], Float64s] = {}
        self.items = 0

    def change(self, was: str, now: str, cell: int) -> None:
        self.changes.setdefault((was, now), np.zeros(len(self.rest_s)))[cell] += 1.0

    def of(self, was: str, now: str) -> Float64s:
        return self.changes.get((was, now), np.zeros(len(self.rest_s)))


def learn_movement(config: DayConfig, cells: Cells) -> tuple[Movement, float]:
    """Run days of other seeds and count.

    Returns:
        The rates, and the mean persistence to which such days tune their tags, seconds.
    """
    counts, persistence_s = None, []
    for seed in OTHER_SEEDS:
        day = StoreDay(dataclasses.replace(config, seed=seed, faults=()))
        counts = counts or _Counts(len(day.plan.products), len(cells))
        persistence_s.append(day.radio.persistence_s)
        _watch(day, cells, counts)
    assert counts is not None
    return _rates(counts, cells, day), float(np.mean(persistence_s))


def _watch(day: StoreDay, cells: Cells, counts: _Counts) -> None:
    world, readable = day.world, day.goods.readable
    counts.items += int(readable.sum())
    grid = _Lookup(cells)
    state: dict[int, tuple[str, int]] = {}
    before: dict[int, tuple[float, float]] = {}
    for item, place in world.resting.items():
        if readable[item]:
            cell = grid.cell(*place, world.zone_of(item))
            state[item] = ("rest", cell)
            counts.opening[world.product[item], cell] += 1.0
            counts.lying[world.product[item], cell] += 1.0
            counts.rest_s[cell] += (day.config.end_us - day.config.start_us) / SECOND_US  # until it is picked up
    end_us = day.config.end_us
    for at_us in range(day.config.start_us + SECOND_US, end_us, SECOND_US):
        world.advance(at_us)
        left_s = (end_us - at_us) / SECOND_US
        touched = set(world.drain_touched()) | set(before)
        now_at: dict[int, tuple[float, float]] = {}
        for item in sorted(touched):
            if not readable[item]:
                continue
            was, old_cell = state.get(item, ("gone", -1))
            if item in world.carriers:
                place = world.carriers[item].position(at_us)
                now_at[item] = place
                last = before.get(item, place)
                still = abs(place[0] - last[0]) + abs(place[1] - last[1]) < _STILL_M
                now, cell = ("stand" if still else "walk"), grid.cell(*place, world.zone_of(item))
                (counts.stand_s if still else counts.walk_s)[cell] += 1.0
            elif item in world.resting:
                now, cell = "rest", grid.cell(*world.resting[item], world.zone_of(item))
            else:
                now, cell = "gone", old_cell
            if now == was == "rest" and cell == old_cell:
                continue
            if now != was:
                counts.change(was, now, old_cell if old_cell >= 0 else cell)
            if was == "rest":
                counts.rest_s[old_cell] -= left_s
            if now == "rest":
                counts.rest_s[cell] += left_s
                counts.lying[world.product[item], cell] += 1.0
                if was == "gone":
                    counts.arrivals[cell] += 1.0
            state[item] = (now, cell)
        before = now_at
    on_site = counts.rest_s.sum() + counts.stand_s.sum() + counts.walk_s.sum()
    counts.gone_s = counts.items * (end_us - day.config.start_us) / SECOND_US - on_site


class _Lookup:
    """Cells by place, quickly: the answer for each quarter of a metre and zone is remembered."""

    def __init__(self, cells: Cells) -> None:
        self._cells = cells
        self._known: dict[tuple[int, int, int], int] = {}

    def cell(self, x: float, y: float, zone: int) -> int:
        key = (int(4 * x), int(4 * y), zone)
        if key not in self._known:
            self._known[key] = self._cells.find(x, y, zone)
        return self._known[key]


def _rates(counts: _Counts, cells: Cells, day: StoreDay) -> Movement:
    rest_s, stand_s, walk_s = counts.rest_s, counts.stand_s, counts.walk_s
    exit_zone = day.plan.layout.of_kind(ZoneKind.EXIT)
    at_exit = (cells.zone == exit_zone).astype(np.float64)
    gone = counts.of("walk", "gone") + counts.of("stand", "gone")
    returned = (counts.of("gone", "walk") + counts.of("gone", "stand")).sum()
    share_here = counts.opening.sum() / max(counts.items, 1)
    near_cell, near_share = _near(cells, _by_product(counts.lying, cells, own=0.6))
    arrivals = _blurred(counts.arrivals, cells)
    gone_s = max(counts.gone_s, 1.0)
    return Movement(
        opening=share_here * _by_product(counts.opening, cells, own=0.98),
        rest_to_stand=_by_zone(counts.of("rest", "stand"), rest_s, cells),
        rest_to_walk=_by_zone(counts.of("rest", "walk"), rest_s, cells),
        stand_to_walk=_by_zone(counts.of("stand", "walk"), stand_s, cells),
        stand_to_rest=_by_zone(counts.of("stand", "rest"), stand_s, cells),
        walk_to_stand=_by_cell(counts.of("walk", "stand"), walk_s, cells),
        walk_to_rest=_by_cell(counts.of("walk", "rest"), walk_s, cells),
        walk_to_gone=_by_cell(gone, walk_s, cells),
        gone_to_rest=float(counts.arrivals.sum() / gone_s),
        arrivals=arrivals,
        gone_to_walk=float(returned / gone_s),
        entry=at_exit / at_exit.sum(),
        near_cell=near_cell,
        near_share=near_share,
    )


def _by_product(counts: Float64s, cells: Cells, *, own: float) -> Float64s:
    """Return each product's density over cells, in part that of all goods."""
    overall = _blurred(counts.sum(axis=0), cells)
    each = [_blurred(row, cells) if row.any() else overall for row in counts]
    return np.array([own * density + (1.0 - own) * overall for density in each])


def _by_zone(changes: Float64s, seconds: Float64s, cells: Cells) -> Float64s:
    """Return the rate of each cell's zone, with one change in an hour of everywhere's rate added."""
    overall = changes.sum() / max(seconds.sum(), 1.0)
    rate = np.zeros(len(cells))
    for zone in set(cells.zone.tolist()) - {OUTSIDE}:
        here = cells.zone == zone
        rate[here] = (changes[here].sum() + 60.0 * overall) / (seconds[here].sum() + 60.0)
    return np.minimum(rate, 0.9)


def _by_cell(changes: Float64s, seconds: Float64s, cells: Cells) -> Float64s:
    """Return each cell's own rate, drawn towards its zone's."""
    zone_rate = _by_zone(changes, seconds, cells)
    blurred_changes, blurred_s = _blur(changes, cells), _blur(seconds, cells)
    return np.asarray(np.minimum((blurred_changes + _PRIOR_S * zone_rate) / (blurred_s + _PRIOR_S), 0.3))


def _blurred(counts: Float64s, cells: Cells) -> Float64s:
    """Return a density over cells: what was counted, blurred, and a little everywhere on site."""
    soft = _blur(counts, cells) + 0.002 * counts.sum() / len(cells) * (cells.zone != OUTSIDE) + 1e-12
    return np.asarray(soft / soft.sum())


def _blur(values: Float64s, cells: Cells) -> Float64s:
    flat = np.hypot(*(cells.xy[:, None, :] - cells.xy[None, :, :]).transpose(2, 0, 1))
    weight = np.exp(-0.5 * (flat / 0.4) ** 2) * (cells.zone[:, None] == cells.zone[None, :])
    return np.asarray((weight / weight.sum(axis=1, keepdims=True)).T @ values)


def _near(cells: Cells, density: Float64s) -> tuple[Int64s, Float64s]:
    """Find the cells in which something put down from each cell may lie, and how probably, product by product."""
    count = min(NEAR, len(cells))
    flat = np.hypot(*(cells.xy[:, None, :] - cells.xy[None, :, :]).transpose(2, 0, 1))
    reach = np.exp(-0.5 * (flat / _REACH_M) ** 2) * (cells.zone[:, None] == cells.zone[None, :])
    weight = density.mean(axis=0)[None, :] * reach + 1e-12 * np.eye(len(cells))
    chosen = np.argsort(-weight, axis=1, kind="stable")[:, :count]
    share = density[:, chosen] * np.take_along_axis(reach, chosen, axis=1) + 1e-12
    return chosen, np.asarray(share / share.sum(axis=2, keepdims=True))


def neighbour_share(config: DayConfig, goods: Goods) -> float:
    """Return the share of readable items that belong to the neighbouring shop."""
    return float((goods.delivery[goods.readable] == Goods.NEIGHBOUR).mean()) if config.neighbour_items else 0.0
