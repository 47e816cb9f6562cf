"""A forwarder in a process of its own, so that a test can kill it: `python -m tests.ingest.forward_process ...`."""

import sys

from ingest.edge_log import EdgeLog
from ingest.forwarder import Forwarder, ForwarderConfig
from ingest.kafka_cluster import KafkaCluster
from tests.ingest.kafka_scene import DIRECTORY


def main(directory: str, bootstrap_servers: str, topic_prefix: str, read_rows: str) -> None:
    log = EdgeLog.open(directory)
    cluster = KafkaCluster(bootstrap_servers=bootstrap_servers, topic_prefix=topic_prefix, kafka_partitions=3)
    forwarder = Forwarder(ForwarderConfig(cluster=cluster, read_rows=int(read_rows)), log, DIRECTORY)
    end = log.last_offset
    forwarder.run(lambda: forwarder.stats.cursor >= end)
    log.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
