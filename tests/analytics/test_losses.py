"""What was lost before it reached us is counted: from the bytes of each kind to the answer of `device-losses`."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from analytics.data_directory import DataDirectory
from analytics.query import ask, connect
from deploy.assembly import open_runner
from devices.bridge_record import BRIDGE_TOPIC, AwayRecord, away_payload
from devices.publication import CLOCK_TOPIC, Publication
from devices.site.model import Antenna, Feed, Reader, Shelf, Site
from ingest.edge_log import EdgeLog
from tests.shared_data import shared_path

pytestmark = pytest.mark.slow

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
ANTENNAS = (Antenna(port=1, x=0, y=0, zone="dock"),)
SITE = Site(
    id="s",
    readers=(
        Reader(id="zebra", profile="zebra", mqtt_topic="zebra", antennas=ANTENNAS),
        Reader(id="impinj", profile="impinj", mqtt_topic="impinj", antennas=ANTENNAS),
        Reader(id="ours", profile="tagtide", mqtt_topic="ours", antennas=ANTENNAS),
    ),
    shelves=(Shelf(id="shelf", zone="dock", profile="tagtide", mqtt_topic="shelf"),),
    feeds=(Feed(id="till", profile="tagtide", mqtt_topic="till"),),
)
EPC = "3034257bf7194e4000001a85"

Said = tuple[float, str, bytes]
"""Seconds after noon, topic, payload."""


def stamp(seconds: float) -> str:
    return (NOON + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def us(seconds: float) -> int:
    return round((NOON.timestamp() + seconds) * 1e6)


def ticking(until_s: int) -> list[Said]:
    """An idle bridge's clock records."""
    return [(second + 0.5, CLOCK_TOPIC, b"") for second in range(until_s)]


def land(folder: Path, said: Sequence[Said]) -> Path:
    data = DataDirectory(folder / "data")
    log = EdgeLog.open(data.edge)
    ordered = sorted(said, key=lambda each: each[0])
    last = log.append([Publication(topic=topic, payload=payload, received_us=us(at)) for at, topic, payload in ordered])
    log.close()
    runner = open_runner([SITE], data)
    runner.run(lambda: False, until=lambda through: through.get("s", {}).get(log.edge_id, 0) >= last)
    runner.close()
    return data.root


def losses(data: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = ask(connect(data), "device-losses").to_pylist()
    return rows


def told(data: Path, event: str) -> list[dict[str, Any]]:
    sql = f"SELECT * FROM device_events WHERE event = '{event}' ORDER BY event_time"
    rows: list[dict[str, Any]] = ask(connect(data), sql).to_pylist()
    return rows


def seconds(value: datetime | None) -> float:
    assert value is not None
    return (value - NOON).total_seconds()


def zebra(at: float, number: int) -> Said:
    data = {"eventNum": number, "format": "epc", "idHex": EPC, "antenna": 1, "peakRssi": -50}
    return at + 0.1, "zebra", json.dumps({"data": data, "timestamp": stamp(at), "type": "INVENTORY"}).encode()


def test_event_numbers_that_a_zebra_reader_skipped(tmp_path: Path) -> None:
    """Numbers out of order, twice, and from 0 after a restart are no losses."""
    numbers = [5036, 5037, 5040, 5039, 5040, 5041, 5045, 5046]
    said = [zebra(second, number) for second, number in enumerate(numbers)]
    said += [zebra(second, second - 20) for second in range(20, 150)]
    data = land(tmp_path, [*said, *ticking(240)])
    (gap,) = told(data, "gap")
    assert (gap["source"], gap["count"]) == ("zebra", 4), "5038, and 5042 to 5044"
    assert (seconds(gap["from_time"]), seconds(gap["until_time"])) == (1.0, 6.0)
    (row,) = [row for row in losses(data) if row["event"] == "gap"]
    assert (row["source"], row["times"], row["reports_lost"]) == ("zebra", 1, 4)


def test_event_numbers_of_a_real_zebra_capture_have_no_gaps_but_those_between_its_modes(tmp_path: Path) -> None:
    """The capture keeps some reports of each of its modes: what it left out is what is counted."""
    lines = shared_path("reference/samples/zebra/fxr90_modes_captured.ndjson").read_bytes().splitlines()
    documents = [json.loads(line) for line in lines if line.strip().startswith(b"{")]
    numbers = [document["data"]["eventNum"] for document in documents if "eventNum" in document.get("data", {})]
    begins = datetime.fromisoformat(documents[0]["timestamp"])
    said = []
    for document in documents:
        at = (datetime.fromisoformat(document["timestamp"]) - begins).total_seconds()
        said.append((at, "zebra", json.dumps(document | {"timestamp": stamp(at)}).encode()))
    end = max(at for at, _, _ in said)
    data = land(tmp_path, [*said, *[(end + step, CLOCK_TOPIC, b"") for step in range(1, 90)]])
    missing = len(set(range(min(numbers), max(numbers) + 1)) - set(numbers))
    assert sum(gap["count"] for gap in told(data, "gap")) == missing


def test_what_an_impinj_reader_purged(tmp_path: Path) -> None:
    overflow = {
        "eventType": "overflow",
        "timestamp": stamp(30),
        "overflowEvent": {
            "firstEventTimestamp": stamp(10),
            "lastEventTimestamp": stamp(25),
            "eventsPurged": 1234,
            "eventsRemaining": 300_000,
        },
    }
    data = land(tmp_path, [(30.1, "impinj", json.dumps(overflow).encode()), *ticking(40)])
    (row,) = told(data, "overflow")
    assert (row["source"], row["count"]) == ("impinj", 1234)
    assert (seconds(row["from_time"]), seconds(row["until_time"])) == (10.0, 25.0)
    assert [(each["event"], each["reports_lost"]) for each in losses(data)] == [("overflow", 1234)]


def test_what_a_zebra_heartbeat_says_it_dropped(tmp_path: Path) -> None:
    """The real heartbeat, with its counter as it would go on; one comes late, and one is of a reader that restarted."""
    real = json.loads(shared_path("reference/samples/zebra/fx9600_heartbeat_captured.json").read_bytes())
    said = []
    for at, told_at, dropped in [(0, 0, 100), (60, 60, 130), (61, 30, 110), (120, 120, 130), (180, 180, 2)]:
        gateway = real["data"]["reader_gateway"]
        gateway["dataPathStatistics"] = [{**gateway["dataPathStatistics"][0], "numDataMessagesDropped": dropped}]
        said.append((at + 0.1, "zebra", json.dumps(real | {"timestamp": stamp(told_at), "eventNum": at}).encode()))
    data = land(tmp_path, [*said, *ticking(190)])
    assert [(row["count"], seconds(row["from_time"]), seconds(row["until_time"])) for row in told(data, "dropped")] == [
        (30, 0.0, 60.0),
        (2, 120.0, 180.0),
    ]
    assert [row["reports_lost"] for row in losses(data) if row["event"] == "dropped"] == [32]


def test_running_numbers_of_our_own_dialect_in_reads_measurements_and_status(tmp_path: Path) -> None:
    said: list[Said] = []
    for second, number in enumerate([1, 2, 5, 6]):
        read = {"type": "read", "epc": EPC, "antenna": 1, "time_us": us(second), "seq": number}
        mass = {"type": "measurement", "quantity": "mass", "value": 1.0, "time_us": us(second), "seq": number * 10}
        status = {"type": "status", "status": "heartbeat", "time_us": us(second), "seq": number + second}
        for topic, document in (("ours", read), ("shelf", mass), ("ours", status)):
            said.append((second + 0.1, topic, json.dumps(document).encode()))
    data = land(tmp_path, [*said, *ticking(80)])
    counts = {(row["source"], json.loads(row["detail"])["stream"]): row["count"] for row in told(data, "gap")}
    assert counts == {("ours", "reads"): 2, ("shelf", "readings"): 47, ("ours", "device_events"): 5}


def test_a_session_that_the_broker_forgot(tmp_path: Path) -> None:
    record = AwayRecord(from_us=us(20), until_us=us(620), reason="disconnected", session_lost=True)
    said = [zebra(second, second) for second in range(20)]
    data = land(
        tmp_path, [*said, (620.0, BRIDGE_TOPIC, away_payload(record)), zebra(621, 621), (640, CLOCK_TOPIC, b"")]
    )
    (row,) = told(data, "session_lost")
    assert (row["source_kind"], row["source"], row["count"]) == ("bridge", "bridge", None)
    assert (seconds(row["from_time"]), seconds(row["until_time"])) == (20.0, 620.0)
    found = {each["event"]: each for each in losses(data)}
    assert found["session_lost"]["minutes_away"] == 10
    assert found["session_lost"]["reports_lost"] is None, "nobody knows how many"
    assert "silent" not in found, "nobody listened"


def test_a_reader_that_is_silent_while_it_should_not_be(tmp_path: Path) -> None:
    said = [zebra(second, second) for second in range(30)]
    other = [
        (second + 0.2, "ours", json.dumps({"type": "read", "epc": EPC, "antenna": 1, "time_us": us(second)}).encode())
        for second in range(200)
    ]
    data = land(tmp_path, [*said, *other])
    (row,) = told(data, "silent")
    assert (row["source"], seconds(row["from_time"]), seconds(row["event_time"])) == ("zebra", 29.0, 89.0)
    (loss,) = losses(data)
    assert (loss["source"], loss["event"], loss["times"]) == ("zebra", "silent", 1)


def test_readers_are_not_silent_while_our_own_bridge_is_off(tmp_path: Path) -> None:
    """It was off for ten minutes; the broker then delivers what it held, and the readers go on."""
    said = [zebra(second, second) for second in range(20)]
    record = AwayRecord(from_us=us(19.1), until_us=us(620), reason="stopped")
    impinj = {"epcHex": EPC, "antennaPort": 1}
    before = {"eventType": "tagInventory", "timestamp": stamp(5), "tagInventoryEvent": impinj}
    after = {"eventType": "tagInventory", "timestamp": stamp(640), "tagInventoryEvent": impinj}
    said += [(5.1, "impinj", json.dumps(before).encode()), (640.1, "impinj", json.dumps(after).encode())]
    said += [(620.5, *zebra(second, second)[1:]) for second in range(20, 620)]
    said += [zebra(second, second) for second in range(621, 660)]
    data = land(tmp_path, [*said, (620.0, BRIDGE_TOPIC, away_payload(record)), (665, CLOCK_TOPIC, b"")])
    assert [row["event"] for row in losses(data)] == ["away"]
    assert told(data, "resumed") == []
    assert ask(connect(data), "SELECT count(*) n FROM rejects")["n"][0].as_py() == 0


def test_a_record_that_no_bridge_wrote_is_a_reject(tmp_path: Path) -> None:
    data = land(tmp_path, [(0, BRIDGE_TOPIC, b'{"from_us": 5, "until_us": 1, "reason": "x"}'), zebra(1, 1)])
    assert ask(connect(data), "SELECT reason_code FROM rejects")["reason_code"].to_pylist() == ["bridge_record_invalid"]
