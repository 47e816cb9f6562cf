"""A calibration's file: what is written is read back, what is broken is said, moved antennas are noticed."""

from dataclasses import replace
from pathlib import Path

import pytest

from devices.site import check_site
from devices.site.calibration import (
    FORMAT,
    VERSION,
    AntennaSurvey,
    CalibrationFile,
    Lattice,
    calibration_text,
    parse_calibration,
)

SURVEY = CalibrationFile(
    format=FORMAT,
    version=VERSION,
    site="store-7",
    made='60 tags, 20 minutes of "day.jsonl"',
    tags=60,
    levels=240,
    exponent=2.4,
    exponent_prior=2.2,
    spread_before_db=9.0,
    spread_after_db=6.5,
    error_before_m=2.5,
    error_after_m=1.5,
    lattice=Lattice(x=0.0, y=0.0, step_m=2.0, columns=3, rows=2),
    antenna=(
        AntennaSurvey(
            reader="r1",
            port=1,
            x=4.5,
            y=2.0,
            z=3.0,
            tags=41,
            offset_db=-3.2,
            range_m=2.2,
            field_db=4.0,
            residual_db=((0.5, -1.0, 0.0), (2.0, 0.0, -0.5)),
        ),
    ),
)

SITE = """
schema = 1
id = "store-7"
calibration = "survey.toml"
[[zone]]
id = "floor"
kind = "sales_floor"
polygon = [[0, 0], [8, 0], [8, 6], [0, 6]]
[[reader]]
id = "r1"
profile = "impinj"
mqtt_topic = "r1"
[[reader.antenna]]
port = 1
x = 4.5
y = 2.0
"""


def test_what_is_written_is_read_back() -> None:
    assert parse_calibration(calibration_text(SURVEY)) == SURVEY


def test_a_site_file_names_it(tmp_path: Path) -> None:
    (tmp_path / "survey.toml").write_text(calibration_text(SURVEY))
    (tmp_path / "site.toml").write_text(SITE)
    report = check_site(tmp_path / "site.toml")
    assert report.site is not None
    assert report.site.surveyed == SURVEY
    assert not report.warnings


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("x = 4.5", "x = 5.5"), "has been moved"),
        (("port = 1", "port = 2"), "is not in this file"),
        (('id = "store-7"', 'id = "store-8"'), 'of site "store-7"'),
    ],
)
def test_a_site_that_has_changed_is_warned_of(tmp_path: Path, change: tuple[str, str], said: str) -> None:
    (tmp_path / "survey.toml").write_text(calibration_text(SURVEY))
    (tmp_path / "site.toml").write_text(SITE.replace(*change))
    report = check_site(tmp_path / "site.toml")
    assert report.ok
    assert said in " ".join(report.warnings)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is no calibration"),
        (calibration_text(replace(SURVEY, format="gate")), "its format is not"),
        (calibration_text(replace(SURVEY, version=9)), "has version 9"),
        (calibration_text(replace(SURVEY, lattice=replace(SURVEY.lattice, rows=3))), "not a whole calibration"),
        (calibration_text(SURVEY).replace("offset_db = -3.2", "offset_db = nan"), "not a whole calibration"),
        (calibration_text(SURVEY).replace("tags = 60\n", ""), "is no calibration"),
    ],
)
def test_a_broken_file_is_a_problem_that_names_the_mend(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "survey.toml").write_text(text)
    (tmp_path / "site.toml").write_text(SITE)
    (problem,) = check_site(tmp_path / "site.toml").problems
    assert said in problem
    assert "tagtide calibrate" in problem or "calibrate again" in problem


def test_a_missing_file_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text(SITE)
    (problem,) = check_site(tmp_path / "site.toml").problems
    assert "cannot be read" in problem
