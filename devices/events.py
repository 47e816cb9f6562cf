"""What a component tells people: an event with a level, a stable code and a sentence. Where it goes is `deploy`'s."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class EventLevel(StrEnum):
    """How much a person should care."""

    DEBUG = "debug"
    """For who looks for a fault."""
    INFO = "info"
    """Life cycle."""
    WARNING = "warning"
    """Something went wrong and is dealt with."""
    ERROR = "error"
    """Data may be lost, or a person is needed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something to tell a person."""

    level: EventLevel
    """How much to care."""
    code: str
    """What happened, in a stable word."""
    text: str
    """What happened, in a sentence."""
    fields: Mapping[str, str | int | float] = field(default_factory=dict)
    """Particulars that a machine may want, such as `site` or `edge_offset`; never a secret."""

    def __str__(self) -> str:
        """Return the sentence."""
        return self.text


OnEvent = Callable[[Event], None]
"""Takes events."""


def ignore(_event: Event) -> None:
    """Take an event and do nothing."""
