"""What stands between the broker and the edge log: when to store, what to acknowledge, whether to read. No I/O.

```
               connected                 held (log full, or it refused a batch)
   away  ------------------->  taking  ---------------------------------------->  holding
    ^  <---------------------    |  ^  <----------------------------------------    |   |
    |       disconnected         |  |      released (there is room, or it stored)   |   |
    |                            |  |                                               |   |
    |            received: one more waits to be stored                              |   |
    |            stored:   what waited is on disk; its acknowledgements are due     |   |
    +-------------------------------------------------------------------------------+---+
            disconnected: the epoch is over, holding goes on when connected again
```

*Away* and connected is one question, *taking* or *holding* another; reading needs connected and taking. Four rules:

1. A publication is acknowledged only after `stored` has said that it is on disk.
2. Acknowledgements go out in the order in which publications were received (MQTT 3.1.1, 4.6.0-2).
3. An acknowledgement belongs to the connection (the epoch) that delivered its publication: in a later one the same
   packet identifier may name another publication. What was received and is not acknowledged when a connection ends
   is stored all the same; the broker delivers it again, and decoding finds the repeat.
4. What waits is bounded: reading stops at a count, at a size, and as long as the log cannot take more. What a
   connection brings when it ends may go beyond, to twice the bounds; of all that end in one hold, together, and with
   what was stored last before it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from devices.publication import Publication


class HoldReason(StrEnum):
    """Why nothing is read from the broker."""

    LOG_FULL = "log_full"
    """The edge log holds as much as it may, and its consumers still need all of it."""
    DISK_LOW = "disk_low"
    """Too little of the edge log's disk is free."""
    BACKLOG_OLD = "backlog_old"
    """What the edge log's consumers still need goes too far back."""
    LOG_UNAVAILABLE = "log_unavailable"
    """The edge log could not be written: the disk is full, or read-only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowLimits:
    """Bounds of what may wait for its commit."""

    publications_max: int = 1000
    """A commit costs 1 to 3 ms whatever it holds: a thousand publications make that at most 3 us each. It is also
    the shipped broker's in-flight window, so a full window never waits for the delay below."""
    bytes_max: int = 8 * 2**20
    """Memory for payloads; one more payload may go beyond it, since its size is known only when it is there."""
    delay_us: int = 5_000
    """Longest wait for company: at most 200 commits a second in trickling traffic, at 5 ms before a PUBACK."""
    retry_us_min: int = 250_000
    """Wait before the log is asked again; doubled after every refusal of a log that cannot be written."""
    retry_us_max: int = 8_000_000
    """Longest wait before the log is asked again."""

    def __post_init__(self) -> None:
        """Refuse bounds that cannot work."""
        if min(self.publications_max, self.bytes_max, self.delay_us, self.retry_us_min) <= 0:
            raise ValueError(f"window limits must be positive: {self}")


class Window:
    """The state machine; times are microseconds of any clock that never goes back."""

    def __init__(self, limits: WindowLimits) -> None:
        self.limits = limits
        """Its bounds."""
        self.connected = False
        """Whether there is a connection to the broker."""
        self.hold_reason: HoldReason | None = None
        """Why it holds; `None` while it takes."""
        self.acks_dropped = 0
        """Publications that were stored after their connection had ended, so that they could not be acknowledged."""
        self.epoch = 0
        """How many connections there have been."""
        self._waiting: list[Publication] = []
        self._tickets: list[tuple[int, int]] = []  # epoch and packet identifier (0 for QoS 0), one each
        self._waiting_bytes = 0
        self._waiting_since_us = 0
        self._held_count = 0  # taken since the hold began, with the batch that it began with; and their bytes
        self._held_bytes = 0
        self._retry_at_us = 0
        self._retry_us = limits.retry_us_min

    @property
    def waiting(self) -> list[Publication]:
        """What waits to be stored, in receive order."""
        return self._waiting

    @property
    def may_read(self) -> bool:
        """Whether another publication may be read from the broker."""
        return (
            self.connected
            and self.hold_reason is None
            and len(self._waiting) < self.limits.publications_max
            and self._waiting_bytes < self.limits.bytes_max
        )

    @property
    def has_room(self) -> bool:
        """Whether what arrives past the brake may still be taken.

        Of a connection that ends, what had arrived is delivered even while holding. A connection that flaps while a
        disk is full, or the log at its bound, would bring the same again each time: what is beyond twice the bounds
        stays the broker's, whether it waits, was stored since the hold began, or was in the batch that began it: so
        a full log goes no further than that beyond its bound.
        """
        return (
            max(len(self._waiting), self._held_count) < 2 * self.limits.publications_max
            and max(self._waiting_bytes, self._held_bytes) < 2 * self.limits.bytes_max
        )

    def connect(self) -> None:
        """A connection begins: a new epoch."""
        self.epoch += 1
        self.connected = True

    def disconnect(self) -> None:
        """The connection has ended: its packet identifiers mean nothing any more."""
        self.connected = False

    def receive(self, publication: Publication, *, packet_id: int, now_us: int) -> None:
        """Take a publication in.

        Args:
            publication: What was received.
            packet_id: Its packet identifier; 0 where it needs no acknowledgement (QoS 0).
            now_us: The time.
        """
        assert self.connected, "nothing arrives without a connection"
        if not self._waiting:
            self._waiting_since_us = now_us
        self._waiting.append(publication)
        self._tickets.append((self.epoch, packet_id))
        self._waiting_bytes += len(publication.payload)
        if self.hold_reason is not None:
            self._held_count += 1
            self._held_bytes += len(publication.payload)

    def store_in_us(self, now_us: int) -> int | None:
        """Return in how many microseconds what waits is to be stored; 0 is now, `None` that nothing waits.

        While holding, it is when the log is to be asked again, whether or not anything waits.
        """
        if self.hold_reason is not None:
            return max(0, self._retry_at_us - now_us)
        if not self._waiting:
            return None
        if len(self._waiting) >= self.limits.publications_max or self._waiting_bytes >= self.limits.bytes_max:
            return 0
        return max(0, self._waiting_since_us + self.limits.delay_us - now_us)

    def store(self) -> list[int]:
        """What waited is on disk: return the packet identifiers to acknowledge, in this order."""
        if self.connected:
            acks = [packet_id for epoch, packet_id in self._tickets if packet_id and epoch == self.epoch]
        else:
            acks = []
        self.acks_dropped += sum(packet_id != 0 for _, packet_id in self._tickets) - len(acks)
        self._waiting = []
        self._tickets = []
        self._waiting_bytes = 0
        return acks

    def hold(self, reason: HoldReason, now_us: int, *, stored: Sequence[Publication] = ()) -> None:
        """The log cannot take more: stop reading, keep what waits, ask again later.

        Asking a full log whether its consumers have moved on is cheap; a disk that fails is asked ever more rarely.

        Args:
            reason: Why.
            now_us: The time.
            stored: What was stored just now, and brought the log to its bound.
        """
        if self.hold_reason is None:
            began_with = [*self._waiting, *stored]
            self._held_count = len(began_with)
            self._held_bytes = sum(len(publication.payload) for publication in began_with)
        again = reason is HoldReason.LOG_UNAVAILABLE and self.hold_reason is reason
        self._retry_us = min(2 * self._retry_us, self.limits.retry_us_max) if again else self.limits.retry_us_min
        self.hold_reason = reason
        self._retry_at_us = now_us + self._retry_us

    def release(self) -> None:
        """The log takes again."""
        self.hold_reason = None
        self._held_count = self._held_bytes = 0


class IdleClock:
    """When an idle bridge writes a clock record: "nothing received before this will come any more".

    Not before the log holds its first publication: until then there is no time to go on, and a data directory whose
    first content is a replay of last year must not start at today. Not while away or holding, either: the broker may
    then have publications for us that belong before now, and a clock record would make them late.
    """

    def __init__(self, interval_us: int = 1_000_000) -> None:
        self._interval_us = interval_us
        self._quiet_since_us: int | None = None

    def reset(self, now_us: int) -> None:
        """Something was received, or a clock record was written."""
        self._quiet_since_us = now_us

    def is_due(self, now_us: int, *, taking: bool, any_stored: bool) -> bool:
        """Whether a clock record is to be written now.

        Args:
            now_us: The time, of any clock that never goes back.
            taking: Whether the bridge is connected and reads.
            any_stored: Whether the log holds anything yet.
        """
        if not (taking and any_stored) or self._quiet_since_us is None:
            self._quiet_since_us = now_us
            return False
        return now_us - self._quiet_since_us >= self._interval_us
