"""What goes wrong in a simulated run: which faults are active, how often each strikes, and how often it has.

Every run draws for itself which kinds of fault there are and how hard they strike, so that some runs are quiet but for
one kind and others are storms. `calm` ends all of them: from then on the system has to drain.
"""

import random
from collections import Counter
from collections.abc import Sequence
from enum import StrEnum


class Fault(StrEnum):
    """Kinds of fault."""

    CONNECTION_CUT = "connection cut"
    CONNECTION_REFUSED = "connection refused"
    UNREAD_BYTES_LOST = "bytes that the broker sent lost with the connection"
    SENT_BYTES_LOST = "bytes that the bridge sent lost with the connection"
    REDELIVERY_WITHOUT_DUP = "redelivery with DUP clear"
    PACKET_IDS_CHANGED = "packet identifiers given anew on reconnect"
    SESSION_LOST = "broker forgot the session"
    BROKER_CRASH = "broker crash that forgot acknowledgements"
    DEVICE_REPEAT = "device published again"
    BRIDGE_KILLED = "bridge killed"
    BRIDGE_TERMINATED = "bridge terminated"
    CONSUMER_KILLED = "forwarder or jobs killed"
    CONSUMER_AWAY = "forwarder or jobs away for a while"
    CRASH_BEFORE_COMMIT = "crash before a commit"
    CRASH_AFTER_COMMIT = "crash after a commit"
    TORN_WRITE = "crash in the middle of a write"
    DISK_FULL = "disk full"
    FSYNC_FAILED = "fsync failed"
    LOG_RESTORED = "edge log put back from an older copy"
    CLOCK_FORWARD = "clock set forward"
    CLOCK_BACK = "clock set back"
    RECORD_LOST = "Kafka record lost and reported failed"
    RECORD_UNKNOWN = "Kafka record delivered but reported failed"
    RECORD_LATE = "Kafka record of a dead producer delivered late"
    REPORT_WITHOUT_PLACE = "Kafka delivery report without an offset"
    QUEUE_FULL = "Kafka producer's queue full"
    CONSUMER_MOVED = "Kafka consumer thrown back, as after a rebalance"
    COMMIT_REFUSED = "lake commit refused"
    COMMIT_UNKNOWN = "lake commit landed but reported failed"


class Crash(BaseException):
    """Power goes, or kill -9 comes: the process in which this is raised is gone."""


class Faults:
    """Draws faults from a run's generator, and counts them."""

    def __init__(self, generator: random.Random, among: Sequence[Fault] = tuple(Fault)) -> None:
        """Draw which of some kinds are active, and how often each of these strikes."""
        self.generator = generator
        self.counts: Counter[Fault] = Counter()
        """How often each kind has struck."""
        hardest = generator.choice((0.02, 0.1, 0.3))
        share = generator.choice((0.15, 0.5, 0.9))
        self._rates = {fault: hardest * generator.random() for fault in among if generator.random() < share}
        if (
            Fault.LOG_RESTORED in self._rates
        ):  # a copy that is put back under a clock that is behind is told, not mended
            self._rates.pop(Fault.CLOCK_BACK, None)
        scale = {
            Fault.SESSION_LOST: 0.3,
            Fault.LOG_RESTORED: 0.3,
            Fault.CLOCK_BACK: 0.1,
            Fault.CLOCK_FORWARD: 0.1,
            Fault.BROKER_CRASH: 0.2,
            Fault.BRIDGE_KILLED: 0.3,
            Fault.RECORD_LATE: 10.0,  # these have few occasions
            Fault.RECORD_UNKNOWN: 2.0,
            Fault.REPORT_WITHOUT_PLACE: 2.0,
            Fault.COMMIT_REFUSED: 4.0,
            Fault.COMMIT_UNKNOWN: 4.0,
        }
        for fault, share in scale.items():
            if fault in self._rates:
                self._rates[fault] = min(0.5, self._rates[fault] * share)

    @property
    def active(self) -> list[Fault]:
        """Kinds that this run has."""
        return list(self._rates)

    def calm(self) -> None:
        """End all faults."""
        self._rates = {}

    def strikes(self, fault: Fault) -> bool:
        """Whether a fault happens here and now."""
        rate = self._rates.get(fault)
        if rate is None or self.generator.random() >= rate:
            return False
        self.counts[fault] += 1
        return True
