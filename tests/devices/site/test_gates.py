"""A gate of a site file has antennas on both sides and leads somewhere, or the report says what is missing."""

import re
from pathlib import Path

import pytest

from devices.site import GateKind, check_site, check_text, load_site, parse_site
from devices.site.gate_model import CLASSES, FORMAT, VERSION, GateModelFile, parse_gate_model, write_gate_model

PROFILES = ("tagtide",)
SITE = """
schema = 1
id = "s1"
[[zone]]
id = "receiving"
kind = "receiving"
polygon = [[0, 0], [8, 0], [8, 6], [0, 6]]
[[reader]]
id = "dock"
profile = "tagtide"
mqtt_topic = "t/dock"
[[reader.antenna]]
port = 1
x = 1
y = 1
[[reader.antenna]]
port = 2
x = 2
y = 1
[[reader]]
id = "hand"
profile = "tagtide"
mqtt_topic = "t/hand"
mobile = true
"""
GATE = """
[[gate]]
id = "g1"
kind = "dock"
inside = ["dock:2"]
outside = ["dock:1"]
inside_zone = "receiving"
"""
MODEL = GateModelFile(
    format=FORMAT,
    version=VERSION,
    name="trained-1",
    made="in a test",
    classes=CLASSES,
    floor_db=-70.0,
    ceiling_db=-40.0,
    mean=(0.0, 1.0),
    scale=(1.0, 2.0),
    weights=((0.0,) * 5, (1.0,) * 5, (0.5,) * 5),
)


def test_a_gate_arrives() -> None:
    site = parse_site(SITE + GATE, profiles=PROFILES)
    (gate,) = site.gates
    assert site.warnings == ()
    assert (gate.id, gate.name, gate.kind, gate.inside, gate.outside) == (
        "g1", "g1", GateKind.DOCK, ("dock:2",), ("dock:1",),
    )  # fmt: skip
    assert (gate.inside_zone, gate.outside_zone, gate.model, gate.learnt) == ("receiving", None, None, None)
    assert [reader.mobile for reader in site.readers] == [False, True]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('"dock:2"', '"dok:2"', r'gate "g1": antenna "dok:2" is of an unknown reader "dok", did you mean "dock"'),
        ('"dock:2"', '"dock:3"', r'reader "dock" has no antenna with port 3: it has 1, 2'),
        ('"dock:2"', '"dock"', r'antenna "dock" is not reader:port'),
        ('"dock:2"', '"dock:1"', r'antenna "dock:1" is both inside and outside'),
        ('"dock:2"', '"hand:1"', r"of a mobile reader"),
        ('["dock:2"]', "[]", r"has no antennas inside: write inside ="),
        ('inside = ["dock:2"]\n', "", r"has no antennas inside: write inside ="),
        ('"receiving"', '"receivng"', r'inside_zone: unknown zone "receivng", did you mean "receiving"'),
        ('inside_zone = "receiving"', "", r"inside_zone is missing"),
        ('kind = "dock"', 'kind = "Dock"', r'unknown kind "Dock", did you mean "dock"'),
        ('"receiving"', '"receiving"\noutside_zone = "receiving"', r"to itself"),
        ('"receiving"', '"receiving"\noutside_zone = "outside"', r"Leave outside_zone out"),
        ('"receiving"', '"receiving"\nmodel = "gone.json"', r'model "gone.json" cannot be read'),
        ('"receiving"', '"receiving"\n' + GATE.replace("g1", "g2"), r'gate "g2": antenna "dock:[12]" is that of gate'),
    ],
)
def test_a_mistake_is_a_problem_with_its_mend(old: str, new: str, expected: str) -> None:
    problems = check_text(SITE + GATE.replace(old, new, 1), profiles=PROFILES).problems
    assert problems
    assert any(re.search(expected, problem) for problem in problems), problems


def test_all_mistakes_of_a_gate_are_told_at_once() -> None:
    text = GATE.replace('"dock:2"', '"dok:2", "hand:1", "x"').replace('"receiving"', '"nowhere"')
    assert len(check_text(SITE + text, profiles=PROFILES).problems) == 4


def test_two_gates_with_one_name_and_a_truth_that_is_text() -> None:
    assert any("duplicate id" in line for line in check_text(SITE + GATE + GATE, profiles=PROFILES).problems)
    (problem,) = check_text(SITE.replace("mobile = true", 'mobile = "yes"'), profiles=PROFILES).problems
    assert problem.startswith('reader "hand": mobile must be true or false')


def test_a_mobile_reader_has_no_antennas_with_a_place() -> None:
    (problem,) = check_text(SITE + "[[reader.antenna]]\nport = 1\nx = 1\ny = 1\n", profiles=PROFILES).problems
    assert "is mobile and has antennas with a place" in problem


def test_a_model_beside_the_site_file_comes_with_it(tmp_path: Path) -> None:
    write_gate_model(MODEL, tmp_path / "g1.json")
    path = tmp_path / "s1.toml"
    path.write_text(SITE + GATE + 'model = "g1.json"\n')
    assert load_site(path, profiles=PROFILES).gates[0].learnt == MODEL


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (FORMAT, "another format"),
        ('"version": 1', '"version": 2'),
        ('"inbound"', '"outbound"'),
        ('"scale": [', '"scale": [0.0, '),
        ('"mean": [', '"mean": [0.0, '),
        ("{", ""),
    ],
)
def test_a_file_that_is_no_model_is_a_problem(tmp_path: Path, old: str, new: str) -> None:
    write_gate_model(MODEL, tmp_path / "g1.json")
    text = (tmp_path / "g1.json").read_text().replace("\n", "").replace("    ", "").replace("  ", "")
    assert isinstance(parse_gate_model(text.encode()), GateModelFile)
    assert old in text, text
    (tmp_path / "g1.json").write_text(text.replace(old, new, 1))
    path = tmp_path / "s1.toml"
    path.write_text(SITE + GATE + 'model = "g1.json"\n')
    (problem,) = check_site(path, profiles=PROFILES).problems
    assert problem.startswith('gate "g1": model "g1.json"')
