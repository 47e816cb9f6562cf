"""A simulated store from the devices to the lake: the edge world, and behind it the real jobs, directly or over Kafka.

Behind the edge log run the real forwarder's session, chunk assembly, Kafka source and runner, with a simulated Kafka,
journal and lake. In the end the lake must equal that of an undisturbed run over the same edge log.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

from analytics.pipeline import SitePipeline
from analytics.runner import Runner
from analytics.runner_parts import RunnerConfig
from analytics.source import RecordSource
from devices.bridge_record import BRIDGE_TOPIC
from devices.bulk import TopicDirectory, decode_publications
from devices.errors import Recovery, TagtideError
from devices.publication import CLOCK_TOPIC
from devices.site.model import Antenna, Reader, Site
from ingest.bridge import Bridge
from ingest.edge_source import EdgeLogSource
from ingest.forward_report import ForwarderConfig, ForwarderStats
from ingest.forward_session import CURSOR, ForwardSession
from ingest.kafka_cluster import KafkaCluster, ReadyTopics
from ingest.kafka_source import KafkaSource, KafkaSourceConfig
from tests.simulation.disk import SimulatedDisk
from tests.simulation.edge_log import SimulatedEdgeLog
from tests.simulation.edge_world import DEVICES, EdgeWorld, Part
from tests.simulation.faults import Crash, Fault
from tests.simulation.jobs_store import SimulatedJournal, SimulatedLake
from tests.simulation.judge import BrokenPromiseError
from tests.simulation.kafka_log import SimulatedConsumer, SimulatedKafka, SimulatedProducer

if TYPE_CHECKING:
    from confluent_kafka import Consumer, Producer

SITES = tuple(
    Site(
        id=site,
        readers=tuple(
            Reader(id=device, profile="tagtide", mqtt_topic=device, antennas=(Antenna(port=1, x=0, y=0, zone="z"),))
            for device in devices
        ),
    )
    for site, devices in (("a", DEVICES[:2]), ("b", DEVICES[2:]))
)
DIRECTORY = TopicDirectory.of(SITES)
_KAFKA_PARTITIONS = 2
_TABLES = ("reads", "rejects", "device_events")


class Jobs:
    """The real runner; each step is a process that runs for a while and stops, or crashes."""

    def __init__(self, world: "PipelineWorld", open_source: Callable[[], RecordSource]) -> None:
        self._world = world
        self._open_source = open_source
        self.lake = SimulatedLake(world.faults)
        self.journal = world.open_journal(SimulatedDisk(world.faults))
        self.through: Mapping[str, Mapping[str, int]] = {}

    @property
    def is_done(self) -> bool:
        """Whether every row of the log is landed."""
        edge_id = self._world.file.edge_id
        return all(self.through.get(lane, {}).get(edge_id, 0) >= end for lane, end in self._world.lane_ends().items())

    def step(self) -> None:
        world = self._world
        polls_left = world.generator.randint(1, 12)

        def stop() -> bool:
            nonlocal polls_left
            polls_left -= 1
            if world.faults.strikes(Fault.CONSUMER_KILLED):
                raise Crash
            return polls_left < 0

        try:
            runner = self._open_runner()
            runner.run(stop)
        except Crash:
            world.trace("jobs crash")
            self.journal.disk.crash()
        except TagtideError as error:
            if error.recovery is not Recovery.RETRY:
                raise
            world.trace(f"jobs end: {error}")
        else:
            self.through = runner.stats.through or self.through
            world.trace(f"jobs stop at {self.through}")

    def _open_runner(self) -> Runner:
        return Runner(
            source=self._open_source(),
            sites=SITES,
            lake=self.lake,
            journal=self.journal,
            config=self._world.runner_config,
            sleep=self._world.clock.sleep,
            monotonic=self._world.clock.monotonic,
            open_pipeline=lambda site: SitePipeline(site, []),
        )

    def has_had(self, edge_offset: int) -> bool:
        raise AssertionError(f"edge logs of this world are not restored, {edge_offset} is safe")


class EmbeddedJobs(Jobs):
    """Jobs that read the edge log."""

    def __init__(self, world: "PipelineWorld") -> None:
        super().__init__(world, lambda: self._source(world))

    @staticmethod
    def _source(world: "PipelineWorld") -> RecordSource:
        log = SimulatedEdgeLog(world.file)
        return EdgeLogSource(log, DIRECTORY, sleep=world.clock.sleep, monotonic=world.clock.monotonic)


class KafkaJobs:
    """A forwarder to a simulated Kafka, and jobs that read it."""

    def __init__(self, world: "PipelineWorld") -> None:
        self._world = world
        self.kafka = SimulatedKafka(world.faults, world.clock)
        self.jobs = Jobs(world, self._source)
        self.lake = self.jobs.lake
        self._session: ForwardSession | None = None
        self._stats = ForwarderStats()
        self._config = ForwarderConfig(
            cluster=KafkaCluster(bootstrap_servers="simulated"),
            read_rows=world.generator.choice((1, 3, 20)),
            in_flight_ranges_limit=world.generator.choice((1, 3, 64)),
            poll_interval_s=0.01,
        )

    @property
    def is_done(self) -> bool:
        log = SimulatedEdgeLog(self._world.file)
        return log.cursor(CURSOR) == log.last_offset and not self.kafka.late and self.jobs.is_done

    def has_had(self, edge_offset: int) -> bool:
        return self.jobs.has_had(edge_offset)

    def step(self) -> None:
        draw = self._world.generator.random()
        if draw < 0.1:
            self.kafka.append_late()
        elif draw < 0.85:
            self._forward()
        else:
            self.jobs.step()

    def _forward(self) -> None:
        try:
            if self._session is None:
                self._session = self._open_session()
            for _ in range(3):
                self._session.turn()
        except Crash:
            self._forwarder_crashes()
        except TagtideError as error:
            if error.recovery is not Recovery.RETRY:
                raise
            self._world.trace(f"forwarder's session ends: {error}")
            self._end_session()

        else:
            if self._world.faults.strikes(Fault.CONSUMER_KILLED):
                self._forwarder_crashes()

    def _forwarder_crashes(self) -> None:
        self._world.trace("forwarder crashes")
        self._world.disk.crash()
        self._end_session()

    def _end_session(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None

    def _open_session(self) -> ForwardSession:
        world = self._world
        log = SimulatedEdgeLog(world.file, on_cursor=self._check_cursor)
        log.move_cursor(CURSOR, 0)
        return ForwardSession(
            config=self._config,
            log=log,
            directory=DIRECTORY,
            stats=self._stats,
            name=f"{world.generator.randrange(2**32):08x}",
            kafka_partitions=_KAFKA_PARTITIONS,
            record_bytes_limit=world.generator.choice((3_000, 900_000)),
            open_producer=lambda _: cast("Producer", SimulatedProducer(self.kafka)),
        )

    def _source(self) -> RecordSource:
        return KafkaSource(
            KafkaSourceConfig(bootstrap_servers="simulated", held_bytes_limit=10_000, queued_progress_limit=5),
            sleep=self._world.clock.sleep,
            monotonic=self._world.clock.monotonic,
            open_consumer=lambda _: cast("Consumer", SimulatedConsumer(self.kafka)),
            find_topics=lambda _: ReadyTopics(kafka_partitions=_KAFKA_PARTITIONS, warnings=()),
        )

    def _check_cursor(self, name: str, offset: int) -> None:
        """The cursor never passes what a progress record in Kafka does not cover."""
        before = self._world.file.cursors.get(name, 0)
        covered = {site: [] for site in [*(site.id for site in SITES), None]}  # type: dict[str | None, list[tuple[int, int]]]
        for (topic, _), records in self.kafka.partitions.items():
            if topic == "edge_progress":
                for record in records:
                    said = json.loads(record.value())
                    covered[said["site"]].append((said["first_offset"], said["last_offset"]))
        for row in self._world.file.rows:
            if before < row.edge_offset <= offset:
                for lane in self._world.lanes_of(row.publication.topic):
                    if not any(first <= row.edge_offset <= last for first, last in covered[lane or None]):
                        raise BrokenPromiseError("the cursor passes nothing undelivered", f"{row.edge_offset}")


class PipelineWorld(EdgeWorld):
    """Devices to lake."""

    consumer: "EmbeddedJobs | KafkaJobs"

    def __init__(
        self,
        seed: int,
        *,
        kafka: bool,
        trace: Callable[[str], None] = lambda _: None,
        bridge: type[Bridge] = Bridge,
        journal: type[SimulatedJournal] = SimulatedJournal,
    ) -> None:
        """Draw a world.

        Args:
            seed: What everything follows from.
            kafka: Whether the jobs get their rows over Kafka, or from the edge log.
            trace: Told what happens, a line each.
            bridge: The bridge to run; a test's may be broken on purpose.
            journal: The jobs' journal; a test's may be broken on purpose.
        """
        self._over_kafka = kafka
        self.open_journal = journal
        self._payloads: dict[str, bytes] = {}
        super().__init__(seed, trace=trace, bridge=bridge)

    def open_consumer(self) -> Part:
        """Return the jobs."""
        self.runner_config = RunnerConfig(
            epoch_interval_s=self.generator.choice((0.05, 0.5)),
            epoch_rows_limit=self.generator.choice((1, 7, 1000)),
            checkpoint_interval_s=self.generator.choice((0.0, 1.0, 1000.0)),
            retry_interval_s=0.1,
        )
        return KafkaJobs(self) if self._over_kafka else EmbeddedJobs(self)

    def payload(self, device: str, number: int) -> bytes:
        """Return a read of a tag of its own, or now and then something that cannot be decoded."""
        if self.generator.random() < 0.1:
            return b"%s says nonsense %d" % (device.encode(), number)
        epc = f"30{DEVICES.index(device):02x}{number:020x}"
        payload = b'{"epc": "%s", "antenna": 1, "time_us": %d}' % (epc.encode(), self.clock.true_us() + number)
        self._payloads[epc.upper()] = payload
        return payload

    def lanes_of(self, topic: str) -> tuple[str, ...]:
        """Return which sites a publication gives rows or clock marks to; empty for what no site claims."""
        if topic in {CLOCK_TOPIC, BRIDGE_TOPIC}:
            return tuple(site.id for site in SITES)
        route = DIRECTORY.route(topic)
        return ("" if route is None else route.source.site,)

    def lane_ends(self) -> dict[str, int]:
        """Return the last edge offset of every site in the log."""
        ends: dict[str, int] = {}
        for row in self.file.history:
            for lane in self.lanes_of(row.publication.topic):
                ends[lane] = row.edge_offset
        return ends

    def check(self) -> None:
        """Hold lake and log against the promises."""
        super().check()
        lake = self.consumer.lake
        reads = sorted(lake.rows("reads"), key=_place)
        rejects = sorted(lake.rows("rejects"), key=_place)
        landed = [(row, self._payloads[str(row["epc_hex"])]) for row in reads]
        self.judge.check_once(payload for _, payload in landed)
        landed += [(row, cast("bytes", row["bytes"])) for row in rejects]
        self.judge.check_order_and_loss(payload for _, payload in sorted(landed, key=lambda pair: _place(pair[0])))
        expected = self._undisturbed()
        for name in _TABLES:
            found = Counter(_flat(row) for row in lake.rows(name))
            if found != expected[name]:
                wrong = next(iter((found - expected[name]) + (expected[name] - found)))
                raise BrokenPromiseError("the lake equals that of an undisturbed run", f"{name}: {wrong}")

    def _undisturbed(self) -> dict[str, Counter[tuple[Any, ...]]]:
        tables: dict[str, Counter[tuple[Any, ...]]] = {name: Counter() for name in _TABLES}
        pipelines = {site.id: SitePipeline(site, []) for site in SITES}
        for chunk in decode_publications(self.file.history, edge_id=self.file.edge_id, directory=DIRECTORY):
            assert chunk.site is not None, "every topic of this world is some site's"
            for name, table in pipelines[chunk.site].process(chunk).items():
                if name in tables:
                    tables[name].update(_flat(row) for row in table.to_pylist())
        return tables


def _place(row: Mapping[str, Any]) -> tuple[int, int]:
    return row["edge_offset"], row["edge_index"]


def _flat(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row.items())
