"""Promise: a replay lands all of a capture once, however often it is killed, stopped, or asked for again."""

import contextlib
import gzip
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from analytics.data_directory import DataDirectory
from deploy.assembly import open_runner
from deploy.replaying import ReplayJob
from deploy.supervisor import tagtide_command
from devices.errors import TagtideError
from devices.site import load_site
from ingest.edge_log import EdgeLog
from tests.deploy.command_line import Ended, tagtide
from tests.deploy.scene import line, write_capture
from tests.integration.processes import DEADLINE_S, query

pytestmark = pytest.mark.slow

READS = "SELECT count(*) AS n, count(DISTINCT epc_hex) AS items, max(edge_offset) AS last FROM reads"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def replay(capture: Path, site_file: Path, data: Path, *more: str) -> Ended:
    return tagtide("replay", capture, "--site", site_file, "--data", data, *more)


def reads(data: Path) -> int:
    """Return how many reads are landed, each of them once."""
    row = query(data, READS).to_pylist()[0]
    assert row["n"] == row["items"], "each item was read once"
    return int(row["n"])


def test_everything_is_landed_when_it_returns(tmp_path: Path, site_file: Path, data: Path) -> None:
    ended = replay(write_capture(tmp_path / "c.jsonl", 25), site_file, data)
    assert (ended.code, ended.out) == (0, "")
    assert ended.err.startswith("25 publications replayed; landed: ")
    assert "25 reads" in ended.err
    assert reads(data) == 25


def test_a_finished_replay_is_not_repeated_unless_asked(tmp_path: Path, site_file: Path, data: Path) -> None:
    capture = write_capture(tmp_path / "c.jsonl", 5)
    replay(capture, site_file, data)
    ended = replay(capture, site_file, data)
    assert ended.code == 0
    assert "was replayed into" in ended.err
    assert "5 publications" in replay(capture, site_file, data, "--again").err
    with contextlib.closing(EdgeLog.open(data / "edge")) as log:
        assert log.last_offset == 2 * 6, "both times the publications and a clock record"
    assert reads(data) == 5, "all of them repeats"


def test_a_capture_without_publications_says_so(tmp_path: Path, site_file: Path, data: Path) -> None:
    empty = tmp_path / "empty.jsonl"
    empty.write_text("\n\n")
    ended = replay(empty, site_file, data)
    assert ended.code == 0
    assert ended.err == f"{empty} holds no publications: nothing was added\n"


@pytest.mark.parametrize("packed", ["", "gzip"])
def test_a_half_written_capture_lands_what_is_there(tmp_path: Path, site_file: Path, data: Path, packed: str) -> None:
    text = "".join(line(number) + "\n" for number in range(2000)).encode()
    capture = tmp_path / "half"
    capture.write_bytes(gzip.compress(text)[:8000] if packed else text[:-100])
    ended = replay(capture, site_file, data)
    assert ended.code == 0
    assert "1 line of the capture could not be read: see the rejects" in ended.err
    assert f"tagtide sql --data {data} rejects-by-reason" in ended.err
    reasons = query(data, "SELECT reason_code FROM rejects").column(0).to_pylist()
    assert reasons == ["capture_file_incomplete" if packed else "capture_line_incomplete"]
    assert 100 < reads(data) < 2000
    assert packed or reads(data) == 1999


def test_the_pace_is_kept(tmp_path: Path, site_file: Path, data: Path) -> None:
    capture = write_capture(tmp_path / "c.jsonl", 5, every_s=2.0)
    replay(capture, site_file, data)  # kernels are compiled now
    began = time.monotonic()
    assert replay(capture, site_file, tmp_path / "paced", "--speed", "8").code == 0
    assert time.monotonic() - began >= 8.0 / 8
    assert reads(tmp_path / "paced") == 5


def test_stopped_it_says_so_and_goes_on_later(tmp_path: Path, site_file: Path, data: Path) -> None:
    """Publications an hour apart: whoever waits for the next one must hear the signal."""
    capture = write_capture(tmp_path / "c.jsonl", 3, every_s=3600.0)
    process = start(capture, site_file, data, "--speed", "1")
    wait(lambda: landed(data) == 1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 130
    assert "stopped before the end of the capture; the same command goes on from here" in err
    assert replay(capture, site_file, data).code == 0
    assert reads(data) == 3


def test_killed_it_goes_on_where_it_was(tmp_path: Path, site_file: Path, data: Path) -> None:
    capture = write_capture(tmp_path / "c.jsonl", 400, every_s=1.0)
    process = start(capture, site_file, data, "--speed", "1")  # minutes: it lands long before it has read everything
    wait(lambda: landed(data) >= 3)
    process.kill()
    process.communicate()
    assert landed(data) < 400
    assert replay(capture, site_file, data).code == 0
    assert reads(data) == 400
    with contextlib.closing(EdgeLog.open(data / "edge")) as log:
        assert log.last_offset == 401, "400 publications and a clock record, none of them twice"


def test_a_failure_ends_the_filling_too(
    tmp_path: Path, site_file: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the jobs fail for good, nobody waits for publications that are due in an hour."""

    def fail(*_: object, **__: object) -> None:
        raise TagtideError("the lake is broken")

    monkeypatch.setattr("analytics.runner.Runner.run", fail)
    capture = write_capture(tmp_path / "c.jsonl", 3, every_s=3600.0)
    began = time.monotonic()
    ended = replay(capture, site_file, data, "--speed", "1")
    assert time.monotonic() - began < DEADLINE_S
    assert (ended.code, ended.err) == (1, "error (tagtide_error): the lake is broken\n")


def test_a_second_process_is_told_of_the_first(tmp_path: Path, site_file: Path, data: Path) -> None:
    capture = write_capture(tmp_path / "c.jsonl", 3)
    with contextlib.closing(open_runner([load_site(site_file)], DataDirectory(data))):
        for command in (["replay", str(capture)], ["jobs"]):
            ended = tagtide(*command, "--site", site_file, "--data", data)
            assert ended.code == 1
            assert ended.err.startswith(f"error (jobs_running): another process runs the jobs of {data}")
            assert "stop the other" in ended.err


def test_a_bridge_beside_a_replay_is_told_of_it(site_file: Path, data: Path) -> None:
    log = EdgeLog.open(data / "edge")
    log.claim_writer()
    ended = tagtide("bridge", "--site", site_file, "--data", data)
    assert ended.code == 1
    assert ended.err.startswith("error (edge_log_in_use)")
    log.close()


def test_a_journal_that_was_removed_is_refused(tmp_path: Path, site_file: Path, data: Path) -> None:
    """Its epochs would be numbered like some that the lake has, and their rows dropped as repeats."""
    replay(write_capture(tmp_path / "c.jsonl", 25), site_file, data)
    (data / "jobs" / "journal.db").rename(tmp_path / "journal.db")
    other = tmp_path / "other.jsonl"
    other.write_text("".join(line(number) + "\n" for number in range(25, 30)))
    ended = replay(other, site_file, data)
    assert ended.code == 1
    assert ended.err.startswith("error (journal_behind_lake): the lake in ")
    for path in (data / "jobs").glob("journal.db*"):
        path.unlink()
    (tmp_path / "journal.db").rename(data / "jobs" / "journal.db")
    assert replay(other, site_file, data).code == 0
    assert reads(data) == 30


def test_a_lake_that_was_removed_is_noticed(tmp_path: Path, site_file: Path, data: Path) -> None:
    """The journal would go on behind its checkpoint, and a new lake would lack everything before it, in silence."""
    replay(write_capture(tmp_path / "c.jsonl", 25), site_file, data)
    (data / "lake").rename(tmp_path / "lake")
    other = tmp_path / "other.jsonl"
    other.write_text("".join(line(number) + "\n" for number in range(25, 30)))
    for _ in range(2):
        ended = replay(other, site_file, data)
        assert ended.code == 1
        assert ended.err.startswith("error (lake_of_another_journal): the lake in ")
        assert "put the lake back" in ended.err
    shutil.rmtree(data / "lake")
    (tmp_path / "lake").rename(data / "lake")
    assert replay(other, site_file, data).code == 0
    assert reads(data) == 30
    shutil.rmtree(data / "lake" / "reads")
    assert "reads was removed or exchanged" in replay(other, site_file, data).err
    shutil.rmtree(data / "lake")
    shutil.rmtree(data / "jobs")
    assert replay(other, site_file, data).code == 0
    assert reads(data) == 30, "what the edge log holds is landed again"


def test_a_job_tells_whether_it_came_to_the_end(tmp_path: Path, site_file: Path, data: Path) -> None:
    capture = write_capture(tmp_path / "c.jsonl", 3)
    job = ReplayJob(capture=capture, sites=[load_site(site_file)], data=DataDirectory(data))
    assert not job.run(lambda: True)
    assert ReplayJob(capture=capture, sites=[load_site(site_file)], data=DataDirectory(data)).run(lambda: False)
    assert reads(data) == 3


def test_without_a_terminal_there_is_no_spinner(tmp_path: Path, site_file: Path, data: Path) -> None:
    err = replay(write_capture(tmp_path / "c.jsonl", 3), site_file, data).err
    assert re.fullmatch(r"3 publications replayed; landed: [^\n]+\n", err)


def start(capture: Path, site_file: Path, data: Path, *more: str) -> subprocess.Popen[str]:
    command = tagtide_command("replay", str(capture), "--site", str(site_file), "--data", str(data), *more)
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def landed(data: Path) -> int:
    """Return how many reads are landed so far; 0 while there is no lake."""
    try:
        return reads(data)
    except TagtideError:
        return 0


def wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, f"not within {DEADLINE_S:g} s"
        time.sleep(0.4)
