"""The layout of a data directory: where edge log, journal, lake and site copies are.

```
DIR/edge/      edge log (SQLite)
DIR/jobs/      journal of the jobs (SQLite)
DIR/lake/      Delta tables, one folder each
DIR/sites/     the sites as they were last run with, one JSON file each, so that SQL knows zones and shelves
```
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from devices.errors import TagtideError
from devices.site.model import Site


@dataclass(frozen=True, slots=True)
class DataDirectory:
    """Paths below one `--data` directory."""

    root: Path
    """The directory itself."""

    @property
    def edge(self) -> Path:
        """Folder of the edge log."""
        return self.root / "edge"

    @property
    def journal(self) -> Path:
        """The jobs' journal file."""
        return self.root / "jobs" / "journal.db"

    @property
    def lake(self) -> Path:
        """Folder of the lake's tables."""
        return self.root / "lake"

    def keep_sites(self, sites: Sequence[Site]) -> None:
        """Write the sites beside the lake, each file whole or not at all."""
        folder = self.root / "sites"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for site in sites:
                temporary = folder / f".{site.id}.json.new"
                temporary.write_bytes(msgspec.json.format(msgspec.json.encode(site), indent=1))
                temporary.replace(folder / f"{site.id}.json")
        except OSError as error:
            raise TagtideError(
                f"cannot write {folder}: {error}", hint="check disk and permissions", code="data_directory_unwritable"
            ) from error

    def sites(self) -> list[Site]:
        """Read back the sites that the jobs last ran with."""
        return [
            msgspec.json.decode(path.read_bytes(), type=Site) for path in sorted((self.root / "sites").glob("*.json"))
        ]
