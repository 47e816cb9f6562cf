"""Promise: `tagtide site check` reports every problem, each in one line, of each file and of all together."""

from pathlib import Path

import pytest

from tests.deploy.command_line import tagtide
from tests.deploy.scene import SITE_TOML

LONG = SITE_TOML.replace('"store-7/r1"', '"' + "very-long-level/" * 12 + '#"')


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("good.toml").write_text(SITE_TOML)
    Path("long.toml").write_text(LONG.replace("store-7", "store-8"))
    Path("odd.toml").write_text(SITE_TOML.replace("store-7", "store-9").replace("x = 4.0", "x = 4.0\ncolour = 1"))
    Path("twin.toml").write_text(SITE_TOML.replace("store-7/r1", "store-7/r2"))


def test_a_good_file() -> None:
    ended = tagtide("site", "check", "good.toml")
    assert ended.code == 0
    assert ended.out == "ok good.toml: site store-7, 1 zone, 1 reader, 1 antenna, 0 shelves\n"


def test_a_problem_is_one_line_however_long() -> None:
    ended = tagtide("site", "check", "long.toml", columns=40)
    assert ended.code == 1
    (line,) = ended.out.splitlines()
    assert line.startswith('problem long.toml: reader "r1": ')
    assert line.endswith("further ones go in status_mqtt_topics")


def test_every_file_has_its_say() -> None:
    ended = tagtide("site", "check", "good.toml", "long.toml", "none.toml", "odd.toml")
    assert ended.code == 1
    assert [line.split(":")[0] for line in ended.out.splitlines()] == [
        "ok good.toml",
        "problem long.toml",
        "problem none.toml",
        "warning odd.toml",
        "ok odd.toml",
    ]


def test_files_are_checked_against_each_other() -> None:
    ended = tagtide("site", "check", "good.toml", "twin.toml")
    assert ended.code == 1
    assert 'problem twin.toml: site id "store-7" is also that of good.toml' in ended.out


def test_warnings_count_when_strict() -> None:
    assert tagtide("site", "check", "odd.toml").code == 0
    ended = tagtide("site", "check", "odd.toml", "--strict")
    assert ended.code == 1
    assert 'unknown key "colour"' in ended.out
    assert "ok" not in ended.out


def test_markup_in_a_file_is_text() -> None:
    Path("markup.toml").write_text(SITE_TOML.replace('"store-7/r1"', '"[red]a[/red]/#"'))
    assert "[red]a[/red]/#" in tagtide("site", "check", "markup.toml").out


def test_any_bytes_are_a_problem_and_no_crash() -> None:
    Path("zeros.toml").write_bytes(bytes(100))
    Path("name.toml").write_text(SITE_TOML.replace('id = "store-7"', 'id = "store-7"\nname = "Größe \\U0001F600"'))
    assert tagtide("site", "check", "zeros.toml").code == 1
    assert tagtide("site", "check", "name.toml").code == 0
