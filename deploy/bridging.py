"""The edge's daemons: the bridge, and beside it the forwarder to Kafka."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from analytics.data_directory import DataDirectory
from deploy.reporting import Status, teller
from devices.bulk import TopicDirectory
from devices.site.model import Site
from ingest.edge_log import EdgeLog


def wall_clock_us() -> int:
    """Return the time of this machine, microseconds since the Unix epoch."""
    return time.time_ns() // 1000
