"""Simulated gates: a direction is what its path does, one seed is one day, and a day is a site file and a capture."""

from pathlib import Path

import numpy as np
import pytest

from analytics.evaluation.passages import compare_passages
from analytics.gate.models import judge, shipped_model
from devices.site import check_site
from ingest.capture import read_capture
from simulators.gate.dock_day import publications, simulate_dock_day, write_dock_day
from simulators.gate.motion import DIRECTIONS, draw_path
from simulators.gate.physics import draw_gate, hear
from tests.bench.dock import passages
from tests.bench.gate_default import shares, simulated
from tests.deploy.command_line import tagtide


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_a_path_does_what_it_is_called(direction: str) -> None:
    for seed in range(30):
        path = draw_path(direction, np.random.default_rng(seed))
        first, last = np.sign(path.x_m[0]), np.sign(path.x_m[-1])
        crossed = bool((np.sign(path.x_m[1:]) != np.sign(path.x_m[:-1])).any())
        ends = {"inbound": (-1, 1), "outbound": (1, -1)}
        if direction in ends:
            assert (first, last) == ends[direction]
        else:
            assert first == last
            assert crossed == (direction == "returned")


def test_what_a_gate_hears_is_in_order_and_reproducible() -> None:
    def heard(seed: int) -> list[tuple[float, int, float]]:
        rng = np.random.default_rng(seed)
        reads = hear(draw_gate(rng), draw_path("inbound", rng), offset_m=(0.0, 0.0), tags=3, rng=rng)
        return list(zip(reads.at_s.tolist(), reads.side.tolist(), reads.rssi_dbm.tolist(), strict=True))

    one = heard(3)
    assert one == heard(3)
    assert one != heard(4)
    assert [at_s for at_s, _, _ in one] == sorted(at_s for at_s, _, _ in one)
    assert all(-90 < rssi < -10 for _, _, rssi in one)


def test_the_side_that_is_passed_first_is_heard_first() -> None:
    """Of inbound loads, outer reads come before inner ones on the average, at nearly every gate."""
    first = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        law = draw_gate(rng)
        reads = [hear(law, draw_path("inbound", rng), offset_m=(0.0, 0.0), tags=1, rng=rng) for _ in range(3)]
        means = [
            np.mean(np.concatenate([one.at_s[one.side == side] / one.at_s[-1] for one in reads if len(one.at_s)]))
            for side in (0, 1)
        ]
        first += bool(means[0] < means[1])
    assert first >= 36


def test_the_shipped_model_judges_gates_that_it_has_not_seen() -> None:
    gates = simulated(12, seed=77)
    right = np.concatenate([shares(labelled, shipped_model())["with its companions"] for labelled in gates.values()])
    assert right.mean() > 0.8


def test_the_shipped_model_gives_probabilities() -> None:
    (labelled, *_) = simulated(1, seed=5).values()
    chances, loads = judge([one.passage for one in labelled], shipped_model(), (-80.0, -50.0))
    assert chances.sum(axis=1) == pytest.approx(np.ones(len(labelled)))
    assert len(loads) == len(labelled)


def test_a_day_at_a_dock_is_written_and_judged(tmp_path: Path) -> None:
    day = write_dock_day(tmp_path, seed=3, hours=0.15)
    report = check_site(tmp_path / "site.toml")
    assert (report.problems, report.warnings) == ((), ())
    assert report.site is not None
    assert [gate.id for gate in report.site.gates] == ["dock-1", "way-out"]
    assert list(publications(day)) == list(publications(simulate_dock_day(seed=3, hours=0.15)))
    assert len(list(read_capture(tmp_path / "capture.jsonl"))) == len(list(publications(day)))
    assert len((tmp_path / "truth_passages.csv").read_text().splitlines()) == 1 + len(day.passages) > 20
    found = compare_passages(*passages(tmp_path))
    assert found.true == len(day.passages)
    assert found.told > 20
    assert found.right_share is not None
    assert found.right_share > 0.7


def test_simulate_writes_it(tmp_path: Path) -> None:
    ended = tagtide("simulate", "--scenario", "dock", "--hours", "0.05", "--seed", "2", "--out", tmp_path / "day")
    assert ended.code == 0, ended.err
    assert "passages at 2 gates" in ended.err
    ended = tagtide("simulate", "--scenario", "dock", "--antennas", "4", "--out", tmp_path / "day")
    assert ended.code == 2
    assert "takes no --antennas" in ended.err
