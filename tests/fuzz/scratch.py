"""A folder for a target's files, gone with the target."""

import shutil
import tempfile
import weakref
from pathlib import Path


class Scratch:
    """A temporary folder, in memory where the machine has such files."""

    def __init__(self) -> None:
        memory = Path("/dev/shm")  # files that are never synced: a million of them are no work for a disk
        self.path = Path(tempfile.mkdtemp(prefix="tagtide-fuzz-", dir=memory if memory.is_dir() else None))
        """The folder."""
        self._clean = weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)
