"""Real reads over a real broker end in the lake, each of them once, and a question answers from them."""

from collections import Counter
from datetime import datetime
from pathlib import Path

import pytest

from deploy.local_mqtt import LocalBroker
from tests.brokers import publish
from tests.integration.gate_sessions import ZONE_OFFSET, publications, read_rows
from tests.integration.processes import Tagtide, eventually, query, run
from tests.shared_data import shared_path

SITE = Path(__file__).parent / "gate.toml"
READS = 26_417

pytestmark = pytest.mark.integration


def test_every_read_of_the_gate_sessions_is_landed_once(mosquitto: LocalBroker, tmp_path: Path) -> None:
    folder = shared_path("data/gate-direction")
    data = tmp_path / "data"
    with Tagtide("up", "--site", SITE, "--data", data, "--mqtt", mosquitto.url, log=tmp_path / "up.log") as up:
        eventually(lambda: "connected to" in up.told(), "the bridge is connected")
        publish(mosquitto, list(publications(folder)))
        eventually(lambda: query(data, "SELECT count(*) n FROM reads")["n"][0].as_py() >= READS, "reads are landed")
    rows = list(read_rows(folder))
    landed = query(
        data, "SELECT epc_hex, event_time, antenna, read_count, rssi_linear, rssi_dbm FROM reads ORDER BY source_seq"
    )
    assert landed.num_rows == len(rows) == READS
    assert landed["epc_hex"].to_pylist() == [row[0] for row in rows]
    assert landed["antenna"].to_pylist() == [int(row[2]) for row in rows]
    assert landed["read_count"].to_pylist() == [int(row[3]) for row in rows]
    assert landed["rssi_linear"].to_pylist() == [float(row[4]) for row in rows]
    assert landed["rssi_dbm"].null_count == READS, "linear RSSI is not dBm"
    stamps = [datetime.fromisoformat(row[1].replace("/", "-") + ZONE_OFFSET) for row in rows]
    assert landed["event_time"].to_pylist() == stamps
    assert query(data, "SELECT count(*) n FROM rejects")["n"][0].as_py() == 0


def test_a_question_tells_which_boxes_passed_the_gate_and_when(mosquitto: LocalBroker, tmp_path: Path) -> None:
    """The answer is computed here once more from the files, the slow and obvious way."""
    folder = shared_path("data/gate-direction")
    capture = tmp_path / "gate.jsonl"
    with Tagtide(
        "capture", capture, "--mqtt", mosquitto.url, "--seconds", "600", log=tmp_path / "capture.log"
    ) as recording:
        eventually(lambda: "connected to" in recording.told(), "the recorder is connected")
        publish(mosquitto, list(publications(folder)))
        eventually(lambda: capture.exists() and capture.read_bytes().count(b"\n") >= READS // 25, "all is recorded")
    run("replay", capture, "--site", SITE, "--data", tmp_path / "data")
    answer = run("sql", "--data", tmp_path / "data", "seen-at-antennas", "--format", "csv")
    lines = answer.strip().splitlines()
    header = lines[0].replace('"', "").split(",")
    epc, antenna, reads = (header.index(name) for name in ("epc_hex", "antenna", "reads"))
    found: Counter[tuple[str, str]] = Counter()
    passages: Counter[tuple[str, str]] = Counter()
    for line in lines[1:]:
        cells = line.replace('"', "").split(",")
        found[cells[epc], cells[antenna]] += int(cells[reads])
        passages[cells[epc], cells[antenna]] += 1
    assert found == Counter((row[0], row[2]) for row in read_rows(folder))
    assert passages == _passages(folder)
    _check_directions(tmp_path / "data", folder)


def _check_directions(data: Path, folder: Path) -> None:
    """What came over the broker was told its direction by a model that has seen no real gate."""
    known = {
        (row[0], datetime.fromisoformat(row[1].replace("/", "-") + ZONE_OFFSET)): row[5] for row in read_rows(folder)
    }
    rows = query(data, "SELECT epc_hex, from_time, direction, gate, model FROM passages").to_pylist()
    classes = ("inbound", "outbound", "passed_by", "static", "returned")
    right = [classes[int(known[row["epc_hex"], row["from_time"]])] == row["direction"] for row in rows]
    assert len(rows) >= 500, "the last session waits for what comes after it"
    assert sum(right) / len(right) >= 0.99
    assert {(row["gate"], row["model"]) for row in rows} == {("door", "simulated-1")}


def _passages(folder: Path) -> Counter[tuple[str, str]]:
    last: dict[tuple[str, str], datetime] = {}
    count: Counter[tuple[str, str]] = Counter()
    for row in sorted(read_rows(folder), key=lambda row: row[1]):
        key, at = (row[0], row[2]), datetime.fromisoformat(row[1].replace("/", "-") + ZONE_OFFSET)
        if key not in last or (at - last[key]).total_seconds() > 20:
            count[key] += 1
        last[key] = at
    return count
