"""The way over Kafka alone, on this machine: `python -m tests.bench.kafka [--reads N] [--rounds N]`.

An edge log is filled beforehand. Measured are decoding it without Kafka, the forwarder (read, decode, encode, produce,
until Kafka has acknowledged everything) and the source (from its first poll on: consume, assemble, decode). Wall time
is what one gets beside whatever else runs; processor time is this process's alone, without the broker's.
"""

import argparse
import os
import platform
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from deploy.local_kafka import LocalKafka
from devices.bulk import TopicDirectory, decode_publications
from devices.publication import Publication
from devices.site import load_sites
from ingest.edge_log import EdgeLog
from ingest.forwarder import Forwarder, ForwarderConfig
from ingest.kafka_cluster import KafkaCluster, ensure_topics
from ingest.kafka_source import KafkaSource, KafkaSourceConfig
from tests.bench.workloads import Workload, publications, site_toml

START_US = 1_790_000_000_000_000


def main() -> None:
    """Measure at 1 and at 50 reads a publication and print medians."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.kafka", description=__doc__)
    parser.add_argument("--reads", type=int, default=500_000, help="at 50 a publication; a fifth of it at 1")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(f"{'reads/publication':>17} {'':8} {'wall reads/s':>13} {'publications/s':>14} {'reads/s of processor':>20}")
    with tempfile.TemporaryDirectory(prefix="tagtide-bench-") as folder, LocalKafka(f"{folder}/kafka") as broker:
        for each, reads in ((50, options.reads), (1, options.reads // 5)):
            workload = Workload(name=f"kafka-{each}", publications=reads // each, reads_a_publication=each)
            rounds = [_round(workload, broker, Path(folder)) for _ in range(options.rounds)]
            for part in rounds[0]:
                wall, processor = (statistics.median(found[part][clock] for found in rounds) for clock in (0, 1))
                rate = workload.reads / wall
                print(f"{each:>17} {part:8} {rate:13,.0f} {rate / each:14,.0f} {workload.reads / processor:20,.0f}")


def _round(workload: Workload, broker: LocalKafka, folder: Path) -> dict[str, tuple[float, float]]:
    """Run a workload through new topics; return wall and processor seconds of each part."""
    name = uuid.uuid4().hex[:8]
    site = folder / f"{workload.name}.toml"
    site.write_text(site_toml(workload.reads_a_publication), encoding="utf-8")
    directory = TopicDirectory.of(load_sites([site]))
    log = EdgeLog.open(folder / name)
    log.append(
        [
            Publication(topic=topic, payload=payload, received_us=START_US + number)
            for number, (topic, payload) in enumerate(publications(workload))
        ]
    )
    cluster = KafkaCluster(bootstrap_servers=broker.bootstrap_servers, topic_prefix=f"{name}.")
    ensure_topics(cluster)
    forwarder = Forwarder(ForwarderConfig(cluster=cluster), log, directory)
    source = KafkaSource(KafkaSourceConfig(bootstrap_servers=broker.bootstrap_servers, topic_prefix=f"{name}."))
    found = {
        "decode": _timed(lambda: _decode(log, directory)),
        "forward": _timed(lambda: forwarder.run(lambda: forwarder.stats.cursor == workload.publications)),
        "consume": _timed(lambda: _consume(source, workload.reads)),
    }
    source.close()
    log.close()
    return found


def _decode(log: EdgeLog, directory: TopicDirectory) -> None:
    after = 0
    while found := log.read(after, 5_000, 4 * 2**20):
        decode_publications(found, edge_id=log.edge_id, directory=directory)
        after = found[-1].edge_offset


def _consume(source: KafkaSource, reads: int) -> None:
    while reads > 0:
        reads -= sum(chunk.batch("reads").num_rows for chunk in source.poll(max_rows=200_000, timeout_s=0.2))


def _timed(work: Callable[[], object]) -> tuple[float, float]:
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - processor


if __name__ == "__main__":
    main()
