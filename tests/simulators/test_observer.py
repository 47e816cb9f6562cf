"""Promise: the ideal observer is ideal: where every history can be counted, it says what counting them says."""

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from simulators.observer.kernel import REST, STAND, follow_item

Floats = npt.NDArray[np.float64]

CELLS, HEADINGS, ANTENNAS, TICKS = 2, 2, 2, 4
KEPT = 0.8


class TinyWorld:
    """Two cells, two antennas, three margins, two reflections, four seconds: few enough histories to list."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.means, self.margins, self.reflections, self.faded, self.rssi = 2, 3, 2, 8, 5
        self.mean = np.array([[[0, 1], [1, 0]]] * 2)  # kinds by antennas by cells
        self.margin_share = rng.dirichlet(np.ones(self.margins), size=(2, self.means))
        self.reflection_share = rng.dirichlet(np.ones(self.reflections), size=2)
        # kinds by margins by faded RSSI: read with such an RSSI; the rest of the probability is a miss
        whole = rng.dirichlet(np.ones(self.faded + 1), size=(2, self.margins))
        self.joint, self.read = whole[:, :, :-1], 1.0 - whole[:, :, -1]
        walking = rng.dirichlet(np.ones(self.rssi + 1), size=self.means)
        self.walk_joint, self.walk_read = walking[:, :-1], 1.0 - walking[:, -1]
        self.opening = np.array([0.5, 0.3])
        self.rates = {
            name: rng.uniform(0.05, 0.25, CELLS)
            for name in (
                *("rest_to_stand", "rest_to_walk", "stand_to_walk", "stand_to_rest"),
                *("walk_to_stand", "walk_to_rest", "walk_to_gone"),
            )
        }
        self.gone_to_rest, self.gone_to_walk = 0.1, 0.05
        self.arrivals, self.entry = np.array([0.7, 0.3]), np.array([0.2, 0.8])
        self.near_cell, self.near_share = np.array([[0, 1], [1, 0]]), np.array([[0.9, 0.1], [0.75, 0.25]])
        self.next_cell, self.step_share = np.array([[1, -1], [-1, 0]]), np.array([[0.6, 0.0], [0.0, 0.7]])
        # (tick, antenna, faded RSSI at the least margin and reflection, RSSI)
        self.reads = [(1, 0, 7, 2), (2, 1, 6, 1), (3, 0, 5, 4)]
        # An antenna that reads makes no other attempt in that tick, and a tag keeps quiet in the next.
        self.attempts = np.ones((TICKS, ANTENNAS), dtype=np.float32)
        for tick, antenna, _, _ in self.reads:
            self.attempts[tick : tick + 2, antenna] = 0.0

    def filtered(self, **changes: Any) -> Floats:
        tick, antenna, faded, rssi = (np.array(column) for column in zip(*self.reads, strict=True))
        belief = np.zeros((TICKS, CELLS + 1), dtype=np.float32)
        exact: dict[str, Any] = {"slots": 64, "miss_every": 1, "pruned": 0.0} | changes
        follow_item(
            tick, antenna, faded, rssi, antenna,  # a session for each antenna
            self.attempts, np.arange(ANTENNAS), np.array([1e-3, 1e-3]), np.array([1e-3, 1e-3]),
            self.mean, self.margin_share, self.reflection_share, np.log(self.joint), self.read,
            np.log(self.walk_joint), self.walk_read, 1, 2,
            self.opening, self.rates["rest_to_stand"], self.rates["rest_to_walk"], self.rates["stand_to_walk"],
            self.rates["stand_to_rest"], self.rates["walk_to_stand"], self.rates["walk_to_rest"],
            self.rates["walk_to_gone"], self.gone_to_rest, self.arrivals, self.gone_to_walk, self.entry,
            self.near_cell, self.near_share, self.next_cell, self.step_share, np.arange(CELLS),
            exact["slots"], exact["miss_every"], exact["pruned"], belief,
        )  # fmt: skip
        return np.asarray(belief, dtype=np.float64)

    # --- the same by listing every history -------------------------------------------------------------------------

    def counted(self) -> Floats:
        """Return the belief after each tick, from the probability of every history and all that was seen in it."""
        belief = np.zeros((TICKS, CELLS + 1))
        for history, probability in self._histories():
            for tick in range(TICKS):
                if len(history) == tick + 1:
                    kind, cell = history[-1][0], history[-1][1]
                    place = CELLS if kind == "gone" else cell
                    belief[tick, place] += probability * self._likelihood(history)
        return np.asarray(belief / belief.sum(axis=1, keepdims=True))

    def _histories(self) -> Iterator[tuple[list[tuple[str, int, int, int]], float]]:
        """Yield beginnings of every length: (kind, cell, heading, second in which the segment began) a second."""
        stack = [([("rest", cell, 0, 0)], share) for cell, share in enumerate(self.opening)]
        stack.append(([("gone", 0, 0, 0)], 1.0 - float(self.opening.sum())))
        while stack:
            history, probability = stack.pop()
            yield history, probability
            if len(history) < TICKS:
                for state, share in self._next(history[-1], len(history)):
                    if share > 0:
                        stack.append(([*history, state], probability * share))

    def _next(self, state: tuple[str, int, int, int], tick: int) -> Iterator[tuple[tuple[str, int, int, int], float]]:
        kind, cell, heading, began = state
        rate = {name: float(values[cell]) for name, values in self.rates.items()}
        turned = [(d, 1.0 / HEADINGS) for d in range(HEADINGS)]
        if kind == "rest":
            yield ("rest", cell, 0, began), 1.0 - rate["rest_to_stand"] - rate["rest_to_walk"]
            yield ("stand", cell, 0, tick), rate["rest_to_stand"]
            for d, share in turned:
                yield ("walk", cell, d, 0), rate["rest_to_walk"] * share
        elif kind == "stand":
            yield ("stand", cell, 0, began), 1.0 - rate["stand_to_walk"] - rate["stand_to_rest"]
            for n, share in zip(self.near_cell[cell], self.near_share[cell], strict=True):
                yield ("rest", int(n), 0, tick), rate["stand_to_rest"] * float(share)
            for d, share in turned:
                yield ("walk", cell, d, 0), rate["stand_to_walk"] * share
        elif kind == "walk":
            yield ("stand", cell, 0, tick), rate["walk_to_stand"]
            for n, share in zip(self.near_cell[cell], self.near_share[cell], strict=True):
                yield ("rest", int(n), 0, tick), rate["walk_to_rest"] * float(share)
            yield ("gone", 0, 0, 0), rate["walk_to_gone"]
            going = 1.0 - rate["walk_to_stand"] - rate["walk_to_rest"] - rate["walk_to_gone"]
            goal, step = int(self.next_cell[cell, heading]), float(self.step_share[cell, heading])
            if goal < 0:
                for d, share in turned:
                    yield ("walk", cell, d, 0), going * share
                return
            for place, part in ((cell, going * (1.0 - step)), (goal, going * step)):
                yield ("walk", place, heading, 0), part * KEPT
                for d, share in turned:
                    yield ("walk", place, d, 0), part * (1.0 - KEPT) * share
        else:
            yield ("gone", 0, 0, 0), 1.0 - self.gone_to_rest - self.gone_to_walk
            for place, share in enumerate(self.arrivals.tolist()):
                yield ("rest", place, 0, tick), self.gone_to_rest * share
            for place, share in enumerate(self.entry.tolist()):
                for d, part in turned:
                    yield ("walk", place, d, 0), self.gone_to_walk * share * part

    def _likelihood(self, history: list[tuple[str, int, int, int]]) -> float:
        """Return the probability of all reads and misses of a history: links are summed out segment by segment."""
        total = 1.0
        segments: dict[tuple[int, int, int], list[int]] = {}
        for tick, (kind, cell, _, began) in enumerate(history):
            if kind in ("rest", "stand"):
                segments.setdefault((REST if kind == "rest" else STAND, cell, began), []).append(tick)
            elif kind == "walk":
                total *= self._walking(tick, cell)
            elif any(read[0] == tick for read in self.reads):
                return 0.0
        for (kind_, cell, _), ticks in segments.items():
            for antenna in range(ANTENNAS):
                total *= self._segment(kind_, cell, antenna, ticks)
        return total

    def _walking(self, tick: int, cell: int) -> float:
        total = 1.0
        for antenna in range(ANTENNAS):
            mean = self.mean[STAND, antenna, cell]
            if self.attempts[tick, antenna]:
                total *= 1.0 - self.walk_read[mean]
        for at, antenna, _, rssi in self.reads:
            if at == tick:
                total *= self.walk_joint[self.mean[STAND, antenna, cell], rssi]
        return float(total)

    def _segment(self, kind: int, cell: int, antenna: int, ticks: list[int]) -> float:
        total = 0.0
        mean = self.mean[kind, antenna, cell]
        for margin, reflection in product(range(self.margins), range(self.reflections)):
            share = self.margin_share[kind, mean, margin] * self.reflection_share[kind, reflection]
            for tick in ticks:
                if self.attempts[tick, antenna]:
                    share *= 1.0 - self.read[kind, margin]
                for at, own, faded, _ in self.reads:
                    if at == tick and own == antenna:
                        share *= self.joint[kind, margin, faded - margin - 2 * reflection]
            total += share
        return float(total)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_filter_says_what_listing_every_history_says(seed: int) -> None:
    world = TinyWorld(seed)
    assert world.filtered() == pytest.approx(world.counted(), abs=2e-5)


def test_fewer_hypotheses_and_rarer_misses_change_little() -> None:
    world = TinyWorld(4)
    exact = world.filtered()
    rough = world.filtered(slots=6)
    assert np.abs(rough - exact).max() < 0.1
    assert rough.sum(axis=1) == pytest.approx(np.ones(TICKS), abs=1e-4)
