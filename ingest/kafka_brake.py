"""Which topics are to wait, so that what is held of them stays within bounds. No I/O.

A chunk needs the pieces of several topics, which come at paces of their own. What runs ahead of the others is paused;
what the head of a queue waits for never is, so that reading always goes on.
"""

from collections.abc import Mapping

from ingest.chunk_assembly import ChunkAssembly
from ingest.kafka_records import PROGRESS_TOPIC
from ingest.kafka_source_config import KafkaSourceConfig

Place = tuple[str, int]
"""One of our topics and a partition number."""


class Brake:
    """Says what is to be paused and what is to go on; remembers what is paused."""

    def __init__(self, config: KafkaSourceConfig) -> None:
        """Begin with nothing paused."""
        self._config = config
        self._paused: set[Place] = set()
        self._is_over_limit = False

    def changes(self, assemblies: Mapping[int, ChunkAssembly]) -> tuple[set[Place], set[Place]]:
        """Return what is to be paused from now on, and what is to go on again.

        Args:
            assemblies: What is held, by partition number.
        """
        wanted = self._wanted(assemblies)
        pause, resume = wanted - self._paused, self._paused - wanted
        self._paused = wanted
        return pause, resume

    def _wanted(self, assemblies: Mapping[int, ChunkAssembly]) -> set[Place]:
        held = sum(sum(assembly.held_bytes.values()) for assembly in assemblies.values())
        limit = self._config.held_bytes_limit
        self._is_over_limit = held > (limit // 2 if self._is_over_limit else limit)
        wanted = set()
        for number, assembly in assemblies.items():
            if assembly.queued > self._config.queued_progress_limit:
                wanted.add((PROGRESS_TOPIC, number))
            if self._is_over_limit:
                awaited = assembly.awaited()
                wanted |= {(name, number) for name, size in assembly.held_bytes.items() if size and name not in awaited}
        return wanted
