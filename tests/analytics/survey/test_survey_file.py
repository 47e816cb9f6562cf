"""A survey file is read as it is meant, and everything that is wrong with one is said at once."""

from pathlib import Path

import pytest

from analytics.survey.file import SurveyError, SurveyTag, parse_survey, read_survey


def test_rows_are_tags_at_places() -> None:
    tags = parse_survey(
        ["epc, x, y, from, until", "aa01,1.5,2,2026-11-20T09:00:00Z,", "BB02, 3, 4.25,,1795166400000000"]
    )
    assert tags == [
        SurveyTag(epc_hex="AA01", x=1.5, y=2.0, from_us=1_795_165_200_000_000),
        SurveyTag(epc_hex="BB02", x=3.0, y=4.25, until_us=1_795_166_400_000_000),
    ]


def test_times_without_zone_are_utc_and_truth_files_will_do() -> None:
    (tag,) = parse_survey(["epc_hex,zone,x,y,from_us,until_us", "AA,floor,1,2,5,9"])
    assert (tag.from_us, tag.until_us) == (5, 9)
    (tag,) = parse_survey(["epc,x,y,from", "AA,1,2,1970-01-01T00:00:01"])
    assert tag.from_us == 1_000_000


def test_all_problems_are_said_at_once() -> None:
    lines = ["epc,x,y,from,until", "zz,1,2,,", "AA,left,2,,", "AA,1,2,noon,", "AA,1,2,9,5", "AA,1,inf,,"]
    with pytest.raises(SurveyError) as caught:
        parse_survey(lines, "tags.csv")
    for part in ("line 2", "'ZZ'", "line 3", "'left'", "line 4", "'noon'", "line 5", "ends before", "line 6", "'inf'"):
        assert part in str(caught.value)
    assert caught.value.hint is not None


@pytest.mark.parametrize("lines", [[], ["epc,x"], ["epc,x,y"], ["tag,x,y", "AA,1,2"]])
def test_a_file_that_is_no_survey_is_refused(lines: list[str]) -> None:
    with pytest.raises(SurveyError) as caught:
        parse_survey(lines)
    assert "epc,x,y" in (caught.value.hint or "")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SurveyError, match="cannot be read"):
        read_survey(tmp_path / "none.csv")
