"""Promise: what a process said counts while it is new; a loop that stands still is noticed; a scrape is well-formed."""

import os
import socket

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_families
from prometheus_client.parser import text_string_to_metric_families

from deploy.telemetry.board import STALE_S, START_LIMIT_S, Board
from deploy.telemetry.channel import VARIABLE, Channel, Sender, inherited
from deploy.telemetry.collector import exposition
from deploy.telemetry.health import alive, ready
from deploy.telemetry.report import Check, Report
from tests.deploy.telemetry.reports import report


class Scene:
    """A board over a clock that the test moves."""

    def __init__(self, *expected: str) -> None:
        self.now_s = 100.0
        self.board = Board(expected or ("bridge",), monotonic=lambda: self.now_s)

    def failing(self) -> dict[str, str]:
        return {
            f"{each.component}/{each.check}": each.says for each in ready(self.board.states()).checks if not each.ok
        }

    def value(self, name: str) -> float | None:
        _, text = exposition(self.board, "")
        found = [
            s.value
            for family in text_string_to_metric_families(text.decode())
            for s in family.samples
            if s.name == name
        ]
        return found[0] if found else None


def test_a_process_that_has_not_reported_yet_is_not_ready_and_alive_for_a_while() -> None:
    scene = Scene("bridge", "jobs")
    scene.board.put(report("bridge"))
    assert scene.failing() == {"jobs/running": "it does not report yet"}
    assert alive(scene.board.states()).ok
    scene.now_s += START_LIMIT_S + 1
    scene.board.put(report("bridge", at_s=scene.now_s))
    assert not alive(scene.board.states()).ok


def test_a_report_that_is_old_counts_no_more() -> None:
    scene = Scene()
    scene.board.put(report())
    assert scene.value("tagtide_component_up") == 1
    assert scene.value("tagtide_bridge_publications_received_total") == 3
    scene.now_s += STALE_S + 1
    assert scene.failing() == {"bridge/running": "it does not report any more"}
    assert scene.value("tagtide_component_up") == 0
    assert scene.value("tagtide_bridge_publications_received_total") is None
    assert alive(scene.board.states()).ok, "its loop may still go round: 60 s are allowed"
    scene.now_s += 60
    assert not alive(scene.board.states()).ok


def test_a_loop_that_stands_still_is_noticed_although_reports_come() -> None:
    scene = Scene()
    scene.now_s = 161.0
    scene.board.put(report(at_s=161.0, progressed_s=100.0))
    assert not alive(scene.board.states()).ok
    assert scene.failing().keys() == {"bridge/progress"}
    assert scene.value("tagtide_component_up") == 0
    assert scene.value("tagtide_component_progress_age_seconds") == 61


def test_a_restart_is_counted_and_what_was_said_before_is_forgotten() -> None:
    scene = Scene()
    scene.board.put(report())
    scene.board.expect_again("bridge")
    assert scene.failing() == {"bridge/running": "it does not report yet"}
    assert scene.value("tagtide_component_restarts_total") == 1


def test_a_child_of_a_child_that_reports_under_another_process_id_was_restarted() -> None:
    """The forwarder is the bridge's child: nobody tells the board that it was started again."""
    scene = Scene()
    for pid in (7, 7, 8, 8, 9):
        scene.board.put(report(pid=pid))
    assert scene.value("tagtide_component_restarts_total") == 2
    scene.board.expect_again("bridge")
    scene.board.put(report(pid=10))
    assert scene.value("tagtide_component_restarts_total") == 3, "counted once, not twice"


def test_failing_checks_come_first_and_say_what_to_do() -> None:
    scene = Scene()
    checks = [Check(name="a", ok=True, says="fine"), Check(name="b", ok=False, says="bad", do="mend it")]
    scene.board.put(report(checks=checks))
    health = ready(scene.board.states())
    assert (health.ok, health.checks[0].check, health.checks[0].do) == (False, "b", "mend it")
    assert [each.ok for each in health.checks] == sorted(each.ok for each in health.checks)


def test_both_formats_parse_and_say_the_same() -> None:
    board = Scene().board
    board.put(report())
    kind, text = exposition(board, "")
    assert kind.startswith("text/plain")
    open_kind, open_text = exposition(board, "application/openmetrics-text; version=1.0.0")
    assert open_kind.startswith("application/openmetrics-text")
    plain = {s.name: s.value for family in text_string_to_metric_families(text.decode()) for s in family.samples}
    families = open_families(open_text.decode())  # type: ignore[no-untyped-call]  # the library's
    assert plain == {s.name: s.value for family in families for s in family.samples}
    assert plain["tagtide_build_info"] == 1


def test_reports_travel_whole_and_rubbish_is_dropped() -> None:
    channel, found = Channel(), list[Report]()
    send = Sender(channel.descriptor)
    sent = [report("bridge"), report("jobs", at_s=7.0)]
    with socket.socket(fileno=os.dup(channel.descriptor)) as raw:
        raw.send(b"\xff not a report")
    for each in sent:
        send(each)
    channel.receive(found.append, lambda: len(found) == len(sent))
    send.close()
    channel.close()
    assert found == sent


def test_sending_never_waits() -> None:
    """Nobody reads here: a queue of some datagrams is full at once."""
    channel = Channel()
    send = Sender(channel.descriptor)
    for _ in range(1000):
        send(report())
    channel.close()
    send(report())
    send.close()
    send(report())


@pytest.mark.parametrize("value", ["", "x", "-1", "999999", "0"])
def test_a_variable_that_names_no_socket_is_ignored(value: str) -> None:
    assert inherited({VARIABLE: value}) is None or value == "0"
    assert inherited({}) is None
