"""Where compiled kernels are kept, on machines where numba finds no place of its own.

Numba keeps them beside the source, or below the user's home. A service has neither: its packages belong to root, and
it has no home. Numba then refuses to import the kernels at all.
"""

import os
import tempfile
from pathlib import Path

VARIABLE = "NUMBA_CACHE_DIR"
"""Environment variable by which numba is told; whoever sets it decides. Child processes inherit it."""


def find_kernel_cache(packages: Path = Path(__file__).parent.parent) -> None:
    """Name a folder of this user below the temporary ones, if numba would find none.

    Args:
        packages: Folder in which our packages are installed.
    """
    if VARIABLE in os.environ or os.access(packages / "analytics", os.W_OK) or _user_has_cache():
        return
    place = Path(tempfile.gettempdir()) / f"tagtide-kernels-{os.getuid()}"
    if not _is_mine(place):
        place = Path(tempfile.mkdtemp(prefix="tagtide-kernels-"))
    os.environ[VARIABLE] = str(place)


def _user_has_cache() -> bool:
    try:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "numba"
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):  # RuntimeError: nobody knows this user's home
        return False
    return os.access(folder, os.W_OK)


def _is_mine(folder: Path) -> bool:
    """Whether nobody else can put anything into a folder: what lies in it is run."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        state = folder.lstat()
    except OSError:
        return False
    return folder.is_dir() and not folder.is_symlink() and state.st_uid == os.getuid() and not state.st_mode & 0o022
