"""Values that need more than a type: identifiers, MQTT topics, GTINs, time zones.

Each function returns what is wrong as text that names the mend, or `None`.
"""

import re
import zoneinfo
from functools import cache

from devices.publication import CLOCK_TOPIC
from devices.site.table import did_you_mean, shown

ID_CHARACTERS_MAX = 64
"""Identifiers end up in file paths and record keys; 64 characters leave room for the rest."""
TOPIC_BYTES_MAX = 65_535
"""MQTT's own limit of a topic name (MQTT 3.1.1, 1.5.3)."""

_SITE_ID = re.compile(r"[a-z0-9][a-z0-9._-]*")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]*")
_GTIN_LENGTHS = (8, 12, 13, 14)


def site_id_fault(text: str) -> str | None:
    """Check a site identifier: lower-case letters, digits, `-`, `_`, `.`, as it names folders and Kafka keys."""
    return _id_fault(text, _SITE_ID, "lower-case letters, digits, - _ .", text.lower())


def id_fault(text: str) -> str | None:
    """Check any other identifier: letters, digits, `-`, `_`, `.`, `:`."""
    return _id_fault(text, _ID, "letters, digits, - _ . :", text)


def topic_fault(topic: str) -> str | None:
    """Check an MQTT topic name: one exact topic, no filter.

    Source:
        MQTT 3.1.1, 4.7: `+` and `#` are wildcards, U+0000 is forbidden, `$` begins server topics.
    """
    if not topic.strip():
        return "is empty: write the topic that the device publishes on"
    if "+" in topic or "#" in topic:
        return f"{shown(topic)} has a wildcard: write one exact topic, further ones go in status_mqtt_topics"
    if "\0" in topic:
        return f"{shown(topic)} has a null character, which MQTT forbids: leave it out"
    if len(topic.encode()) > TOPIC_BYTES_MAX:
        return f"is longer than MQTT allows ({TOPIC_BYTES_MAX} bytes): write a shorter one"
    if topic == CLOCK_TOPIC or topic.startswith("$"):
        return f"{shown(topic)} begins with $, which brokers keep for themselves: publish on another topic"
    return None


def gtin_fault(text: str) -> str | None:
    """Check a GTIN of 8, 12, 13 or 14 digits with its check digit.

    Source:
        GS1 General Specifications, 7.9 (check digit calculation).
    """
    if not text.isascii() or not text.isdigit():
        return f"gtin {shown(text)} must be digits only"
    if len(text) not in _GTIN_LENGTHS:
        return f"gtin {shown(text)} has {len(text)} digits: a GTIN has 8, 12, 13 or 14"
    expected = gtin_check_digit(text[:-1])
    if text[-1] != expected:
        return f"gtin {shown(text)} has check digit {text[-1]}, by its other digits it is {expected}: compare the label"
    return None


def gtin_check_digit(body: str) -> str:
    """Return the check digit that belongs behind the other digits of a GTIN."""
    total = sum(int(digit) * (3 if place % 2 == 0 else 1) for place, digit in enumerate(reversed(body)))
    return str(-total % 10)


def timezone_fault(name: str) -> str | None:
    """Check an IANA time zone name against the machine's time zone data."""
    known = _timezones()
    if name in known:
        return None
    if not known:
        return f"timezone {shown(name)} cannot be checked: this machine has no time zone data, install tzdata"
    hint = did_you_mean(name, known) or ': write a name such as "Europe/Berlin"'
    return f"unknown timezone {shown(name)}{hint}"


@cache
def _timezones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())


def _id_fault(text: str, pattern: re.Pattern[str], allowed: str, suggestion: str) -> str | None:
    if not text:
        return "id is empty: give it a name"
    if len(text) > ID_CHARACTERS_MAX:
        return f"id is {len(text)} characters long: use {ID_CHARACTERS_MAX} or fewer"
    if pattern.fullmatch(text):
        return None
    mended = re.sub(r"[^A-Za-z0-9._:-]+", "_", suggestion).lstrip("._:-").rstrip("_")
    offer = f', for example "{mended}"' if pattern.fullmatch(mended) else ""
    return f"id {shown(text)} has characters other than {allowed}, or begins with a sign: rename it{offer}"
