"""Every target, by name."""

from collections.abc import Callable
from functools import partial

from devices.registry import PROFILES
from tests.fuzz.decoding import DecoderTarget
from tests.fuzz.target import Target

TARGETS: dict[str, Callable[[], Target]] = {profile: partial(DecoderTarget, profile) for profile in PROFILES}
"""What makes each target."""
