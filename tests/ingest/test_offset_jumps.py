"""Where an edge log's offsets jump: counted over, followed, and forgotten with the rows before them."""

from hypothesis import given
from hypothesis import strategies as st

from ingest.offset_jumps import Jump, OffsetJumps, is_dense

JUMPS = OffsetJumps((Jump(3, 10), Jump(12, 100)))


def test_offsets_that_were_never_given_out_are_told_from_missing_ones() -> None:
    assert is_dense([2, 3, 10, 11, 12, 100, 101], JUMPS)
    assert not is_dense([2, 10, 11], JUMPS)
    assert not is_dense([10, 11, 100], JUMPS)
    assert is_dense([], JUMPS)


def test_the_next_offset_is_the_next_one_or_behind_a_jump() -> None:
    assert JUMPS.is_next(2, 3)
    assert JUMPS.is_next(3, 10)
    assert not JUMPS.is_next(2, 10)
    assert not JUMPS.is_next(3, 11)
    assert JUMPS.is_next(7, 10), "an older copy was put back, whose end was 3"


def test_jumps_before_the_oldest_row_are_forgotten_and_the_rest_survives_its_note() -> None:
    later = JUMPS.with_jump(150, 1000, first_kept=50)
    assert later == OffsetJumps((Jump(12, 100), Jump(150, 1000)))
    assert OffsetJumps.decode(later.encode()) == later
    assert OffsetJumps.decode(None) == OffsetJumps()


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(1, 50)), max_size=6), st.integers(0, 30), st.integers(0, 30))
def test_counting_agrees_with_a_list_of_all_offsets(runs: list[tuple[int, int]], low: int, high: int) -> None:
    given, jumps = [1], OffsetJumps()
    for count, leap in runs:
        jumps = jumps.with_jump(given[-1], given[-1] + leap + 1, first_kept=1)
        given += range(given[-1] + leap + 1, given[-1] + leap + 1 + count)
    first, last = sorted((given[low % len(given)], given[high % len(given)]))
    between = [offset for offset in given if first <= offset <= last]
    assert is_dense(between, jumps)
    assert last - first + 1 - jumps.skipped(first, last) == len(between)
