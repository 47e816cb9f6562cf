"""Promise: a log line is one line, says who, what and how bad, in words that stay, and a flood is cut."""

import json
import re
from collections.abc import Iterator

import pytest

from deploy.logs import BURST, WINDOW_S, Log, LogFormat, LogSettings, log_settings, set_up_logs
from devices.events import EventLevel
from tests.deploy.command_line import tagtide


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
    yield
    set_up_logs()


def test_a_line_of_text_has_time_component_and_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs()
    Log("jobs").tell("jobs_resumed", "going on")
    Log("bridge").tell("mqtt_unreachable", "cannot reach it", level=EventLevel.WARNING)
    first, second = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ jobs    going on", first)
    assert second.endswith("Z bridge  warning (mqtt_unreachable): cannot reach it")


def test_a_line_of_json_has_its_fields(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs(LogSettings(style=LogFormat.JSON))
    Log("jobs", site="store-7").tell("jobs_from_checkpoint", "found\nit \x1b[2J", epoch=5)
    text = capsys.readouterr().err
    assert text.count("\n") == 1
    line = json.loads(text)
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "info",
        "component": "jobs",
        "event": "jobs_from_checkpoint",
        "message": "found\nit \x1b[2J",
        "site": "store-7",
        "epoch": 5,
    }


def test_a_line_of_text_stays_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs()
    Log("bridge").tell("x", "topic a\n2026-01-01T00:00:00Z up forged\r\x1b[2J\u2028")
    text = capsys.readouterr().err
    assert text.count("\n") == 1
    assert "\x1b" not in text
    assert "\\x0a2026" in text


def test_what_matters_less_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs(LogSettings(level=EventLevel.WARNING))
    for level in EventLevel:
        Log("jobs").tell(level.value, "text", level=level)
    assert [line.split("(")[1].split(")")[0] for line in capsys.readouterr().err.splitlines()] == ["warning", "error"]


def test_a_flood_is_cut_and_counted(capsys: pytest.CaptureFixture[str]) -> None:
    now_s = [0.0]
    set_up_logs(monotonic=lambda: now_s[0])
    log = Log("bridge")
    for _ in range(BURST + 7):
        log.tell("mqtt_unreachable", "again", level=EventLevel.WARNING)
    log.tell("mqtt_connected", "something else")
    Log("jobs").tell("mqtt_unreachable", "somebody else")
    assert len(capsys.readouterr().err.splitlines()) == BURST + 2
    now_s[0] += WINDOW_S
    log.tell("mqtt_unreachable", "again", level=EventLevel.WARNING)
    log.tell("mqtt_unreachable", "again", level=EventLevel.WARNING)
    first, second = capsys.readouterr().err.splitlines()
    assert first.endswith("again (7 more like this in the last minute)")
    assert second.endswith("again")


def test_children_write_as_we_do() -> None:
    set_up_logs(LogSettings(style=LogFormat.JSON, level=EventLevel.ERROR))
    assert log_settings().arguments() == ["--log-format", "json", "--log-level", "error"]


def test_what_ends_a_command_is_json_too_where_logs_are(tmp_path: object) -> None:
    site = f"{tmp_path}/site.toml"
    with open(site, "w") as file:  # noqa: PTH123
        from tests.deploy.scene import SITE_TOML

        file.write(SITE_TOML)
    ended = tagtide("bridge", "--site", site, "--data", f"{tmp_path}/d", "--log-format", "json", "--http", "0.0.0.0:1")
    line = json.loads(ended.err.splitlines()[-1])
    assert (ended.code, line["level"], line["event"]) == (2, "error", "http_token_missing")
    assert "--http-token-file" in line["hint"]
