"""Promise: with its journal plugin, a Mosquitto that is killed loses nothing that it had acknowledged, ever."""

from collections import Counter
from pathlib import Path

import pytest

from deploy.local_mqtt import BrokerKind, LocalBroker
from tests.brokers import RunningBridge, eventually, mosquitto, numbered, payloads, publish
from tests.journal_plugin import journal_plugin, plugin_settings

__all__ = ["journal_plugin", "mosquitto"]

pytestmark = pytest.mark.integration


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "journal"


@pytest.fixture
def broker(tmp_path: Path, journal_plugin: Path, journal: Path, mosquitto: LocalBroker) -> LocalBroker:
    mosquitto.stop()  # it showed that there is one; ours has the plugin
    settings = plugin_settings(journal_plugin, journal)
    return LocalBroker(tmp_path / "with-plugin", BrokerKind.MOSQUITTO, settings=settings)


@pytest.mark.parametrize("had_session", [False, True])
def test_a_broker_killed_while_nobody_took_anything(
    broker: LocalBroker, tmp_path: Path, journal: Path, *, had_session: bool
) -> None:
    """Its queue was never saved; without a saved session, not even that it should queue."""
    broker.start()
    if had_session:
        with RunningBridge(broker, tmp_path, broker_journal=journal) as bridge:
            eventually(bridge.is_receiving, "subscribed")
    publish(broker, numbered(50))
    broker.kill()
    broker.start()
    with RunningBridge(broker, tmp_path, broker_journal=journal) as bridge:
        eventually(lambda: "broker_journal_taken" in bridge.codes(), "the journal is taken")
        assert bridge.stats.taken_from_journal == 50
    broker.stop()
    assert sorted(payloads(tmp_path)) == [payload for _, payload in numbered(50)]
    assert [path.name for path in journal.glob("left-*")] == []


def test_what_we_have_is_not_taken_again(broker: LocalBroker, tmp_path: Path, journal: Path) -> None:
    broker.start()
    with RunningBridge(broker, tmp_path, broker_journal=journal) as bridge:
        eventually(bridge.is_receiving, "subscribed")
        publish(broker, numbered(30))
        eventually(lambda: bridge.stats.stored == 30, "stored")
        broker.kill()
        broker.start()
        publish(broker, numbered(10, first=30))
        eventually(lambda: bridge.codes().count("broker_journal_taken") >= 1, "the journal is taken")
        eventually(lambda: bridge.stats.stored + bridge.stats.taken_from_journal >= 40, "goes on")
        # Its session was never saved: nothing was queued for us between its start and our coming back.
        assert bridge.stats.taken_from_journal <= 10
    broker.stop()
    counts = Counter(payloads(tmp_path))
    assert set(counts) == {payload for _, payload in numbered(40)}
