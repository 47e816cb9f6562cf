"""The store of another make is a day like any other: it can be evaluated, and its truth is whole."""

import itertools
import sys
from pathlib import Path

import numpy as np
import pytest

from analytics.evaluation import evaluate_day, read_day_truth
from deploy.capture_chunks import capture_chunks
from devices.site import load_site
from tests.bench import other_store


def test_a_day_is_located(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ["--seconds", "120", "--items", "60", "--sorted", "0.5", "--plan", "place", "--seed", "5"]
    monkeypatch.setattr(sys, "argv", ["other_store", str(tmp_path), *arguments])
    other_store.main()

    site = load_site(tmp_path / "site.toml")
    truth = read_day_truth(tmp_path / "truth.csv")
    report = evaluate_day(site, capture_chunks(tmp_path / "capture.jsonl", [site]), truth)

    assert (len(site.zones), len(site.shelves)) == (13, other_store.GTINS)
    assert report.reads > 60 * 120 / 8
    assert report.location is not None
    ours = report.location.scores[0]
    assert ours.right_zone_share is not None
    assert ours.right_zone_share > 0.4


def test_each_item_is_somewhere_all_the_time(tmp_path: Path) -> None:
    goods = other_store.Goods(np.random.default_rng(1), items=20, in_order=1.0, seconds=600.0)
    other_store.write_truth(tmp_path / "truth.csv", goods)

    times: dict[str, list[tuple[int, int]]] = {}
    for line in (tmp_path / "truth.csv").read_text(encoding="utf-8").splitlines()[1:]:
        epc, _, _, _, begin, until = line.split(",")
        times.setdefault(epc, []).append((int(begin), int(until)))

    assert len(times) == 20
    for pieces in times.values():
        assert all(abs(one[1] - next_one[0]) <= 1 for one, next_one in itertools.pairwise(pieces))
        assert pieces[-1][1] - pieces[0][0] >= 599_000_000
