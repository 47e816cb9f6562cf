"""The forwarder: decodes an edge log and produces it to Kafka, exactly as often as needed.

States (`ForwarderState`): `connecting` -> (Kafka answers, its topics are fit) `forwarding` -> (Kafka is gone, or a
record cannot be delivered) `away` -> (a pause, longer each time) `connecting`; -> (told to stop) `stopped`.

Kafka away for hours is normal: the edge log keeps everything, and the cursor named `kafka` stands where Kafka's
acknowledgements end. `ingest.forward_session` is what happens between two failures.
"""

import random
import time
import uuid
from collections.abc import Callable

from devices.bulk import TopicDirectory
from devices.errors import Recovery, TagtideError
from devices.events import Event, EventLevel, OnEvent, ignore
from ingest.forward_report import ForwarderConfig, ForwarderState, ForwarderStats
from ingest.forward_session import CURSOR, ForwardedLog, ForwardSession, SessionFailedError
from ingest.kafka_cluster import ensure_topics
from ingest.kafka_errors import KafkaRefusedError
from ingest.kafka_refusal import told

__all__ = ["CURSOR", "ForwardedLog", "Forwarder", "ForwarderConfig", "ForwarderState", "ForwarderStats"]

Stop = Callable[[], bool]

_RECORD_BYTES_FLOOR = 10_000  # a topic that takes less than this is configured wrongly
_PAUSE_SLICE_S = 0.1  # how soon a pausing forwarder notices that it should stop


class Forwarder:
    """Forwards one edge log to one Kafka cluster."""

    def __init__(
        self,
        config: ForwarderConfig,
        log: ForwardedLog,
        directory: TopicDirectory,
        *,
        on_event: OnEvent = ignore,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
        jitter: random.Random | None = None,
    ) -> None:
        """Prepare; nothing is opened yet.

        Args:
            config: Limits and the cluster.
            log: The edge log; the caller closes it.
            directory: Which topics belong to whom.
            on_event: Told what happens.
            sleep: Waits some seconds.
            monotonic: Seconds, for the end of a drain.
            jitter: Draws the pauses, so that a fleet does not come back in step.
        """
        self._config = config
        self._log = log
        self._directory = directory
        self._on_event = on_event
        self._sleep = sleep
        self._monotonic = monotonic
        self._jitter = jitter or random.Random()  # noqa: S311  (pauses, not secrets)
        self._record_bytes_limit = config.record_bytes_limit
        self._told: set[str] = set()
        self.stats = ForwarderStats()
        """Counters; they may be read from another thread."""

    def run(self, stop: Stop) -> None:
        """Forward until told to stop.

        Args:
            stop: Asked many times a second; true ends the run once what is in flight is confirmed, or after
                `drain_timeout_s`.

        Raises:
            KafkaTopicsError: The topics cannot carry chunks, or may not be created.
            EdgeLogError: The edge log is not usable, and trying again does not mend it.
        """
        failures_in_a_row = 0
        while not stop():
            cursor_before = self.stats.cursor
            try:
                self._log.move_cursor(CURSOR, 0)  # from now on nothing is trimmed that Kafka does not have
                self._session(stop)
            except TagtideError as error:
                if error.recovery is not Recovery.RETRY:
                    raise
                failures_in_a_row = 1 if self.stats.cursor > cursor_before else failures_in_a_row + 1
                self._take_note(error)
                if not self._shrink_records(error):
                    self._pause(failures_in_a_row, stop)
        self.stats.state = ForwarderState.STOPPED

    def _session(self, stop: Stop) -> None:
        """Forward with one producer, until it fails or we are told to stop."""
        if self.stats.state is not ForwarderState.AWAY:
            self.stats.state = ForwarderState.CONNECTING
        topics = ensure_topics(self._config.cluster)
        found = f"Kafka has our topics, {topics.kafka_partitions} partitions each"
        self._tell_once("kafka_topics_found", found, EventLevel.INFO)
        for warning in topics.warnings:
            self._tell_once("kafka_topic_settings", warning)
        session = ForwardSession(
            config=self._config,
            log=self._log,
            directory=self._directory,
            stats=self.stats,
            name=uuid.uuid4().hex[:12],
            kafka_partitions=topics.kafka_partitions,
            record_bytes_limit=self._record_bytes_limit,
            monotonic=self._monotonic,
        )
        self.stats.sessions += 1
        try:
            was = self.stats.state
            while not stop():
                session.turn()
                was = self._tell_changes(was)
            drained_by = self._monotonic() + self._config.drain_timeout_s
            while not session.is_idle and self._monotonic() < drained_by:
                session.turn(reading=False)
                was = self._tell_changes(was)
        finally:
            session.close()

    def _tell_changes(self, was: ForwarderState) -> ForwarderState:
        now = self.stats.state
        if now is not was:
            if now is ForwarderState.AWAY:
                text = f"Kafka is away ({self.stats.problem}); the edge log keeps everything"
                self._tell(EventLevel.WARNING, "kafka_away", text)
            elif now is ForwarderState.FORWARDING:
                self.stats.problem = None
                behind = f", {self.stats.behind_rows:,} publications behind" if self.stats.behind_rows else ""
                text = f"forwarding from edge offset {self.stats.cursor}{behind}"
                self._tell(EventLevel.INFO, "kafka_forwarding", text, edge_offset=self.stats.cursor)
        return now

    def _take_note(self, error: TagtideError) -> None:
        refused = isinstance(error, KafkaRefusedError)
        self.stats.failures[error.code] = self.stats.failures.get(error.code, 0) + 1
        if self.stats.state is not ForwarderState.AWAY or (refused and self.stats.problem != str(error)):
            text = f"cannot forward now: {told(error)}; the edge log keeps everything"
            self._tell(EventLevel.ERROR if refused else EventLevel.WARNING, "kafka_away", text, cause=error.code)
        self.stats.state, self.stats.problem = ForwarderState.AWAY, str(error)

    def _shrink_records(self, error: TagtideError) -> bool:
        """Halve the size of records where a topic does not take them; return whether that may help."""
        if not isinstance(error, SessionFailedError) or not error.too_large:
            return False
        if self._record_bytes_limit <= _RECORD_BYTES_FLOOR:
            text = f"a topic refuses records of {_RECORD_BYTES_FLOOR} bytes: raise its max.message.bytes"
            self._tell_once("kafka_record_refused", text, EventLevel.ERROR)
            return False
        self._record_bytes_limit = max(_RECORD_BYTES_FLOOR, self._record_bytes_limit // 2)
        text = f"a topic refuses large records: trying again with {self._record_bytes_limit} bytes"
        self._tell(EventLevel.WARNING, "kafka_record_too_large", text, record_bytes_limit=self._record_bytes_limit)
        return True

    def _pause(self, failures_in_a_row: int, stop: Stop) -> None:
        exponent = min(failures_in_a_row - 1, 10)
        longest = min(self._config.retry_interval_s_max, self._config.retry_interval_s * 2**exponent)
        left = longest * self._jitter.uniform(0.5, 1.0)
        while left > 0 and not stop():
            self._sleep(min(left, _PAUSE_SLICE_S))
            left -= _PAUSE_SLICE_S

    def _tell_once(self, code: str, text: str, level: EventLevel = EventLevel.WARNING) -> None:
        if text not in self._told:
            self._told.add(text)
            self._tell(level, code, text)

    def _tell(self, level: EventLevel, code: str, text: str, **fields: str | int) -> None:
        self._on_event(Event(level=level, code=code, text=text, fields=fields))
