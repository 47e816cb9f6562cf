"""The till and the ERP: business events in our own dialect, one publication each."""

import json
from collections.abc import Sequence

import numpy as np

from devices.site.model import Feed
from simulators.book import BusinessRecord
from simulators.publishers.sent import Sent, microsecond_text


class Feeds:
    """All business systems of a store."""

    def __init__(self, feeds: Sequence[Feed], rng: np.random.Generator) -> None:
        self._topics = {feed.id: feed.mqtt_topic for feed in feeds}
        self._rng = rng

    def publish(self, records: Sequence[BusinessRecord]) -> list[Sent]:
        """Publish events a few hundred milliseconds after they were booked."""
        lags = self._rng.integers(50_000, 600_000, size=len(records)).tolist()
        return [
            Sent(record.at_us + lag, self._topics[record.feed], _payload(record))
            for record, lag in zip(records, lags, strict=True)
        ]


def _payload(record: BusinessRecord) -> bytes:
    fields: dict[str, str | int] = {
        "type": "business",
        "id": record.event_id,
        "event": record.kind.value,
        "time": microsecond_text(record.at_us),
        "quantity": record.quantity,
        "gtin": record.gtin,
    }
    optional = {"epc": record.epc_hex, "zone": record.zone, "transaction": record.transaction}
    fields.update({key: value for key, value in optional.items() if value is not None})
    return json.dumps(fields, separators=(",", ":")).encode()
