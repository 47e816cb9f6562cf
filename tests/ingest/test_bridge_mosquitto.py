"""The bridge against a real Mosquitto: nothing that the broker acknowledged is lost, whatever crashes."""

import contextlib
import random
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from deploy.local_mqtt import BrokerKind, LocalBroker, free_port
from devices.bridge_record import BRIDGE_TOPIC, bridge_events
from devices.publication import CLOCK_TOPIC
from ingest.bridge import BridgeState
from ingest.edge_log import EdgeLog
from ingest.limits import EdgeLogLimits
from tests.brokers import DEADLINE_S, RunningBridge, eventually, numbered, payloads, publish, stored_count

pytestmark = [pytest.mark.integration, pytest.mark.slow]

BRIDGE = """
import os, sys
from ingest.bridge import Bridge, BridgeConfig
from ingest.edge_log import EdgeLog
from ingest.mqtt_url import parse_mqtt_url

class CrashingLog(EdgeLog):
    def append(self, publications, *, note=None):
        last = super().append(publications, note=note)
        if publications and len(sys.argv) > 3:
            os._exit(9)  # after the commit, before the PUBACKs
        return last

log = CrashingLog.open(sys.argv[2])
Bridge(BridgeConfig(mqtt_url=parse_mqtt_url(sys.argv[1])), log).run(lambda: False)
"""


def bridge_process(broker: LocalBroker, data: Path, *options: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", BRIDGE, broker.url, str(data), *options])


def establish_session(broker: LocalBroker, data: Path) -> None:
    with RunningBridge(broker, data) as running:
        eventually(running.is_receiving, "the bridge is connected")


def test_a_burst_arrives_whole_and_in_order(mosquitto: LocalBroker, tmp_path: Path) -> None:
    with RunningBridge(mosquitto, tmp_path / "data") as running:
        eventually(running.is_receiving, "the bridge is connected")
        publish(mosquitto, numbered(5000, size=240))
        eventually(lambda: running.stats.acknowledged == 5000, "5,000 are acknowledged")
    assert payloads(tmp_path / "data") == [payload for _, payload in numbered(5000, size=240)]
    assert (running.stats.received, running.stats.redelivered, running.stats.connections_lost) == (5000, 0, 0)


def test_a_burst_while_the_bridge_is_away_waits_for_it(mosquitto: LocalBroker, tmp_path: Path) -> None:
    data = tmp_path / "data"
    establish_session(mosquitto, data)
    publish(mosquitto, numbered(5000))
    with RunningBridge(mosquitto, data) as running:
        eventually(lambda: running.stats.acknowledged == 5000, "5,000 are acknowledged")
    assert payloads(data) == [payload for _, payload in numbered(5000)]
    assert running.stats.sessions_lost == 0


def test_every_payload_is_kept_byte_for_byte(mosquitto: LocalBroker, tmp_path: Path) -> None:
    odd = [
        b"",
        b"\x00",
        b"a\x00b",
        b"\xff\xfe\x80",
        "\N{GRINNING FACE}".encode(),
        bytes(range(256)),
        random.Random(1).randbytes(1_000_000),
    ]
    topics = ["reads", "a/\N{GREEK SMALL LETTER ALPHA}/b c", "/", "x" * 1000]
    retained = ("kept", b"retained")
    publish(mosquitto, [retained], retain=True)
    with RunningBridge(mosquitto, tmp_path / "data") as running:
        eventually(lambda: running.stats.stored == 1, "the retained one is stored")
        publish(mosquitto, [(topic, payload) for topic in topics for payload in odd])
        publish(mosquitto, [("reads", b"at most once")], qos=0)
        eventually(lambda: running.stats.stored == 2 + len(topics) * len(odd), "all are stored")
        assert running.stats.acknowledged == running.stats.stored - 1
        rows = [row.publication for row in running.log.read(0, 1000, 10**9)]
    rows = [row for row in rows if row.topic != CLOCK_TOPIC]
    assert [(row.topic, row.payload) for row in rows[1:-1]] == [(topic, payload) for topic in topics for payload in odd]
    assert (rows[0].topic, rows[0].payload, rows[0].retained) == (*retained, True)
    assert (rows[-1].payload, rows[-1].qos, rows[1].qos, rows[1].retained) == (b"at most once", 0, 1, False)


def test_nothing_is_lost_when_the_bridge_is_killed_in_mid_stream(mosquitto: LocalBroker, tmp_path: Path) -> None:
    data = tmp_path / "data"
    establish_session(mosquitto, data)
    publishing = threading.Thread(target=publish, args=(mosquitto, numbered(4000)))
    publishing.start()
    for stored_before in (200, 1500):
        process = bridge_process(mosquitto, data)
        eventually(lambda least=stored_before: stored_count(data) >= least, "some are stored")  # type: ignore[misc]
        process.kill()
        process.wait()
    publishing.join(DEADLINE_S)
    with RunningBridge(mosquitto, data):
        eventually(lambda: stored_count(data) >= 4000 and len(set(payloads(data))) == 4000, "every one is stored")
    found = payloads(data)
    assert set(found) == {payload for _, payload in numbered(4000)}
    assert list(dict.fromkeys(found)) == sorted(set(found)), "first arrivals are in order"


def test_a_crash_between_commit_and_acknowledgement_means_twice_and_not_never(
    mosquitto: LocalBroker, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    establish_session(mosquitto, data)
    publish(mosquitto, numbered(300))
    assert bridge_process(mosquitto, data, "crash").wait(DEADLINE_S) == 9
    stored_once = payloads(data)
    assert 0 < len(stored_once) <= 300
    with RunningBridge(mosquitto, data) as running:
        eventually(lambda: running.stats.acknowledged == 300, "all are acknowledged")
    assert running.stats.redelivered >= len(stored_once)
    assert payloads(data) == stored_once + [payload for _, payload in numbered(300)]


def test_a_broker_that_restarts_is_found_again_and_has_kept_the_session(mosquitto: LocalBroker, tmp_path: Path) -> None:
    saved = tmp_path / "mosquitto" / "mosquitto.db"
    with RunningBridge(mosquitto, tmp_path / "data") as running:
        eventually(running.is_receiving, "the bridge is connected")
        connected_at = time.time()
        publish(mosquitto, numbered(100))
        eventually(lambda: running.stats.stored == 100, "the first are stored")
        eventually(lambda: saved.exists() and saved.stat().st_mtime > connected_at, "the broker has saved its sessions")
        mosquitto.kill()
        eventually(lambda: running.stats.state is BridgeState.CONNECTING, "the loss is noticed")
        mosquitto.start()
        publish(mosquitto, numbered(100, first=100))
        eventually(lambda: running.stats.stored >= 200, "the others are stored")
    assert set(payloads(tmp_path / "data")) == {payload for _, payload in numbered(200)}
    assert (running.stats.reconnects, running.stats.sessions_lost) == (1, 0)
    told = [code for code in running.codes() if code != "mqtt_unreachable"]  # tried or not while there was none
    assert told[:4] == ["bridge_started", "mqtt_connected", "mqtt_connection_lost", "mqtt_connected"]


def test_a_broker_that_forgot_the_session_is_told_of(mosquitto: LocalBroker, tmp_path: Path) -> None:
    with RunningBridge(mosquitto, tmp_path / "data") as running:
        eventually(running.is_receiving, "the bridge is connected")
        publish(mosquitto, numbered(1))
        eventually(lambda: running.stats.acknowledged == 1, "something is in the log")
    mosquitto.stop()
    (tmp_path / "mosquitto" / "mosquitto.db").unlink(missing_ok=True)
    mosquitto.start()
    with RunningBridge(mosquitto, tmp_path / "data") as running:
        eventually(running.is_receiving, "the bridge is connected")
        eventually(lambda: stored_count(tmp_path / "data") == 2, "it is recorded")
        (recorded,) = running.log.read(1, 10, 10**6)
    assert running.stats.sessions_lost == 1
    assert "mqtt_session_lost" in running.codes()
    assert recorded.publication.topic == BRIDGE_TOPIC
    assert [event.event for event in bridge_events(recorded.publication.payload)] == ["away", "session_lost"]


def test_a_bridge_that_was_off_says_from_when_until_when(mosquitto: LocalBroker, tmp_path: Path) -> None:
    data = tmp_path / "data"
    with RunningBridge(mosquitto, data) as running:
        eventually(running.is_receiving, "the bridge is connected")
        publish(mosquitto, numbered(1))
        eventually(lambda: running.stats.acknowledged == 1, "something is in the log")
        heard_us = running.log.read(0, 1, 1)[0].publication.received_us
    publish(mosquitto, numbered(3, first=1))
    later = RunningBridge(mosquitto, data)
    later.bridge._clock = lambda: time.time_ns() // 1000 + 600_000_000  # ten minutes later
    with later as running:
        eventually(lambda: running.stats.acknowledged == 3, "what the broker held is taken")
        rows = [row.publication for row in running.log.read(0, 100, 10**6) if row.publication.topic != CLOCK_TOPIC]
    assert [row.topic for row in rows] == ["reads", BRIDGE_TOPIC, *["reads"] * 3], "before what it held"
    (away,) = bridge_events(rows[1].payload)
    assert away.event == "away"
    assert away.detail == '{"reason":"stopped"}'
    assert away.from_us is not None
    assert away.until_us is not None
    assert heard_us <= away.from_us < away.until_us - 590_000_000


def test_a_broker_that_is_not_there_yet_is_waited_for(tmp_path: Path) -> None:
    broker = LocalBroker(tmp_path / "mosquitto", BrokerKind.MOSQUITTO, port=free_port())
    with RunningBridge(broker, tmp_path / "data") as running:
        eventually(lambda: running.stats.connections_lost >= 2, "it is tried again")
        assert running.codes() == ["bridge_started", "mqtt_unreachable"], "told once, tried often"
        with broker:
            publish(broker, numbered(1))
            eventually(running.is_receiving, "the bridge is connected")
            publish(broker, numbered(1, first=1))
            eventually(lambda: running.stats.stored == 1, "it receives")


def test_a_full_log_holds_the_broker_and_the_connection_until_there_is_room(
    mosquitto: LocalBroker, tmp_path: Path
) -> None:
    tries = (_connection_is_kept_while_holding(mosquitto, tmp_path / f"data-{number}") for number in range(3))
    assert any(tries), "the connection was kept alive while holding"


def _connection_is_kept_while_holding(mosquitto: LocalBroker, data: Path) -> bool:
    """Fill a log, wait, and make room; a machine that stands still for a second may lose us the connection once."""
    limits = EdgeLogLimits(stored_bytes_max=300_000, kept_age_s=0)
    with (
        RunningBridge(mosquitto, data, log=limits, keepalive_s=2) as running,
        contextlib.closing(EdgeLog.open(data)) as consumer,
    ):
        consumer.move_cursor("jobs", 0)
        eventually(running.is_receiving, "the bridge is connected")
        publish(mosquitto, numbered(5000, size=240))
        eventually(lambda: running.stats.holding, "the log is full")
        time.sleep(3.6)  # more than one and a half keep-alives, after which the broker gives a client up
        assert running.stats.holding
        assert consumer.stored_bytes < 2 * limits.stored_bytes_max, "bounded"
        seen: list[bytes] = []
        consumed = 0

        def consume() -> bool:
            nonlocal consumed
            for row in consumer.read(consumed, 10**6, 10**9):
                consumed = row.edge_offset
                if not row.publication.topic.startswith("$"):  # a clock, or that it held for 5 s and more
                    seen.append(row.publication.payload)
            consumer.move_cursor("jobs", consumed)
            return len(set(seen)) >= 5000

        eventually(consume, "everything comes once there is room")
        # In order; again only where the connection was lost and the broker did not know that we had it.
        assert list(dict.fromkeys(seen)) == [payload for _, payload in numbered(5000, size=240)]
        assert len(seen) == 5000 or running.stats.connections_lost
        eventually(lambda: not running.stats.holding, "it goes on by itself")
    assert running.codes().count("bridge_holding_log_full") >= 1
    assert "bridge_resumed" in running.codes()
    return running.stats.connections_lost == 0


@pytest.mark.parametrize("bound", ["disk_low", "backlog_old"])
def test_a_bound_is_told_once_and_cleared_once(
    mosquitto: LocalBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    """A disk on which others write, or jobs that do not come: nothing is acknowledged until that is over."""
    data = tmp_path / "data"
    usage = shutil.disk_usage(tmp_path)
    is_low = False
    later_us = 0

    def disk_usage(_: object) -> object:
        return usage._replace(free=1_000_000 if is_low else 10**9)

    monkeypatch.setattr("ingest.edge_log.shutil.disk_usage", disk_usage)
    limits = EdgeLogLimits(backlog_age_s_max=600, disk_free_bytes_min=10**8)
    bridge = RunningBridge(mosquitto, data, log=limits)
    bridge.bridge._clock = lambda: time.time_ns() // 1000 + later_us
    with (
        bridge as running,
        contextlib.closing(EdgeLog.open(data)) as consumer,
    ):
        eventually(running.is_receiving, "the bridge is connected")
        consumer.move_cursor("jobs", 0)
        publish(mosquitto, numbered(1))
        eventually(lambda: running.stats.acknowledged == 1, "the first is taken")
        if bound == "disk_low":
            is_low = True
        else:
            later_us = 3_600_000_000
        publish(mosquitto, numbered(1, first=1))
        eventually(lambda: running.stats.holding, "the bound is noticed")
        publish(mosquitto, numbered(500, first=2))
        time.sleep(0.8)  # it asks again meanwhile, three times where nothing delays it
        assert running.stats.received <= 2 < stored_count(data) + 500
        assert running.stats.hold_reason == bound
        is_low = False
        consumer.move_cursor("jobs", consumer.last_offset)
        eventually(lambda: running.stats.acknowledged == 502, "all are acknowledged")
    assert running.codes().count(f"bridge_holding_{bound}") == running.codes().count("bridge_resumed") == 1
    assert payloads(data) == [payload for _, payload in numbered(502)]


def test_a_full_disk_is_waited_out(mosquitto: LocalBroker, tmp_path: Path) -> None:
    with RunningBridge(mosquitto, tmp_path / "data") as running:
        eventually(running.is_receiving, "the bridge is connected")
        running.log._connection.execute(f"PRAGMA max_page_count = {running.log._value('PRAGMA page_count')}")
        publish(mosquitto, numbered(500, size=10_000))  # each is larger than the room left in any page
        eventually(lambda: running.stats.log_refusals >= 2, "the log refuses and is asked again")
        assert running.stats.holding
        assert running.stats.acknowledged == 0
        running.log._connection.execute("PRAGMA max_page_count = 1000000")
        eventually(lambda: running.stats.acknowledged == 500, "all are stored and acknowledged")
    assert payloads(tmp_path / "data") == [payload for _, payload in numbered(500, size=10_000)]


def test_a_silent_site_has_a_clock_after_its_first_publication(mosquitto: LocalBroker, tmp_path: Path) -> None:
    with RunningBridge(mosquitto, tmp_path / "data") as running:
        eventually(running.is_receiving, "the bridge is connected")
        time.sleep(1.3)
        assert running.log.last_offset == 0
        publish(mosquitto, numbered(1))
        eventually(lambda: running.stats.clock_records == 2, "it ticks")
        first, *ticks = [row.publication for row in running.log.read(0, 10, 10**6)]
    assert {tick.topic for tick in ticks} == {CLOCK_TOPIC}
    steps_us = [later.received_us - earlier.received_us for earlier, later in zip([first, *ticks], ticks, strict=False)]
    assert all(step_us >= 990_000 for step_us in steps_us)


def test_of_an_oversized_publication_the_beginning_is_stored_and_acknowledged(
    mosquitto: LocalBroker, tmp_path: Path
) -> None:
    """Unacknowledged it would come again with every connection and hold up what is behind it."""
    sent = [("reads", b"before"), ("reads", b"x" * 300_000), ("reads", b"behind")]
    with RunningBridge(mosquitto, tmp_path, payload_bytes_max=100_000) as running:
        eventually(running.is_receiving, "the bridge is connected")
        publish(mosquitto, sent)
        eventually(lambda: running.stats.acknowledged == 3, "all of it is acknowledged")
        rows = [row.publication for row in running.log.read(0, 10, 10**6) if row.publication.topic != CLOCK_TOPIC]
    assert [row.payload for row in rows] == [b"before", b"x" * 2**16, b"behind"]
    assert rows[1].topic == "$tagtide/oversized/300000/reads"
    assert running.stats.oversized == 1
    assert running.codes().count("publication_oversized") == 1
