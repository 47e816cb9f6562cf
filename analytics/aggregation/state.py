"""What the aggregation step remembers of a site. All of it is bounded by what is on the site or came lately."""

import msgspec

from analytics.aggregation.links import Link

VERSION = 1
"""Format version of the state."""


class Event(msgspec.Struct, array_like=True, frozen=True):
    """A row of `locations` that waits for its time."""

    as_of_us: int
    epc: str
    zone: str
    from_us: int
    until_us: int
    """0 while the stay lasts."""
    left_for: str | None
    confidence: float
    revision: int


class Place(msgspec.Struct, array_like=True):
    """Where a thing is, or was last."""

    zone: str
    confidence: float
    from_us: int
    until_us: int = 0
    """When it was last read before it fell silent; 0 while it is there."""


class Coming(msgspec.Struct, array_like=True, frozen=True):
    """A thing came into a zone."""

    time_us: int
    epc: str
    zone: str
    origin: str
    """Zone that it came from; empty where it was not on the site, or not heard."""
    level: int


class AggregationState(msgspec.Struct, kw_only=True):
    """Everything that the aggregation step remembers of a site."""

    version: int = VERSION
    pending: list[Event] = []
    """In the order of their arrival."""
    tick_us: int = 0
    """Through when everything has been worked on; 0 before anything."""
    began_us: int = 0
    """When the first thing was located; 0 before."""
    places: dict[str, Place] = {}
    """Where everything is that is located, or that is linked and has fallen silent; by EPC."""
    links: dict[str, dict[str, Link]] = {}
    """Candidates by child and parent."""
    children: dict[str, list[str]] = {}
    """The same the other way round."""
    lately: dict[str, list[Coming]] = {}
    """What came into each zone within the last minutes, in order of being known."""
    items_in: dict[str, int] = {}
    """Things located in each zone."""
    origins: dict[str, str] = {}
    """Zones that were left for another by a row whose successor has not come: at most one row's worth."""
    restless: dict[str, None] = {}
    """Children to be looked at at the next mark."""
