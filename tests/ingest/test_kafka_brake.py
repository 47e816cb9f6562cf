"""What runs ahead waits, and what a chunk waits for never does."""

from types import SimpleNamespace
from typing import Any

from ingest.kafka_brake import Brake
from ingest.kafka_records import PROGRESS_TOPIC
from ingest.kafka_source_config import KafkaSourceConfig

CONFIG = KafkaSourceConfig(bootstrap_servers="nowhere", held_bytes_limit=100, queued_progress_limit=5)


def held(bytes_of: dict[str, int], *, awaited: str | None = None, queued: int = 0) -> Any:
    """An assembly that holds some bytes by topic, and waits for one of them."""
    return SimpleNamespace(held_bytes=bytes_of, queued=queued, awaited=lambda: {awaited: 7} if awaited else {})


def test_topics_that_run_ahead_wait_until_half_is_left() -> None:
    brake = Brake(CONFIG)
    assert brake.changes({0: held({"reads": 60, "rejects": 40})}) == (set(), set())
    full = {0: held({"reads": 80, "rejects": 1}, awaited="rejects"), 3: held({"reads": 30, "rejects": 0})}
    assert brake.changes(full) == ({("reads", 0), ("reads", 3)}, set())
    assert brake.changes(full) == (set(), set())
    assert brake.changes({0: held({"reads": 60}), 3: held({"reads": 0})}) == (set(), {("reads", 3)})
    assert brake.changes({0: held({"reads": 50})}) == (set(), {("reads", 0)})


def test_progress_that_queues_up_waits_in_its_partition() -> None:
    brake = Brake(CONFIG)
    assert brake.changes({0: held({}, queued=6), 1: held({}, queued=5)}) == ({(PROGRESS_TOPIC, 0)}, set())
    assert brake.changes({0: held({}, queued=5)}) == (set(), {(PROGRESS_TOPIC, 0)})
