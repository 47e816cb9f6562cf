"""Sources and publications for tests of decoders and of decoding in bulk."""

from collections.abc import Iterable

from devices.observations import Source, SourceKind
from devices.publication import LoggedPublication, Publication

RECEIVED_US = 1_773_480_420_000_000


def a_source(profile: str, **antenna_ports: int) -> Source:
    return Source(site="store-042", kind=SourceKind.READER, id="r1", profile=profile, antenna_ports=antenna_ports)


def logged(publications: Iterable[tuple[str, bytes]], *, first: int = 1) -> list[LoggedPublication]:
    """Return (topic, payload) pairs at rising edge offsets, received a millisecond apart."""
    return [
        LoggedPublication(
            edge_offset=offset,
            publication=Publication(topic=topic, payload=payload, received_us=RECEIVED_US + 1_000 * offset),
        )
        for offset, (topic, payload) in enumerate(publications, start=first)
    ]
