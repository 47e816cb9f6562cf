"""What tells of items never read: departures, deliveries, late finds, the book as a whole."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.steps.deliveries import Deliveries, Line, heard_chances, unheard_share, unheard_units
from analytics.steps.never_read import LATE_MAX, PRIOR_MEDIAN, ReadHistory

MINUTE = 60_000_000
HOUR = 60 * MINUTE


def share(
    history: ReadHistory, missing: list[float] | None = None, located: int = 1000, disturbed: float = 0.0
) -> float:
    belief = history.belief(waiting=0, located=located, now_us=2 * HOUR, missing=missing or (), disturbed=disturbed)
    assert belief.weights.sum() == pytest.approx(1.0)
    return belief.mean


def history(departed: int = 0, unread: int = 0, delivered: int = 0, missing: int = 0) -> ReadHistory:
    """Deliveries are of lines of ten units, of some of which one is missing."""
    found = ReadHistory(departed=departed, departed_unread=unread, began_us=0)
    for number in range(delivered // 10):
        found.deliver(Line(0, 10, 10, 9 if number < missing else 10, settled=True), 0.1)
    return found


class TestShare:
    def test_before_any_evidence_it_is_the_prior(self) -> None:
        assert PRIOR_MEDIAN < share(history()) < 0.02

    def test_departures_that_no_silence_explains_raise_it_and_others_lower_it(self) -> None:
        assert share(history(300, 0)) < share(history()) < share(history(300, 15))

    def test_where_silences_abound_departures_say_less(self) -> None:
        quiet, disturbed = (share(history(300, 0), disturbed=part) for part in (0.0, 0.9))
        assert quiet < disturbed < share(history())

    def test_deliveries_count(self) -> None:
        assert share(history(delivered=400, missing=16)) == pytest.approx(0.04, abs=0.012)
        assert share(history(delivered=400, missing=0)) < 0.006

    def test_a_unit_missing_of_a_line_that_was_announced_otherwise_may_be_a_wrong_booking(self) -> None:
        alike, otherwise = (ReadHistory(began_us=0) for _ in range(2))
        for _ in range(10):
            alike.deliver(Line(0, 10, 10, 9, settled=True), 0.1)
            otherwise.deliver(Line(0, 10, 9, 9, settled=True), 0.1)
        assert share(alike) > 2.0 * share(otherwise)

    def test_the_book_as_a_whole_counts_and_one_garbled_book_does_not(self) -> None:
        high, low = share(history(), [3.0] * 20, located=800), share(history(), [0.0] * 20, located=800)
        assert low < share(history()) < high
        assert share(history(), [0.0] * 19 + [5000.0], located=800) == pytest.approx(low, abs=0.003)
        assert share(history(), [50.0] * 3) == share(history())

    def test_a_gtin_of_which_much_is_not_found_yet_is_no_garbled_book(self) -> None:
        """Nineteen GTINs miss one unit and one misses twelve: foreseen or not."""
        missing, late = [1.0] * 19 + [12.0], [0.2] * 19 + [11.0]
        belief = history().belief(waiting=0, located=800, now_us=2 * HOUR, missing=missing, late=late)
        assert belief.mean > share(history(), missing, located=800) + 0.001

    def test_old_evidence_fades(self) -> None:
        found = ReadHistory()
        for _ in range(10_000):
            found.depart(1.0, unread=1.0)
            found.deliver(Line(0, 10, 10, 9, settled=True), 0.1)
        assert found.departed <= 4001
        assert found.delivered <= 4010

    def test_the_book_does_not_know_late_finds_from_dead_tags(self) -> None:
        """With late finds that foretell more, less of what the book misses is dead."""
        found, late = ReadHistory(began_us=0), ReadHistory(began_us=0)
        for age in np.geomspace(31, 119, 40):
            late.find("g", round(age * MINUTE))
        dead = []
        for history in (found, late):
            belief = history.belief(waiting=0, located=1000, now_us=2 * HOUR, missing=[2.0] * 20)
            dead.append(float(belief.shares @ belief.weights))
        assert dead[1] < dead[0]


class TestLateFinds:
    def finds(self, *ages: float) -> ReadHistory:
        found = ReadHistory(began_us=0)
        for age in ages:
            found.find("g", round(age * MINUTE))
        return found

    def expected(self, found: ReadHistory, now_us: int = 2 * HOUR, located: int = 1000) -> float:
        told = found.to_be_found(now_us, located)
        assert sum(share for _, share in told) == pytest.approx(1.0)
        return sum(units * share for units, share in told)

    def test_all_at_once_leaves_next_to_none(self) -> None:
        assert self.expected(self.finds(*[1.0] * 500)) < 1.0

    def test_as_the_last_doublings_fell_so_will_the_next(self) -> None:
        """Forty in the doubling before the last and twenty in the last say 20 + 10 + 5 + ...: about as many again."""
        found = self.finds(*[1.0] * 500, *np.geomspace(31, 59, 40).tolist(), *np.geomspace(61, 119, 20).tolist())
        assert 15 < self.expected(found) < 40

    def test_tags_that_go_on_turning_up_tell_of_many_more_and_of_little_certainty(self) -> None:
        ages = [float(age) for age in np.geomspace(8, 119, 48)]
        steady = self.finds(*[1.0] * 500, *ages).to_be_found(2 * HOUR, 1000)
        assert sum(units * share for units, share in steady) > 20
        assert max(units for units, _ in steady) > 2 * min(units for units, _ in steady)

    def test_a_slow_site_s_bulk_is_not_its_tail(self) -> None:
        """Where each tag is read once in minutes all are found within a quarter of an hour, and no more come."""
        ages = -5.0 * np.log(np.linspace(0.0005, 1.0, 1000))
        assert self.expected(self.finds(*ages.tolist()), HOUR) < 3.0

    def test_a_burst_is_bounded_and_a_day_ends_it(self) -> None:
        found = self.finds(*[1.0] * 10, *[100.0] * 500)
        assert max(found.belief(waiting=0, located=510, now_us=2 * HOUR).unread) <= 0.4 + LATE_MAX
        assert self.expected(found, 24 * HOUR) == 0.0

    def test_finds_that_wait_for_a_receipt_are_not_missed(self) -> None:
        """Half of the goods are announced: none of their finds of the last half hour is counted yet."""
        ages = np.geomspace(8, 59, 48).tolist()
        waiting = self.finds(*[1.0] * 500, *[age for place, age in enumerate(ages) if age < 30 or place % 2])
        whole = self.expected(self.finds(*[1.0] * 500, *ages), HOUR)
        assert self.expected(waiting, HOUR) < 0.8 * whole
        told = waiting.to_be_found(HOUR, 1000, 0.5)
        assert sum(units * share for units, share in told) == pytest.approx(whole, rel=0.12)

    def test_late_ones_are_remembered_for_their_gtin(self) -> None:
        found = ReadHistory(began_us=0)
        for gtin, age in (("a", 1.0), ("a", 5.0), ("a", 70.0), ("b", 90.0)):
            found.find(gtin, round(age * MINUTE))
        assert {gtin: len(ages) for gtin, ages in found.found_late(2 * HOUR).items()} == {"a": 1, "b": 1}
        assert found.found_late(24 * HOUR) == {}

    @given(
        st.lists(st.floats(0.0, 3000.0), max_size=200),
        st.integers(0, 30 * HOUR),
        st.integers(0, 10_000),
        st.floats(0.0, 1.0),
    )
    def test_numbers_of_units_with_probabilities(
        self, ages: list[float], now_us: int, located: int, waiting: float
    ) -> None:
        told = self.finds(*ages).to_be_found(now_us, located, waiting)
        assert sum(share for _, share in told) == pytest.approx(1.0)
        assert all(units >= 0.0 and np.isfinite(units) for units, _ in told)


class TestDeliveries:
    def delivered(self, booked: int, announced: int | None, heard: int) -> Deliveries:
        found = Deliveries()
        if announced is not None:
            found.announce("g", announced)
        for number in range(heard):
            assert found.find("g", HOUR + number, at_dock=True)
        found.receive("g", booked, HOUR + MINUTE)
        return found

    def mean(self, found: Deliveries, age_us: int) -> float:
        (mass,) = found.unheard("g", HOUR + MINUTE + age_us, 0.01)
        return float(np.arange(len(mass)) @ mass)

    def test_what_was_booked_and_not_heard_yet_is_there(self) -> None:
        assert self.mean(self.delivered(10, 10, 4), 0) == pytest.approx(6, abs=0.3)

    def test_what_is_not_heard_for_hours_is_dead_or_was_wrongly_booked(self) -> None:
        one_short = self.delivered(10, 10, 9)
        assert 0.5 < self.mean(one_short, 3 * HOUR) < 1.0
        assert self.mean(self.delivered(10, None, 9), 3 * HOUR) < self.mean(one_short, 3 * HOUR)
        assert self.mean(self.delivered(10, 9, 9), 3 * HOUR) < 0.4

    def test_nothing_is_missing_where_all_or_more_was_heard(self) -> None:
        assert self.mean(self.delivered(10, 10, 10), 3 * HOUR) < 0.05
        assert self.mean(self.delivered(10, 10, 12), 3 * HOUR) < 0.2

    def test_items_found_after_a_receipt_are_its_items_until_it_is_whole(self) -> None:
        found = self.delivered(3, None, 1)
        assert [found.find("g", 2 * HOUR, at_dock=False) for _ in range(3)] == [True, True, False]
        assert not found.find("other", 2 * HOUR, at_dock=False)
        assert not self.delivered(3, None, 1).find("g", 6 * HOUR, at_dock=False)

    def test_a_settled_line_tells_of_items_never_read(self) -> None:
        found = self.delivered(10, 10, 9)
        assert found.settle(HOUR + 30 * MINUTE) == []
        (line,) = found.settle(3 * HOUR)
        assert (line.booked, line.heard, line.settled) == (10, 9, True)
        assert found.settle(4 * HOUR) == []

    def test_what_was_heard_of_a_line_by_hand(self) -> None:
        """One of one announced and none heard: dead, or neither came nor was it meant: 0.02 / 2 * 0.5."""
        (line,) = self.delivered(1, 1, 0).settle(3 * HOUR)
        little, much = heard_chances(line, np.array([1e-9, 0.1]), 0.1)
        assert much / little == pytest.approx((0.98 * 0.1 + 0.005) / 0.005, rel=0.05)

    def test_a_receipt_takes_no_more_than_anybody_has_spoken_of(self) -> None:
        """Of five that were located before it, two have lain there before; they are late finds after all."""
        found = Deliveries()
        found.announce("g", 3)
        assert all(found.find("g", HOUR + n, at_dock=n > 3) for n in range(5))
        assert found.receive("g", 3, HOUR + MINUTE) == [HOUR, HOUR + 1]
        assert found.lines["g"][0].heard == 3
        assert (found.dock, found.elsewhere, found.announced) == ({}, {}, {})

    def test_a_receipt_is_of_the_announcement_that_it_names_or_that_says_the_same(self) -> None:
        named, same, foreign = Deliveries(), Deliveries(), Deliveries()
        for found, documents in ((named, ("1", "2")), (same, ("", "")), (foreign, ("1", "2"))):
            for units, document in zip((4, 9), documents, strict=True):
                found.announce("g", units, document)
        named.receive("g", 4, HOUR, "2")
        same.receive("g", 9, HOUR)
        foreign.receive("g", 5, HOUR, "3")
        assert [found.lines["g"][0].announced for found in (named, same, foreign)] == [9, 9, None]
        assert [[one.units for one in found.announced["g"]] for found in (named, same, foreign)] == [[4], [4], [4, 9]]

    def test_nothing_is_kept_for_ever(self) -> None:
        found = self.delivered(10, 10, 9)
        found.find("h", HOUR, at_dock=True)
        found.announce("i", 5)
        found.find("i", HOUR, at_dock=False)
        found.settle(40 * HOUR)
        assert found.leave_dock(40 * HOUR) == [("h", HOUR), ("i", HOUR)]
        assert (found.lines, found.dock, found.elsewhere) == ({}, {}, {})

    @given(st.integers(1, 500), st.none() | st.integers(0, 500), st.integers(0, 600), st.floats(0.001, 0.6))
    def test_masses_are_distributions(self, booked: int, announced: int | None, heard: int, wrong: float) -> None:
        for age in (0, HOUR, 20 * HOUR):
            mass = unheard_units(Line(0, booked, announced, heard), unheard_share(age, 0.01), wrong)
            assert mass.sum() == pytest.approx(1.0)
            assert mass.min() >= 0.0
