"""What kin tell each other where no plan does, and how it is learnt whether goods are sorted."""

import numpy as np
import numpy.typing as npt
import pytest

from analytics.location.beliefs import KIN_US, count_among_kin
from analytics.location.kin import UNIT, Kin, KinTables, weigh_kin
from analytics.location.strays import Strays, Sure, learn_strays
from analytics.location.tracks import TRACK
from tests.analytics.test_location_parts import assortment, groups_of

AREA = np.array([0.5, 0.25, 0.25])


def lying(count: int) -> npt.NDArray[np.void]:
    """Return tracks of items that have lain for long enough."""
    tracks = np.zeros(count, dtype=TRACK)
    tracks["last_us"] = KIN_US
    return tracks


def believed(reads: list[float], kin: KinTables, track: np.void) -> tuple[npt.NDArray[np.float32], ...]:
    """Return the belief that reads and kin make together, and what kin made of it."""
    factors = np.zeros(3, dtype=np.float32)
    weigh_kin(track, 1, kin, AREA.astype(np.float32), 1.0, factors)
    belief = np.array(reads, dtype=np.float32) * factors
    return belief / belief.sum(), factors


def test_a_group_does_not_talk_itself_into_certainty() -> None:
    """Eight units whose reads say 6 : 4 for one of two zones go round ten times; then none is surer than 7 : 3."""
    kin, tracks = groups_of([0, 0, 0], assortment()), lying(8)
    for _ in range(10):
        for track in tracks:
            belief, factors = believed([0.0, 0.6, 0.4], kin, track)
            count_among_kin(track, 1, kin, belief, factors, np.float32(0.0))
    assert 0.6 < belief[1] < 0.7
    assert kin.counts[1, :3] / UNIT == pytest.approx([0.0, 4.8, 3.2], abs=0.1)


def test_sure_kin_decide_for_one_that_is_in_doubt() -> None:
    kin, tracks = groups_of([0, 0, 0], assortment()), lying(9)
    for track in tracks[:8]:
        belief, factors = believed([0.01, 0.98, 0.01], kin, track)
        count_among_kin(track, 1, kin, belief, factors, np.float32(0.0))
    belief, _ = believed([0.0, 0.5, 0.5], kin, tracks[8])
    assert belief[1] > 0.9


def test_with_a_shelf_an_item_counts_for_what_is_believed_all_told() -> None:
    """The plan did not hear it from the item's kin."""
    kin, track = groups_of([0, 0, 0], assortment("b")), lying(1)[0]
    belief, factors = believed([0.0, 0.5, 0.5], kin, track)
    count_among_kin(track, 1, kin, belief, factors, np.float32(0.0))
    assert kin.counts[1, :3].tolist() == [0, int(belief[1] * UNIT), 0]
    assert belief[1] > 0.8


def test_what_is_carried_counts_for_nothing() -> None:
    kin, track = groups_of([0, 0, 0], assortment()), lying(1)[0]
    for last_us, counted in ((KIN_US, True), (KIN_US - 1, False)):
        track["last_us"] = last_us
        belief, factors = believed([0.1, 0.5, 0.4], kin, track)
        count_among_kin(track, 1, kin, belief, factors, np.float32(0.0))
        assert bool(kin.counts.any()) == counted


def placed(zones: npt.NDArray[np.int64], groups: int) -> tuple[npt.NDArray[np.float64], Sure]:
    """Return counts and sure items of which each group has as many, in the zones given."""
    group = np.repeat(np.arange(1, groups + 1), len(zones) // groups)
    counted = np.zeros((groups + 1, 3))
    np.add.at(counted, (group, zones), 1.0)
    ones = np.ones(len(zones))
    return counted, Sure(group=group, zone=zones, here=ones, in_all=ones)


def test_it_is_learnt_whether_goods_are_sorted() -> None:
    """Of twenty groups of ten: each in one zone; anywhere; and sorted, but for one unit in five."""
    draw, free = np.random.default_rng(1), np.arange(21) > 0
    anywhere = draw.choice(3, p=[0.2, 0.2, 0.6], size=200)
    one_each = np.repeat(draw.choice(3, size=20), 10)
    mostly = np.where(draw.random(200) < 0.2, anywhere, one_each)
    found = [
        learn_strays(Strays.unknown(AREA), AREA, *placed_and_free(zones, free))
        for zones in (one_each, anywhere, mostly)
    ]
    assert found[0].units < 0.5
    assert found[1].units >= 32
    assert found[0].units < found[2].units < 8
    assert found[1].share == pytest.approx([0.2, 0.2, 0.6], abs=0.1), "strays lie where goods do, not by area"
    assert all(one.share.sum() == pytest.approx(1.0) for one in found)


def placed_and_free(
    zones: npt.NDArray[np.int64], free: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_], Sure]:
    """Return what `learn_strays` looks at."""
    counted, sure = placed(zones, 20)
    return counted, free, sure


def test_of_few_items_or_of_planned_ones_nothing_is_learnt() -> None:
    unknown = Strays.unknown(AREA)
    counted, sure = placed(np.repeat([0, 1], 10), 2)
    assert learn_strays(unknown, AREA, counted, np.arange(3) > 0, sure).units == unknown.units
    counted, sure = placed(np.repeat(np.arange(20) % 3, 10), 20)
    planned = learn_strays(unknown, AREA, counted, np.zeros(21, dtype=np.bool_), sure)
    assert planned.units == unknown.units
    assert planned.share == pytest.approx(AREA)


def test_what_was_learnt_of_strays_lays_new_groups() -> None:
    kin = Kin(assortment(), Strays(units=8.0, share=np.array([0.0, 0.5, 0.5])))
    assert kin.strays.base.tolist() == [0.0, 4.0, 4.0]
