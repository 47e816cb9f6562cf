"""Worked examples of the shelf step: levels, units, hands, drift, alerts; and the step laws."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.steps.shelf import ShelfStep, minimum_units
from devices.site.model import Shelf, Site
from tests.analytics.chunk_building import NOON, Sayings
from tests.analytics.step_laws import LAWS, check_step, cut_points, run_step

SITE = Site(
    id="s",
    shelves=(
        Shelf(id="shelf-1", zone="men", gtin="09506000134352", unit_grams=400.0, capacity_units=20, minimum_units=3),
        Shelf(id="bin", zone="men"),
    ),
)


class Scale(Sayings):
    """A scale that speaks every second."""

    now = 0.0

    def shows(self, *masses_kg: float, start: float | None = None, source: str = "shelf-1") -> "Scale":
        """Say masses, one a second."""
        self.now = self.now if start is None else start
        for mass in masses_kg:
            self.now += 1.0
            self.reading(self.now, mass, self.now, source=source)
        return self


def rows(said: Sayings, table: str = "shelves") -> list[dict[str, Any]]:
    found = run_step(ShelfStep(), SITE, [said.chunk()]).get(table)
    return [] if found is None else found.to_pylist()


def units(said: Sayings) -> list[int | None]:
    return [row["units"] for row in rows(said)]


def alerts(said: Sayings) -> list[str]:
    return [row["alert"] for row in rows(said, "alerts")]


class TestCounting:
    def test_three_readings_that_agree_make_a_level(self) -> None:
        said = Scale().shows(4.01, 3.99, 4.0).mark(30.0)
        (row,) = rows(said)
        assert (row["units"], row["available"]) == (10, True)
        assert row["confidence"] == pytest.approx(1.0)
        assert row["from_time"].timestamp() - NOON == pytest.approx(3.0)

    def test_a_unit_taken_is_a_row(self) -> None:
        assert units(Scale().shows(4.0, 4.0, 4.0, 3.6, 3.6, 3.6).mark(30.0)) == [10, 9]

    @pytest.mark.parametrize(("level", "count"), [(3.77, 10), (3.8, 10), (3.75, 9), (4.23, 10), (4.25, 11)])
    def test_rounding_with_a_margin(self, level: float, count: int) -> None:
        said = Scale().shows(4.0, 4.0, 4.0, level, level, level).mark(30.0)
        assert units(said)[-1] == count

    def test_noise_at_the_half_is_one_row(self) -> None:
        noise = [3.8 + 0.02 * (-1) ** n for n in range(60)]
        assert units(Scale().shows(4.0, 4.0, 4.0, *noise).mark(100.0)) == [10]

    def test_a_hand_on_the_scale_is_not_goods(self) -> None:
        assert units(Scale().shows(4.0, 4.0, 4.0, 7.9, 6.1, 4.0, 4.0, 4.0).mark(30.0)) == [10]

    def test_a_touched_scale_says_nothing_until_it_is_let_go(self) -> None:
        said = Scale().shows(4.0, 4.0, 4.0, 6.0, 6.0)
        said.reading(5.5, 1.0, 5.5, quantity="touched")
        said.shows(4.0, 4.0, 4.0)
        assert units(said.mark(30.0)) == [10]

    def test_a_reading_that_stands_alone_settles(self) -> None:
        (row,) = rows(Scale().shows(4.0).mark(30.0))
        assert row["units"] == 10
        assert row["from_time"].timestamp() - NOON == pytest.approx(6.0)
        assert rows(Scale().shows(4.0).mark(7.0)) == []

    def test_slow_drift_of_the_zero_keeps_the_count(self) -> None:
        creeping = [4.0 + 0.002 * second for second in range(300)]  # 1.5 units in all
        said = Scale().shows(*creeping)
        assert units(said.mark(400.0)) == [10]
        assert units(said.shows(*[creeping[-1] - 0.4] * 3, start=500.0).mark(600.0)) == [10, 9]

    def test_a_counter_counts(self) -> None:
        said = Sayings().reading(1.0, 7.0, 1.0, quantity="count").reading(2.0, 6.0, 2.0, quantity="count").mark(30.0)
        assert units(said) == [7, 6]

    def test_a_shelf_without_a_unit_mass_tells_mass(self) -> None:
        found = rows(Scale().shows(1.0, 1.0, 1.0, 1.02, 1.02, 1.02, 1.2, 1.2, 1.2, source="bin").mark(30.0))
        assert [(row["mass_kg"], row["units"], row["available"]) for row in found] == [
            (1.0, None, None),
            (1.2, None, None),
        ]

    def test_less_than_nothing_is_nothing(self) -> None:
        assert units(Scale().shows(-0.5, -0.5, -0.5).mark(30.0)) == [0]


class TestAlerts:
    def test_replenish_once_until_it_was_done(self) -> None:
        said = Sayings()
        for second, count in enumerate([5, 2, 1, 2, 1, 8, 2], start=1):
            said.reading(second, float(count), float(second), quantity="count")
        assert alerts(said.mark(30.0)) == ["replenish", "replenish"]

    def test_an_empty_shelf(self) -> None:
        said = Sayings()
        for second, count in enumerate([5, 0, 0, 5, 0], start=1):
            said.reading(second, float(count), float(second), quantity="count")
        assert sorted(alerts(said.mark(30.0))) == ["replenish", "replenish", "shelf_empty", "shelf_empty"]

    def test_the_minimum_is_a_quarter_of_capacity_where_none_is_given(self) -> None:
        assert minimum_units(Shelf(id="a", zone="z", capacity_units=10)) == 3
        assert minimum_units(Shelf(id="a", zone="z", capacity_units=10, minimum_units=1)) == 1
        assert minimum_units(Shelf(id="a", zone="z")) is None


def weighing(draw: st.DrawFn) -> Sayings:
    """Two scales with goods, hands, touches, counts, pauses and late readings."""
    said, now = Sayings(), 10.0
    for _ in range(draw(st.integers(1, 60))):
        now += draw(st.sampled_from([0.0, 0.3, 1.0, 1.0, 4.9, 5.0, 20.0]))
        late = draw(st.sampled_from([0.0, 0.0, 1.0, 9.0]))
        shelf = draw(st.sampled_from(["shelf-1", "shelf-1", "bin", "unknown"]))
        quantity = draw(st.sampled_from(["mass", "mass", "mass", "count", "touched"]))
        value = draw(st.sampled_from([0.0, 0.0, 0.4, 0.8, 0.81, 2.0]))
        if draw(st.booleans()):
            said.reading(now, value, now - late, source=shelf, quantity=quantity)
        else:
            said.mark(now)
    return said.mark(now + 30.0)


@pytest.mark.slow
@LAWS
@given(data=st.data())
def test_laws(data: st.DataObject) -> None:
    chunk = data.draw(st.composite(weighing)()).chunk()
    check_step(ShelfStep(), SITE, chunk, data.draw(cut_points(chunk)))
