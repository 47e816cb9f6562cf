"""What the tests of commands work on: a lake that holds a small store, a site file, captures."""

from pathlib import Path

import pyarrow as pa
import pytest

from analytics.data_directory import DataDirectory
from analytics.lake import Lake
from analytics.schemas import TABLES
from tests.analytics.question_store import SITES, STORE
from tests.deploy.scene import SITE_TOML


@pytest.fixture(scope="session")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory as the jobs leave it behind."""
    data = DataDirectory(tmp_path_factory.mktemp("stored"))
    rows = {name: pa.Table.from_pylist(list(STORE.get(name, [])), schema=schema) for name, schema in TABLES.items()}
    Lake(data.lake, writer="test").commit(1, rows)
    data.keep_sites(SITES)
    return data.root


@pytest.fixture
def site_file(tmp_path: Path) -> Path:
    """A site file without a problem."""
    path = tmp_path / "site.toml"
    path.write_text(SITE_TOML)
    return path
