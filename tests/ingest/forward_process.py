"""A forwarder in a process of its own that may be killed: `python -m tests.ingest.forward_process ...`.

It kills itself where it is told to: a test that looked from outside and was slow would find that it had finished.
"""

import os
import signal
import sys

from ingest.edge_log import EdgeLog
from ingest.forwarder import Forwarder, ForwarderConfig
from ingest.kafka_cluster import KafkaCluster
from tests.ingest.kafka_scene import DIRECTORY


def main(directory: str, bootstrap_servers: str, topic_prefix: str, read_rows: str, killed_at: str = "") -> None:
    log = EdgeLog.open(directory)
    cluster = KafkaCluster(bootstrap_servers=bootstrap_servers, topic_prefix=topic_prefix, kafka_partitions=3)
    forwarder = Forwarder(ForwarderConfig(cluster=cluster, read_rows=int(read_rows)), log, DIRECTORY)
    end = log.last_offset

    def stop() -> bool:
        if killed_at and forwarder.stats.cursor >= int(killed_at):
            os.kill(os.getpid(), signal.SIGKILL)
        return forwarder.stats.cursor >= end

    forwarder.run(stop)
    log.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
