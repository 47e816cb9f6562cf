"""Promise: the bench of accuracy compares what it says it compares."""

import dataclasses
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from analytics.evaluation import OURS
from simulators.config import preset
from simulators.observer import Observation
from simulators.scenarios import Scenario, ScenarioSet
from tests.bench.accuracy.compare import IDEAL, TOLD, Comparison, Point, compare
from tests.bench.accuracy.estimators import observed_stays, settings
from tests.bench.accuracy.plot import tradeoff_svg
from tests.bench.accuracy.tables import best_point, score_table, summary_table, tradeoff_table


def belief_of(*rows: tuple[float, float, float]) -> Observation:
    return Observation(epcs=("A",), zones=("x", "y"), start_us=0, belief=np.array([rows], dtype=np.float32))


def test_belief_turns_to_stays_a_second_later() -> None:
    seen = belief_of((0.0, 0.0, 1.0), (0.9, 0.05, 0.05), (0.4, 0.6, 0.0), (0.01, 0.99, 0.0), (0.2, 0.2, 0.6))
    best = observed_stays(seen).to_pylist()
    assert [(row["zone"], row["from_us"], row["until_us"]) for row in best] == [
        ("x", 2_000_000, 3_000_000),
        ("y", 3_000_000, 4_000_000),
        ("y", 4_000_000, 5_000_000),
    ]
    held = observed_stays(seen, 0.9).to_pylist()
    assert [row["zone"] for row in held] == ["x", "x", "y"]
    assert held[1]["confidence"] == pytest.approx(0.4)


def test_the_best_setting_within_a_rate_finds_most_and_then_soonest() -> None:
    points = [
        Point(
            estimator="e", setting=name, false_per_item_hour=false, found_share=found, delay_s_median=delay,
            delay_s_p95=None, right_zone_share=0.0,
        )
        for name, false, found, delay in (
            ("a", 0.1, 0.5, 4.0),
            ("b", 0.2, 0.7, 9.0),
            ("c", 0.2, 0.7, 5.0),
            ("d", 3.0, 1.0, 1.0),
        )
    ]  # fmt: skip
    assert best_point(points, "e", 0.2) is points[2]
    assert best_point(points, "e", 0.05) is None
    assert best_point(points, "other", 9.0) is None


def test_every_setting_of_a_baseline_is_another_one() -> None:
    ways = settings()
    assert len(ways["EdgeX"]) == 28
    assert len(ways["strongest"]) == 7


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    config = dataclasses.replace(preset("tiny", seed=7), hours=0.1)
    scenario = Scenario(name="tiny", set=ScenarioSet.TUNING, about="a test", config=config)
    return compare(
        scenario, items=8, sweep=False, folder=tmp_path_factory.mktemp("days"), seed=None, hours=None,
        tell=lambda _: None,
    )  # fmt: skip


@pytest.mark.slow
def test_a_scenario_is_compared_from_one_end_to_the_other(found: Comparison) -> None:
    assert [score.name for score in found.sampled][-2:] == [IDEAL, TOLD]
    by_name = {score.name: score for score in found.sampled}
    told, ideal, last = (by_name[name].right_zone_share or 0.0 for name in (TOLD, IDEAL, "last read wins"))
    assert ideal > last
    assert told > last
    assert found.sampled_error is not None
    assert {point.estimator for point in found.points} >= {OURS, "EdgeX garment", "last read wins"}


@pytest.mark.slow
def test_what_was_found_is_printed_and_drawn(found: Comparison) -> None:
    assert score_table(found).row_count == len(found.scores) + len(found.sampled) + 1
    assert tradeoff_table(found).row_count == len({point.estimator for point in found.points})
    assert summary_table([found]).row_count == 1
    picture = ET.fromstring(tradeoff_svg(found))
    circles = [element for element in picture.iter() if element.tag.endswith("circle")]
    assert len(circles) == len(found.points)
