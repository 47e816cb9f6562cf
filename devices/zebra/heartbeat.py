"""What a Zebra heartbeat counts, across the shapes that firmware versions give it."""

from devices.shapes import INT64_MAX

_DROPPED = "numDataMessagesDropped"


def dropped_count(heartbeat: dict[str, object]) -> int | None:
    """Return how many data messages the reader has dropped since it started.

    Args:
        heartbeat: The event's `data`.

    Returns:
        The sum over `reader_gateway.dataPathStatistics`, or older firmware's single counter in `reader_gateway`;
        `None` where neither is reported.
    """
    gateway = heartbeat.get("reader_gateway")
    if not isinstance(gateway, dict):
        return None
    paths = gateway.get("dataPathStatistics")
    counters = [path.get(_DROPPED) for path in paths if isinstance(path, dict)] if isinstance(paths, list) else []
    counters.append(gateway.get(_DROPPED))
    counts = [each for each in counters if isinstance(each, int) and not isinstance(each, bool) and each >= 0]
    total = sum(counts)
    return total if counts and total <= INT64_MAX else None
