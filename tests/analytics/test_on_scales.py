"""What scales say of how many units there are: what they find, and what must not fool them."""

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics import on_hand
from analytics.on_hand import ShareBelief, Units
from analytics.on_scales import Look, WeighedZone, units_seen_by_scales

NONE = np.ones(1)
BELIEF = ShareBelief(shares=np.array([0.005, 0.02, 0.05]), weights=np.array([0.3, 0.5, 0.2]))
UNREAD = on_hand.never_read(20, BELIEF)


def zone(units: int, *, share: float = 1.0, **more: Any) -> WeighedZone:
    """Return a zone where tags tell of twenty units and scales of so many."""
    look = Look(**{"units": units, "whole": True, **more})
    return WeighedZone(look=look, read=Units(base=20, mass=NONE), silent=NONE, share=share)


def mean(mass: on_hand.Mass) -> float:
    return float(np.arange(len(mass)) @ mass)


def seen(*zones: WeighedZone) -> float:
    return mean(units_seen_by_scales(UNREAD, NONE, zones))


class TestFound:
    def test_a_scale_that_agrees_with_tags_says_that_none_is_dead(self) -> None:
        assert seen(zone(20)) < 0.1 * mean(UNREAD)

    def test_units_more_than_tags_tell_of_are_dead_tags(self) -> None:
        assert seen(zone(22)) == pytest.approx(2.0, abs=0.4)
        found = units_seen_by_scales(UNREAD, NONE, [zone(22)])
        assert Units(base=0, mass=found).variance < Units(base=0, mass=UNREAD).variance

    def test_where_only_a_part_is_weighed_the_rest_stays_as_doubtful(self) -> None:
        assert seen(zone(20)) < seen(zone(20, share=0.3)) < mean(UNREAD)

    def test_a_count_of_some_of_the_shelves_is_a_lower_bound(self) -> None:
        assert seen(zone(5, whole=False)) == pytest.approx(mean(UNREAD), rel=0.05)
        assert seen(zone(23, whole=False)) > 2.0

    def test_a_silent_item_that_still_weighs_is_there(self) -> None:
        """One silent item, there with 0.5, last heard on the scale."""
        coin = np.array([0.5, 0.5])
        for units, low, high in ((20, 0.0, 0.2), (21, 0.9, 1.1)):
            weighed = WeighedZone(
                look=Look(units=units, whole=True), read=Units(base=20, mass=NONE), silent=coin, share=1.0
            )
            assert low <= mean(units_seen_by_scales(on_hand.never_read(20, _few()), NONE, [weighed])) <= high


def _few() -> ShareBelief:
    return ShareBelief(shares=np.array([0.0005]), weights=np.ones(1))


class TestNotFooled:
    def test_by_something_heavy_of_another_kind(self) -> None:
        """Twelve units too many are no dead tags: one in fifty is."""
        assert seen(zone(32)) < 3.0

    def test_by_a_count_that_the_shelf_step_is_not_sure_of(self) -> None:
        assert seen(zone(22, sure=False)) < seen(zone(22)) - 0.3

    def test_by_a_jump_that_no_tag_follows(self) -> None:
        assert seen(zone(23, jumps=(3,))) < seen(zone(23)) - 0.5

    def test_by_goods_just_put_on(self) -> None:
        assert seen(zone(34, put_on=14)) < mean(UNREAD) + 0.5

    def test_by_a_dead_scale(self) -> None:
        """It goes on telling what lay there hours ago: what tags say stands."""
        assert seen(zone(60)) == pytest.approx(mean(UNREAD), abs=0.5)
        assert seen(zone(0)) == pytest.approx(mean(UNREAD), abs=0.5)

    def test_by_goods_that_were_just_taken_and_are_still_located(self) -> None:
        assert seen(zone(17, taken=3)) == pytest.approx(mean(UNREAD), abs=0.5)


def test_two_zones_are_as_a_slow_and_obvious_sum_has_it() -> None:
    zones = [zone(21, share=0.5), zone(20, share=0.2)]
    unread = UNREAD[:8] / UNREAD[:8].sum()
    slow = np.zeros(8)
    for u in range(8):
        for first, second in itertools.product(range(u + 1), repeat=2):
            rest = u - first - second
            if rest < 0:
                continue
            ways = math.factorial(u) / math.prod(math.factorial(part) for part in (first, second, rest))
            split = ways * 0.5**first * 0.2**second * 0.3**rest
            slow[u] += unread[u] * split * zones[0].chances(8)[first] * zones[1].chances(8)[second]
    np.testing.assert_allclose(units_seen_by_scales(unread, NONE, zones), slow / slow.sum(), atol=1e-12)


LOOKS = st.builds(
    Look,
    units=st.integers(0, 200),
    whole=st.booleans(),
    sure=st.booleans(),
    put_on=st.integers(0, 60),
    taken=st.integers(0, 60),
    jumps=st.lists(st.integers(2, 300), max_size=3).map(tuple),
)


@given(LOOKS, st.integers(0, 60), st.floats(0.0, 1.0))
def test_whatever_a_scale_says_it_is_a_distribution(look: Look, read: int, share: float) -> None:
    weighed = WeighedZone(look=look, read=Units(base=read, mass=NONE), silent=np.array([0.4, 0.6]), share=share)
    found = units_seen_by_scales(UNREAD, np.array([0.9, 0.1]), [weighed])
    assert found.sum() == pytest.approx(1.0)
    assert (found >= 0.0).all()
