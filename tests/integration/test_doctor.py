"""Promise: the doctor finds a real broker lossy that is, and well one that keeps what it acknowledged."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from deploy.doctor.mqtt_probe import Probe, connector
from deploy.local_kafka import LocalKafka
from deploy.local_mqtt import LocalBroker, free_port, mosquitto_executable
from ingest.mqtt_security import MqttSecurity
from ingest.mqtt_url import parse_mqtt_url
from tests.brokers import DEADLINE_S, closed_port, eventually, mosquitto
from tests.deploy.command_line import tagtide
from tests.deploy.scene import SITE_TOML

__all__ = ["closed_port", "mosquitto"]

pytestmark = pytest.mark.integration

RESTART = """
import os, signal, subprocess, sys, pathlib
pid_file, configuration, executable = sys.argv[1:]
os.kill(int(pathlib.Path(pid_file).read_text()), signal.SIGKILL)
broker = subprocess.Popen([executable, "-c", configuration], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
pathlib.Path(pid_file).write_text(str(broker.pid))
"""


def examined(*arguments: str | Path) -> tuple[int, dict[str, dict[str, Any]]]:
    """Run the doctor; its exit code, and its findings by check."""
    ended = tagtide("doctor", "--format", "json", "--publications", "2000", *arguments)
    findings = json.loads(ended.out)["findings"]
    return ended.code, {finding["check"]: finding for finding in reversed(findings)}


@contextmanager
def defaults() -> Iterator[str]:
    """Run a Mosquitto on its own defaults."""
    executable = mosquitto_executable()
    assert executable is not None
    port = free_port()
    process = subprocess.Popen([executable, "-p", str(port)], stderr=subprocess.DEVNULL)
    try:
        eventually(lambda: _listens(port), "Mosquitto listens")
        yield f"mqtt://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def _listens(port: int) -> bool:
    return f":{port:04X} " in Path("/proc/net/tcp").read_text()


def test_mosquitto_on_its_defaults_is_lossy(mosquitto: LocalBroker) -> None:
    del mosquitto  # asked for because it skips, or fails in CI, where there is none
    with defaults() as url:
        code, findings = examined("--mqtt", url)
    assert code == 1
    for check in ("mqtt.kept_while_away", "mqtt.kept_unacknowledged"):
        assert findings[check]["verdict"] == "problem"
        assert "max_queued_messages" in findings[check]["advice"]
    assert "1,000 of 2,000" in findings["mqtt.kept_while_away"]["found"]
    assert findings["mqtt.in_flight"]["verdict"] == "warning"


def test_mosquitto_as_shipped_keeps_what_it_acknowledged_through_a_crash(
    mosquitto: LocalBroker, tmp_path: Path
) -> None:
    site = tmp_path / "store.toml"
    site.write_text(SITE_TOML)
    pid_file = tmp_path / "pid"
    pid_file.write_text(str(mosquitto.pid))
    script = tmp_path / "restart.py"
    script.write_text(RESTART)
    restart = [sys.executable, script, pid_file, mosquitto.configuration, mosquitto_executable()]
    try:
        code, findings = examined(
            *("--site", site, "--listen", "0.2", "--data", tmp_path / "data", "--mqtt", mosquitto.url),
            *("--restart-broker", " ".join(str(word) for word in restart)),
        )
    finally:
        os.kill(int(pid_file.read_text()), signal.SIGKILL)
    assert code == 0, findings
    kept = {"mqtt.session", "mqtt.kept_while_away", "mqtt.kept_unacknowledged", "mqtt.in_flight", "mqtt.restart"}
    assert {findings[check]["verdict"] for check in kept} == {"ok"}
    assert findings["devices.heard"]["verdict"] == "warning"  # nobody publishes here
    assert findings["host.permissions"]["verdict"] == "ok"


def test_a_broker_that_stood_still_for_a_moment_is_not_taken_for_lossy(mosquitto: LocalBroker) -> None:
    """As on a busy machine: it is quiet for longer than a queue takes, and then delivers."""
    connect = connector(parse_mqtt_url(mosquitto.url), MqttSecurity())
    probe, publisher = Probe(connect("probe", clean_session=True)), Probe(connect("publisher", clean_session=True))
    for each in (probe, publisher):
        each.connect()
    probe.subscribe("numbers")
    os.kill(mosquitto.pid, signal.SIGSTOP)
    publishing = threading.Thread(target=publisher.publish, args=("numbers", range(100)))
    publishing.start()
    going_on = threading.Timer(1.0, os.kill, (mosquitto.pid, signal.SIGCONT))
    going_on.start()
    probe.await_numbers(100, quiet_s=0.2)
    assert len(probe.numbers) == 100
    for thread in (publishing, going_on):
        thread.join(DEADLINE_S)
    for each in (probe, publisher):
        each.close()


def test_a_broker_that_is_not_there_is_one_finding(tmp_path: Path, closed_port: int) -> None:
    code, findings = examined("--mqtt", f"mqtt://127.0.0.1:{closed_port}", "--data", tmp_path)
    assert code == 1
    assert findings["mqtt.reach"]["verdict"] == "problem"
    assert findings["host.permissions"]["verdict"] == "ok"


def test_kafka_of_one_broker_is_a_warning(kafka: LocalKafka) -> None:
    code, findings = examined("--kafka", kafka.bootstrap_servers)
    assert code == 0
    assert {finding["verdict"] for finding in findings.values()} <= {"ok", "warning", "unknown"}
    assert "kafka.topics" in findings


def test_a_kafka_that_is_not_there_is_one_finding(closed_port: int) -> None:
    code, findings = examined("--kafka", f"127.0.0.1:{closed_port}")
    assert code == 1
    assert findings["kafka.reach"]["verdict"] == "problem"
