"""Promise: what runs and goes on running says what it does, outlives its broker's absence, and stops politely."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from analytics.data_directory import DataDirectory
from analytics.lake import Lake
from analytics.schemas import TABLES
from deploy import bridging
from deploy.connections import KafkaAccess, MqttAccess
from deploy.local_mqtt import LocalBroker
from deploy.supervisor import tagtide_command
from devices.errors import TagtideError
from tests.analytics.test_lake import rejects
from tests.brokers import closed_port, mosquitto, publish
from tests.deploy.scene import SITE_TOML, write_capture
from tests.integration.processes import DEADLINE_S, query

__all__ = ["closed_port", "mosquitto"]

pytestmark = pytest.mark.slow


class Daemon:
    """A running `tagtide`, with what it has said."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self._log = log

    def said(self) -> str:
        return self._log.read_text()

    def until(self, condition: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while not condition():
            assert self.process.poll() is None, f"it ended with {self.process.returncode}:\n{self.said()}"
            assert time.monotonic() < deadline, f"not within {DEADLINE_S:g} s: {what}\n{self.said()}"
            time.sleep(0.05)

    def says(self, text: str) -> None:
        self.until(lambda: text in self.said(), f"it says {text}")

    def stops(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(DEADLINE_S)


@contextmanager
def running(tmp_path: Path, *arguments: str | Path) -> Iterator[Daemon]:
    log = tmp_path / "said"
    with log.open("wb") as sink:
        process = subprocess.Popen(tagtide_command(*map(str, arguments)), stdout=sink, stderr=sink)
    daemon = Daemon(process, log)
    try:
        yield daemon
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(DEADLINE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        assert "Traceback" not in daemon.said(), daemon.said()


def test_a_bridge_without_a_broker_says_so_and_waits(tmp_path: Path, site_file: Path, closed_port: int) -> None:
    url = f"mqtt://127.0.0.1:{closed_port}"
    with running(tmp_path, "bridge", "--site", site_file, "--data", tmp_path / "data", "--mqtt", url) as bridge:
        bridge.says(f"cannot reach {url}: Connection refused; trying again")
        assert bridge.stops() == 0
        assert "stopped; 0 publications stored" in bridge.said()
        assert bridge.said().count("cannot reach") == 1, "the same reason is told once"


def test_up_from_a_broker_that_is_not_there_yet_to_an_answer(
    tmp_path: Path, site_file: Path, mosquitto: LocalBroker
) -> None:
    data = tmp_path / "data"
    mosquitto.stop()
    with running(tmp_path, "up", "--site", site_file, "--data", data, "--mqtt", mosquitto.url) as stack:
        stack.says(f"up      site store-7; broker {mosquitto.url}; data in {data}\n")
        stack.says("cannot reach")
        stack.says("jobs    site store-7; from the edge log into")
        mosquitto.start()
        stack.says("bridge  connected to")
        publish(mosquitto, [("store-7/r1", b'{"type": "read", "epc": "30AA", "antenna": 1}'), ("unknown", b"x")])
        stack.until(lambda: query(data, "FROM reads").num_rows == 1, "the read is landed")
        assert query(data, "SELECT reason_code FROM rejects").column(0).to_pylist() == ["topic_unknown"]
        assert stack.stops(signal.SIGINT) == 0
        assert stack.said().endswith("up      stopped\n")


def test_a_killed_stack_leaves_room_for_the_next(tmp_path: Path, site_file: Path, closed_port: int) -> None:
    arguments = ("up", "--site", site_file, "--data", tmp_path / "data", "--mqtt", f"mqtt://127.0.0.1:{closed_port}")
    with running(tmp_path, *arguments) as stack:
        stack.says("jobs    site store-7; from the edge log into")
        stack.says("cannot reach")
        children = Path(f"/proc/{stack.process.pid}/task/{stack.process.pid}/children").read_text().split()
        assert len(children) == 2
        stack.process.kill()
        stack.process.wait()
        deadline = time.monotonic() + DEADLINE_S
        while any(_is_running(int(child)) for child in children):
            assert time.monotonic() < deadline, "the children go on without anybody who looks after them"
            time.sleep(0.05)
    with running(tmp_path, *arguments) as stack:
        stack.says("jobs    site store-7; from the edge log into")
        assert stack.stops() == 0


def test_a_stack_that_cannot_start_stops_with_the_reason(tmp_path: Path, site_file: Path) -> None:
    data = tmp_path / "data"
    with running(tmp_path, "jobs", "--site", site_file, "--data", data) as jobs:
        jobs.says("from the edge log into")
        command = tagtide_command("up", "--site", str(site_file), "--data", str(data), "--mqtt", "mqtt://127.0.0.1:9")
        done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
        assert done.returncode == 1
        assert f"error (jobs_running): another process runs the jobs of {data}" in done.stderr
        assert "error (child_failed): jobs could not start; its message is above" in done.stderr
        assert jobs.process.poll() is None
        assert jobs.stops() == 0
        assert "everything that was taken in is committed" in jobs.said()


def test_a_forwarder_that_cannot_start_ends_its_bridge(
    tmp_path: Path, site_file: Path, monkeypatch: pytest.MonkeyPatch, closed_port: int
) -> None:
    """The bridge must not go on as if all were well where what comes is never forwarded."""
    monkeypatch.setattr(bridging, "tagtide_command", lambda *_: [sys.executable, "-S", "-c", "raise SystemExit(1)"])
    with pytest.raises(TagtideError, match="forward could not start"):
        bridging.run_bridge(
            DataDirectory(tmp_path / "data"),
            [site_file],
            mqtt=MqttAccess.at(f"mqtt://127.0.0.1:{closed_port}"),
            kafka=KafkaAccess(bootstrap_servers="127.0.0.1:9"),
            subscribe=["#"],
            stop=lambda: False,
        )


@pytest.mark.parametrize(("command", "says"), [("forward", "cannot forward now"), ("jobs", "trying again")])
def test_what_waits_for_kafka_says_so_and_ends_when_asked(
    tmp_path: Path, site_file: Path, command: str, says: str, closed_port: int
) -> None:
    arguments = ("--site", site_file, "--data", tmp_path / "data", "--kafka", f"127.0.0.1:{closed_port}")
    with running(tmp_path, command, *arguments, "--log-format", "json") as daemon:
        daemon.says(says)
        began = time.monotonic()
        assert daemon.stops() == 0
        assert time.monotonic() - began < 30, "an attempt takes 5 s; a supervisor waits for 30 s"
        events = [json.loads(line) for line in daemon.said().splitlines()]
        assert [event["level"] for event in events if event["event"] == "kafka_away"] == ["warning"], "told once"
        assert events[-1]["event"] in {"forwarder_stopped", "jobs_stopped"}
        assert {(event["component"], event["site"]) for event in events} == {(command, "store-7")}


def test_a_capture_of_nothing_ends_when_asked(tmp_path: Path, closed_port: int) -> None:
    url = f"mqtt://127.0.0.1:{closed_port}"
    with running(tmp_path, "capture", tmp_path / "c.jsonl", "--mqtt", url) as capture:
        capture.says("no connection to")
        assert capture.stops() == 0
        assert f"0 publications in {tmp_path / 'c.jsonl'}" in capture.said()
        assert capture.said().count("no connection to") == 1, "the same reason is told once"


def test_a_replay_that_waits_for_its_broker_ends_when_asked(tmp_path: Path, closed_port: int) -> None:
    capture = write_capture(tmp_path / "c.jsonl", 3)
    with running(tmp_path, "replay", capture, "--mqtt", f"mqtt://127.0.0.1:{closed_port}") as replay:
        # It says nothing while it waits, so its handler of signals is what shows that it has come that far.
        status = Path(f"/proc/{replay.process.pid}/status")
        replay.until(lambda: _catches(status.read_text(), signal.SIGTERM), "it listens to SIGTERM")
        assert replay.stops() == 130, "had it gone on waiting, it would end with 1: there is no broker"
        assert "0 publications published" in replay.said()


def test_tail_prints_what_lands_from_now_on(tmp_path: Path) -> None:
    lake = Lake(DataDirectory(tmp_path / "data").lake, writer="test")
    lake.commit(1, rejects("a"))
    with running(tmp_path, "tail", "rejects", "--data", tmp_path / "data") as tail:
        # It follows from when it has started, which nothing tells: so land until something comes.
        epochs = iter(range(2, 1000))
        tail.until(lambda: (lake.commit(next(epochs), rejects("a", "b")), tail.said())[1], "a row")
        assert tail.stops() == 0
    rows = tail.said().splitlines()
    assert rows
    assert all(set(row_keys(row)) == {*TABLES["rejects"].names, "date"} for row in rows)


def test_tail_of_a_reader_that_goes_away_ends(tmp_path: Path) -> None:
    lake = Lake(DataDirectory(tmp_path / "data").lake, writer="test")
    command = tagtide_command("tail", "rejects", "--data", str(tmp_path / "data"))
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
        deadline = time.monotonic() + DEADLINE_S
        epochs = iter(range(1, 10_000))
        while process.poll() is None:
            assert time.monotonic() < deadline
            lake.commit(next(epochs), rejects("a"))
            time.sleep(0.1)
        assert process.stderr is not None
        assert (process.returncode, process.stderr.read()) == (0, b"")


def test_two_sites_in_one_stack(tmp_path: Path, site_file: Path, closed_port: int) -> None:
    other = tmp_path / "other.toml"
    other.write_text(SITE_TOML.replace("store-7", "store-8"))
    url = f"mqtt://127.0.0.1:{closed_port}"
    sites = ("--site", site_file, "--site", other)
    with running(tmp_path, "up", *sites, "--data", tmp_path / "data", "--mqtt", url) as stack:
        stack.says("up      sites store-7, store-8; broker")
        stack.says("jobs    sites store-7, store-8; from")
        assert stack.stops() == 0
    assert sorted(path.name for path in (tmp_path / "data" / "sites").iterdir()) == ["store-7.json", "store-8.json"]


def row_keys(line: str) -> list[str]:
    return list(json.loads(line))


def _catches(status: str, number: signal.Signals) -> bool:
    (mask,) = [line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:")]
    return bool(int(mask, 16) >> (number - 1) & 1)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
