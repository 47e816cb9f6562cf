"""Fixtures of the tests that run whole processes."""

from tests.brokers import mosquitto

__all__ = ["mosquitto"]
