"""Who publishes on which MQTT topic, over all sites of one edge."""

from collections.abc import Sequence

import msgspec

from devices.errors import SiteFileError
from devices.observations import Source
from devices.registry import PROFILES, Decode
from devices.site.model import Site


class TopicDirectoryError(SiteFileError):
    """Sites cannot share one edge: a topic or an identifier is claimed twice, or a profile is unknown."""

    code = "topic_directory_invalid"


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """Where what is published on a topic goes."""

    source: Source
    """Who publishes."""
    decode: Decode
    """Decoder of the source's profile."""


class TopicDirectory:
    """Routes by exact MQTT topic."""

    def __init__(self, routes: dict[str, Route], sites: tuple[str, ...]) -> None:
        self._routes = routes
        self._sites = sites

    @classmethod
    def of(cls, sites: Sequence[Site]) -> "TopicDirectory":
        """Build the directory of some sites.

        Args:
            sites: Sites that were read from files that pass `tagtide site check`.

        Raises:
            TopicDirectoryError: With every problem found between the sites.
        """
        problems: list[str] = []
        routes: dict[str, Route] = {}
        identifiers = [site.id for site in sites]
        problems += [
            f"two sites have the id {site}" for site in sorted(set(identifiers)) if identifiers.count(site) > 1
        ]
        for site in sites:
            for topic, source in site.sources():
                profile = PROFILES.get(source.profile)
                taken = routes.get(topic)
                if profile is None:
                    known = ", ".join(sorted(PROFILES))
                    problems.append(f"{_named(source)} has the unknown profile {source.profile!r}: use one of {known}")
                elif taken is not None and taken.source != source:
                    problems.append(
                        f"topic {topic!r} of {_named(source)} is also that of {_named(taken.source)}: "
                        "give each device a topic of its own"
                    )
                else:
                    routes[topic] = Route(source=source, decode=profile.decode)
        if problems:
            raise TopicDirectoryError(", ".join(identifiers), problems)
        return cls(routes, tuple(identifiers))

    @property
    def sites(self) -> tuple[str, ...]:
        """Site identifiers, in the order given."""
        return self._sites

    @property
    def topics(self) -> tuple[str, ...]:
        """Every topic that has a route."""
        return tuple(self._routes)

    def route(self, topic: str) -> Route | None:
        """Return where a topic goes, or `None` for one that no site names."""
        return self._routes.get(topic)


def _named(source: Source) -> str:
    return f"{source.kind.value} {source.id} in site {source.site}"
