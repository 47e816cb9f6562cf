"""Promise: the lake rebuilt from the edge log equals the live one, row for row in every table."""

import contextlib
import shutil
from pathlib import Path

import pytest

from analytics.data_directory import DataDirectory
from analytics.query import ask, connect
from analytics.runner_parts import RunnerConfig
from analytics.schemas import TABLES
from deploy.assembly import open_runner
from deploy.rebuilding import RebuildJob
from devices.errors import TagtideError, UsageError
from devices.site import load_sites
from devices.site.model import Site
from ingest.edge_log import EdgeLog
from ingest.limits import EdgeLogLimits
from ingest.replay import replay_into_log
from simulators.config import preset
from simulators.faults import ClockSkew, Duplicate, Garbled
from simulators.output import write_day

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> tuple[DataDirectory, tuple[Site, ...]]:
    """Yield a data directory that was filled as a live one is: in small epochs, with restarts in between."""
    folder = tmp_path_factory.mktemp("live")
    faults = (ClockSkew(reader="r2", seconds=-3.0), Duplicate(share=0.02), Garbled(share=0.01))
    write_day(preset("tiny", seed=5, hours=0.35, faults=faults), folder / "day")
    sites = load_sites([folder / "day" / "site.toml"])
    data = DataDirectory(folder / "data")
    with contextlib.closing(EdgeLog.open(data.edge)) as log:
        replay_into_log(folder / "day" / "capture.jsonl", log, speed="max")
        last, edge_id = log.last_offset, log.edge_id
    for share in (0.3, 0.7, 1.0):
        config = RunnerConfig(epoch_rows_limit=3_000, checkpoint_interval_s=0.2)
        with contextlib.closing(open_runner(sites, data, config=config)) as runner:
            runner.run(lambda: False, until=lambda seen, end=share * last: reached(seen, edge_id) >= end)  # type: ignore[misc]
    return data, sites


def reached(through: dict[str, dict[str, int]], edge_id: str) -> int:
    return max((logs.get(edge_id, 0) for logs in through.values()), default=0)


def assert_same_lakes(one: Path, other: Path) -> None:
    for table in TABLES:
        sql = f"SELECT * FROM {table} ORDER BY ALL"
        expected, found = (ask(connect(root), sql) for root in (one, other))
        assert expected.num_rows > 0 or table in {
            "alerts",
            "radio_laws",
            "passages",
            "aggregations",
            "counts",
            "counted",
        }, table
        assert found.equals(expected), table


def test_the_lake_rebuilt_from_the_edge_log_equals_the_live_one(
    live: tuple[DataDirectory, tuple[Site, ...]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, sites = live
    with contextlib.closing(EdgeLog.open(data.edge)) as log:
        cursors = log.cursors()
        assert RebuildJob(sites=sites, data=data, into=DataDirectory(tmp_path)).run(lambda: False)
        assert log.cursors() == cursors, "nothing is held back, nothing released"
    assert_same_lakes(data.root, tmp_path)
    assert "no longer kept" not in capsys.readouterr().err


def test_a_rebuild_that_was_stopped_goes_on(live: tuple[DataDirectory, tuple[Site, ...]], tmp_path: Path) -> None:
    data, sites = live
    job = RebuildJob(sites=sites, data=data, into=DataDirectory(tmp_path))
    assert not job.run(lambda: True)
    assert job.run(lambda: False)
    assert_same_lakes(data.root, tmp_path)


def test_the_rebuilt_lake_takes_the_place_of_the_old_one(
    live: tuple[DataDirectory, tuple[Site, ...]], tmp_path: Path
) -> None:
    """As docs/reliability.md says: lake and jobs are moved, and the jobs go on behind the last publication."""
    data, sites = live
    new = DataDirectory(tmp_path / "new")
    RebuildJob(sites=sites, data=data, into=new).run(lambda: False)
    shutil.copytree(data.edge, tmp_path / "old" / "edge")
    for part in ("lake", "jobs"):
        (new.root / part).rename(tmp_path / "old" / part)
    with contextlib.closing(open_runner(sites, DataDirectory(tmp_path / "old"))) as runner:
        looks = iter([False] * 3)
        runner.run(lambda: next(looks, True))
        assert runner.stats.rows == {}, "nothing is landed again"
    assert_same_lakes(data.root, tmp_path / "old")


def test_what_is_no_longer_kept_is_said(
    live: tuple[DataDirectory, tuple[Site, ...]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, sites = live
    shutil.copytree(data.edge, tmp_path / "cut" / "edge")
    with contextlib.closing(EdgeLog.open(tmp_path / "cut" / "edge")) as log:
        log.move_cursor("jobs", log.last_offset // 2)
        log.trim(EdgeLogLimits(stored_bytes_max=1, kept_age_s=0))
        first = log.first_offset
    assert first > 1
    RebuildJob(sites=sites, data=DataDirectory(tmp_path / "cut"), into=DataDirectory(tmp_path / "new")).run(
        lambda: False
    )
    assert f"publications before offset {first} are no longer kept" in " ".join(capsys.readouterr().err.split())
    sql = f"SELECT * FROM reads WHERE edge_offset >= {first} ORDER BY edge_offset, edge_index"
    whole, part = (ask(connect(root), sql) for root in (data.root, tmp_path / "new"))
    assert [row["epc_hex"] for row in part.to_pylist()] == [row["epc_hex"] for row in whole.to_pylist()]


def test_directories_that_cannot_be_are_refused(live: tuple[DataDirectory, tuple[Site, ...]], tmp_path: Path) -> None:
    data, sites = live
    with pytest.raises(UsageError, match="--into is --data"):
        RebuildJob(sites=sites, data=data, into=data).run(lambda: False)
    EdgeLog.open(tmp_path / "other" / "edge").close()
    with pytest.raises(UsageError, match="an edge log of its own"):
        RebuildJob(sites=sites, data=data, into=DataDirectory(tmp_path / "other")).run(lambda: False)
    with pytest.raises(TagtideError, match="there is no edge log"):
        RebuildJob(sites=sites, data=DataDirectory(tmp_path / "none"), into=DataDirectory(tmp_path / "new")).run(
            lambda: False
        )
    assert not (tmp_path / "none").exists()
