"""Promise 1 in a minute: some faults of a fixed seed, embedded and through Kafka, and nothing is lost or there twice.

`make chaos` is the long version.
"""

import os
import sys
from pathlib import Path

import pytest

from deploy.kafka_libs import LocalKafkaError, fetch_libs, java_command
from deploy.local_mqtt import mosquitto_executable
from tests.chaos.faults import Kind
from tests.chaos.rounds import Plan, run
from tests.chaos.stack import Length
from tests.journal_plugin import missing_tools

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1200)]

KINDS = {
    Length.EMBEDDED: [Kind.KILL_ALL, Kind.BROKER_ALONE, Kind.DISK_EDGE, Kind.CUT],
    Length.KAFKA: [Kind.KILL_ALL, Kind.KILL_PAIR, Kind.STALL],
}


def unavailable(length: Length) -> str | None:
    """Return why it cannot be run here."""
    if not sys.platform.startswith("linux"):
        return "processes are found through /proc: Linux only"
    if mosquitto_executable() is None:
        return "Mosquitto is not on this machine: apt-get install mosquitto"
    if length is Length.KAFKA:
        try:
            java_command()
            fetch_libs()
        except LocalKafkaError as error:
            return f"no Kafka here: {error} ({error.hint})"
    return missing_tools()


@pytest.mark.parametrize("length", list(Length))
def test_nothing_is_lost_and_nothing_is_there_twice(length: Length, tmp_path: Path) -> None:
    if reason := unavailable(length):
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    told: list[str] = []
    plan = Plan(
        directory=tmp_path / length,
        length=length,
        rounds=len(KINDS[length]),
        seed=4,
        kinds=KINDS[length],
        rate_per_s=10.0,
        disk_mib=128,
        recovery_every=100,  # they all pile up; the end waits for everything
    )
    outcome = run(plan, told.append)
    text = "\n".join(told)
    kinds = ",".join(KINDS[length])
    again = f"python -m tests.chaos --rounds {len(KINDS[length])} --seed 4 --lengths {length} --faults {kinds}"
    assert outcome.problems == [], f"{text}\nagain: {again}"
    assert outcome.comparison.acknowledged > 200, text
    assert outcome.comparison.rejected > 0, text
