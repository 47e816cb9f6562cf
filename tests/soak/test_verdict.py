"""The soak's verdict can fail: a leak is seen, noise is not taken for one, and what was lost is counted."""

import random

import pytest

from tests.soak.curve import svg
from tests.soak.samples import Sample
from tests.soak.store import READERS, READS_A_PUBLICATION, SoakStore
from tests.soak.verdict import judge, line_through


def samples(*, per_hour: float, noise: float, seed: int = 1, name: str = "jobs_rss_mb") -> list[Sample]:
    """An hour, every 10 s; memory wanders."""
    rng, wander, found = random.Random(seed), 0.0, []
    for step in range(360):
        wander = 0.9 * wander + rng.gauss(0, noise)
        found.append(Sample(at_s=10.0 * step, values={name: 500 + per_hour * step / 360 + wander}))
    return found


def test_a_slope_is_found_within_its_error() -> None:
    line = line_through(samples(per_hour=120, noise=4), "jobs_rss_mb")
    assert line is not None
    assert abs(line.per_hour - 120) < line.per_hour_error < 60


@pytest.mark.parametrize(("per_hour", "holds"), [(0, True), (20, True), (200, False), (-50, True)])
def test_a_leak_is_seen_and_wandering_is_not_one(per_hour: float, holds: bool) -> None:  # noqa: FBT001
    (finding,) = judge(samples(per_hour=per_hour, noise=3), warm_up_s=600, ceilings={})
    assert finding.holds == holds


def test_descriptors_that_rise_one_by_one_are_seen() -> None:
    (finding,) = judge(samples(per_hour=30, noise=0, name="bridge_fds"), warm_up_s=0, ceilings={})
    assert not finding.holds


def test_a_ceiling_counts_after_the_warm_up_only_and_needs_values() -> None:
    grown = samples(per_hour=-1000, noise=0, name="edge_log_age_s")
    assert judge(grown, warm_up_s=1800, ceilings={"edge_log_age_s": 10})[-1].holds
    assert not judge(grown, warm_up_s=0, ceilings={"edge_log_age_s": 10})[-1].holds
    assert not judge(grown, warm_up_s=0, ceilings={"never_sampled": 10})[-1].holds


def test_the_curve_is_drawn_of_what_there_is() -> None:
    drawn = svg(samples(per_hour=0, noise=1), "_rss_mb", "memory")
    assert drawn.count("<polyline") == 1
    assert drawn.startswith("<svg ")


def test_the_store_gives_as_many_reads_as_were_asked_for_and_counts_them() -> None:
    store = SoakStore()
    for second in range(20):
        list(store.second(1_790_000_000_000_000 + second * 1_000_000, 2_500))
    assert sum(store.sent.reads) == 50_000
    assert len(set(store.sent.reads)) <= 2, "readers take turns"
    assert store.sent.reads[0] % READS_A_PUBLICATION == 0
    assert (len(store.sent.reads), store.sent.weights, store.sent.business_events) == (READERS, 20, 40)
