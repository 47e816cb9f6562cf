"""One path, two lengths: a capture gives the same tables through the embedded runner and through real Kafka.

And again, whenever the lake is rebuilt from what the edge log or Kafka kept.
"""

from pathlib import Path

import pytest

from deploy.local_kafka import LocalKafka
from simulators.config import preset
from simulators.faults import ClockSkew, Duplicate, Garbled
from simulators.output import write_day
from tests.integration.processes import query, run

pytestmark = pytest.mark.integration

TABLES = ("reads", "readings", "device_events", "business_events", "rejects", "locations", "inventory", "shelves")

SITE = "store-tiny"
"""The simulated site."""

DERIVED = {"locations", "inventory", "shelves", "alerts", "radio_laws", "passages", "aggregations", "counts", "counted"}
"""Tables without an edge log's identity."""


def test_embedded_and_kafka_give_the_same_tables(kafka: LocalKafka, tmp_path: Path) -> None:
    faults = (ClockSkew(reader="r2", seconds=-3.0), Duplicate(share=0.02), Garbled(share=0.01))
    write_day(preset("tiny", seed=5, hours=0.35, faults=faults), tmp_path / "day")
    capture, site = tmp_path / "day" / "capture.jsonl", tmp_path / "day" / "site.toml"
    run("replay", capture, "--site", site, "--data", tmp_path / "embedded")
    run("replay", capture, "--site", site, "--data", tmp_path / "kafka", "--kafka", kafka.bootstrap_servers)
    for table in TABLES:
        # Each edge log has an identity of its own; everything else is the same, row for row.
        columns = "*" if table in DERIVED else "* EXCLUDE (edge_id)"
        embedded, through_kafka = (
            query(data, f"SELECT {columns} FROM {table} WHERE {_mine(data, table)} ORDER BY ALL")
            for data in (tmp_path / "embedded", tmp_path / "kafka")
        )
        assert embedded.num_rows > 0, table
        assert embedded.equals(through_kafka), table
    _check_rebuilt(tmp_path, site, kafka)


def _mine(data: Path, table: str) -> str:
    """What tells this test's rows: other tests' sites are in the same Kafka, and land as they came."""
    if table in DERIVED:
        return f"site = '{SITE}'"
    (edge_id,) = query(data, f"SELECT DISTINCT edge_id FROM reads WHERE site = '{SITE}'")["edge_id"].to_pylist()
    return f"edge_id = '{edge_id}'"


def _check_rebuilt(folder: Path, site: Path, kafka: LocalKafka) -> None:
    run("rebuild", "--site", site, "--data", folder / "kafka", "--into", folder / "from-edge-log")
    servers = ("--kafka", kafka.bootstrap_servers)
    run("rebuild", "--site", site, "--data", folder / "kafka", "--into", folder / "from-kafka", *servers)
    for table in (*TABLES, "alerts", "radio_laws", "passages", "aggregations", "counts", "counted"):
        sql = f"SELECT * FROM {table} WHERE {_mine(folder / 'kafka', table)} ORDER BY ALL"
        live = query(folder / "kafka", sql)
        for rebuilt in ("from-edge-log", "from-kafka"):
            assert query(folder / rebuilt, sql).equals(live), (table, rebuilt)
