"""From a real broker to a capture, and from a capture to a real broker, nothing changes."""

import contextlib
import shutil
import subprocess
import threading
from pathlib import Path

import pytest

from deploy.local_mqtt import LocalBroker
from devices.errors import CaptureError
from devices.publication import Publication
from ingest.capture import CaptureProblem, read_capture
from ingest.edge_log import EdgeLog
from ingest.errors import BrokerError
from ingest.publishing import replay_to_broker
from ingest.recording import record
from ingest.replay import replay_into_log
from tests.brokers import DEADLINE_S, RunningBridge, eventually, payloads, publish

pytestmark = [pytest.mark.integration, pytest.mark.slow]

TRAFFIC = [
    (f"site/{number % 3}", payload + b"%d" % number)
    for number, payload in enumerate([b'{"x": 1.50}', b"\xff", b""] * 50)
]


def test_what_is_recorded_is_replayed(mosquitto: LocalBroker, tmp_path: Path) -> None:
    path = tmp_path / "day.jsonl.gz"
    told: list[str] = []
    recording = threading.Thread(
        target=record, args=(mosquitto.url, path), kwargs={"publications_max": len(TRAFFIC), "on_event": told.append}
    )
    recording.start()
    eventually(lambda: len(told) == 2, "the recorder is connected")
    publish(mosquitto, TRAFFIC)
    recording.join(DEADLINE_S)
    recorded = [entry for entry in read_capture(path) if isinstance(entry, Publication)]
    assert [(entry.topic, entry.payload) for entry in recorded] == TRAFFIC

    with contextlib.closing(EdgeLog.open(tmp_path / "replayed")) as log:
        assert replay_into_log(path, log).entries == len(TRAFFIC)
        assert [row.publication for row in log.read(0, 1000, 10**6)][:-1] == recorded

    with RunningBridge(mosquitto, tmp_path / "bridged") as running:
        eventually(running.is_receiving, "the bridge is connected")
        result = replay_to_broker(path, mosquitto.url)
        eventually(lambda: running.stats.stored == len(TRAFFIC), "everything is stored again")
    assert (result.published, result.problems) == (len(TRAFFIC), 0)
    assert payloads(tmp_path / "bridged") == [payload for _, payload in TRAFFIC]


@pytest.mark.skipif(shutil.which("mosquitto_sub") is None, reason="mosquitto_sub is not on this machine")
def test_a_capture_of_mosquitto_sub_holds_what_was_published(mosquitto: LocalBroker, tmp_path: Path) -> None:
    odd = [
        b'{"x": 1.50}',
        b"",
        b"\xff\xfe",
        b'"text"',
        b"null",
        b"12.50",
        "\N{DEGREE SIGN}C".encode(),
        b"\x01\x7f",
        b"a\x00b",
    ]
    path = tmp_path / "sub.jsonl"
    with path.open("wb") as file:
        command = [
            "mosquitto_sub",
            "-p",
            str(mosquitto.port),
            "-t",
            "#",
            "-q",
            "1",
            "-F",
            "%j",
            "-C",
            str(len(odd) + 1),
        ]
        subscriber = subprocess.Popen(command, stdout=file)
        publish(mosquitto, [("ready", b"yes")], retain=True)
        eventually(lambda: path.stat().st_size > 0 or subscriber.poll() is not None, "mosquitto_sub is subscribed")
        publish(mosquitto, [("odd", payload) for payload in odd])
        assert subscriber.wait(DEADLINE_S) == 0
    _ready, *found, last = read_capture(path)
    assert [entry.payload for entry in found if isinstance(entry, Publication)] == odd[:-1]
    assert isinstance(last, CaptureProblem)
    assert last.reason_code == "capture_payload_truncated", "mosquitto_sub cuts payloads at NUL"


def test_lines_that_cannot_be_published_are_counted(mosquitto: LocalBroker, tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    path.write_bytes(b'{"tst":1,"topic":"a","payload":"x"}\nrubbish\n{"tst":1,"topic":"a/#","payload":"x"}\n')
    result = replay_to_broker(path, mosquitto.url)
    assert (result.published, result.problems) == (1, 2)


def test_an_existing_capture_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "c.jsonl").write_bytes(b"precious")
    with pytest.raises(CaptureError, match="there already"):
        record("mqtt://127.0.0.1:1", tmp_path / "c.jsonl")


def test_a_broker_that_is_not_there_is_an_error_for_a_replay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.publishing._CONNECT_TIMEOUT_S", 0.3)
    (tmp_path / "c.jsonl").touch()
    with pytest.raises(BrokerError, match="no connection"):
        replay_to_broker(tmp_path / "c.jsonl", "mqtt://127.0.0.1:1")
