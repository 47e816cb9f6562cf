"""What a bridge keeps of a publication that is larger than it takes: its beginning, and how large it was.

Neither dropping it nor leaving it to the broker would do. Dropped, something that was acknowledged to its sender would
be nowhere; left unacknowledged, it would come again with every connection and hold up all that is behind it. So its
beginning is stored on a reserved topic, acknowledged like everything else, and decoding makes a reject of it, with the
topic that it came on.
"""

from devices.observations import Reject
from devices.publication import Publication

OVERSIZED_TOPIC = "$tagtide/oversized/"
"""Reserved topics (brokers do not deliver `$` topics to `#`): behind it payload bytes, `/` and the topic it came on."""

KEPT_BYTES = 64 * 2**10
"""How much of an oversized payload is kept to look at: a reader's usual report is far below that."""


def oversized(publication: Publication, payload_bytes: int) -> Publication:
    """Return what is stored of an oversized publication.

    Args:
        publication: It, with the beginning of its payload.
        payload_bytes: How large its payload was.
    """
    return Publication(
        topic=f"{OVERSIZED_TOPIC}{payload_bytes}/{publication.topic}",
        payload=publication.payload[:KEPT_BYTES],
        received_us=publication.received_us,
        qos=publication.qos,
        retained=publication.retained,
    )


def oversized_reject(publication: Publication) -> tuple[Publication, Reject] | None:
    """Return the publication as it came, and the reject that it becomes; `None` where it is not such a record."""
    if not publication.topic.startswith(OVERSIZED_TOPIC):
        return None
    size, separator, topic = publication.topic.removeprefix(OVERSIZED_TOPIC).partition("/")
    if not separator or not size.isascii() or not size.isdigit():
        return None
    reason = f"its payload has {size} bytes, more than the bridge takes (--payload-mib); its beginning is kept"
    original = Publication(
        topic=topic,
        payload=publication.payload,
        received_us=publication.received_us,
        qos=publication.qos,
        retained=publication.retained,
    )
    return original, Reject(reason_code="payload_too_large", reason=reason)
