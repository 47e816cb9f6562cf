"""The definitions of accuracy: examples computed by hand, and what holds for all books."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics import accuracy

BOOK = {"a": 10, "b": 5, "c": 0, "only-book": 7}
HAND = {"a": 8.0, "b": 6.0, "c": 0.0, "only-hand": 9.0}
BOOKS = st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 1000))
HANDS = st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 1000).map(float))


class TestByHand:
    def test_unit_accuracy(self) -> None:
        assert accuracy.unit_accuracy(BOOK, HAND) == pytest.approx(1 - (2 + 1 + 0) / (10 + 6 + 0))

    def test_gtin_accuracy(self) -> None:
        assert accuracy.gtin_accuracy(BOOK, HAND) == pytest.approx(1 / 3)
        assert accuracy.gtin_accuracy(BOOK, HAND, tolerance_units=1) == pytest.approx(2 / 3)
        assert accuracy.gtin_accuracy({"a": 3}, {"a": 3.4}) == 1.0

    def test_overstated_understated_and_shrinkage(self) -> None:
        assert accuracy.overstated_units(BOOK, HAND) == 2.0
        assert accuracy.understated_units(BOOK, HAND) == 1.0
        assert accuracy.shrinkage(BOOK, HAND) == pytest.approx((2 - 1) / 15)

    def test_location_accuracy_and_availability(self) -> None:
        assert accuracy.location_accuracy(40, 3) == pytest.approx(0.925)
        assert accuracy.on_shelf_availability(9, 12) == 0.75

    def test_unknown_share(self) -> None:
        assert accuracy.unknown_share(3, 12) == 0.25
        assert accuracy.unknown_share(0, 0) is None

    def test_a_denominator_of_nothing_is_no_measure(self) -> None:
        assert accuracy.unit_accuracy({}, HAND) is None
        assert accuracy.unit_accuracy({"c": 0}, {"c": 0.0}) is None
        assert accuracy.gtin_accuracy({}, {}) is None
        assert accuracy.shrinkage({"c": 0}, {"c": 4.0}) is None
        assert accuracy.location_accuracy(0, 0) is None
        assert accuracy.on_shelf_availability(0, 0) is None

    @pytest.mark.parametrize(
        ("zone", "homes", "misplaced"),
        [("men", {"kids"}, True), ("kids", {"kids"}, False), ("till", {"kids"}, False), ("men", set(), False)],
    )
    def test_misplaced(self, zone: str, homes: set[str], *, misplaced: bool) -> None:
        assert accuracy.is_misplaced(zone, frozenset({"men", "kids"}), frozenset(homes)) is misplaced


class TestForAllBooks:
    @given(BOOKS, HANDS)
    def test_bounds(self, book: dict[str, int], hand: dict[str, float]) -> None:
        for found in (accuracy.unit_accuracy(book, hand), accuracy.gtin_accuracy(book, hand)):
            assert found is None or -1e-12 <= found <= 1.0

    @given(BOOKS, HANDS)
    def test_book_and_goods_may_change_places(self, book: dict[str, int], hand: dict[str, float]) -> None:
        swapped = {gtin: int(units) for gtin, units in hand.items()}, {gtin: float(n) for gtin, n in book.items()}
        assert accuracy.unit_accuracy(book, hand) == accuracy.unit_accuracy(*swapped)
        assert accuracy.overstated_units(book, hand) == accuracy.understated_units(*swapped)

    @given(BOOKS)
    def test_a_right_book_is_1(self, book: dict[str, int]) -> None:
        expected = 1.0 if any(book.values()) else None
        assert accuracy.unit_accuracy(book, {gtin: float(units) for gtin, units in book.items()}) == expected

    @given(BOOKS, HANDS)
    def test_over_less_under_is_what_shrinkage_counts(self, book: dict[str, int], hand: dict[str, float]) -> None:
        share, booked = accuracy.shrinkage(book, hand), sum(book[gtin] for gtin in book.keys() & hand.keys())
        if share is not None:
            net = accuracy.overstated_units(book, hand) - accuracy.understated_units(book, hand)
            assert share * booked == pytest.approx(net, abs=1e-6)
