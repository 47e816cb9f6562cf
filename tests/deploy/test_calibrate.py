"""`tagtide calibrate` from a simulated day to a file that the site file can name, and a picture."""

import csv
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

from deploy.calibration_picture import GREY, colour, support
from devices.site import check_site
from simulators.config import preset
from simulators.output import write_day
from tests.bench.survey import choose
from tests.deploy.command_line import Ended, tagtide


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten minutes of a small store, and a survey of twelve items that lay still on one side of it."""
    folder = tmp_path_factory.mktemp("day")
    write_day(preset("tiny", seed=5, mean_read_interval_s=4.0), folder)
    with (folder / "truth.csv").open(newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["x"] and float(row["x"]) < 9.0]
    with (folder / "survey.csv").open("w", newline="") as stream:
        survey = csv.writer(stream)
        survey.writerow(("epc", "x", "y", "from", "until"))
        survey.writerows([row[n] for n in ("epc_hex", "x", "y", "from_us", "until_us")] for row in choose(rows, 12))
    return folder


def calibrated(day: Path, out: Path, *more: str | Path) -> Ended:
    return tagtide("calibrate", "-s", day / "site.toml", "--survey", day / "survey.csv", "-o", out / "cal.toml", *more)


def test_a_survey_becomes_a_calibration_and_a_picture(day: Path, tmp_path: Path) -> None:
    ended = calibrated(day, tmp_path, "-c", day / "capture.jsonl", "--picture", tmp_path / "maps.svg")
    assert ended.code == 0, ended.err
    assert "path-loss exponent" in ended.out
    assert "a tag located by its levels alone, mean error" in ended.out
    assert 'write calibration = "cal.toml"' in ended.err
    named = 'calibration = "cal.toml"\n' + (day / "site.toml").read_text()
    (tmp_path / "site.toml").write_text(named)
    report = check_site(tmp_path / "site.toml")
    assert (report.problems, report.warnings) == ((), ())
    assert report.site is not None
    assert report.site.surveyed is not None
    fills = [one.get("fill", "") for one in ET.parse(tmp_path / "maps.svg").iter() if one.tag.endswith("rect")]
    greys = [fill for fill in fills if re.fullmatch(rf"rgb\({GREY},{GREY},{GREY}\)", fill)]
    assert len(greys) > 0.2 * len(fills), "half of the store was not measured"
    assert len(set(fills)) > 20


@pytest.mark.parametrize("options", [[], ["-c", "capture.jsonl", "--data", "data"]])
def test_reads_come_from_one_place(day: Path, tmp_path: Path, options: list[str]) -> None:
    ended = calibrated(day, tmp_path, *options)
    assert ended.code == 2
    assert "name either a capture or a lake" in ended.err
    assert not (tmp_path / "cal.toml").exists()


def test_a_survey_of_too_few_tags_is_refused(day: Path, tmp_path: Path) -> None:
    (tmp_path / "few.csv").write_text("\n".join((day / "survey.csv").read_text().splitlines()[:4]))
    ended = tagtide(
        "calibrate", "-s", day / "site.toml", "--survey", tmp_path / "few.csv", "-o", tmp_path / "cal.toml",
        "-c", day / "capture.jsonl",
    )  # fmt: skip
    assert ended.code == 1
    assert "a survey needs 8" in ended.err
    assert not (tmp_path / "cal.toml").exists()


def test_support_falls_with_the_distance_from_what_was_heard() -> None:
    points, heard = np.array([[0.0, 0.0], [2.0, 0.0], [9.0, 0.0]]), np.array([[0.0, 0.0], [100.0, 0.0]])
    near, middle, far = support(points, heard, 2.0).tolist()
    assert (near, far < 0.01) == (1.0, True)
    assert 0.4 < middle < 0.6
    assert support(points, heard, 0.0).tolist() == support(points, heard[:0], 2.0).tolist() == [0.0, 0.0, 0.0]
    assert colour(15.0) == "rgb(255,0,0)"
    assert colour(-15.0, 0.0) == colour(0.0, 0.0) == f"rgb({GREY},{GREY},{GREY})"
