"""Totals by capture and recapture: examples by hand, simulated counts, real ones."""

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.counting.neighbours import place_scores
from analytics.counting.recapture import total_of_passes, total_of_reads
from analytics.counting.strays import belonging
from tests.bench.panels import judge, panels_by_neighbours, read_panels, total_after
from tests.shared_data import shared_path


def simulated(rng: np.random.Generator, units: int, recalls: list[float], spread: float) -> Counter[tuple[bool, ...]]:
    level = np.log(np.array(recalls) / (1.0 - np.array(recalls)))
    chance = 1.0 / (1.0 + np.exp(-(level + spread * rng.standard_normal((units, 1)))))
    heard = rng.random(chance.shape) < chance
    return Counter(tuple(row) for row in heard.tolist() if any(row))


class TestPasses:
    def test_two_passes_alike_are_lincoln_and_petersen(self) -> None:
        """80 of 100 in the first, 80 in the second, 64 in both: 80 * 80 / 64 = 100; items that differ make it more."""
        found = total_of_passes({(True, True): 64, (True, False): 16, (False, True): 16})
        assert 99.0 < found.units < 112.0
        assert found.low <= 100 <= found.high
        assert found.recalls[0] == pytest.approx(80 / found.units)

    def test_nothing_heard_is_nothing(self) -> None:
        assert total_of_passes({}).units == 0.0
        assert total_of_reads([]).units == 0.0

    def test_all_heard_always_leaves_hardly_any(self) -> None:
        found = total_of_passes({(True, True, True): 500})
        assert found.seen == 500
        assert found.units < 500.5
        assert found.further < 0.5

    @pytest.mark.parametrize(
        ("spread", "recalls"), [(0.0, [0.8, 0.6]), (1.0, [0.9, 0.8, 0.85]), (1.0, [0.6, 0.7, 0.5])]
    )
    def test_intervals_hold_as_often_as_they_say(self, spread: float, recalls: list[float]) -> None:
        rng = np.random.default_rng(7)
        held = 0
        for _ in range(25):
            found = total_of_passes(simulated(rng, 300, recalls, spread))
            held += found.low <= 300 <= found.high
        assert held >= 20

    def test_a_further_pass_adds_what_was_foreseen(self) -> None:
        rng = np.random.default_rng(3)
        foreseen = added = 0.0
        for _ in range(20):
            whole = simulated(rng, 400, [0.8, 0.8, 0.8], 1.0)
            two: Counter[tuple[bool, ...]] = Counter()
            for pattern, items in whole.items():
                if any(pattern[:2]):
                    two[pattern[:2]] += items
                else:
                    added += items
            foreseen += total_of_passes(two).further
        assert foreseen == pytest.approx(added, rel=0.35)

    @settings(max_examples=20)
    @given(st.dictionaries(st.tuples(st.booleans(), st.booleans(), st.booleans()).filter(any), st.floats(0.0, 400.0)))
    def test_bounds(self, histories: dict[tuple[bool, ...], float]) -> None:
        found = total_of_passes(histories)
        assert 0.0 <= found.seen <= found.low + 1e-6
        assert found.low <= found.high
        assert found.units >= found.seen
        assert all(0.0 <= recall <= 1.0 for recall in found.recalls)
        assert 0.0 <= found.missed_by_all <= 1.0


class TestOnePass:
    def test_chao_by_hand(self) -> None:
        """f1 = 10, f2 = 4, no more: 10 * 9 / (2 * 5) = 9 are missing."""
        assert total_of_reads([1] * 10 + [2] * 4 + [9] * 50).units == pytest.approx(64 + 9)

    def test_all_read_often_is_all(self) -> None:
        found = total_of_reads([7] * 50)
        assert (found.units, found.low, found.high) == (50.0, 50.0, 50.0)
        assert found.recalls == (1.0,)


def test_strays_are_faint_and_seldom() -> None:
    rng = np.random.default_rng(2)
    loud = np.concatenate([rng.normal(-46, 4, 300), rng.normal(-69, 4, 60)])
    reads = np.concatenate([rng.lognormal(1.5, 0.4, 300), rng.lognormal(-0.3, 0.4, 60)])
    found = belonging(loud.tolist(), reads.tolist())
    assert found[:300].mean() > 0.98
    assert found[300:].mean() < 0.02
    assert belonging([-40.0, -80.0], [1.0, 1.0]).tolist() == [1.0, 1.0]


def test_items_lie_where_those_lie_that_are_read_with_them() -> None:
    """Two places passed one after the other, in two passes of opposite ways."""
    item = np.arange(8).repeat(2)
    far = item % 2 == 1
    pass_number = np.tile([1, 2], 8)
    time_s = np.where((pass_number == 1) == far, 20.0, 2.0) + 0.02 * item
    scores = place_scores(
        item, pass_number, time_s, np.full(16, -50.0), place_of_item=np.array([0, 1, 0, 1, 0, 1, -1, -1]), places=2
    )
    assert scores.argmax(axis=1).tolist() == [0, 1, 0, 1, 0, 1, 0, 1]


class TestRealPasses:
    """915 tags on 27 panels, five passes with a handheld (Hasler et al., 2019)."""

    def test_every_two_passes_hold_the_total(self) -> None:
        panels = read_panels(shared_path("data/panel-count"))
        mapped = (panels.panel_of_tag >= 0).astype(float)
        for some in itertools.combinations(range(1, 6), 2):
            found = total_after(panels, some, mapped)
            assert found.low <= 915 <= found.high
            assert found.units == pytest.approx(915, abs=4)

    @pytest.mark.slow
    def test_most_tags_are_found_on_their_panel(self) -> None:
        panels = read_panels(shared_path("data/panel-count"))
        right, place, error_cm = judge(panels, panels_by_neighbours(panels, 2))
        assert right > 0.82
        assert place > 0.84
        assert error_cm < 10.0
