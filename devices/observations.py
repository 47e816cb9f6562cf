"""What decoders produce: one typed record per thing that a device or a business system said.

These are `msgspec.Struct`s rather than dataclasses: a frozen struct without cycle collection is built five
times faster, and a fleet builds one per tag read. Times are integer microseconds since the Unix epoch, UTC.
`None` means "not reported"; zero is a measurement.

Decoders fill in what the payload says and nothing else. Which site and which device spoke comes from the
MQTT topic and the site file (`Source`), never from the payload.
"""

from enum import StrEnum

import msgspec


class SourceKind(StrEnum):
    """What stands behind an MQTT topic."""

    READER = "reader"
    """An RFID reader."""
    SHELF = "shelf"
    """A shelf with a scale or a counter."""
    SENSOR = "sensor"
    """An environment sensor: temperature, light, humidity."""
    FEED = "feed"
    """A business system: till, ERP, warehouse management."""
    BRIDGE = "bridge"
    """Our own bridge, which says when it did not listen. No site file names it."""


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """Who published: the identity that a decoder may rely on, all of it from the site file."""

    site: str
    """Site identifier."""
    kind: SourceKind
    """What kind of device or system this is."""
    id: str
    """Identifier of the reader, shelf, sensor or feed, unique within its kind and site."""
    profile: str
    """Name of the dialect, a key of `devices.registry.PROFILES`."""
    antenna_ports: dict[str, int] = msgspec.field(default_factory=dict)
    """Antenna names, as the site file gives them, to their ports: some readers report only a name."""


class TagRead(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One tag reported by one antenna over one interval: evidence, not a conclusion."""

    epc_hex: str
    """EPC memory bank content, upper-case hexadecimal."""
    antenna: int | None = None
    """Antenna port, 1 and up as vendors count (0 where a reader counts from 0)."""
    reader_time_us: int | None = None
    """When the tag was seen, by the reader's own clock."""
    event_time_source: str = "received"
    """What `reader_time_us` is: `read` (when the tag was seen), `report` (when the reader queued its report) or
    `received` (no time was sent: the bridge's receive time stands in)."""
    rssi_dbm: float | None = None
    """Received signal strength in dBm, the peak over the interval where a reader reports one."""
    rssi_linear: float | None = None
    """Received signal strength in a reader's own linear unit, which has no defined relation to dBm."""
    phase_deg: float | None = None
    """Backscatter phase in degrees, 0 to 360."""
    frequency_khz: int | None = None
    """Carrier frequency in kHz."""
    tx_power_dbm: float | None = None
    """Conducted transmit power in dBm."""
    read_count: int | None = None
    """How many air reads this report stands for."""
    tid_hex: str | None = None
    """TID memory bank content, upper-case hexadecimal."""
    source_seq: int | None = None
    """The reader's own running number for this report, such as Zebra's `eventNum`."""
    extra: str | None = None
    """Vendor fields without a column of their own, as a JSON object."""


class Reading(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One measurement of a shelf scale or an environment sensor."""

    quantity: str
    """What was measured, in EPCIS 2.0 sensor terms: `mass`, `temperature`, `illuminance`, `relative_humidity`,
    `count`, `battery`, `touched`."""
    value: float
    """The value, in `unit`."""
    unit: str
    """UN/ECE Recommendation 20 code: KGM, CEL, LUX, P1 (percent), C62 (one), VLT."""
    reader_time_us: int | None = None
    """When it was measured, by the device's own clock."""
    event_time_source: str = "received"
    """As for `TagRead`."""
    source_seq: int | None = None
    """The device's own running number."""
    extra: str | None = None
    """Fields without a column of their own, as a JSON object."""


class DeviceEvent(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Something that a device said about itself."""

    event: str
    """What happened: a value of `DeviceEventKind`."""
    antenna: int | None = None
    """Antenna port that it concerns."""
    reader_time_us: int | None = None
    """When, by the device's own clock."""
    event_time_source: str = "received"
    """As for `TagRead`."""
    from_us: int | None = None
    """First instant that is concerned, where the event covers a span (a loss, an outage)."""
    until_us: int | None = None
    """Last instant that is concerned."""
    count: int | None = None
    """How many, where something is counted: reports purged, messages dropped, sequence numbers missing."""
    source_seq: int | None = None
    """The device's own running number for this event."""
    detail: str | None = None
    """Everything else that it said, as a JSON object."""


class DeviceEventKind(StrEnum):
    """Values of `DeviceEvent.event`."""

    CONNECTED = "connected"
    LOST = "lost"
    DISCONNECTED = "disconnected"
    HEARTBEAT = "heartbeat"
    OVERFLOW = "overflow"
    """The reader says that it purged reports: data is lost, `count` of them."""
    GAP = "gap"
    """Sequence numbers are missing (found by the device-health step): `count` of them."""
    DROPPED = "dropped"
    """A counter of dropped messages rose, by `count`."""
    ANTENNA_CONNECTED = "antenna_connected"
    ANTENNA_DISCONNECTED = "antenna_disconnected"
    ANTENNA_ACTIVE = "antenna_active"
    STATUS = "status"
    """Inventory status changed; `detail` has the status."""
    GPI = "gpi"
    GPO = "gpo"
    ERROR = "error"
    WARNING = "warning"
    FIRMWARE = "firmware"
    BLE = "ble"
    """A Bluetooth advertisement that the reader passed on."""
    SILENT = "silent"
    """A reader that should report has not, since `from_us` (found by the device-health step)."""
    RESUMED = "resumed"
    """A silent reader reports again (found by the device-health step)."""
    AWAY = "away"
    """Our bridge did not listen between `from_us` and `until_us`; what devices published is with the broker."""
    SESSION_LOST = "session_lost"
    """The broker had forgotten the bridge's session: what it held in that time may be lost, nobody knows how much."""
    CLOCK = "clock"
    """A device's clock offset changed (found by the arrival step): `detail` has it."""
    REPEAT = "repeat"
    """Reports that had already arrived came again and were dropped, `count` of them."""
    OTHER = "other"


class BusinessEvent(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Something that a business system knows: what should be there, came in, or was sold."""

    event: str
    """What happened: a value of `BusinessEventKind`."""
    event_id: str
    """The business system's own identifier of this event: the key that makes a repeat harmless."""
    quantity: int
    """Units. For `book_stock` the absolute book stock; for `adjustment` signed; otherwise a positive count."""
    gtin: str | None = None
    """GTIN-14 of the trade item."""
    epc_hex: str | None = None
    """The serialised item, where one is named."""
    zone: str | None = None
    """Zone that it concerns, where one is named."""
    business_transaction: str | None = None
    """Document that it belongs to: delivery note, receipt number, transfer order."""
    reader_time_us: int | None = None
    """When it happened, by the business system's clock."""
    event_time_source: str = "received"
    """As for `TagRead`."""
    extra: str | None = None
    """Fields without a column of their own, as a JSON object."""


class BusinessEventKind(StrEnum):
    """Values of `BusinessEvent.event`."""

    BOOK_STOCK = "book_stock"
    """What the book says is on hand, absolute, at this time."""
    EXPECTED = "expected"
    """Announced in an advance shipping notice: to be received."""
    RECEIPT = "receipt"
    """Booked as received."""
    SALE = "sale"
    RETURN = "return"
    TRANSFER_IN = "transfer_in"
    TRANSFER_OUT = "transfer_out"
    ADJUSTMENT = "adjustment"
    """Signed correction of the book."""


class Reject(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A payload, or a part of one, that could not be decoded; the publication's bytes are kept beside it."""

    reason_code: str
    """Stable code, fit for a metric label."""
    reason: str
    """What is wrong, for a person."""


class Decoded(msgspec.Struct, kw_only=True):
    """Everything that one payload says. Good parts and rejected parts stand side by side."""

    reads: list[TagRead] = msgspec.field(default_factory=list)
    readings: list[Reading] = msgspec.field(default_factory=list)
    device_events: list[DeviceEvent] = msgspec.field(default_factory=list)
    business_events: list[BusinessEvent] = msgspec.field(default_factory=list)
    rejects: list[Reject] = msgspec.field(default_factory=list)

    @property
    def count(self) -> int:
        """Rows of all streams together, rejects among them."""
        return (
            len(self.reads)
            + len(self.readings)
            + len(self.device_events)
            + len(self.business_events)
            + len(self.rejects)
        )
