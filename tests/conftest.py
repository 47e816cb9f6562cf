"""Settings of all tests."""

from hypothesis import settings

from deploy.kernel_cache import find_kernel_cache
from tests.kafka_broker import kafka, secure_kafka

find_kernel_cache()  # before any test imports a kernel: one that calls a changed one must not come from yesterday

__all__ = [
    "kafka",
    "secure_kafka",
]  # here and nowhere else: each import of a fixture is a fixture of its own, with its own broker

# A deadline on one example measures the machine, not the code: two cores shared by eight jobs break any.
settings.register_profile("tagtide", deadline=None)
settings.load_profile("tagtide")
