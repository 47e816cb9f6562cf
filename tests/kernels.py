"""Compile the jobs' kernels, so that no test's deadline has to wait for it: `python -m tests.kernels`.

A kernel is compiled where it is first called, and kept for these sources. That is 45 s of a core for
all of them, and was 135 s on a busy machine: jobs that a test has started land nothing meanwhile.
"""

import sys
import tempfile
import time
from pathlib import Path

from deploy.kernel_cache import find_kernel_cache

find_kernel_cache()  # before any kernel is imported

from analytics.data_directory import DataDirectory  # noqa: E402
from deploy.replaying import ReplayJob  # noqa: E402 - see above
from devices.site.file import load_site  # noqa: E402
from simulators.config import preset  # noqa: E402
from simulators.output import write_day  # noqa: E402


def main() -> None:
    """Run the jobs over a few minutes of a small store, which takes every kernel of theirs."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="tagtide-kernels-") as folder:
        day = Path(folder) / "day"
        write_day(preset("tiny", seed=5, hours=0.35), day)
        sites = [load_site(day / "site.toml")]
        ReplayJob(capture=day / "capture.jsonl", sites=sites, data=DataDirectory(Path(folder) / "data")).run(
            lambda: False
        )
    sys.stdout.write(f"kernels are compiled: {time.monotonic() - began:.0f} s\n")


if __name__ == "__main__":
    main()
