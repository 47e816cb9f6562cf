"""The runner lands every row once: whatever the epochs are, wherever it crashes, and while the disk refuses."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analytics.journal import Journal, Through
from analytics.lake import Lake
from analytics.query import ask, connect
from analytics.runner import Runner
from analytics.runner_parts import RunnerConfig
from devices.chunk import Chunk
from devices.errors import LakeError, Recovery, TagtideError
from devices.events import Event
from devices.site.model import Antenna, Reader, Site, Zone, ZoneKind
from tests.analytics.chunk_building import Sayings

SITE = Site(
    id="s",
    zones=(
        Zone(id="left", kind=ZoneKind.SALES_FLOOR, polygon=((0, 0), (5, 0), (5, 5), (0, 5))),
        Zone(id="right", kind=ZoneKind.SALES_FLOOR, polygon=((5, 0), (10, 0), (10, 5), (5, 5))),
    ),
    readers=(
        Reader(
            id="r1",
            profile="tagtide",
            mqtt_topic="r1",
            antennas=(Antenna(port=1, x=2, y=2, zone="left"), Antenna(port=2, x=8, y=2, zone="right")),
        ),
    ),
)


class CrashError(Exception):
    """Power goes."""


class ListSource:
    """A record source over chunks in memory; a position is how many edge offsets were handed out."""

    def __init__(self, chunk: Chunk, offsets_a_poll: int) -> None:
        self._chunk = chunk
        self._step = offsets_a_poll
        self._at = 0
        self.released = 0
        self.is_away = False

    def poll(self, *, max_rows: int, timeout_s: float) -> list[Chunk]:  # noqa: ARG002 - it never waits
        if self._at >= self._chunk.last_offset:
            return []
        part = self._chunk.after(self._at).through(self._at + min(self._step, max_rows))
        self._at = part.last_offset
        return [part]

    def position(self) -> bytes:
        return b"%d" % self._at

    def seek(self, position: bytes | None) -> None:
        self._at = 0 if position is None else int(position)
        assert self._at >= self.released, "what was released is asked for again"

    def release(self, position: bytes) -> None:
        self.released = int(position)

    def close(self) -> None:
        pass


class CrashingLake(Lake):
    """A lake that takes some table commits and then has no power any more."""

    commits_left = 10**9

    def _commit_table(self, name: str, epoch: int, rows: pa.Table) -> int:
        if self.commits_left == 0:
            raise CrashError
        self.commits_left -= 1
        return super()._commit_table(name, epoch, rows)


def store_traffic(seconds: int = 60) -> Chunk:
    """Two items that stay, one that moves from left to right, a reject now and then."""
    said = Sayings(site="s")
    for second in range(seconds):
        for index, epc in enumerate(("30AA", "30BB", "30CC")):
            antenna = 2 if epc == "30BB" or (epc == "30CC" and second > seconds // 2) else 1
            said.read(second + index / 10, second + index / 10, epc_hex=epc, antenna=antenna, rssi_dbm=-50.0 - index)
        if second % 5 == 0:
            said.say("rejects", second, [{"topic": "x", "bytes": b"?", "reason_code": "no", "reason": "no"}])
    said.mark(seconds + 5)
    return said.chunk()


def open_runner(
    data: Path,
    chunk: Chunk,
    *,
    offsets_a_poll: int = 7,
    lake: Callable[[Path], Lake] = lambda path: Lake(path, writer="jobs"),
    config: RunnerConfig | None = None,
    **options: Any,
) -> tuple[Runner, Journal]:
    journal = Journal(data / "jobs" / "journal.db")
    runner = Runner(
        source=ListSource(chunk, offsets_a_poll),
        sites=[SITE],
        lake=lake(data / "lake"),
        journal=journal,
        config=config or RunnerConfig(epoch_rows_limit=20, checkpoint_interval_s=0.0),
        **options,
    )
    return runner, journal


def all_landed(chunk: Chunk) -> Callable[[Through], bool]:
    return lambda through: through.get("s", {}).get("e", 0) >= chunk.last_offset


def landed(data: Path) -> dict[str, list[dict[str, Any]]]:
    connection = connect(data)
    return {
        "reads": ask(connection, "SELECT * FROM reads ORDER BY edge_offset, edge_index").to_pylist(),
        "rejects": ask(connection, "SELECT * FROM rejects ORDER BY edge_offset, edge_index").to_pylist(),
        "locations": ask(connection, "SELECT * FROM locations ORDER BY epc_hex, from_time").to_pylist(),
    }


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    data = tmp_path_factory.mktemp("undisturbed")
    chunk = store_traffic()
    runner, journal = open_runner(data, chunk, offsets_a_poll=1000, config=RunnerConfig())
    runner.run(lambda: False, until=all_landed(chunk))
    journal.close()
    return landed(data)


def test_everything_said_is_landed(undisturbed: dict[str, list[dict[str, Any]]]) -> None:
    assert len(undisturbed["reads"]) == 180
    assert len(undisturbed["rejects"]) == 12
    moved = [row["zone"] for row in undisturbed["locations"] if row["epc_hex"] == "30CC"]
    assert moved == ["left", "right"]


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    crashes=st.lists(st.integers(0, 12), min_size=1, max_size=5),
    polls=st.lists(st.integers(8, 90), min_size=6, max_size=6),
    checkpoints=st.sampled_from([0.0, 3600.0]),
)
def test_crashes_between_any_two_commits_change_nothing(
    tmp_path: Path,
    undisturbed: dict[str, list[dict[str, Any]]],
    crashes: list[int],
    polls: list[int],
    checkpoints: float,
) -> None:
    """Epochs differ from run to run (other poll sizes), and the lake is the same in the end."""
    shutil.rmtree(tmp_path / "data", ignore_errors=True)
    chunk = store_traffic()
    for commits, poll in zip([*crashes, 10**9], polls, strict=False):

        def crashing(path: Path, commits: int = commits) -> Lake:
            lake = CrashingLake(path, writer="jobs")
            lake.commits_left = commits
            return lake

        runner, journal = open_runner(
            tmp_path / "data",
            chunk,
            offsets_a_poll=poll,
            lake=crashing,
            config=RunnerConfig(epoch_rows_limit=poll * 2, checkpoint_interval_s=checkpoints),
        )
        try:
            runner.run(lambda: False, until=all_landed(chunk))
        except CrashError:
            pass
        finally:
            journal.close()
    assert landed(tmp_path / "data") == undisturbed


def test_what_a_checkpoint_covers_is_released_even_if_a_crash_came_between(tmp_path: Path) -> None:
    """Else an edge log at its bound stays there: no room, no rows, no next checkpoint."""

    class DyingSource(ListSource):
        def release(self, position: bytes) -> None:  # noqa: ARG002
            raise CrashError

    chunk = store_traffic()
    runner, journal = open_runner(tmp_path, chunk)
    runner._source = DyingSource(chunk, 1000)
    with pytest.raises(CrashError):
        runner.run(lambda: False, until=all_landed(chunk))
    journal.close()
    again, journal = open_runner(tmp_path, chunk)
    again.run(lambda: True)
    journal.close()
    assert isinstance(again._source, ListSource)
    checkpoint_offset = again._last.through["s"]["e"]
    assert again._source.released >= checkpoint_offset > 0


def test_a_disk_that_is_full_for_a_while_loses_nothing(
    tmp_path: Path, undisturbed: dict[str, list[dict[str, Any]]]
) -> None:
    class FullLake(Lake):
        refusals = 3

        def commit(self, epoch: int, rows: Any) -> int:
            if self.refusals:
                self.refusals -= 1
                error = LakeError("no space left")
                error.recovery = Recovery.RETRY
                raise error
            return super().commit(epoch, rows)

    told = list[Event]()
    pauses: list[float] = []
    chunk = store_traffic()
    runner, journal = open_runner(
        tmp_path, chunk, lake=lambda path: FullLake(path, writer="jobs"), on_event=told.append, sleep=pauses.append
    )
    runner.run(lambda: False, until=all_landed(chunk))
    journal.close()
    assert landed(tmp_path) == undisturbed
    assert sum(pauses) == 1.0 + 2.0 + 4.0, "it waits longer each time"
    assert max(pauses) <= 0.5, "and notices within half a second that it should stop"
    assert [event.code for event in told] == ["jobs_holding", "jobs_resumed"]


def test_a_stop_while_the_disk_refuses_ends_the_run_and_the_next_one_repeats_the_epoch(
    tmp_path: Path, undisturbed: dict[str, list[dict[str, Any]]]
) -> None:
    class RefusingLake(Lake):
        def commit(self, epoch: int, rows: Any) -> int:  # noqa: ARG002
            error = LakeError("no space left")
            error.recovery = Recovery.RETRY
            raise error

    chunk = store_traffic()
    runner, journal = open_runner(tmp_path, chunk, lake=lambda path: RefusingLake(path, writer="jobs"))
    asked = iter([False, False, False, *[True] * 100])
    runner.run(lambda: next(asked))
    journal.close()
    assert runner.stats.state == "stopped"
    again, journal = open_runner(tmp_path, chunk)
    again.run(lambda: False, until=all_landed(chunk))
    journal.close()
    assert again.stats.repeated_epochs == 1
    assert landed(tmp_path) == undisturbed


def test_an_error_that_does_not_mend_itself_ends_the_run(tmp_path: Path) -> None:
    class BrokenLake(Lake):
        def commit(self, epoch: int, rows: Any) -> int:  # noqa: ARG002
            raise LakeError("another process writes")

    runner, journal = open_runner(tmp_path, store_traffic(), lake=lambda path: BrokenLake(path, writer="jobs"))
    with pytest.raises(LakeError):
        runner.run(lambda: False)
    journal.close()


def test_a_site_without_a_site_file_is_landed_as_it_came(tmp_path: Path) -> None:
    said = Sayings(site="elsewhere").read(0, 0, epc_hex="30AA", antenna=1).mark(9)
    told = list[Event]()
    runner, journal = open_runner(tmp_path, said.chunk(), on_event=told.append)
    runner.run(lambda: False, until=lambda through: through.get("elsewhere", {}).get("e", 0) == 2)
    journal.close()
    assert [row["epc_hex"] for row in landed(tmp_path)["reads"]] == ["30AA"]
    assert "no site file" in told[0].text


def test_a_source_that_forgot_what_was_planned_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("analytics.runner._RECOVERY_POLLS_LIMIT", 3)
    chunk = store_traffic()

    def crashing(path: Path) -> Lake:
        lake = CrashingLake(path, writer="jobs")
        lake.commits_left = 0
        return lake

    runner, journal = open_runner(tmp_path, chunk, lake=crashing)
    with pytest.raises(CrashError):
        runner.run(lambda: False)
    journal.close()
    shorter = chunk.through(1)
    runner, journal = open_runner(tmp_path, shorter)
    with pytest.raises(TagtideError) as caught:
        runner.run(lambda: False)
    assert caught.value.code == "source_truncated"
    journal.close()


def test_a_runner_that_waits_for_its_source_to_repeat_an_epoch_hears_stop(tmp_path: Path) -> None:
    """Kafka may be away when the jobs start again: SIGTERM must not wait until it is back."""
    chunk = store_traffic()
    runner, _ = open_runner(tmp_path, chunk, lake=lambda path: CrashingLake(path, writer="jobs"))
    runner._lake.commits_left = 0  # type: ignore[attr-defined]
    with pytest.raises(CrashError):
        runner.run(lambda: False)
    runner.close()
    told = list[Event]()
    again, _ = open_runner(tmp_path, chunk, on_event=told.append)
    again.source._chunk = Sayings(site="s").chunk()  # type: ignore[attr-defined]  # it gives nothing
    asked = iter([False, False, True])
    again.run(lambda: next(asked, True))
    again.close()
    assert [event.code for event in told] == ["jobs_stopped_holding"]


def test_a_source_that_is_away_is_waited_for_however_long(tmp_path: Path) -> None:
    """Only one that is there and gives nothing no longer holds what is asked for."""
    chunk = store_traffic()
    runner, _ = open_runner(tmp_path, chunk, lake=lambda path: CrashingLake(path, writer="jobs"))
    runner._lake.commits_left = 0  # type: ignore[attr-defined]
    with pytest.raises(CrashError):
        runner.run(lambda: False)
    runner.close()
    again, _ = open_runner(tmp_path, chunk)
    source = again.source
    assert isinstance(source, ListSource)
    everything, source._chunk, source.is_away = source._chunk, Sayings(site="s").chunk(), True
    asked = 0

    def stop() -> bool:
        nonlocal asked
        asked += 1
        if asked == 2000:  # it is back
            source._chunk, source.is_away = everything, False
            source.seek(None)
        return False

    again.run(stop, until=all_landed(chunk))
    again.close()
    assert again.stats.repeated_epochs == 1
    third, _ = open_runner(tmp_path / "other", chunk, lake=lambda path: CrashingLake(path, writer="jobs"))
    third._lake.commits_left = 0  # type: ignore[attr-defined]
    with pytest.raises(CrashError):
        third.run(lambda: False)
    third.close()
    fourth, _ = open_runner(tmp_path / "other", Sayings(site="s").chunk())
    with pytest.raises(TagtideError) as raised:
        fourth.run(lambda: False)
    fourth.close()
    assert raised.value.code == "source_truncated"
