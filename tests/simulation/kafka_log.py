"""A simulated Kafka: partitions that keep what they took, and the two clients as `confluent_kafka` offers them.

What Kafka promises holds: per producer and partition records enter in the order in which they were given, and what was
acknowledged stays. Everything else happens: a record is lost and reported so, or is there although it was reported
lost; records of a dead producer enter late or never; a report comes without an offset; a queue is full; a consumer is
thrown back to where it had been, as after a rebalance.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, KafkaError
from confluent_kafka import TopicPartition as KafkaPlace

from tests.simulation.clock import SimulatedClock
from tests.simulation.faults import Fault, Faults

Place = tuple[str, int]
Report = Callable[[KafkaError | None, "SimulatedRecord"], None]


class SimulatedRecord:
    """A record, in the partition or on its way, with the methods of `confluent_kafka.Message`."""

    def __init__(self, place: Place, value: bytes, headers: Sequence[tuple[str, bytes]], appended_ms: int) -> None:
        self._place = place
        self._value = value
        self._headers = list(headers)
        self._appended_ms = appended_ms
        self.at: int | None = None

    def topic(self) -> str:
        return self._place[0]

    def partition(self) -> int:
        return self._place[1]

    def offset(self) -> int | None:
        return self.at

    def value(self) -> bytes:
        return self._value

    def headers(self) -> list[tuple[str, bytes]]:
        return self._headers

    def timestamp(self) -> tuple[int, int]:
        return TIMESTAMP_LOG_APPEND_TIME, self._appended_ms

    def error(self) -> None:
        return None


class SimulatedKafka:
    """Partitions, and records of dead producers that are still under way."""

    def __init__(self, faults: Faults, clock: SimulatedClock) -> None:
        self.faults = faults
        self.clock = clock
        self.partitions: dict[Place, list[SimulatedRecord]] = {}
        self.late: list[deque[SimulatedRecord]] = []

    def append(self, record: SimulatedRecord) -> int:
        found = self.partitions.setdefault((record.topic(), record.partition()), [])
        kept = SimulatedRecord(
            (record.topic(), record.partition()), record.value(), record.headers(), self.clock.true_us() // 1000
        )
        kept.at = len(found)
        found.append(kept)
        return kept.at

    def append_late(self) -> None:
        """Let a record of a dead producer enter."""
        if self.late:
            queue = self.faults.generator.choice(self.late)
            self.append(queue.popleft())
            self.late = [left for left in self.late if left]


class SimulatedProducer:
    """An idempotent producer."""

    def __init__(self, kafka: SimulatedKafka) -> None:
        self._kafka = kafka
        self._faults = kafka.faults
        self._queues: dict[Place, deque[tuple[SimulatedRecord, Report]]] = {}
        self._broken: set[Place] = set()

    def produce(self, topic: str, **options: Any) -> None:
        if self._faults.strikes(Fault.QUEUE_FULL):
            raise BufferError
        place = topic, options["partition"]
        record = SimulatedRecord(place, options["value"], options["headers"], 0)
        self._queues.setdefault(place, deque()).append((record, options["on_delivery"]))

    def poll(self, timeout_s: float) -> int:
        """Deliver some of what is queued, the partitions in any order."""
        if not self._queues:
            self._kafka.clock.sleep(timeout_s)
        generator = self._faults.generator
        for _ in range(generator.randint(1, 8)):
            if not self._queues:
                break
            place = generator.choice(sorted(self._queues))
            record, report = self._queues[place].popleft()
            if not self._queues[place]:
                del self._queues[place]
            self._deliver(place, record, report)
        return 0

    def _deliver(self, place: Place, record: SimulatedRecord, report: Report) -> None:
        faults = self._faults
        if place in self._broken or faults.strikes(Fault.RECORD_LOST):
            self._broken.add(place)  # an idempotent producer sends nothing behind a record that it gave up
            report(KafkaError(KafkaError._MSG_TIMED_OUT), record)
            return
        offset = self._kafka.append(record)
        if faults.strikes(Fault.RECORD_UNKNOWN):
            self._broken.add(place)
            report(KafkaError(KafkaError._MSG_TIMED_OUT), record)
            return
        record.at = None if faults.strikes(Fault.REPORT_WITHOUT_PLACE) else offset
        report(None, record)

    def purge(self) -> None:
        """Forget what is queued; what was sent already may enter later, in order for each partition."""
        for queue in self._queues.values():
            late = [record for record, _ in queue][: self._faults.generator.randint(0, len(queue))]
            if late and self._faults.strikes(Fault.RECORD_LATE):
                self._kafka.late.append(deque(late))
        self._queues.clear()

    def flush(self, _timeout_s: float) -> int:
        return 0

    def close(self) -> None:
        self.purge()


class SimulatedConsumer:
    """A consumer whose partitions are assigned by hand."""

    def __init__(self, kafka: SimulatedKafka) -> None:
        self._kafka = kafka
        self._next: dict[Place, int] = {}
        self._begins: dict[Place, int] = {}
        self._paused: set[Place] = set()

    def list_topics(self, timeout: float) -> None:
        pass

    def assign(self, places: list[KafkaPlace]) -> None:
        for place in places:
            self._begins[place.topic, place.partition] = self._next[place.topic, place.partition] = place.offset

    def consume(self, count: int, timeout_s: float) -> list[SimulatedRecord]:
        faults = self._kafka.faults
        if self._next and faults.strikes(Fault.CONSUMER_MOVED):
            place = faults.generator.choice(sorted(self._next))
            self._next[place] = faults.generator.randint(self._begins[place], self._next[place])
        found: list[SimulatedRecord] = []
        places = [place for place in self._next if place not in self._paused and self._waiting(place)]
        while places and len(found) < count:
            place = faults.generator.choice(places)
            some = faults.generator.randint(1, count - len(found))
            records = self._kafka.partitions[place][self._next[place] :][:some]
            self._next[place] += len(records)
            found += records
            places = [place for place in places if self._waiting(place)]
        if not found:
            self._kafka.clock.sleep(timeout_s)
        return found

    def _waiting(self, place: Place) -> bool:
        return self._next[place] < len(self._kafka.partitions.get(place, ()))

    def get_watermark_offsets(self, place: KafkaPlace, **_options: Any) -> tuple[int, int]:
        return 0, len(self._kafka.partitions.get((place.topic, place.partition), ()))

    def pause(self, places: list[KafkaPlace]) -> None:
        self._paused |= {(place.topic, place.partition) for place in places}

    def resume(self, places: list[KafkaPlace]) -> None:
        self._paused -= {(place.topic, place.partition) for place in places}

    def commit(self, **_options: Any) -> None:
        pass

    def close(self) -> None:
        pass
