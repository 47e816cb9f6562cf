"""Promise: scenarios are named, build, tell a consistent truth, and nothing that is judged on was tuned on."""

import dataclasses
from itertools import pairwise

import numpy as np
import pytest

from devices.errors import UsageError
from simulators.catalogue import Material
from simulators.config import preset
from simulators.day import StoreDay
from simulators.fading import FadingLaw, fading_db
from simulators.faults import FAULTS
from simulators.goods import Goods
from simulators.plan import StorePlan, build_plan
from simulators.propagation import AntennaPattern, PropagationLaw, expected_gain_db
from simulators.scenarios import SCENARIOS, Scenario, ScenarioSet, scenario_config
from simulators.shape import AntennaPlan, PlanShape
from simulators.streams import random_stream
from simulators.truth import OFF_SITE

ALL = [scenario for by_name in SCENARIOS.values() for scenario in by_name.values()]
ISSUE = {
    *("store-24", "store-48", "store-1s", "sparse", "twins", "border", "dark-reader", "skewed-reader"),
    *("replayed-reads", "dense-wall", "metal-liquid", "armful", "trolley", "neighbour"),
}


def plan_of(scenario: Scenario) -> StorePlan:
    config = scenario.config
    return build_plan(
        site_id=config.site_id,
        name=config.name,
        zones=config.zones,
        antennas=config.antennas,
        items=config.items,
        timezone=config.timezone,
        width_m=config.width_m,
        depth_m=config.depth_m,
        shape=config.shape,
    )


@pytest.mark.parametrize("set_", ScenarioSet)
def test_every_hard_case_that_was_asked_for_is_in_both_sets(set_: ScenarioSet) -> None:
    assert set(SCENARIOS[set_]) >= ISSUE


def test_the_sets_share_no_seed_and_no_day() -> None:
    tuning, judging = ([scenario.config for scenario in SCENARIOS[set_].values()] for set_ in ScenarioSet)
    assert {config.seed for config in tuning} <= {101, 102, 103, *range(110, 120)}
    assert {config.seed for config in judging} <= {201, 202, 203, *range(210, 220)}
    assert not [one for one in tuning if one in judging]


def test_physics_that_is_judged_on_is_not_tuned_on() -> None:
    def physics(set_: ScenarioSet) -> set[object]:
        plain = set(SCENARIOS[ScenarioSet.TUNING]) & set(SCENARIOS[ScenarioSet.JUDGING])
        return {
            (config.radio, config.propagation, config.shape, config.mean_read_interval_s)
            for name, config in ((name, scenario.config) for name, scenario in SCENARIOS[set_].items())
            if name not in plain
        }

    assert len(physics(ScenarioSet.JUDGING)) == 9
    assert not physics(ScenarioSet.TUNING) & physics(ScenarioSet.JUDGING)


@pytest.mark.parametrize("scenario", ALL, ids=lambda scenario: scenario.label)
def test_a_scenario_has_a_plan_that_its_faults_fit(scenario: Scenario) -> None:
    readers = {reader.id for reader in plan_of(scenario).site.readers}
    assert scenario_config(scenario.label) == scenario.config
    for fault in scenario.config.faults:
        assert type(fault) in FAULTS.values()
        assert fault.reader is None or fault.reader in readers


def test_an_unknown_scenario_says_which_there_are() -> None:
    with pytest.raises(UsageError) as caught:
        scenario_config("twins")
    assert "tuning/twins" in (caught.value.hint or "")


def test_twins_hear_what_lies_between_them_alike() -> None:
    """Half of the shelves have two antennas of different zones within 1 dB of each other, by the law."""
    plan = plan_of(SCENARIOS[ScenarioSet.TUNING]["twins"])
    points = np.array([(shelf.x, shelf.y) for shelf in plan.site.shelves], dtype=np.float64)
    law = PropagationLaw()
    gains = np.array([expected_gain_db(antenna, points, plan.site.walls, law) for _, antenna in plan.antennas])
    zones = np.array([antenna.zone for _, antenna in plan.antennas])
    alike = 0
    for shelf in range(len(points)):
        best = gains[:, shelf].argmax()
        alike += bool((gains[zones != zones[best], shelf] > gains[best, shelf] - 1.0).any())
    assert alike >= len(points) / 2


def test_border_shelves_stand_at_borders() -> None:
    plan = plan_of(SCENARIOS[ScenarioSet.TUNING]["border"])
    for shelf, zone in zip(plan.site.shelves, plan.shelf_zones, strict=True):
        r = plan.layout.rectangles[zone]
        assert shelf.x is not None
        assert shelf.y is not None
        edge = min(shelf.x - r.x0, r.x1 - shelf.x, shelf.y - r.y0, r.y1 - shelf.y)
        assert edge == pytest.approx(0.25, abs=0.01)


def test_a_wall_of_goods_stands_in_one_zone() -> None:
    plan = plan_of(SCENARIOS[ScenarioSet.TUNING]["dense-wall"])
    fullest = max(plan.shelf_zones.count(zone) for zone in set(plan.shelf_zones))
    assert fullest >= 0.6 * len(plan.shelf_zones)


def test_materials_replace_those_of_the_catalogue() -> None:
    plan = plan_of(SCENARIOS[ScenarioSet.TUNING]["metal-liquid"])
    kinds = [product.material for product in plan.products]
    assert kinds.count(Material.METAL) >= len(kinds) // 3
    assert kinds.count(Material.LIQUID) >= len(kinds) // 3


def test_a_steered_array_looks_where_its_antennas_would_have_hung() -> None:
    plain = build_plan(site_id="s", name="", zones=13, antennas=24, items=400, timezone="UTC")
    steered = build_plan(
        site_id="s", name="", zones=13, antennas=24, items=400, timezone="UTC",
        shape=PlanShape(antennas=AntennaPlan.STEERED),
    )  # fmt: skip
    for (_, panel), (_, beam) in zip(plain.antennas, steered.antennas, strict=True):
        goals = np.array([(panel.x, panel.y), (2 * beam.x - panel.x, 2 * beam.y - panel.y)])
        towards, away = expected_gain_db(beam, goals, (), PropagationLaw())
        assert towards >= away
        assert beam.zone == panel.zone


@pytest.mark.parametrize("law", FadingLaw)
@pytest.mark.parametrize("parameter", [1.5, 4.0])
def test_fading_has_mean_power_one(law: FadingLaw, parameter: float) -> None:
    drawn = fading_db(random_stream(1, "fading"), law, parameter, 200_000)
    assert np.mean(10.0 ** (drawn / 10.0)) == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("pattern", AntennaPattern)
def test_a_pattern_never_gains_off_its_axis(pattern: AntennaPattern) -> None:
    plan = plan_of(SCENARIOS[ScenarioSet.TUNING]["store-24"])
    _, antenna = plan.antennas[0]
    points = np.column_stack([antenna.x + np.linspace(0, 12, 60), np.full(60, antenna.y)])
    gains = expected_gain_db(antenna, points, (), PropagationLaw(pattern=pattern))
    assert np.all(np.diff(gains) <= 1e-9)


def short_day(name: str, hours: float = 0.06, **changes: object) -> StoreDay:
    """Run some minutes of a scenario in a small store."""
    scenario = SCENARIOS[ScenarioSet.TUNING][name].config
    tiny = preset("tiny")
    day = StoreDay(
        dataclasses.replace(
            scenario, zones=tiny.zones, width_m=tiny.width_m, depth_m=tiny.depth_m, antennas=tiny.antennas,
            items=150, hours=hours, faults=(), **changes,  # type: ignore[arg-type]
        )
    )  # fmt: skip
    list(day.slices())
    return day


def check_truth(day: StoreDay) -> None:
    """Rows of an item have neither gap nor overlap, and its place lies in its zone."""
    for item in range(day.goods.count):
        stays = list(day.world.truth.stays(item, day.config.end_us))
        assert stays[0].from_us == day.config.start_us
        assert stays[-1].until_us == day.config.end_us
        assert all(one.until_us == other.from_us for one, other in pairwise(stays))
        for stay in stays:
            if stay.zone != OFF_SITE:
                r = day.plan.layout.rectangles[stay.zone]
                assert r.x0 - 0.01 <= stay.x <= r.x1 + 0.01
                assert r.y0 - 0.01 <= stay.y <= r.y1 + 0.01


def test_a_neighbours_goods_are_read_and_never_on_site() -> None:
    day = short_day("neighbour", neighbour_items=60)
    check_truth(day)
    theirs = np.flatnonzero(day.goods.delivery == Goods.NEIGHBOUR).tolist()
    assert len(theirs) == 60
    assert all(day.world.truth.zone_at(item, day.now_us - 1) == OFF_SITE for item in theirs)
    assert sum(day.truth_counts(day.now_us - 1).values()) <= 150 + day.world.came["delivered"]
    best_db = day.radio.tags.margin_db[:, theirs].max(axis=(0, 2))
    assert (best_db > -3.0).sum() > 3  # some of them answer now and then


def test_armfuls_and_trolleys_carry_many_at_once() -> None:
    day = short_day("trolley", hours=0.1)
    check_truth(day)
    moves = [stay for item in range(150) for stay in list(day.world.truth.stays(item, day.config.end_us))[1:]]
    at_once = max(sum(1 for other in moves if abs(other.from_us - move.from_us) < 1000) for move in moves)
    assert at_once >= 5
