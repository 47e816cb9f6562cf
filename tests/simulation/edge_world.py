"""A simulated store's edge: devices, broker, the real bridge and session, a simulated edge log, and a reader of it.

Everything happens one step at a time, in an order that the seed draws. A process that crashes is gone with everything
that was not durable, and is started again some steps later.
"""

import contextlib
import random
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Protocol, cast

from devices.errors import Recovery, TagtideError
from devices.publication import CLOCK_TOPIC
from ingest.bridge import Bridge, BridgeConfig, BridgeEvent
from ingest.limits import EdgeLogLimits
from ingest.mqtt_url import MqttUrl
from ingest.receive_clock import ReceiveClock
from ingest.window import WindowLimits
from tests.simulation.broker import SimulatedBroker, SimulatedWire
from tests.simulation.clock import SimulatedClock
from tests.simulation.disk import SimulatedDisk
from tests.simulation.edge_log import LogCopy, LogFile, SimulatedEdgeLog
from tests.simulation.faults import Crash, Fault, Faults
from tests.simulation.judge import BrokenPromiseError, Judge

if TYPE_CHECKING:
    from ingest.edge_log import EdgeLog

DEVICES = ("r1", "r2", "r3")
"""Who publishes; each on the topic of its name."""

_DRAIN_STEPS_MAX = 4_000
_ROW_BYTES_MAX = 120
_CLOCK_STEPS_US = (2_000_000, 90_000_000, 3 * 3_600_000_000)


class Part(Protocol):
    """Something behind the edge log that has to get everything out of it."""

    def step(self) -> None:
        """Do some work; a crash in it is its own."""
        ...

    @property
    def is_done(self) -> bool:
        """Whether it has dealt with everything that the log holds now."""
        ...

    def has_had(self, edge_offset: int) -> bool:
        """Whether what was at an offset of the log is safe with it; only asked where logs are restored."""
        ...


class LogReader:
    """The simplest consumer: reads on, keeps its place in the log's cursor, checks that nothing is missing."""

    def __init__(self, world: "EdgeWorld") -> None:
        self._world = world
        self._file = world.file
        self._log = SimulatedEdgeLog(world.file)
        self._log.file.cursors["jobs"] = 0
        self._position = 0  # kept elsewhere: a copy of the log that is put back does not take it along
        self.read: dict[int, bytes] = {}

    @property
    def is_done(self) -> bool:
        return self._log.last_offset <= self._position

    def has_had(self, edge_offset: int) -> bool:
        return edge_offset in self.read

    def step(self) -> None:
        found = self._log.read(self._position, self._world.generator.randint(1, 30), 10**6)
        try:
            if found:
                for row in found:
                    payload = row.publication.payload
                    if self.read.setdefault(row.edge_offset, payload) != payload:
                        raise BrokenPromiseError("an offset names one publication for ever", f"{row.edge_offset}")
                self._position = found[-1].edge_offset
            self._log.move_cursor("jobs", min(self._position, self._log.last_offset))
        except TagtideError as error:
            if error.recovery is not Recovery.RETRY:
                raise
        except Crash:
            self._world.trace("reader crashes")
            self._file.disk.crash()


class EdgeWorld:
    """The edge and a consumer of its log."""

    def __init__(
        self, seed: int, *, trace: Callable[[str], None] = lambda _: None, bridge: type[Bridge] = Bridge
    ) -> None:
        """Draw a world.

        Args:
            seed: What everything follows from.
            trace: Told what happens, a line each.
            bridge: The bridge to run; a test's may be broken on purpose.
        """
        self.generator = random.Random(seed)
        self.faults = Faults(self.generator)
        self.clock = SimulatedClock()
        self.trace: Callable[[str], None] = lambda line: trace(f"{self.clock.monotonic():10.3f} {line}")
        self.disk = SimulatedDisk(self.faults)
        self.file = LogFile(self.disk, f"{seed & 0xFFFFFFFF:032x}")
        self.judge = Judge(self.file, self.trace)
        self.broker = SimulatedBroker(self.faults, self.judge)
        self._bridge_type = bridge
        self.bridge: Bridge | None = None
        self._wire: SimulatedWire | None = None
        self.limits = EdgeLogLimits(
            stored_bytes_max=self.generator.choice((400, 3_000, 10**9)),
            kept_age_s=self.generator.choice((0, 3600)),
            disk_free_bytes_min=0,
        )
        self.window = WindowLimits(
            publications_max=self.generator.choice((1, 4, 1000)), bytes_max=self.generator.choice((60, 10**6))
        )
        self._unsent = self._publications(self.generator.choice((5, 15, 40)))
        self._next = next(self._unsent, None)
        self._away_steps = 0
        self._backup: LogCopy | None = None
        self._published: list[tuple[str, bytes, int]] = []
        self.consumer: Part = self.open_consumer()

    def open_consumer(self) -> Part:
        """Return what reads the log."""
        return LogReader(self)

    def payload(self, device: str, number: int) -> bytes:
        """Return what a device publishes; unique."""
        return b"%s:%d" % (device.encode(), number)

    def run(self) -> None:
        """Run with faults, end them, and check that everything drains and everything promised holds.

        Raises:
            BrokenPromiseError: Something promised did not hold.
        """
        self.trace(f"faults: {', '.join(self.faults.active) or 'none'}; {self.limits}; {self.window}")
        for _ in range(self.generator.choice((40, 120))):
            self._something()
        self.faults.calm()
        self._away_steps = 0
        self.trace("faults end")
        for _ in range(_DRAIN_STEPS_MAX):
            if self._is_drained():
                break
            self._something()
            if self.bridge is not None and not self.bridge._window.connected:
                self.clock.sleep(1.0)  # it waits to connect again
        else:
            raise BrokenPromiseError("everything drains once faults end", self._what_is_left())
        self.check()

    def check(self) -> None:
        """Hold the end of the run against the promises."""
        self.judge.check_told()
        self.judge.check_stored(row for row in self.file.history if row.publication.topic != CLOCK_TOPIC)
        if isinstance(self.consumer, LogReader):
            self.judge.check_order_and_loss(payload for _, payload in sorted(self.consumer.read.items()))

    def _is_drained(self) -> bool:
        return self._next is None and self.broker.is_drained and self._nothing_waits() and self.consumer.is_done

    def _nothing_waits(self) -> bool:
        wire = self.broker.wire
        return self.bridge is not None and not self.bridge._window.waiting and wire is not None and wire.is_accepted

    def _what_is_left(self) -> str:
        return (
            f"unsent {self._next}, at the broker {len(self.broker.queue)} and {len(self.broker.inflight)}, "
            f"bridge {self.bridge and self.bridge.stats}, log ends at {self.file.last_offset()}, "
            f"cursors {self.file.cursors}"
        )

    def _something(self) -> None:
        """Let one of them do something, or one thing go wrong."""
        draw = self.generator.random()
        if draw < 0.25:
            self._publish()
        elif draw < 0.7:
            self._turn_bridge()
        elif draw < 0.9:
            self._step_consumer()
        else:
            self._go_wrong()

    def _step_consumer(self) -> None:
        if self._away_steps:
            self._away_steps -= 1
        elif self.faults.strikes(Fault.CONSUMER_AWAY):
            self._away_steps = self.generator.randrange(40)
        else:
            self.consumer.step()

    def _publications(self, count: int) -> Iterator[tuple[str, bytes, int]]:
        numbers = dict.fromkeys(DEVICES, 0)
        for _ in range(count):
            device = self.generator.choice(DEVICES)
            numbers[device] += 1
            yield device, self.payload(device, numbers[device]), 0 if self.generator.random() < 0.05 else 1

    def _publish(self) -> None:
        if self._published and self.faults.strikes(Fault.DEVICE_REPEAT):
            again = self.generator.choice(self._published[-3:])
            self.trace(f"{again[0]} publishes {again[1]!r} again")
            self.broker.publish(*again)
        elif self._next is not None:
            device, payload, qos = self._next
            taken = self.broker.publish(device, payload, qos)
            self.trace(f"{device} publishes {payload!r} at QoS {qos}{'' if taken else ', for nobody'}")
            if taken and qos:
                self.judge.accepted[payload] = device
                self._published.append(self._next)
            if taken or self.generator.random() < 0.1:
                self._next = next(self._unsent, None)
        self.clock.sleep(0.001)

    def _turn_bridge(self) -> None:
        if self.bridge is None:
            self.trace("bridge starts")
            self._start_bridge()
        bridge = self.bridge
        if bridge is None:
            return
        was_holding, received, lost = bridge.stats.holding, bridge.stats.received, bridge.stats.connections_lost
        try:
            bridge.turn()
        except Crash:
            self._bridge_is_gone("crashes")
            return
        if was_holding and bridge.stats.connections_lost == lost:  # what had arrived of a lost connection is taken
            self._check_holding(bridge, received)
        self._check_bounds(bridge)

    def _check_holding(self, bridge: Bridge, received: int) -> None:
        if bridge.stats.holding and bridge.stats.received > received:
            raise BrokenPromiseError("at the bound nothing is read", f"{bridge.stats}")

    def _check_bounds(self, bridge: Bridge) -> None:
        if len(bridge._window.waiting) > 2 * self.window.publications_max + 1:  # and that a session was lost
            raise BrokenPromiseError("what waits is bounded", f"{len(bridge._window.waiting)} publications")
        # Beyond the bound: a batch, with what lost connections bring then and in the hold, and the bridge's records.
        room = (2 * self.window.publications_max + 3) * _ROW_BYTES_MAX
        if self.file.stored_bytes > self.limits.stored_bytes_max + room:
            raise BrokenPromiseError("the log keeps to its bound", f"{self.file.stored_bytes} bytes")

    def _start_bridge(self) -> None:
        log = SimulatedEdgeLog(self.file)
        self._wire = SimulatedWire(self.broker, self.faults, self.clock)
        wire = self._wire
        config = BridgeConfig(mqtt_url=MqttUrl(host="h", port=1883), window=self.window, log=self.limits)
        bridge = self._bridge_type(
            config,
            cast("EdgeLog", log),
            clock=ReceiveClock(
                wall_us=self.clock.wall_us, monotonic_us=lambda: int(self.clock.monotonic() * 1e6), on_event=self._told
            ).now_us,
            monotonic=self.clock.monotonic,
            sleep=self.clock.sleep,
            rng=self.generator,
            on_event=self._told,
            open_wire=lambda _: wire,
        )
        try:
            bridge.start()
        except Crash:
            self._bridge_is_gone("crashes at its start")
        else:
            self.bridge = bridge

    def _told(self, event: BridgeEvent) -> None:
        self.trace(f"bridge: {event}")
        self.judge.told(event.code)

    def _bridge_is_gone(self, how: str) -> None:
        self.trace(f"bridge {how}")
        self.bridge = None
        self.file.writer = None
        self.disk.crash()
        if self.broker.wire is not None:
            self.broker.drop_connection()

    def _go_wrong(self) -> None:
        strikes = self.faults.strikes
        if self.bridge is not None and strikes(Fault.BRIDGE_KILLED):
            self._bridge_is_gone("is killed")
        elif self.bridge is not None and strikes(Fault.BRIDGE_TERMINATED):
            self._terminate()
        elif strikes(Fault.CONNECTION_CUT):
            self.trace("the connection is cut")
            self.broker.drop_connection()
        elif strikes(Fault.BROKER_CRASH):
            self.trace("the broker crashes")
            self.broker.crash()
        elif self.broker.has_session and strikes(Fault.SESSION_LOST):
            self.broker.lose_session()
        elif isinstance(self.consumer, LogReader) and strikes(Fault.LOG_RESTORED):
            self._restore_log()
        elif strikes(Fault.CLOCK_FORWARD):
            self._step_clock(1)
        elif strikes(Fault.CLOCK_BACK):
            self._step_clock(-1)
        self.clock.sleep(self.generator.choice((0.01, 0.3, 2.0)))

    def _restore_log(self) -> None:
        """Take a backup, or put the last one back; what nobody had read since is lost with the disk, and not ours."""
        if not self.file.is_touched:
            return
        if self._backup is None:
            self.trace("the edge log is backed up")
            self._backup = self.file.copied()
            return
        self._bridge_is_gone("loses its disk")
        kept = {row.edge_offset for row in self._backup.rows}
        self.judge.excuse(
            row.publication.payload
            for row in self.file.rows
            if row.edge_offset not in kept and not self.consumer.has_had(row.edge_offset)
        )
        self.trace(f"the edge log is put back from a copy that ends at {max(kept, default=0)}")
        self.file.put_back(self._backup)
        self.judge.connack_lost()
        self.disk.has_refused = True  # what the log knew of the broker's session may be older, or nothing

    def _terminate(self) -> None:
        assert self.bridge is not None
        self.trace("bridge is told to stop")
        with contextlib.suppress(Crash):
            self.bridge.finish()
        self._bridge_is_gone("stops")

    def _step_clock(self, sign: int) -> None:
        by_us = sign * self.generator.choice(_CLOCK_STEPS_US)
        self.trace(f"the edge's clock is set by {by_us / 1e6:+.0f} s")
        self.clock.step(by_us)
