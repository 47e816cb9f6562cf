"""One path, two lengths: a capture gives the same tables through the embedded runner and through real Kafka."""

from pathlib import Path

import pytest

from deploy.local_kafka import LocalKafka
from simulators.config import preset
from simulators.faults import ClockSkew, Duplicate, Garbled
from simulators.output import write_day
from tests.integration.processes import query, run

pytestmark = pytest.mark.integration

TABLES = ("reads", "readings", "device_events", "business_events", "rejects", "locations", "inventory", "shelves")


def test_embedded_and_kafka_give_the_same_tables(kafka: LocalKafka, tmp_path: Path) -> None:
    faults = (ClockSkew(reader="r2", seconds=-3.0), Duplicate(share=0.02), Garbled(share=0.01))
    write_day(preset("tiny", seed=5, hours=0.35, faults=faults), tmp_path / "day")
    capture, site = tmp_path / "day" / "capture.jsonl", tmp_path / "day" / "site.toml"
    run("replay", capture, "--site", site, "--data", tmp_path / "embedded")
    run("replay", capture, "--site", site, "--data", tmp_path / "kafka", "--kafka", kafka.bootstrap_servers)
    for table in TABLES:
        # Each edge log has an identity of its own; everything else is the same, row for row.
        sql = f"SELECT * EXCLUDE (edge_id) FROM {table} ORDER BY ALL"
        if table in {"locations", "inventory", "shelves"}:
            sql = f"SELECT * FROM {table} ORDER BY ALL"
        embedded, through_kafka = query(tmp_path / "embedded", sql), query(tmp_path / "kafka", sql)
        assert embedded.num_rows > 0, table
        assert embedded.equals(through_kafka), table
