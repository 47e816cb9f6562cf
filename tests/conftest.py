"""Settings of all tests."""

from hypothesis import settings

from tests.kafka_broker import kafka, secure_kafka

__all__ = [
    "kafka",
    "secure_kafka",
]  # here and nowhere else: each import of a fixture is a fixture of its own, with its own broker

# A deadline on one example measures the machine, not the code: two cores shared by eight jobs break any.
settings.register_profile("tagtide", deadline=None)
settings.load_profile("tagtide")
