"""Arrow schemas of the derived tables. `docs/tables.md` explains each column.

Derived tables are append-only like every lake table. Where a row's meaning grows (a stay that ends), a later
`revision` of the same key is appended; the SQL views show the last revision of each key.
"""

import pyarrow as pa

from devices.schemas import STREAMS, TIMESTAMP


def _required(name: str, kind: pa.DataType) -> pa.Field:
    return pa.field(name, kind, nullable=False)


OUTSIDE = "(outside)"
"""`left_for` of a stay that was taken back: the item is heard, and lies beyond the site's outline. No zone is called
so."""
LOCATIONS = pa.schema(
    [
        _required("site", pa.string()),
        _required("epc_hex", pa.string()),
        pa.field("epc_uri", pa.string()),
        pa.field("gtin", pa.string()),
        _required("zone", pa.string()),
        _required("from_time", TIMESTAMP),
        pa.field("until_time", TIMESTAMP),
        _required("confidence", pa.float64()),
        pa.field("x", pa.float64()),
        pa.field("y", pa.float64()),
        pa.field("radius_m", pa.float64()),
        pa.field("evidence", pa.string()),
        pa.field("left_for", pa.string()),
        _required("as_of_time", TIMESTAMP),
        _required("revision", pa.int32()),
    ]
)
"""One row per stay of an item in a zone and revision. Key: site, epc_hex, from_time. Revision 0 opens the stay
(`until_time` null); further ones restate confidence, place and evidence while it lasts; the last one closes it:
`until_time` is set, and `left_for` is the next zone, `OUTSIDE` where
it was never here, or null where the item departed."""

INVENTORY = pa.schema(
    [
        _required("site", pa.string()),
        pa.field("zone", pa.string()),
        pa.field("gtin", pa.string()),
        _required("as_of_time", TIMESTAMP),
        pa.field("book_quantity", pa.int64()),
        _required("seen_quantity", pa.int64()),
        _required("on_hand", pa.float64()),
        _required("on_hand_low", pa.float64()),
        _required("on_hand_high", pa.float64()),
        pa.field("accuracy", pa.float64()),
        pa.field("misplaced_quantity", pa.int64()),
    ]
)
"""Inventory at one time. Key: site, zone, gtin, as_of_time. A null zone is the whole site, a null gtin all goods.
Definitions and denominators of `accuracy` are in `analytics/accuracy.py` and nowhere else."""

SHELVES = pa.schema(
    [
        _required("site", pa.string()),
        _required("shelf", pa.string()),
        _required("zone", pa.string()),
        pa.field("gtin", pa.string()),
        _required("from_time", TIMESTAMP),
        pa.field("mass_kg", pa.float64()),
        pa.field("units", pa.int64()),
        pa.field("available", pa.bool_()),
        pa.field("confidence", pa.float64()),
    ]
)
"""State of a shelf from a time on, until its next row. Key: site, shelf, from_time."""

ALERTS = pa.schema(
    [
        _required("site", pa.string()),
        _required("alert", pa.string()),
        _required("subject_kind", pa.string()),
        _required("subject", pa.string()),
        pa.field("zone", pa.string()),
        _required("severity", pa.string()),
        _required("event_time", TIMESTAMP),
        pa.field("detail", pa.string()),
    ]
)
"""Something a person should look at. Key: site, alert, subject, event_time."""

RADIO_LAWS = pa.schema(
    [
        _required("site", pa.string()),
        pa.field("antenna", pa.string()),
        _required("parameter", pa.string()),
        _required("value", pa.float64()),
        _required("unit", pa.string()),
        pa.field("prior_value", pa.float64()),
        pa.field("spread", pa.float64()),
        pa.field("items", pa.int64()),
        _required("version", pa.int32()),
        _required("as_of_time", TIMESTAMP),
    ]
)
"""What a site has taught the location step about its radio. Key: site, antenna, parameter, version. A version is a
whole law, put in force at `as_of_time`, and holds until the next."""

AGGREGATIONS = pa.schema(
    [
        _required("site", pa.string()),
        _required("parent_epc_hex", pa.string()),
        pa.field("parent_epc_uri", pa.string()),
        _required("child_epc_hex", pa.string()),
        pa.field("child_epc_uri", pa.string()),
        pa.field("child_gtin", pa.string()),
        _required("from_time", TIMESTAMP),
        pa.field("until_time", TIMESTAMP),
        _required("confidence", pa.float64()),
        pa.field("evidence", pa.string()),
        _required("as_of_time", TIMESTAMP),
        _required("revision", pa.int32()),
    ]
)
"""One row per containment of a child in a logistic unit, and revision. Key: site, parent_epc_hex, child_epc_hex,
from_time. Directly or not: what is in a carton that is on a pallet has a row with each of the two."""

PASSAGES = pa.schema(
    [
        _required("site", pa.string()),
        _required("gate", pa.string()),
        _required("epc_hex", pa.string()),
        pa.field("epc_uri", pa.string()),
        pa.field("gtin", pa.string()),
        _required("from_time", TIMESTAMP),
        _required("until_time", TIMESTAMP),
        _required("direction", pa.string()),
        _required("confidence", pa.float64()),
        _required("probabilities", pa.string()),
        _required("load", pa.string()),
        _required("reads", pa.int64()),
        pa.field("evidence", pa.string()),
        _required("model", pa.string()),
        _required("as_of_time", TIMESTAMP),
    ]
)
"""One row per passage of an item at a gate, once it is over. Key: site, gate, epc_hex, from_time."""

COUNTS = pa.schema(
    [
        _required("site", pa.string()),
        _required("pass", pa.string()),
        _required("reader", pa.string()),
        _required("from_time", TIMESTAMP),
        _required("until_time", TIMESTAMP),
        _required("passes", pa.int64()),
        pa.field("gtin", pa.string()),
        _required("seen_quantity", pa.int64()),
        _required("estimate", pa.float64()),
        _required("estimate_low", pa.float64()),
        _required("estimate_high", pa.float64()),
        pa.field("recall", pa.float64()),
        pa.field("further_quantity", pa.float64()),
        _required("missing_quantity", pa.float64()),
        _required("as_of_time", TIMESTAMP),
    ]
)
"""What a counting pass says, once it is over: of all goods (`gtin` null) and of each GTIN. Key: site, pass, gtin."""

COUNTED = pa.schema(
    [
        _required("site", pa.string()),
        _required("pass", pa.string()),
        _required("epc_hex", pa.string()),
        pa.field("epc_uri", pa.string()),
        pa.field("gtin", pa.string()),
        pa.field("zone", pa.string()),
        _required("heard", pa.bool_()),
        _required("reads", pa.int64()),
        _required("last_heard_time", TIMESTAMP),
        _required("missing_probability", pa.float64()),
        _required("recall", pa.float64()),
        _required("as_of_time", TIMESTAMP),
    ]
)
"""One row per item that a counting pass heard, or expected and did not hear. Key: site, pass, epc_hex."""

DERIVED: dict[str, pa.Schema] = {
    "locations": LOCATIONS,
    "inventory": INVENTORY,
    "shelves": SHELVES,
    "alerts": ALERTS,
    "radio_laws": RADIO_LAWS,
    "passages": PASSAGES,
    "aggregations": AGGREGATIONS,
    "counts": COUNTS,
    "counted": COUNTED,
}
"""Derived tables by name."""

TABLES: dict[str, pa.Schema] = STREAMS | DERIVED
"""Every lake table by name; the lake adds a `date` partition column to each."""

PARTITION_TIME: dict[str, str] = {
    "reads": "event_time",
    "readings": "event_time",
    "device_events": "event_time",
    "business_events": "event_time",
    "rejects": "received_time",
    "locations": "from_time",
    "inventory": "as_of_time",
    "shelves": "from_time",
    "alerts": "event_time",
    "radio_laws": "as_of_time",
    "passages": "from_time",
    "aggregations": "from_time",
    "counts": "from_time",
    "counted": "as_of_time",
}
"""Column whose UTC day is a table's `date` partition."""
