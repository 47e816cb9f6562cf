"""What the kernel says of this process and of the disk below its data directory."""

import os
import resource
import shutil
import time
from pathlib import Path

from deploy.telemetry.report import Told

DISK_FREE_BYTES_MIN = 256 * 2**20
"""Less than this free on the disk, and the process is not ready: the lake holds new rows back at 64 MiB
(`analytics.lake`), and a compaction writes up to some hundred MB before it frees any."""

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def tell_process(told: Told, component: str, started: float) -> None:
    """Add memory, processor time, descriptors and start of this process.

    Args:
        told: Where to.
        component: Which of our processes this is.
        started: When it started, Unix time.
    """
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    told.put("tagtide_process_start_time_seconds", started, component)
    told.put("tagtide_process_cpu_seconds_total", time.process_time(), component)
    told.put("tagtide_process_max_fds", limit, component)
    if Path("/proc/self").exists():  # Linux only; elsewhere these two are left out
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
        told.put("tagtide_process_resident_memory_bytes", pages * _PAGE_BYTES, component)
        told.put("tagtide_process_open_fds", sum(1 for _ in Path("/proc/self/fd").iterdir()), component)


def tell_disk(told: Told, component: str, directory: Path) -> None:
    """Add how much room is on the disk of a data directory, and whether it is enough."""
    usage = shutil.disk_usage(directory)
    told.put("tagtide_disk_free_bytes", usage.free, component)
    told.put("tagtide_disk_size_bytes", usage.total, component)
    told.check(
        "disk_free",
        ok=usage.free >= DISK_FREE_BYTES_MIN,
        says=f"{usage.free / 2**20:,.0f} MiB are free on the disk of {directory}",
        do=f"free space there: below {DISK_FREE_BYTES_MIN >> 20} MiB writing may stop at any time",
    )
