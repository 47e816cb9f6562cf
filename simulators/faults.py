"""Faults, switched on by name, worked upon the stream of publications and written down.

| name | what it does |
|---|---|
| `dark-reader` | a reader's publications between two times never arrive |
| `clock-skew` | a reader's clock is some seconds ahead (or behind, if negative) between two times |
| `duplicate` | a share of publications arrives a second time, unchanged, a little later |
| `late-replay` | a reader is cut off between two times; what it kept arrives afterwards, among its live reports |
| `garbled` | a share of payloads arrives with flipped or missing bytes |

A clock is skewed where payloads are written; the others change what arrives. Every drop, repeat, delay and change is
counted, and each repeated or garbled publication has a line of its own in the record.
"""

import dataclasses
import heapq
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from devices.errors import UsageError
from devices.publication import Publication
from devices.site.model import Site

_SECOND_US = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class DarkReader:
    """A reader of which nothing arrives for a while."""

    name: ClassVar[str] = "dark-reader"
    reader: str
    """Reader identifier."""
    from_s: float
    """First silent second after the start of the day."""
    until_s: float
    """First second after the silence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockSkew:
    """A reader whose clock is wrong."""

    name: ClassVar[str] = "clock-skew"
    reader: str
    """Reader identifier."""
    seconds: float
    """How far its clock is ahead of true time."""
    from_s: float = 0.0
    """First wrong second after the start of the day."""
    until_s: float = float("inf")
    """First second that is right again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Duplicate:
    """Publications that arrive twice, as after a lost acknowledgement."""

    name: ClassVar[str] = "duplicate"
    share: float
    """Probability that a publication arrives again."""
    delay_s: float = 2.0
    """Mean time after which it arrives again."""
    reader: str | None = None
    """Only this reader's publications; those of every device where absent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LateReplay:
    """A reader that is cut off, keeps its reports and sends them when it is back."""

    name: ClassVar[str] = "late-replay"
    reader: str
    """Reader identifier."""
    from_s: float
    """First second without connection after the start of the day."""
    until_s: float
    """First second with connection again."""
    throttle_per_s: float = 200.0
    """Kept publications that it sends in a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Garbled:
    """Payloads that arrive with wrong bytes."""

    name: ClassVar[str] = "garbled"
    share: float
    """Probability that a payload is garbled."""
    reader: str | None = None
    """Only this reader's publications; those of every device where absent."""


Fault = DarkReader | ClockSkew | Duplicate | LateReplay | Garbled
"""Any fault."""

FAULTS: dict[str, type[Fault]] = {kind.name: kind for kind in (DarkReader, ClockSkew, Duplicate, LateReplay, Garbled)}
"""Faults by name."""


def parse_fault(text: str) -> Fault:
    """Read a fault as a command line gives it: `dark-reader:reader=r2,from_s=600,until_s=1200`.

    Raises:
        UsageError: The name or a parameter is unknown, missing or not a number.
    """
    name, _, rest = text.partition(":")
    kind = FAULTS.get(name.strip())
    if kind is None:
        raise UsageError(f'unknown fault "{name}"', hint=f"use one of {', '.join(FAULTS)}")
    known = {field.name: field for field in dataclasses.fields(kind)}
    values: dict[str, Any] = {}
    for part in filter(None, (part.strip() for part in rest.split(","))):
        key, _, value = part.partition("=")
        if key not in known:
            raise UsageError(f'fault {name} has no parameter "{key}"', hint=f"it takes {', '.join(known)}")
        try:
            values[key] = value if key == "reader" else float(value)
        except ValueError:
            raise UsageError(f'fault {name}: {key} must be a number, not "{value}"') from None
    missing = [key for key, field in known.items() if field.default is dataclasses.MISSING and key not in values]
    if missing:
        raise UsageError(f"fault {name} needs {', '.join(missing)}", hint=f"write {name}:{missing[0]}=...")
    return kind(**values)


def clock_offset(faults: Iterable[Fault], reader: str, *, start_us: int, base_us: int) -> Callable[[int], int]:
    """Return how far a reader's clock is ahead, as a function of true time.

    Args:
        faults: Faults of the day; only clock skews matter.
        reader: Reader identifier.
        start_us: Start of the day.
        base_us: How far the clock is ahead without a fault.
    """
    skews = [
        (start_us + fault.from_s * _SECOND_US, start_us + fault.until_s * _SECOND_US, round(fault.seconds * _SECOND_US))
        for fault in faults
        if isinstance(fault, ClockSkew) and fault.reader == reader
    ]
    if not skews:
        return lambda _: base_us
    return lambda at_us: base_us + sum(skew for begin, end, skew in skews if begin <= at_us < end)


class FaultyNetwork:
    """What lies between devices and bridge: takes publications in order of arrival, gives back what really arrives."""

    def __init__(self, *, faults: Sequence[Fault], site: Site, start_us: int, rng: np.random.Generator) -> None:
        _check_readers(faults, site)
        self._start_us = start_us
        self._rng = rng
        self._pending: list[tuple[int, int, Publication]] = []
        self._sequence = 0
        self._records: list[dict[str, Any]] = []
        self._faults = list(faults)
        self._counts = [0] * len(faults)
        self._replay_free_us = [0.0] * len(faults)
        topics = {reader.id: {reader.mqtt_topic, *reader.status_mqtt_topics} for reader in site.readers}
        self._acting: dict[str, list[int]] = {}
        for topic, _ in site.sources():
            self._acting[topic] = [
                number
                for number, fault in enumerate(faults)
                if not isinstance(fault, ClockSkew) and (fault.reader is None or topic in topics[fault.reader])
            ]
        self._quiet = not any(self._acting.values())

    def carry(self, publications: list[Publication], until_us: int) -> list[Publication]:
        """Take publications in, and return in order all that arrive before a time.

        Args:
            publications: In order of arrival, none before those of the last call.
            until_us: Nothing given later will arrive before this.
        """
        if self._quiet:
            return publications
        for publication in publications:
            self._work_on(publication)
        arrived = []
        while self._pending and self._pending[0][0] < until_us:
            arrived.append(heapq.heappop(self._pending)[2])
        return arrived

    def records(self) -> list[dict[str, Any]]:
        """Return what was done: one line for each fault with its count, then one for each changed publication.

        A clock skew touches no publication here, so its count stays zero.
        """
        summary = [
            {"fault": fault.name, **_finite(dataclasses.asdict(fault)), "publications": count}
            for fault, count in zip(self._faults, self._counts, strict=True)
        ]
        return [*summary, *self._records]

    def _work_on(self, publication: Publication) -> None:
        """Let every fault of a topic have its way, in the order in which they were given."""
        copies = [publication]
        for number in self._acting.get(publication.topic, ()):
            fault = self._faults[number]
            if isinstance(fault, DarkReader):
                if self._within(fault, publication):
                    self._counts[number] += 1
                    return
            elif isinstance(fault, LateReplay):
                copies = [self._hold(number, fault, copy) for copy in copies]
            elif isinstance(fault, Duplicate):
                copies += self._repeats(number, fault, copies)
            elif isinstance(fault, Garbled):
                copies = [self._garble(number, fault, copy) for copy in copies]
        for copy in copies:
            self._sequence += 1
            heapq.heappush(self._pending, (copy.received_us, self._sequence, copy))

    def _within(self, fault: DarkReader | LateReplay, publication: Publication) -> bool:
        second = (publication.received_us - self._start_us) / _SECOND_US
        return fault.from_s <= second < fault.until_s

    def _hold(self, number: int, fault: LateReplay, publication: Publication) -> Publication:
        if not self._within(fault, publication):
            return publication
        free_us = max(self._replay_free_us[number], self._start_us + fault.until_s * _SECOND_US)
        self._replay_free_us[number] = free_us + _SECOND_US / fault.throttle_per_s
        self._counts[number] += 1
        return _at(publication, int(free_us))

    def _repeats(self, number: int, fault: Duplicate, copies: list[Publication]) -> list[Publication]:
        again = []
        for copy in copies:
            if self._rng.random() < fault.share:
                delay_us = 1_000 + int(self._rng.exponential(fault.delay_s) * _SECOND_US)
                again.append(_at(copy, copy.received_us + delay_us))
                self._note(number, fault, copy, again_us=copy.received_us + delay_us)
        return again

    def _garble(self, number: int, fault: Garbled, publication: Publication) -> Publication:
        if not publication.payload or self._rng.random() >= fault.share:
            return publication
        payload, how = _damage(publication.payload, self._rng)
        self._note(number, fault, publication, how=how, bytes=len(payload))
        return Publication(
            topic=publication.topic,
            payload=payload,
            received_us=publication.received_us,
            qos=publication.qos,
            retained=publication.retained,
        )

    def _note(self, number: int, fault: Fault, publication: Publication, **what: Any) -> None:
        self._counts[number] += 1
        self._records.append(
            {"fault": fault.name, "topic": publication.topic, "received_us": publication.received_us, **what}
        )


def _finite(parameters: dict[str, Any]) -> dict[str, Any]:
    """Write "for ever" as null: JSON knows no infinity."""
    return {key: None if value == float("inf") else value for key, value in parameters.items()}


def _at(publication: Publication, received_us: int) -> Publication:
    return Publication(
        topic=publication.topic,
        payload=publication.payload,
        received_us=received_us,
        qos=publication.qos,
        retained=publication.retained,
    )


def _damage(payload: bytes, rng: np.random.Generator) -> tuple[bytes, str]:
    """Cut a payload short or flip some of its bits; the result always differs from the payload."""
    if rng.random() < 0.4:
        return payload[: int(rng.integers(len(payload)))], "truncated"
    damaged = bytearray(payload)
    places = rng.choice(len(damaged), size=min(len(damaged), 1 + int(rng.integers(4))), replace=False)
    for place in places.tolist():
        damaged[place] ^= 1 << int(rng.integers(8))
    return bytes(damaged), "flipped"


def _check_readers(faults: Sequence[Fault], site: Site) -> None:
    known = {reader.id for reader in site.readers}
    for fault in faults:
        if fault.reader is not None and fault.reader not in known:
            raise UsageError(
                f'fault {fault.name}: the store has no reader "{fault.reader}"',
                hint=f"it has {', '.join(sorted(known))}",
            )
