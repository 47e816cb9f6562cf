"""Where compiled kernels are kept: in a folder for exactly these sources, on machines without a home too.

Left alone, numba keeps them beside the source or below the user's home. A service has neither: its packages belong to
root, and it has no home; numba then refuses to import the kernels at all. And numba compiles a kernel anew only when
its own file has changed, not when a kernel that it calls in another file has: after a `git pull` the old one would run.
"""

import hashlib
import os
import tempfile
from pathlib import Path

VARIABLE = "NUMBA_CACHE_DIR"
"""Environment variable by which numba is told; whoever sets it decides. Child processes inherit it."""

_DIGITS = 16


def find_kernel_cache(packages: Path = Path(__file__).parent.parent) -> None:
    """Name a folder of this user for the kernels of these sources; must be called before numba is imported.

    Args:
        packages: Folder in which our packages are installed.
    """
    if VARIABLE in os.environ:
        return
    base = _user_cache() or _temporary()
    os.environ[VARIABLE] = str(base / f"kernels-{fingerprint(packages)}")


def fingerprint(packages: Path) -> str:
    """Return a digest of every source file that numba compiles anything of."""
    digest = hashlib.sha256()
    for path in sorted((packages / "analytics").rglob("*.py")):
        source = path.read_bytes()
        if b"numba" in source:
            digest.update(str(path.relative_to(packages)).encode() + b"\0" + source)
    return digest.hexdigest()[:_DIGITS]


def _user_cache() -> Path | None:
    try:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "tagtide"
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):  # RuntimeError: nobody knows this user's home
        return None
    return folder if os.access(folder, os.W_OK) else None


def _temporary() -> Path:
    place = Path(tempfile.gettempdir()) / f"tagtide-{os.getuid()}"
    return place if _is_mine(place) else Path(tempfile.mkdtemp(prefix="tagtide-"))


def _is_mine(folder: Path) -> bool:
    """Whether nobody else can put anything into a folder: what lies in it is run."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        state = folder.lstat()
    except OSError:
        return False
    return folder.is_dir() and not folder.is_symlink() and state.st_uid == os.getuid() and not state.st_mode & 0o022
