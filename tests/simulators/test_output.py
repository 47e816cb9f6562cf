"""A written day: the files say what the day was, and the same day gives the same files."""

import csv
import gzip
import json
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import pytest

from devices.capture_line import format_line
from devices.publication import Publication
from devices.site.file import load_site
from ingest.capture import read_capture
from simulators.config import preset
from simulators.day import StoreDay
from simulators.faults import Garbled
from simulators.output import DayProgress, write_day

CONFIG = preset("tiny", hours=0.1, faults=(Garbled(share=0.01),))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, StoreDay]:
    folder = tmp_path_factory.mktemp("day")
    return folder, write_day(CONFIG, folder)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.slow
def test_the_capture_reads_back_as_the_publications(written: tuple[Path, StoreDay]) -> None:
    folder, _ = written
    assert list(read_capture(folder / "capture.jsonl")) == list(StoreDay(CONFIG))


@pytest.mark.slow
def test_a_compressed_capture_is_the_same_capture(written: tuple[Path, StoreDay], tmp_path: Path) -> None:
    folder, _ = written
    write_day(CONFIG, tmp_path, compress=True)
    packed = tmp_path / "capture.jsonl.gz"
    assert gzip.decompress(packed.read_bytes()) == (folder / "capture.jsonl").read_bytes()
    assert not (tmp_path / "capture.jsonl").exists()
    for name in ("site.toml", "truth.csv", "truth_untagged.csv", "truth_stock.csv", "faults.jsonl", "README.md"):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()


def test_the_truth_has_every_item_over_the_whole_day(written: tuple[Path, StoreDay]) -> None:
    folder, day = written
    stays = defaultdict(list)
    for row in rows_of(folder / "truth.csv"):
        stays[row["epc_hex"]].append((int(row["from_us"]), int(row["until_us"]), row["zone"]))
    for row in rows_of(folder / "truth_untagged.csv"):
        assert row["reason"] in ("untagged", "dead_tag")
        stays[row["item"]].append((int(row["from_us"]), int(row["until_us"]), row["zone"]))
    assert len(stays) == day.goods.count
    zones = {zone.id for zone in load_site(folder / "site.toml").zones}
    for spans in stays.values():
        assert spans[0][0] == CONFIG.start_us
        assert spans[-1][1] == CONFIG.end_us
        assert all(a[1] == b[0] for a, b in pairwise(spans))
        assert {zone for _, _, zone in spans} <= zones | {""}


def test_the_stock_over_time_agrees_with_the_truth(written: tuple[Path, StoreDay]) -> None:
    folder, day = written
    rows = rows_of(folder / "truth_stock.csv")
    last_us = max(int(row["at_us"]) for row in rows)
    counts = {row["gtin"]: int(row["on_site"]) for row in rows if int(row["at_us"]) == last_us}
    assert counts == day.truth_counts(last_us)
    assert {row["gtin"]: int(row["book"]) for row in rows if int(row["at_us"]) == last_us} == day.book(last_us)


def test_faults_are_written_down(written: tuple[Path, StoreDay]) -> None:
    folder, _ = written
    summary, *lines = [json.loads(line) for line in (folder / "faults.jsonl").read_text().splitlines()]
    assert summary == {"fault": "garbled", "share": 0.01, "reader": None, "publications": len(lines)}
    assert lines


def test_the_readme_names_the_seed_and_every_setting(written: tuple[Path, StoreDay]) -> None:
    text = (written[0] / "README.md").read_text()
    assert "scenario tiny, seed 1" in text
    assert "mean_read_interval_s: 8.0" in text


def test_progress_rises_to_the_end(tmp_path: Path) -> None:
    seen: list[DayProgress] = []
    write_day(preset("tiny", hours=0.01), tmp_path, progress=seen.append)
    assert [entry.share for entry in seen] == sorted(entry.share for entry in seen)
    assert seen[-1].share == pytest.approx(1.0)
    assert seen[-1].publications > 0


def test_lines_look_like_those_of_mosquitto_sub() -> None:
    publication = Publication(topic="a/b", payload=b'{"x":1.5}', received_us=1_795_362_931_485_691)
    assert format_line(publication) == (
        b'{"tst":"2026-11-22T15:55:31.485691Z+0000","topic":"a/b","qos":1,"retain":0,"payloadlen":9,'
        b'"payload":"{\\"x\\":1.5}"}\n'
    )
    empty = json.loads(format_line(Publication(topic="t", payload=b"", received_us=0)))
    assert empty["payload"] is None
    broken = json.loads(format_line(Publication(topic="t", payload=b"\xff\x00", received_us=0)))
    assert broken["payload_base64"] == "/wA="
