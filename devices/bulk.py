"""Decoding in bulk: a range of an edge log in, one chunk of Arrow columns per site out.

A pure function of the publications and the site files, so that a decoder's bug is mended by replaying. What cannot
be decoded becomes rows of `rejects`, beside the good rows and never in their way.
"""

from collections.abc import Sequence

from devices.bridge_record import BRIDGE_TOPIC, bridge_events, bridge_source
from devices.chunk import Chunk, ClockMark
from devices.columns import SiteRows
from devices.directory import Route, TopicDirectory
from devices.documents import reject_of
from devices.errors import DecodeError
from devices.observations import Decoded, Reject
from devices.oversized import oversized_reject
from devices.publication import CAPTURE_PROBLEM_TOPIC, CLOCK_TOPIC, LoggedPublication, Publication

__all__ = ["PUBLICATION_BYTES_MAX", "TopicDirectory", "decode_publications"]

PUBLICATION_BYTES_MAX = 256 * 1024 * 1024
"""Most payload bytes in one call. A text column of an Arrow batch holds 2 GiB; a row's texts come from its payload,
at most about four times as long when numbers are written out, and reject rows hold the payload once."""


def decode_publications(
    publications: Sequence[LoggedPublication], *, edge_id: str, directory: TopicDirectory
) -> list[Chunk]:
    """Decode a range of an edge log.

    A publication of which nothing can be decoded gives exactly one row in `rejects`, with all its bytes. One of
    which a part is bad gives its good rows and one reject for each bad part: the first of them holds the
    publication's bytes, the others hold none. `edge_index` numbers the rows that one publication gives, across all
    streams: first its reads, then readings, device events, business events and rejects.

    Args:
        publications: Rising in `edge_offset`, at most `PUBLICATION_BYTES_MAX` of payload together.
        edge_id: Which edge log.
        directory: Which topics belong to whom.

    Returns:
        A chunk for every site that has rows, in the directory's order, and last one of site `None` for rejects on
        topics that no site names. Where there are clock records, every site of the directory has a chunk. All
        chunks cover the offsets from the first to the last publication.

    Raises:
        ValueError: The publications are out of order, or too many for one call.
    """
    if not publications:
        return []
    _check_range(publications)
    rows: dict[str | None, SiteRows] = {}
    clock: list[ClockMark] = []
    for logged in publications:
        publication = logged.publication
        route = directory.route(publication.topic)
        if route is None:
            if publication.topic == CLOCK_TOPIC:
                clock.append(ClockMark(edge_offset=logged.edge_offset, received_us=publication.received_us))
                continue
            if (found := oversized_reject(publication)) is not None:
                _add_oversized(rows, logged.edge_offset, *found, directory)
                continue
            if publication.topic == BRIDGE_TOPIC and _add_bridge_events(rows, logged, directory):
                continue
            site, source, decoded = None, None, Decoded(rejects=[_reject_without_route(publication)])
        else:
            site, source, decoded = route.source.site, route.source, _decode(route, publication)
        if site not in rows:
            rows[site] = SiteRows(site)
        rows[site].add(logged, source, decoded)
    return _chunks(rows, clock, publications, edge_id, directory)


def _decode(route: Route, publication: Publication) -> Decoded:
    try:
        return route.decode(publication.payload, publication.topic, route.source)
    except DecodeError as error:
        return Decoded(rejects=[reject_of(error)])
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001  # see below
        # Our own bug. Raising would stop the edge at this publication until a release mends it, and every site with
        # it; the reject keeps the bytes and the name of the bug, and a replay after the release brings the rows back.
        reason = ascii(f"the {route.source.profile} decoder failed: {type(error).__name__}: {error}")
        return Decoded(rejects=[Reject(reason_code="decoder_bug", reason=reason)])


def _add_oversized(
    rows: dict[str | None, SiteRows],
    edge_offset: int,
    publication: Publication,
    reject: Reject,
    directory: TopicDirectory,
) -> None:
    """Add the reject of a publication that the bridge kept only the beginning of, where its topic belongs."""
    route = directory.route(publication.topic)
    site, source = (None, None) if route is None else (route.source.site, route.source)
    if site not in rows:
        rows[site] = SiteRows(site)
    logged = LoggedPublication(edge_offset=edge_offset, publication=publication)
    rows[site].add(logged, source, Decoded(rejects=[reject]))


def _add_bridge_events(rows: dict[str | None, SiteRows], logged: LoggedPublication, directory: TopicDirectory) -> bool:
    """Add what a bridge says of itself to every site; return whether it is such a record."""
    try:
        events = bridge_events(logged.publication.payload)
    except DecodeError:
        return False
    for number, site in enumerate(sorted(directory.sites)):
        if site not in rows:
            rows[site] = SiteRows(site)
        decoded = Decoded(device_events=events)
        rows[site].add(logged, bridge_source(site), decoded, first_index=number * len(events))
    return True


def _reject_without_route(publication: Publication) -> Reject:
    if publication.topic == BRIDGE_TOPIC:
        return Reject(reason_code="bridge_record_invalid", reason="not a record that a bridge writes about itself")
    if publication.topic == CAPTURE_PROBLEM_TOPIC:
        code, _, _ = publication.payload.partition(b"\n")
        reason = "a line of a capture cannot be read"
        return Reject(reason_code=code.decode("ascii", "backslashreplace"), reason=reason)
    reason = "no site file names this topic; add it as a device's mqtt_topic or to its status_mqtt_topics"
    return Reject(reason_code="topic_unknown", reason=reason)


def _check_range(publications: Sequence[LoggedPublication]) -> None:
    previous, payload_bytes = 0, 0
    for logged in publications:
        if logged.edge_offset <= previous:
            raise ValueError(f"edge offset {logged.edge_offset} comes behind {previous}")
        previous = logged.edge_offset
        payload_bytes += len(logged.publication.payload)
    if payload_bytes > PUBLICATION_BYTES_MAX:
        raise ValueError(f"{payload_bytes} bytes of payload in one call, the limit is {PUBLICATION_BYTES_MAX}")


def _chunks(
    rows: dict[str | None, SiteRows],
    clock: list[ClockMark],
    publications: Sequence[LoggedPublication],
    edge_id: str,
    directory: TopicDirectory,
) -> list[Chunk]:
    chunks = []
    for site in (*directory.sites, None):
        batches = rows[site].batches(edge_id) if site in rows else {}
        marks = () if site is None else tuple(clock)
        if batches or marks:
            chunk = Chunk(
                site=site,
                edge_id=edge_id,
                first_offset=publications[0].edge_offset,
                last_offset=publications[-1].edge_offset,
                batches=batches,
                clock=marks,
            )
            chunks.append(chunk)
    return chunks
