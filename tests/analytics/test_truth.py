"""Truth files come in and go out unchanged, and one that cannot be true is refused with its row."""

import gzip
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.truth import TRUTH, TruthError, read_truth, truth_of, write_truth

HEADER = "epc_hex,zone,x,y,from_us,until_us\n"


def test_a_truth_file_reads_with_empty_zones_and_places(tmp_path: Path) -> None:
    path = tmp_path / "truth.csv"
    path.write_text(HEADER + "30aa,,,,0,5\n30aa,floor,1.5,2,5,9\n3011,back,,,0,9\n")
    table = read_truth(path)
    assert table.schema.equals(TRUTH)
    assert table.to_pylist() == [
        {"epc_hex": "3011", "zone": "back", "x": None, "y": None, "from_us": 0, "until_us": 9},
        {"epc_hex": "30AA", "zone": "", "x": None, "y": None, "from_us": 0, "until_us": 5},
        {"epc_hex": "30AA", "zone": "floor", "x": 1.5, "y": 2.0, "from_us": 5, "until_us": 9},
    ]


@pytest.mark.parametrize("name", ["truth.csv", "truth.csv.gz"])
def test_what_is_written_reads_back(tmp_path: Path, name: str) -> None:
    truth = truth_of([("A", "floor", 0, 10), ("A", "", 10, 20), ("B", 'a "zone", odd', 1_800_000_000_000_000, 2**60)])
    write_truth(tmp_path / name, truth)
    assert read_truth(tmp_path / name).equals(truth)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "not a truth file"),
        ("epc_hex,zone\nA,b\n", "not a truth file"),
        (HEADER + "A,b,,,1\n", "not a truth file"),
        (HEADER + "A,b,,,one,2\n", "not a truth file"),
        (HEADER + "A,b,,,5,5\n", "ends before it begins"),
        (HEADER + "A,b,,,5,\n", "has no until_us"),
        (HEADER + ",b,,,5,6\n", "has no epc_hex"),
        (HEADER + "A,b,,,0,6\na,c,,,5,9\n", "overlaps"),
    ],
)
def test_what_cannot_be_true_is_refused(tmp_path: Path, content: str, expected: str) -> None:
    path = tmp_path / "truth.csv"
    path.write_text(content)
    with pytest.raises(TruthError, match=expected) as caught:
        read_truth(path)
    assert caught.value.hint


def test_a_truth_file_that_is_cut_off_or_missing_is_refused(tmp_path: Path) -> None:
    whole = gzip.compress((HEADER + "A,b,,,0,6\n").encode())
    (tmp_path / "truth.csv.gz").write_bytes(whole[:-12])
    for name in ("truth.csv.gz", "none.csv"):
        with pytest.raises(TruthError):
            read_truth(tmp_path / name)


@given(st.lists(st.integers(0, 50), min_size=2, max_size=8, unique=True))
def test_rows_that_follow_each_other_are_a_truth(times: list[int]) -> None:
    ordered = sorted(times)
    rows = [("A", "z", start, end) for start, end in pairwise(ordered)]
    assert truth_of(rows[::-1]).num_rows == len(rows)
