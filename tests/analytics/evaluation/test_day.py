"""Simulate and evaluate: one report of everything that the folder has truth about."""

import json
from pathlib import Path

import pytest

from analytics.evaluation import DayTruth, read_day_truth
from analytics.truth import TruthError
from tests.deploy.command_line import tagtide


def simulated(folder: Path, *options: str) -> Path:
    ended = tagtide("simulate", "--out", folder, *options)
    assert ended.code == 0, ended.err
    assert f"tagtide evaluate -s {folder / 'site.toml'} -c {folder / 'capture.jsonl'} -t {folder}" in ended.err
    return folder


def test_gates_are_scored_from_the_command_line(tmp_path: Path) -> None:
    day = simulated(tmp_path / "day", "--scenario", "dock", "--seed", "3", "--hours", "0.1")
    asked = ("evaluate", "-s", day / "site.toml", "-c", day / "capture.jsonl", "-t", day)
    ended = tagtide(*asked, "--detail")
    assert ended.code == 0, ended.err
    assert "passages at gates: " in ended.out
    assert "said nothing" in ended.out
    assert "passages: confidence, and how often right" in ended.out
    plain = json.loads(tagtide(*asked, "--json").out)
    assert plain["passages"]["told_share"] > 0.8
    assert plain["passages"]["right_share"] > 0.7
    assert (plain["aggregations"], plain["counts"], plain["stock"]) == (None, None, None)
    assert "scores" not in plain  # nobody knows where things were


@pytest.mark.slow
def test_a_store_is_scored_from_the_command_line(tmp_path: Path) -> None:
    day = simulated(tmp_path / "day", "--scenario", "cartons", "--seed", "3", "--hours", "0.26", "--items", "24")
    ended = tagtide("evaluate", "-s", day / "site.toml", "-c", day / "capture.jsonl", "-t", day)
    assert ended.code == 0, ended.err
    for part in ("right zone, of on-site time", "what is in what", "on-hand estimates beside the truth"):
        assert part in ended.out
    assert "counting passes" not in ended.out


def test_a_truth_is_a_file_or_a_folder(tmp_path: Path) -> None:
    with pytest.raises(TruthError, match="there is no truth"):
        read_day_truth(tmp_path / "truth.csv")
    with pytest.raises(TruthError, match="there is no truth in"):
        read_day_truth(tmp_path)
    (tmp_path / "truth.csv").write_text("epc_hex,zone,x,y,from_us,until_us\nA,a,,,0,10\n")
    alone = read_day_truth(tmp_path / "truth.csv")
    assert alone.places is not None
    assert alone.places.num_rows == 1
    (tmp_path / "truth_stock.csv").write_text("gtin,at_us,on_site,book\n1,0,1,1\n")
    assert read_day_truth(tmp_path / "truth.csv").stock is None
    both = read_day_truth(tmp_path)
    assert both.places is not None
    assert both.stock is not None
    assert (both.passages, both.aggregations) == (None, None)
    assert DayTruth().places is None
