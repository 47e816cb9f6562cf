"""A site file that is large and wrong is said to be so in seconds, in a report that people can read."""

import re

import pytest

from devices.site import check_text
from devices.site.table import ENTRIES_MAX, FINDINGS_MAX
from tests.devices.site.test_file import PROFILES, TOP, ZONE

SQUARE = '[[zone]]\nid = "z{0}"\nkind = "exit"\npolygon = [[{1}, 0], [{1}.9, 0], [{1}.9, 9], [{1}, 9]]\n'


@pytest.mark.slow
def test_zones_in_one_place_are_not_told_pair_by_pair_without_end() -> None:
    report = check_text(TOP + "".join(SQUARE.format(number, 1) for number in range(60)), profiles=PROFILES)
    assert len(report.problems) == FINDINGS_MAX + 1
    assert "overlap by 8.10 m2" in report.problems[0]
    assert re.fullmatch(r"file: [0-9]+ more problems or so: mend these first", report.problems[-1])


@pytest.mark.slow
def test_more_zones_than_anybody_draws_are_a_problem() -> None:
    report = check_text(TOP + "".join(SQUARE.format(number, number) for number in range(2_001)), profiles=PROFILES)
    assert report.problems == ("site: there are 2001 [[zone]], 2000 are read: split the site, or draw it less finely",)


@pytest.mark.slow
def test_shelves_in_zones_that_are_not_there_and_duplicates_are_counted() -> None:
    shelf = '[[shelf]]\nid = "h"\nzone = "flor{0}"\n'
    report = check_text(TOP + ZONE + "".join(map(shelf.format, range(1_500))), profiles=PROFILES)
    assert "shelf #1 and #2 and #3" in report.problems[0]
    assert report.problems[0].endswith("#10 and more have it, rename all but one")
    assert len(report.problems) == FINDINGS_MAX + 1
    assert len(report.problems[0]) < 200
    walls = TOP + ZONE + "[[wall]]\nstart = [0, 0]\nend = [1, 1]\n" * (ENTRIES_MAX + 1)
    assert "there are 10001 [[wall]]" in check_text(walls, profiles=PROFILES).problems[0]


def test_names_that_are_no_names_are_shown_in_one_line() -> None:
    text = TOP + ZONE.replace('"floor"', '"a\\u0000\\nb"') + ZONE.replace('"floor"', f'"{"t" * 70_000}"')
    assert all(line.isprintable() and len(line) < 300 for line in check_text(text, profiles=PROFILES).problems)
