"""What a command line names: site files and a data directory, checked before anything is opened."""

from collections.abc import Sequence
from pathlib import Path

from analytics.data_directory import DataDirectory
from devices.errors import UsageError
from devices.site.model import Site


def data_at(path: Path) -> DataDirectory:
    """Return the data directory at a path, which need not exist yet.

    Raises:
        UsageError: A file is there.
    """
    if path.exists() and not path.is_dir():
        raise UsageError(f"--data {path} is a file, not a directory", hint="give a directory; it is created if needed")
    return DataDirectory(path)


def sites_of(paths: Sequence[Path]) -> tuple[Site, ...]:
    """Load the site files of a command line, every problem of all of them at once.

    Raises:
        SiteFileError: There are problems.
        UsageError: No site file was given.
    """
    from devices.site import load_sites

    if not paths:
        raise UsageError("no site file was given", hint="--site FILE; docs/site-file.md explains what is in one")
    return load_sites(paths)
