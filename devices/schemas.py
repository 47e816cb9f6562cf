"""Arrow schemas of the five canonical streams.

A stream's Kafka topic and its lake table share its name and its schema. Rows of a batch are in the order of
(`edge_offset`, `edge_index`), which together with `edge_id` is the primary key of every row. `docs/tables.md`
explains each column; `tests/test_docs.py` holds it to that.

Between decoding and the arrival step, `event_time` is the device's own time (`reader_time`), or the receive time
where none was sent, and `late` is null. The arrival step corrects the one and fills in the other.
"""

import pyarrow as pa

SCHEMA_VERSION = 1
"""Version of all stream schemas together; travels as a Kafka header and as Arrow schema metadata."""

TIMESTAMP = pa.timestamp("us", tz="UTC")


def _required(name: str, kind: pa.DataType) -> pa.Field:
    return pa.field(name, kind, nullable=False)


_TIMES = [
    _required("event_time", TIMESTAMP),
    _required("received_time", TIMESTAMP),
    pa.field("reader_time", TIMESTAMP),
    _required("event_time_source", pa.string()),
    pa.field("late", pa.bool_()),
]

_EDGE = [
    _required("edge_id", pa.string()),
    _required("edge_offset", pa.int64()),
    _required("edge_index", pa.int32()),
]

READS = pa.schema(
    [
        _required("site", pa.string()),
        _required("reader", pa.string()),
        pa.field("antenna", pa.int16()),
        _required("epc_hex", pa.string()),
        *_TIMES,
        pa.field("rssi_dbm", pa.float64()),
        pa.field("rssi_linear", pa.float64()),
        pa.field("phase_deg", pa.float64()),
        pa.field("frequency_khz", pa.int32()),
        pa.field("tx_power_dbm", pa.float64()),
        pa.field("read_count", pa.int64()),
        pa.field("tid_hex", pa.string()),
        pa.field("source_seq", pa.int64()),
        pa.field("extra", pa.string()),
        *_EDGE,
    ]
)

READINGS = pa.schema(
    [
        _required("site", pa.string()),
        _required("source_kind", pa.string()),
        _required("source", pa.string()),
        _required("quantity", pa.string()),
        _required("value", pa.float64()),
        _required("unit", pa.string()),
        *_TIMES,
        pa.field("source_seq", pa.int64()),
        pa.field("extra", pa.string()),
        *_EDGE,
    ]
)

DEVICE_EVENTS = pa.schema(
    [
        _required("site", pa.string()),
        _required("source_kind", pa.string()),
        _required("source", pa.string()),
        _required("event", pa.string()),
        pa.field("antenna", pa.int16()),
        *_TIMES,
        pa.field("from_time", TIMESTAMP),
        pa.field("until_time", TIMESTAMP),
        pa.field("count", pa.int64()),
        pa.field("source_seq", pa.int64()),
        pa.field("detail", pa.string()),
        *_EDGE,
    ]
)

BUSINESS_EVENTS = pa.schema(
    [
        _required("site", pa.string()),
        _required("source", pa.string()),
        _required("event", pa.string()),
        _required("event_id", pa.string()),
        _required("quantity", pa.int64()),
        pa.field("gtin", pa.string()),
        pa.field("epc_hex", pa.string()),
        pa.field("zone", pa.string()),
        pa.field("business_transaction", pa.string()),
        *_TIMES,
        pa.field("extra", pa.string()),
        *_EDGE,
    ]
)

REJECTS = pa.schema(
    [
        pa.field("site", pa.string()),
        pa.field("source", pa.string()),
        pa.field("topic", pa.string()),
        _required("bytes", pa.binary()),
        _required("reason_code", pa.string()),
        _required("reason", pa.string()),
        _required("received_time", TIMESTAMP),
        *_EDGE,
    ]
)

STREAMS: dict[str, pa.Schema] = {
    "reads": READS,
    "readings": READINGS,
    "device_events": DEVICE_EVENTS,
    "business_events": BUSINESS_EVENTS,
    "rejects": REJECTS,
}
"""Canonical streams by name."""
