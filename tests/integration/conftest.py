"""Fixtures of the tests that run whole processes."""

from tests.brokers import mosquitto
from tests.kafka_broker import kafka

__all__ = ["kafka", "mosquitto"]
