"""A broker that forgets the bridge's session again and again while nothing can be stored: told, and in bounds."""

import random
from collections.abc import Callable
from typing import Any, cast

import msgspec

from devices.bridge_record import BRIDGE_TOPIC, AwayRecord
from ingest.bridge import Bridge, BridgeConfig
from ingest.mqtt_url import MqttUrl
from ingest.window import HoldReason, WindowLimits
from tests.simulation.broker import SimulatedBroker, SimulatedWire
from tests.simulation.clock import SimulatedClock
from tests.simulation.disk import DiskRefusalError, SimulatedDisk
from tests.simulation.edge_log import LogFile, SimulatedEdgeLog
from tests.simulation.faults import Faults
from tests.simulation.judge import Judge


class SwitchedDisk(SimulatedDisk):
    """Is full as long as it is told to be."""

    is_full = False

    def commit(self, apply: Callable[[], None]) -> None:
        if self.is_full:
            raise DiskRefusalError("the disk is full")
        apply()


class Scene:
    """A bridge, its broker and its disk, and nothing that goes wrong by itself."""

    def __init__(self) -> None:
        generator = random.Random(1)
        faults, self.clock = Faults(generator), SimulatedClock()
        faults.calm()
        self.disk = SwitchedDisk(faults)
        self.file = LogFile(self.disk, f"{1:032x}")
        self.broker = SimulatedBroker(faults, Judge(self.file, lambda _: None))
        wire = SimulatedWire(self.broker, faults, self.clock)
        self.bridge = Bridge(
            BridgeConfig(mqtt_url=MqttUrl(host="h", port=1883), window=WindowLimits(publications_max=1)),
            cast("Any", SimulatedEdgeLog(self.file)),
            clock=self.clock.wall_us,
            monotonic=self.clock.monotonic,
            sleep=self.clock.sleep,
            rng=generator,
            open_wire=lambda _: wire,
        )

    def pass_s(self, seconds: int) -> None:
        for _ in range(10 * seconds):
            self.bridge.turn()
            self.clock.sleep(0.1)

    def hold_reason(self) -> str | None:
        return self.bridge.stats.hold_reason

    def records(self) -> list[AwayRecord]:
        payloads = [row.publication.payload for row in self.file.history if row.publication.topic == BRIDGE_TOPIC]
        return [msgspec.json.decode(payload, type=AwayRecord) for payload in payloads]


def test_sessions_lost_in_one_hold_are_two_records_however_many_they_are() -> None:
    scene = Scene()
    scene.bridge.start()
    scene.pass_s(1)
    scene.disk.is_full = True
    scene.broker.publish("r1", b"r1:1", 1)
    scene.pass_s(1)
    assert scene.hold_reason() == HoldReason.LOG_UNAVAILABLE
    for _ in range(6):
        scene.broker.lose_session()
        scene.pass_s(10)
    assert scene.bridge.stats.sessions_lost == 6
    assert len(scene.bridge._window.waiting) == 2, "the publication, and that a session was lost"
    scene.disk.is_full = False
    scene.pass_s(20)
    assert scene.hold_reason() is None
    first, rest = scene.records()
    assert (first.session_lost, rest.session_lost) == (True, True)
    assert (first.reason, rest.reason) == ("holding", "holding")
    assert first.until_us == rest.from_us, "it held on"
    scene.broker.lose_session()
    scene.pass_s(10)
    assert [record.reason for record in scene.records()] == ["holding", "holding", "disconnected"]
