"""The mobility profile of EdgeX Foundry's RFID inventory service, restated from its description.

A tag stays where it is until another place is heard louder, on average, by a margin that falls with the time since
the current place last heard it. It is the published rule that many installations run, and so the first thing to beat.

This is the plain form, one report at a time, that reproduces recorded traces of the service event for event. The
form for millions of reads is in `edgex_stays` and is tested against this one.

States of a tag: unknown (before its first read), present, departed (unread for `DEPARTED_MS`).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

WINDOW_SAMPLES = 20
"""How many of the newest RSSI samples a place keeps of a tag."""
DEPARTED_MS = 600_000
"""A tag that was not read for longer than this has departed."""

Place = tuple[str, int]
"""Device and antenna."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MobilityParameters:
    """The margin by which a new place must be louder than the current one."""

    slope_db_per_ms: float
    """How fast the margin falls once the hold-off is over; negative."""
    threshold_db: float
    """The margin while the current place still hears the tag."""
    holdoff_ms: float
    """How long after its last read at the current place the margin stays whole."""

    @property
    def intercept_db(self) -> float:
        """Where the falling line meets zero milliseconds."""
        return self.threshold_db - self.slope_db_per_ms * self.holdoff_ms

    def margin_db(self, reference_ms: int, last_read_ms: int) -> float:
        """Return the margin at a time, for a current place that last heard the tag at another."""
        falling = self.slope_db_per_ms * (reference_ms - last_read_ms) + self.intercept_db
        return min(self.threshold_db, falling)


DEFAULT = MobilityParameters(slope_db_per_ms=-0.008, threshold_db=6.0, holdoff_ms=500.0)
"""The service's own defaults: it forgets a place within two seconds."""
GARMENT = MobilityParameters(slope_db_per_ms=-0.0005, threshold_db=6.0, holdoff_ms=60_000.0)
"""The configuration recommended for garment stores: it holds a place for a minute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedTag:
    """One tag of one reader report."""

    epc: str
    """The tag."""
    antenna: int | None
    """Antenna that read it, where the report says."""
    rssi_dbm: float | None
    """Signal strength, where the report says."""
    last_seen_us: int
    """When it was last seen, by the reader's clock."""


class EventKind(StrEnum):
    """What can happen to a tag."""

    ARRIVED = "Arrived"
    MOVED = "Moved"
    DEPARTED = "Departed"


@dataclass(frozen=True, slots=True, kw_only=True)
class MobilityEvent:
    """Something that the profile says has happened to a tag."""

    kind: EventKind
    """What."""
    epc: str
    """The tag."""
    time_ms: int
    """When the tag was last read."""
    location: str
    """Where it is now, or was last."""
    old_location: str | None = None
    """Where it was before a move."""


class EdgeXMobility:
    """The profile's state over all tags of a site."""

    def __init__(
        self,
        parameters: MobilityParameters,
        *,
        aliases: Mapping[str, str] | None = None,
        adjust_last_seen: bool = True,
    ) -> None:
        self._parameters = parameters
        self._aliases = dict(aliases or {})
        self._adjust = adjust_last_seen
        self._tags: dict[str, _Tag] = {}

    def report(self, device: str, origin_ns: int, tags: Sequence[ReportedTag]) -> list[MobilityEvent]:
        """Take in one report of a reader.

        Args:
            device: The reader.
            origin_ns: When the report was received, nanoseconds since the epoch.
            tags: What it reports, in its order.

        Returns:
            What happened, in order.
        """
        shift_us = 0
        if self._adjust and tags:
            shift_us = origin_ns // 1000 - max(tag.last_seen_us for tag in tags)
        reference_ms = origin_ns // 1_000_000
        events = (self._read(device, read, reference_ms, (read.last_seen_us + shift_us) // 1000) for read in tags)
        return [event for event in events if event is not None]

    def depart(self, now_ms: int) -> list[MobilityEvent]:
        """Declare departed what was not read for `DEPARTED_MS` before a time."""
        events = []
        for epc, tag in self._tags.items():
            if tag.present and tag.last_read_ms < now_ms - DEPARTED_MS:
                tag.present = False
                tag.windows.clear()
                events.append(
                    MobilityEvent(
                        kind=EventKind.DEPARTED, epc=epc, time_ms=tag.last_read_ms, location=self._alias(tag.place)
                    )
                )
        return events

    def _read(self, device: str, read: ReportedTag, reference_ms: int, time_ms: int) -> MobilityEvent | None:
        tag = self._tags.setdefault(read.epc, _Tag())
        tag.last_read_ms = max(tag.last_read_ms, time_ms)
        before = self._alias(tag.place)
        if read.antenna is not None and read.rssi_dbm is not None:
            self._locate(tag, (device, read.antenna), read.rssi_dbm, reference_ms, time_ms)
        here = self._alias(tag.place)
        if not tag.present:
            tag.present = True
            return MobilityEvent(kind=EventKind.ARRIVED, epc=read.epc, time_ms=tag.last_read_ms, location=here)
        if here != before:
            return MobilityEvent(
                kind=EventKind.MOVED, epc=read.epc, time_ms=tag.last_read_ms, location=here, old_location=before
            )
        return None

    def _locate(self, tag: "_Tag", here: Place, rssi_dbm: float, reference_ms: int, time_ms: int) -> None:
        window = tag.windows.setdefault(here, _Window())
        window.add(rssi_dbm)
        window.last_read_ms = max(window.last_read_ms, time_ms)
        if tag.place is None or tag.place == here:
            tag.place = here
            return
        current = tag.windows.get(tag.place)
        if current is None:
            tag.place = here
            return
        margin_db = self._parameters.margin_db(reference_ms, current.last_read_ms)
        if len(window.samples) >= 2 and window.mean_dbm > current.mean_dbm + margin_db:
            tag.place = here

    def _alias(self, place: Place | None) -> str:
        if place is None:
            return ""
        name = f"{place[0]}_{place[1]}"
        return self._aliases.get(name, name)


@dataclass(slots=True)
class _Window:
    samples: list[float] = field(default_factory=list)
    oldest: int = 0
    total: float = 0.0
    last_read_ms: int = 0

    def add(self, rssi_dbm: float) -> None:
        if len(self.samples) < WINDOW_SAMPLES:
            self.samples.append(rssi_dbm)
            self.total += rssi_dbm
            return
        self.total += rssi_dbm - self.samples[self.oldest]
        self.samples[self.oldest] = rssi_dbm
        self.oldest = (self.oldest + 1) % WINDOW_SAMPLES

    @property
    def mean_dbm(self) -> float:
        return self.total / len(self.samples)


@dataclass(slots=True)
class _Tag:
    present: bool = False
    place: Place | None = None
    last_read_ms: int = 0
    windows: dict[Place, _Window] = field(default_factory=dict)


def zone_aliases(zone_of_antenna: Iterable[tuple[str, int, str | None]]) -> dict[str, str]:
    """Return aliases that name each antenna's zone: what an operator of the service would write for a site.

    Args:
        zone_of_antenna: Reader, port and zone of each antenna; those without a zone keep the service's own name.
    """
    return {f"{reader}_{port}": zone for reader, port, zone in zone_of_antenna if zone is not None}
