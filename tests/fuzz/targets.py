"""Every target, by name."""

from collections.abc import Callable
from functools import partial

from devices.registry import PROFILES
from tests.fuzz.captures import CaptureTarget
from tests.fuzz.decoding import DecoderTarget
from tests.fuzz.identities import EpcTarget
from tests.fuzz.journals import JournalTarget
from tests.fuzz.kafka import KafkaTarget
from tests.fuzz.mqtt import MqttTarget
from tests.fuzz.pipelines import PipelineTarget
from tests.fuzz.sites import SiteTarget
from tests.fuzz.states import StateTarget
from tests.fuzz.target import Target
from tests.fuzz.values import ValueTarget

TARGETS: dict[str, Callable[[], Target]] = {
    **{profile: partial(DecoderTarget, profile) for profile in PROFILES},
    "values": ValueTarget,
    "epc": EpcTarget,
    "site": SiteTarget,
    "capture": CaptureTarget,
    "mqtt": MqttTarget,
    "pipeline": PipelineTarget,
    "kafka": KafkaTarget,
    "state": StateTarget,
    "journal": JournalTarget,
}
"""What makes each target."""
