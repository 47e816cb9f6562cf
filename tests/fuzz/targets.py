"""Every target, by name."""

from collections.abc import Callable
from functools import partial

from devices.registry import PROFILES
from tests.fuzz.captures import CaptureTarget
from tests.fuzz.decoding import DecoderTarget
from tests.fuzz.identities import EpcTarget
from tests.fuzz.mqtt import MqttTarget
from tests.fuzz.sites import SiteTarget
from tests.fuzz.target import Target

TARGETS: dict[str, Callable[[], Target]] = {
    **{profile: partial(DecoderTarget, profile) for profile in PROFILES},
    "epc": EpcTarget,
    "site": SiteTarget,
    "capture": CaptureTarget,
    "mqtt": MqttTarget,
}
"""What makes each target."""
