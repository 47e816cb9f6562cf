"""Rules broken on purpose, to see that the simulation notices: each the mistake that somebody could make tomorrow.

A mutant is a context in which worlds are run; nothing of it is left behind.
"""

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import patch

from analytics.journal import EpochPlan
from devices.errors import EdgeLogError
from devices.publication import Publication
from ingest.bridge import Bridge
from ingest.chunk_assembly import ChunkAssembly
from ingest.mqtt_packets import Delivery
from ingest.mqtt_session import MqttSession
from ingest.outstanding import Outstanding
from ingest.window import Window
from tests.simulation.edge_log import SimulatedEdgeLog
from tests.simulation.jobs_store import SimulatedJournal, SimulatedLake

Mutant = Callable[[], AbstractContextManager[object]]


@contextlib.contextmanager
def acknowledges_before_storing() -> Iterator[None]:
    """PUBACK as soon as a publication is received, as most bridges do."""
    original = Bridge.on_delivery

    def on_delivery(self: Bridge, delivery: Delivery) -> None:
        original(self, delivery)
        if delivery.packet_id:
            self._session.acknowledge([delivery.packet_id])

    def store(self: Window) -> list[int]:
        self._waiting, self._tickets, self._waiting_bytes = [], [], 0
        return []

    with patch.object(Bridge, "on_delivery", on_delivery), patch.object(Window, "store", store):
        yield


@contextlib.contextmanager
def acknowledges_across_a_reconnect() -> Iterator[None]:
    """Acknowledgements of a connection that ended go out on the next one."""

    def store(self: Window) -> list[int]:
        acks = [packet_id for _, packet_id in self._tickets if packet_id] if self.connected else []
        self._waiting, self._tickets, self._waiting_bytes = [], [], 0
        return acks

    with patch.object(Window, "store", store):
        yield


@contextlib.contextmanager
def swallows_a_full_disk() -> Iterator[None]:
    """A commit that failed counts as stored."""

    def append(self: Bridge, batch: list[Publication]) -> bool:
        with contextlib.suppress(EdgeLogError):
            self._log.append(batch)
        return True

    with patch.object(Bridge, "_append", append):
        yield


@contextlib.contextmanager
def reads_on_at_the_bound() -> Iterator[None]:
    """A log that is full takes more all the same."""
    with patch.object(Bridge, "_reason_to_hold", lambda _: None):
        yield


@contextlib.contextmanager
def keeps_unsent_acknowledgements() -> Iterator[None]:
    """What could not be sent on a connection is sent on the next one."""
    original = MqttSession._attempt

    def attempt(self: MqttSession, wait_s: float) -> None:
        kept = bytes(self._unsent)
        original(self, wait_s)
        self._unsent[:0] = kept

    with patch.object(MqttSession, "_attempt", attempt):
        yield


@contextlib.contextmanager
def gives_offsets_again() -> Iterator[None]:
    """A log that was put back from a copy goes on where the copy ends."""
    with patch.object(SimulatedEdgeLog, "begin_run", lambda self, _now_us: self.claim_writer()):
        yield


@contextlib.contextmanager
def moves_the_cursor_at_send() -> Iterator[None]:
    """The forwarder's cursor follows what was given to the producer, not what Kafka confirmed."""
    cursor = property(lambda self: self.sent_through, lambda _self, _value: None)
    with patch.object(Outstanding, "cursor", cursor, create=True):
        yield


@contextlib.contextmanager
def forgets_to_plan_epochs() -> Iterator[None]:
    """An epoch is committed without having been planned durably: a repeat is cut elsewhere."""
    original = SimulatedJournal.plan

    def plan(self: SimulatedJournal, plan: EpochPlan) -> None:
        self._plans.pop(plan.epoch, None)
        with patch.object(self, "disk", _Free()):
            original(self, plan)

    def planned_after(_self: SimulatedJournal, _epoch: int) -> list[EpochPlan]:
        return []

    with patch.object(SimulatedJournal, "plan", plan), patch.object(SimulatedJournal, "planned_after", planned_after):
        yield


@contextlib.contextmanager
def commits_an_epoch_again() -> Iterator[None]:
    """The lake is not asked whether it has an epoch already."""
    original = SimulatedLake._commit_table

    def commit_table(self: SimulatedLake, name: str, epoch: int, rows: Any) -> int:
        self._epochs.pop(name, None)
        return original(self, name, epoch, rows)

    with patch.object(SimulatedLake, "_commit_table", commit_table):
        yield


@contextlib.contextmanager
def believes_every_sending() -> Iterator[None]:
    """The consumer does not cut off what it was handed before."""
    original = ChunkAssembly.take

    def take(self: ChunkAssembly) -> Any:
        self.handed.clear()
        return original(self)

    with patch.object(ChunkAssembly, "take", take):
        yield


class _Free:
    """A disk on which nothing goes wrong."""

    @staticmethod
    def commit(apply: Callable[[], None]) -> None:
        apply()
