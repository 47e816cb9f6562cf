"""Scores of containments, worked out by hand; and a packed delivery from the air to the table."""

from pathlib import Path

import pyarrow as pa
import pytest

from analytics.evaluation.aggregations import TRUE_AGGREGATIONS, compare_aggregations, read_true_aggregations
from analytics.evaluation.run import run_jobs
from analytics.query import ask, connect
from analytics.schemas import AGGREGATIONS
from analytics.steps.derived import table_of
from analytics.truth import TRUTH, TruthError, read_truth
from deploy.capture_chunks import capture_chunks
from devices.site import load_site
from simulators.cartons import PackingHabits
from simulators.config import preset
from simulators.output import write_day
from tests.deploy.command_line import tagtide

MINUTE = 60_000_000


def row(parent: str, child: str, *, at: int, since: int = 0, until: int | None = None, sure: float = 0.9) -> dict:  # type: ignore[type-arg]
    """A row of `aggregations`; times are minutes."""
    return {
        "site": "s",
        "parent_epc_hex": parent,
        "child_epc_hex": child,
        "from_time": since * MINUTE,
        "until_time": None if until is None else until * MINUTE,
        "confidence": sure,
        "as_of_time": at * MINUTE,
        "revision": 0 if until is None else 1,
    }


def true(*rows: tuple[str, str, int, int]) -> pa.Table:
    columns = [list(column) for column in zip(*rows, strict=True)]
    columns[2:] = [[minute * MINUTE for minute in column] for column in columns[2:]]
    return pa.table([pa.array(column) for column in columns], schema=TRUE_AGGREGATIONS)


def moved(*epcs: str, at: int) -> pa.Table:
    """Things that were in zone a until a minute, and then in b."""
    rows = [(epc, zone, None, None, start, end) for epc in epcs for zone, start, end in (("a", 0, at), ("b", at, 100))]
    columns = [list(column) for column in zip(*rows, strict=True)]
    columns[4:] = [[minute * MINUTE for minute in column] for column in columns[4:]]
    return pa.table([pa.array(column, field.type) for column, field in zip(columns, TRUTH, strict=True)], schema=TRUTH)


def test_worked_example() -> None:
    rows = [
        row("P", "A", at=10, since=8),
        row("P", "B", at=10, since=8, sure=0.5),
        row("P", "A", at=24, since=8, until=20, sure=0.1),
    ]
    found = compare_aggregations(
        table_of(rows, AGGREGATIONS), true(("P", "A", 0, 20), ("P", "C", 0, 40)), moved("P", "A", "C", at=8)
    )
    assert (found.true_pairs, found.movable_pairs, found.said_pairs) == (2, 2, 2)
    assert found.precision == pytest.approx(10 / (14 + 30))  # A is said from 10 to 24, B from 10 to the end at 40
    assert found.recall == pytest.approx(10 / 60)
    assert found.recall_after_move == pytest.approx(10 / (12 + 32))
    assert found.precision_in_hindsight == pytest.approx(12 / (12 + 32))
    assert found.recall_after_move_in_hindsight == pytest.approx(12 / 44)
    assert found.found_share == 0.5
    assert (found.end_delay_s_median, found.end_delay_s_p95) == (240.0, 240.0)
    assert found.brier == pytest.approx((0.1**2 + 0.5**2) / 2)


def test_nothing_said() -> None:
    found = compare_aggregations(AGGREGATIONS.empty_table(), true(("P", "A", 0, 20)), moved("P", "A", at=8))
    assert (found.precision, found.recall, found.found_share, found.brier) == (None, 0.0, 0.0, None)


def test_a_file_that_is_no_truth(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    with pytest.raises(TruthError, match="containments"):
        read_true_aggregations(tmp_path / "x.csv")


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half an hour in a small store: one packed delivery is brought in, opened on the floor, and its cartons go."""
    folder = tmp_path_factory.mktemp("cartons")
    packing = PackingHabits(carton_units=8, open_after_s=100.0, pick_share=0.0)
    config = preset(
        "tiny", seed=4, hours=0.5, mean_read_interval_s=3.0, packing=packing, delivered_share=0.5, dead_tag_share=0.0
    )
    write_day(config, folder)
    return folder


@pytest.mark.slow
def test_from_the_air_to_the_table(day: Path) -> None:
    site = load_site(day / "site.toml")
    rows = run_jobs(site, capture_chunks(day / "capture.jsonl", [site]), ("aggregations",)).tables["aggregations"]
    truth = read_true_aggregations(day / "truth_aggregations.csv")
    found = compare_aggregations(rows, truth, read_truth(day / "truth.csv"))
    pairs = set(zip(truth["parent_epc_hex"].to_pylist(), truth["child_epc_hex"].to_pylist(), strict=True))
    said = set(zip(rows["parent_epc_hex"].to_pylist(), rows["child_epc_hex"].to_pylist(), strict=True))
    assert found.found_share is not None
    assert found.found_share > 0.35
    assert len(said & pairs) > 0.6 * len(said)


@pytest.mark.slow
def test_from_a_capture_to_the_question(day: Path, tmp_path: Path) -> None:
    done = tagtide("replay", day / "capture.jsonl", "--site", day / "site.toml", "--data", tmp_path / "data")
    assert done.code == 0, done.err
    answer = ask(connect(tmp_path / "data"), "unit-contents", {"past": "yes"})
    assert answer.num_rows > 5
    assert {uri.split(":")[3] for uri in answer["parent_epc_uri"].to_pylist()} <= {"sscc", "grai"}
