"""Promise: children are started again with growing pauses, stopped politely, and none is left behind."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.supervisor import SUPERVISOR_VARIABLE, Pauses, supervise
from devices.errors import TagtideError
from devices.events import Event

DEADLINE_S = 120.0
"""How long a test waits for what must come; reached only when it fails."""
QUICK = Pauses(first_s=0.02, longest_s=0.16, settled_s=0.0, start_s=0.0, stop_s=DEADLINE_S, look_s=0.005)
"""Every child counts as well from its start; pauses are those of the product, 25 to 200 times shorter."""


def python(script: str) -> list[str]:
    return [sys.executable, "-S", "-c", script]


def noting(path: Path, then: str) -> list[str]:
    """A child that notes its process id in a file, then does something."""
    return python(
        f"import os, time; open({str(path)!r}, 'a').write(f'{{os.getpid()}} {{time.monotonic()}}\\n'); {then}"
    )


def notes(path: Path) -> list[tuple[int, float]]:
    """Return process id and start of each child that came so far."""
    lines = path.read_text().splitlines() if path.exists() else []
    return [(int(pid), float(at)) for pid, at in (line.split() for line in lines)]


def until(condition: Callable[[], bool]) -> Callable[[], bool]:
    """Return a `stop` that is true once something is so; it fails the test where that takes too long."""
    deadline = time.monotonic() + DEADLINE_S

    def stop() -> bool:
        assert time.monotonic() < deadline, f"not within {DEADLINE_S:g} s"
        return condition()

    return stop


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def children_of_mine() -> set[str]:
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())


def test_a_child_that_ends_is_started_again_after_pauses_that_double(tmp_path: Path) -> None:
    starts, told = tmp_path / "starts", list[Event]()
    supervise(
        {"jobs": noting(starts, "os._exit(3)")}, until(lambda: len(notes(starts)) >= 6), told.append, pauses=QUICK
    )
    said = [float(line.rpartition(" in ")[2].removesuffix(" s")) for line in map(str, told[:5])]
    assert said == [0.0, 0.0, 0.1, 0.2, 0.2], "0.02, 0.04, 0.08, and no more than 0.16"
    gaps = [later - earlier for (_, earlier), (_, later) in zip(notes(starts), notes(starts)[1:], strict=False)]
    assert all(gap >= pause for gap, pause in zip(gaps, [0.02, 0.04, 0.08, 0.16, 0.16], strict=False))
    assert told[0].text == "jobs ended with code 3; starting it again in 0.0 s"


def test_a_child_that_ran_for_long_is_started_again_at_once(tmp_path: Path) -> None:
    starts, told = tmp_path / "starts", list[Event]()
    pauses = Pauses(first_s=0.02, longest_s=0.05, anew_s=0.1, settled_s=0.0, start_s=0.0, look_s=0.005)
    supervise(
        {"jobs": noting(starts, "time.sleep(0.2)")}, until(lambda: len(notes(starts)) >= 4), told.append, pauses=pauses
    )
    assert {line.rpartition(" in ")[2] for line in map(str, told)} == {"0.0 s"}


def test_a_killed_child_comes_back_and_the_other_does_not_notice(tmp_path: Path) -> None:
    victim, other, told = tmp_path / "victim", tmp_path / "other", list[Event]()
    killed = list[int]()

    def stop() -> bool:
        if notes(victim) and not killed:
            killed.append(notes(victim)[0][0])
            os.kill(killed[0], signal.SIGKILL)
        return len(notes(victim)) == 2 and len(notes(other)) == 1

    commands = {"bridge": noting(other, "time.sleep(600)"), "jobs": noting(victim, "time.sleep(60)")}
    supervise(commands, until(stop), told.append, pauses=QUICK)
    assert [event.text for event in told] == ["jobs was ended by signal 9; starting it again in 0.0 s"]
    assert [alive(pid) for pid, _ in notes(victim) + notes(other)] == [False] * 3


@pytest.mark.parametrize("code", [1, 2])
def test_a_child_that_cannot_start_stops_the_stack(tmp_path: Path, code: int) -> None:
    other = tmp_path / "other"
    commands = {"bridge": noting(other, "time.sleep(600)"), "jobs": python(f"import os; os._exit({code})")}
    with pytest.raises(TagtideError, match="jobs could not start; its message is above") as caught:
        supervise(commands, until(lambda: False), print, pauses=Pauses(settled_s=0.0, look_s=0.005))
    assert caught.value.code == "child_failed"
    assert not any(alive(pid) for pid, _ in notes(other))


def test_a_child_that_takes_long_to_come_up_and_cannot_start_stops_the_stack() -> None:
    """On a busy machine a start takes longer than what else counts as having run well."""
    slow = python("import os, time; time.sleep(0.3); os._exit(1)")
    with pytest.raises(TagtideError, match="jobs could not start"):
        supervise({"jobs": slow}, until(lambda: False), print, pauses=Pauses(settled_s=0.01, look_s=0.005))


def test_a_child_that_came_up_and_ran_is_tried_again(tmp_path: Path) -> None:
    starts = tmp_path / "starts"
    script = "from deploy.supervisor import tell_started; tell_started(); tell_started(); time.sleep(0.3); os._exit(1)"
    pauses = Pauses(first_s=0.01, settled_s=0.1, look_s=0.005)
    before = len(list(Path("/proc/self/fd").iterdir()))
    command = [sys.executable, *noting(starts, script)[2:]]
    supervise({"jobs": command}, until(lambda: len(notes(starts)) >= 3), lambda _: None, pauses=pauses)
    assert len(list(Path("/proc/self/fd").iterdir())) <= before, "no pipe is left behind"


def test_a_child_that_was_well_once_is_tried_again_whatever_its_code(tmp_path: Path) -> None:
    """The bridge goes on storing while the jobs have trouble that comes after their start."""
    starts = tmp_path / "starts"
    script = f"time.sleep(0.3 if open({str(starts)!r}).read().count('\\n') == 1 else 0); os._exit(1)"
    pauses = Pauses(first_s=0.01, longest_s=0.02, settled_s=0.2, start_s=0.0, look_s=0.005)
    supervise({"jobs": noting(starts, script)}, until(lambda: len(notes(starts)) >= 4), lambda _: None, pauses=pauses)


def test_a_command_that_does_not_exist_leaves_no_other_behind(tmp_path: Path) -> None:
    before = children_of_mine()
    with pytest.raises(FileNotFoundError):
        supervise({"a": noting(tmp_path / "a", "time.sleep(600)"), "b": ["/no/such/program"]}, lambda: False, print)
    assert children_of_mine() <= before


def test_stopping_is_polite_and_leaves_no_zombie(tmp_path: Path) -> None:
    ready, done = tmp_path / "ready", tmp_path / "done"
    script = (
        f"import signal; signal.signal(signal.SIGTERM, lambda *_: (time.sleep(0.2), open({str(done)!r}, 'w').close(),"
        f" os._exit(0))); open({str(ready)!r}, 'w').close(); time.sleep(600)"
    )
    before = children_of_mine()
    supervise({"jobs": noting(tmp_path / "starts", script)}, until(ready.exists), print, pauses=QUICK)
    assert done.exists()
    assert children_of_mine() <= before, "a zombie would still be listed"


def test_a_child_that_does_not_stop_is_killed(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)"
    script = f"{deaf}; open({str(ready)!r}, 'w').close(); time.sleep(600)"
    pauses = Pauses(stop_s=0.3, look_s=0.005)
    supervise({"jobs": noting(tmp_path / "starts", script)}, until(ready.exists), print, pauses=pauses)
    assert not alive(notes(tmp_path / "starts")[0][0])


def test_output_goes_into_the_log(tmp_path: Path) -> None:
    with (tmp_path / "log").open("ab") as log:
        command = python(
            "import sys, time; print('out', flush=True); print('err', file=sys.stderr, flush=True); time.sleep(600)"
        )
        written = tmp_path / "log"
        supervise({"jobs": command}, until(lambda: written.read_text().split() == ["out", "err"]), print, log=log)


STOPPING = """
import sys, time
from deploy.commands.options import stop_on_signals
stop = stop_on_signals()
open(sys.argv[1], "w").write(str(__import__("os").getpid()))
while not stop():
    time.sleep(0.02)
"""


@pytest.mark.slow
def test_children_stop_when_their_supervisor_was_killed(tmp_path: Path) -> None:
    """One that is killed cannot tell its children; they see that it is gone, so that the next one can start."""
    pid_file = tmp_path / "pid"
    middle = (
        "from deploy.supervisor import supervise; import sys\n"
        f"supervise({{'child': [sys.executable, '-c', {STOPPING!r}, {str(pid_file)!r}]}}, lambda: False, print)"
    )
    supervisor = subprocess.Popen([sys.executable, "-c", middle])
    try:
        _wait(lambda: pid_file.exists() and bool(pid_file.read_text()))
        child = int(pid_file.read_text())
        assert alive(child)
    finally:
        supervisor.kill()
        supervisor.wait()
    _wait(lambda: not alive(child))


@pytest.mark.slow
def test_without_a_supervisor_only_signals_stop(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    environment = {name: value for name, value in os.environ.items() if name != SUPERVISOR_VARIABLE}
    with subprocess.Popen([sys.executable, "-c", STOPPING, str(pid_file)], env=environment) as process:
        _wait(lambda: pid_file.exists() and bool(pid_file.read_text()))
        assert process.poll() is None
        process.terminate()
        assert process.wait(DEADLINE_S) == 0


def test_supervising_in_a_thread(tmp_path: Path) -> None:
    """As the bridge does with its forwarder."""
    starts, ended = tmp_path / "starts", threading.Event()
    thread = threading.Thread(
        target=supervise, args=({"forward": noting(starts, "time.sleep(600)")}, ended.is_set, print)
    )
    thread.start()
    _wait(lambda: bool(notes(starts)))
    ended.set()
    thread.join(DEADLINE_S)
    assert not alive(notes(starts)[0][0])


def _wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, f"not within {DEADLINE_S:g} s"
        time.sleep(0.02)
