"""Every dialect that Tagtide speaks, by the name that site files use for it."""

from collections.abc import Callable
from dataclasses import dataclass

from devices.impinj import decoder as impinj
from devices.observations import Decoded, Source
from devices.tagtide import decoder as tagtide
from devices.weight import decoder as weight
from devices.zebra import decoder as zebra

Decode = Callable[[bytes, str, Source], Decoded]
"""From payload, MQTT topic and source to what they say; raises `DecodeError` and nothing else. No clock, no I/O."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A dialect."""

    name: str
    """Name in site files, and of its folder here and in `tests/golden`."""
    decode: Decode
    """Its decoder."""
    description: str
    """What speaks it, in one line."""


PROFILES: dict[str, Profile] = {
    profile.name: profile
    for profile in (
        Profile(
            name="impinj",
            decode=impinj.decode,
            description="Impinj R700 and R720, IoT Device Interface: MQTT events and webhook batches",
        ),
        Profile(
            name="zebra",
            decode=zebra.decode,
            description="Zebra FX, ATR and FXR readers with IoT Connector; RFD40 and RFD90 sleds over MQTT",
        ),
        Profile(
            name="tagtide",
            decode=tagtide.decode,
            description="Tagtide's own JSON, for any reader, gateway, sensor or business system",
        ),
        Profile(
            name="weight",
            decode=weight.decode,
            description="Shelf scales that publish a bare number of kilograms on a topic",
        ),
    )
}
"""Dialects by name."""
