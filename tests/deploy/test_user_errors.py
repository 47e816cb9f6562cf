"""Promise: what a user can get wrong gives one message with what to do next, an exit code, and never a stack trace."""

import os
from pathlib import Path

import pytest

from analytics.data_directory import DataDirectory
from devices.errors import TagtideError
from tests.analytics.question_store import SITES
from tests.deploy.command_line import Ended, tagtide
from tests.deploy.scene import SITE_TOML, write_capture

TEN_MISTAKES = """\
schema = 1
id = "Store 7"
timezone = "Europe/Hamburg"
[[zone]]
id = "a"
kind = "sales_flor"
polygon = [[0, 0], [1, 1]]
[[reader]]
id = "r1"
profile = "impin"
mqtt_topic = "a/#"
[[reader.antenna]]
port = "one"
x = "abc"
y = 1
[[shelf]]
id = "s"
zone = "nowhere"
gtin = "123"
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder with good and bad files, so that command lines can be written as users write them."""
    monkeypatch.chdir(tmp_path)
    Path("site.toml").write_text(SITE_TOML)
    Path("ten.toml").write_text(TEN_MISTAKES)
    Path("a-file").write_text("hello\n")
    Path("latin1.toml").write_bytes(b'name = "M\xf6nckeberg"\n')
    for place in ("foreign-edge/edge/edge-log.sqlite", "foreign-jobs/jobs/journal.db"):
        Path(place).parent.mkdir(parents=True)
        Path(place).write_text("hello\n" * 100)
    write_capture(Path("day.jsonl"), 3)
    return tmp_path


def is_one_message(ended: Ended) -> bool:
    """Whether standard error holds our message with its hint, or typer's box, and nothing else."""
    ours = (
        ended.err.startswith("error (")
        and "\n  hint: " in ended.err
        and not ended.err.splitlines()[-1].startswith(" -")
    )
    return ours or ("Usage: tagtide" in ended.err and "Error" in ended.err)


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        # site files
        ("up --site none.toml --data new", 1, "none.toml"),
        ("jobs --site latin1.toml --data new", 1, "not UTF-8"),
        ("bridge --site . --data new", 1, "Is a directory"),
        ("replay day.jsonl --site ten.toml --data new", 1, "10 problems"),
        ("up --site site.toml --site site.toml --data new", 1, "is also that of"),
        ("replay day.jsonl --data new", 2, "no site file was given"),
        ("up --data new", 2, "--site"),
        # data directories
        ("sql --data new where-is", 1, "there is no lake in new"),
        ("sql --data a-file where-is", 1, "a-file is a file"),
        ("tail reads --data new", 1, "there is no lake table"),
        ("up --site site.toml --data a-file", 2, "a-file is a file"),
        ("bridge --site site.toml --data a-file", 2, "a-file is a file"),
        ("jobs --site site.toml --data a-file", 2, "a-file is a file"),
        ("forward --site site.toml --data a-file --kafka k:9092", 2, "a-file is a file"),
        ("demo --data a-file", 2, "a-file is a file"),
        ("demo --data foreign-jobs", 2, "not a demo's"),
        ("bridge --site site.toml --data foreign-edge", 1, "not an edge log"),
        ("replay day.jsonl --site site.toml --data foreign-edge", 1, "not an edge log"),
        ("jobs --site site.toml --data foreign-jobs", 1, "not a database"),
        ("jobs --site site.toml --data /proc/new", 1, "/proc/new"),
        ("bridge --site site.toml --data /proc/new", 1, "/proc/new"),
        ("simulate --scenario tiny --hours 0.01 --out /proc/new", 1, "/proc/new"),
        ("simulate --scenario tiny --hours 0.01 --out a-file", 2, "a-file is a file"),
        # captures
        ("replay none.jsonl --site site.toml --data new", 1, "none.jsonl"),
        ("replay . --site site.toml --data new", 1, "Is a directory"),
        ("replay none.jsonl --mqtt mqtt://127.0.0.1:9", 1, "none.jsonl"),
        ("evaluate -s site.toml -c none.jsonl -t a-file", 1, "a-file is not a truth file"),
        ("evaluate -s site.toml -c day.jsonl -t none.csv", 1, "there is no truth none.csv"),
        ("evaluate -s site.toml -c day.jsonl -t ten.toml", 1, "not a truth file"),
        ("capture day.jsonl --seconds 1", 1, "there already"),
        ("capture /proc/new.jsonl --seconds 1", 1, "/proc/new.jsonl"),
        ("capture new.jsonl --seconds -1", 2, "--seconds"),
        ("capture new.jsonl --publications 0", 2, "--publications"),
        # speeds, brokers, filters
        *(
            (f"replay day.jsonl --site site.toml --data new --speed {speed}", 2, "speed")
            for speed in ("fast", "0", "nan")
        ),
        ("replay day.jsonl --mqtt mqtt://h --data new", 2, "no meaning"),
        ("replay day.jsonl", 2, "--data DIR"),
        ("up --site site.toml --data new --mqtt http://h", 2, "mqtt://"),
        ("bridge --site site.toml --data new --mqtt mqtt://h:99999", 2, "port"),
        ("capture new.jsonl --mqtt mqtt://u:secret@h:x", 2, "port"),
        ("bridge --site site.toml --data new --mqtt mqtts://u:secret@h", 2, "--mqtt-password-file"),
        ("up --site site.toml --data new --mqtt mqtts://h --mqtt-ca none.crt", 2, "cannot read the CA file none.crt"),
        ("capture new.jsonl --mqtt mqtts://h --mqtt-ca a-file", 2, "a-file holds no certificate"),
        ("bridge --site site.toml --data new --mqtt mqtt://h --mqtt-ca a-file", 2, "mqtts://"),
        ("replay day.jsonl --mqtt mqtts://h --mqtt-key a-file", 2, "--mqtt-cert"),
        ("up --site site.toml --data new --mqtt mqtt://h --mqtt-password-file a-file", 2, "names no user"),
        ("bridge --site site.toml --data new --subscribe $tagtide/#", 2, "own records"),
        ("jobs --site site.toml --data new --kafka k:1 --kafka-config none", 2, "cannot read none"),
        ("forward --site site.toml --data new --kafka k:1 --kafka-config site.toml", 2, "may not be set here"),
        ("jobs --site site.toml --data new --kafka-config a-file", 2, "--kafka HOST:PORT"),
        ("site acl none.toml", 1, "none.toml"),
        ("site acl site.toml --bridge-user r1", 2, "--bridge-user"),
        ("bridge --site site.toml --data new --subscribe a/#/b", 2, "a/#/b"),
        ("capture new.jsonl --subscribe a+", 2, "a+"),
        ("jobs --site site.toml --data new --kafka localhost", 2, "not host:port"),
        ("forward --site site.toml --data new --kafka a:1,b:x", 2, "'b:x' is not host:port"),
        ("up --site site.toml --data new --kafka :::", 2, "not host:port"),
        # streams, scenarios, commands
        ("tail read --data new", 2, 'did you mean "reads"'),
        ("tail reads", 2, "either --data or --kafka"),
        ("tail reads --data new --kafka k:9092", 2, "either --data or --kafka"),
        ("tail locations --kafka k:9092", 2, "not a Kafka topic"),
        ("simulate --scenario tinny --out new", 2, "tiny"),
        ("simulate --scenario tiny --out new --fault nonsense", 2, "dark-reader"),
        ("questions wher-is", 1, 'did you mean "where-is"'),
        ("sqll", 2, "Did you mean 'sql'"),
        ("site chek site.toml", 2, "chek"),
    ],
)
def test_a_mistake_gives_one_message(command: str, code: int, said: str) -> None:
    before = sorted(path for path in Path().rglob("*") if path.is_file())
    ended = tagtide(*command.split(), columns=200)
    assert (ended.code, ended.out) == (code, "")
    assert is_one_message(ended), ended.err
    assert said in ended.err
    assert "Traceback" not in ended.err
    assert "secret" not in ended.err
    after = sorted(path for path in Path().rglob("*") if path.is_file() and path.suffix != ".lock")
    assert after == before, "a mistake leaves nothing behind"


def test_each_problem_of_a_site_file_is_one_line() -> None:
    ended = tagtide("up", "--site", "ten.toml", "--data", "new", columns=40)
    assert sum(line.startswith("  - ") for line in ended.err.splitlines()) == 10
    assert len(ended.err.splitlines()) == 12


@pytest.mark.parametrize("mode", ["read-only", "gone"])
def test_a_directory_that_may_not_be_written(mode: str, here: Path) -> None:
    if mode == "read-only" and os.getuid() == 0:
        pytest.skip("root may write everywhere")
    data = here / "data"
    if mode == "read-only":
        data.mkdir(mode=0o500)
    else:
        data.symlink_to(here / "unmounted" / "disk")
    ended = tagtide("bridge", "--site", "site.toml", "--data", data, columns=200)
    assert ended.code == 1
    assert is_one_message(ended), ended.err


def test_a_full_disk_while_sites_are_kept(tmp_path: Path) -> None:
    """Writing to /dev/full fails as on a full disk."""
    folder = DataDirectory(tmp_path).root / "sites"
    folder.mkdir()
    (folder / f".{SITES[0].id}.json.new").symlink_to("/dev/full")
    with pytest.raises(TagtideError, match="No space left on device") as caught:
        DataDirectory(tmp_path).keep_sites(SITES)
    assert caught.value.code == "data_directory_unwritable"
    assert caught.value.hint
    assert [path for path in folder.iterdir() if not path.name.startswith(".")] == []


def test_a_full_disk_while_a_day_is_simulated(here: Path) -> None:
    out = here / "out"
    out.mkdir()
    (out / "capture.jsonl").symlink_to("/dev/full")
    ended = tagtide("simulate", "--scenario", "tiny", "--hours", "0.02", "--out", out, columns=200)
    assert ended.code == 1
    assert "No space left" in ended.err
    assert is_one_message(ended), ended.err


def test_an_error_of_ours_keeps_its_stack_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug is no mistake of the user's: whoever reports it needs all of it."""

    def broken(_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("deploy.commands.devices.check_sites", broken)
    with pytest.raises(ZeroDivisionError):
        tagtide("site", "check", "site.toml")
