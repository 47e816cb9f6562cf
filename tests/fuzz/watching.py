"""Time and memory of a run: a bound on the time of each input, and the peak memory of each target."""

import contextlib
import ctypes
import gc
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import pyarrow as pa

from tests.fuzz.target import BrokenLawError

SECONDS_MAX = 2.0
"""Processor time that any input may take,"""
SECONDS_PER_MB_MAX = 10.0
"""and so much more for each MB of it. Decoding JSON part by part in Python takes some 2 s a MB of `[0,0,0...`."""
HANG_S = 120.0
"""Wall time after which an input counts as hanging, and is interrupted."""
MEMORY_MB_MAX = 1_500
"""Resident memory that a target may grow to. The largest payload that is decoded, 16 MiB of the worst shape, takes
about a third of that; libraries and compiled kernels take 350 MB before the first input."""


def seconds_allowed(size: int) -> float:
    """Return how much processor time an input of so many bytes may take."""
    return SECONDS_MAX + SECONDS_PER_MB_MAX * size / 1e6


@contextlib.contextmanager
def hang_alarm(seconds: float = HANG_S) -> Iterator[None]:
    """Interrupt what runs longer."""

    def interrupt(signum: int, frame: FrameType | None) -> None:
        raise BrokenLawError(f"no end after {seconds:.0f} s (signal {signum} in {frame and frame.f_code.co_name})")

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def processor_s() -> float:
    """Return the processor time of this thread, seconds: waiting on a busy machine does not count."""
    return time.thread_time()


def give_back() -> None:
    """Give freed memory back to the system, so that one input's peak does not hide the next one's."""
    gc.collect()
    pa.default_memory_pool().release_unused()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def reset_peak() -> None:
    """Begin a new peak of resident memory."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_mb() -> float:
    """Return the peak of resident memory since the last reset, MB; of the process's life where Linux cannot reset."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0
