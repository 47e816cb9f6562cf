"""Fixtures of the ingest tests."""

from tests.brokers import mosquitto

__all__ = ["mosquitto"]
