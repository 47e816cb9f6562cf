"""Mosquitto's access list from site files: every device may publish on its own topics, and on nothing else. No I/O.

The list is Mosquitto's `acl_file`. A user is a device's identifier as the site file has it, which a broker takes from
the device's certificate or password; it never comes from a payload. What is not in the list is refused.
"""

from collections.abc import Iterator, Sequence

from devices.errors import UsageError
from devices.observations import Source
from devices.site.model import Site

DOCTOR_TOPICS = "tagtide/doctor/#"
"""Topics on which `tagtide doctor` measures the broker, with the bridge's user."""

_HEAD = """\
# Who may publish and read what, for Mosquitto's acl_file. Written by `tagtide site acl`: write it anew when a site file
# changes, then restart Mosquitto (never reload it: docs/security.md). What is not here is refused.
"""


class AclError(UsageError):
    """Site files cannot become an access list."""

    code = "acl_impossible"


def mosquitto_acl(sites: Sequence[Site], *, bridge_user: str, site_in_user: bool = False) -> str:
    """Return the access list of some sites that share a broker.

    Args:
        sites: The sites.
        bridge_user: User of the bridge, who reads everything.
        site_in_user: Whether users are `DEVICE@SITE` instead of `DEVICE`.

    Raises:
        AclError: Two devices would be one user, or a topic cannot be written into the file.
    """
    topics: dict[str, list[str]] = {}
    owners: dict[str, Source] = {}
    for site in sites:
        for topic, source in site.sources():
            user = f"{source.id}@{source.site}" if site_in_user else source.id
            _check_user(user, source, owners.setdefault(user, source), bridge_user)
            _check_topic(topic, user)
            topics.setdefault(user, []).append(topic)
    return "".join([_HEAD, *_bridge(bridge_user), *(line for user in topics for line in _device(user, topics[user]))])


def _bridge(user: str) -> Iterator[str]:
    yield "\n# The bridge, and people who look: reads everything, publishes only what `tagtide doctor` measures with.\n"
    yield f"user {user}\ntopic read #\ntopic read $SYS/#\ntopic readwrite {DOCTOR_TOPICS}\n"


def _device(user: str, topics: Sequence[str]) -> Iterator[str]:
    yield f"\nuser {user}\n"
    yield from (f"topic write {topic}\n" for topic in topics)


def _check_user(user: str, source: Source, owner: Source, bridge_user: str) -> None:
    if (owner.site, owner.kind, owner.id) != (source.site, source.kind, source.id):
        raise AclError(
            f"user {user} would be both {owner.kind} {owner.id} of site {owner.site} and "
            f"{source.kind} {source.id} of site {source.site}",
            hint="name one of them differently"
            if owner.site == source.site
            else "add --site-in-user: users are then DEVICE@SITE",
        )
    if user == bridge_user:
        raise AclError(
            f"{source.kind} {source.id} of site {source.site} is called like the bridge's user, who reads everything",
            hint="give the bridge another user: --bridge-user NAME",
        )


def _check_topic(topic: str, user: str) -> None:
    if topic != topic.strip() or not topic.isprintable():
        raise AclError(
            f"topic {topic!r} of {user} has spaces at an end or control characters, which Mosquitto's file cannot hold",
            hint="publish on another topic",
        )
