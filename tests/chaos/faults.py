"""The faults: what is done to a stack, drawn from one seed."""

import random
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from tests.chaos.processes import signal_all
from tests.chaos.stack import Length, Part, Stack


class Kind(StrEnum):
    """Kinds of fault; each is a row of the table."""

    KILL_BRIDGE = "kill-bridge"
    KILL_FORWARDER = "kill-forwarder"
    KILL_JOBS = "kill-jobs"
    KILL_MOSQUITTO = "kill-mosquitto"
    KILL_KAFKA = "kill-kafka"
    KILL_PAIR = "kill-pair"
    KILL_ALL = "kill-all"
    KILL_STORM = "kill-storm"
    BROKER_ALONE = "broker-alone"
    FREEZE = "freeze"
    TERM = "term"
    RESTART_ALL = "restart-all"
    CUT = "cut"
    STALL = "stall"
    RESET = "reset"
    DISK_EDGE = "disk-edge"
    DISK_LAKE = "disk-lake"
    SESSION_LOST = "session-lost"


EXPLAINED: Mapping[Kind, str] = {
    Kind.KILL_BRIDGE: "`kill -9` of the bridge",
    Kind.KILL_FORWARDER: "`kill -9` of the forwarder",
    Kind.KILL_JOBS: "`kill -9` of the jobs",
    Kind.KILL_MOSQUITTO: "`kill -9` of Mosquitto",
    Kind.KILL_KAFKA: "`kill -9` of Kafka",
    Kind.KILL_PAIR: "`kill -9` of any two at once",
    Kind.KILL_ALL: "`kill -9` of all at once",
    Kind.KILL_STORM: "`kill -9` of one after another, three to six times within seconds",
    Kind.BROKER_ALONE: "`kill -9` of Mosquitto while the bridge is dead or frozen",
    Kind.FREEZE: "SIGSTOP of one or two, SIGCONT after up to 4 s",
    Kind.TERM: "SIGTERM of one, gone within 45 s",
    Kind.RESTART_ALL: "SIGTERM of all, clean restart",
    Kind.CUT: "network cut between two (connections reset, none possible), up to 4 s",
    Kind.STALL: "network silent between two (nothing passes, nobody is told), up to 4 s",
    Kind.RESET: "every connection between two reset once",
    Kind.DISK_EDGE: "no byte free on the edge log's disk, up to 5 s",
    Kind.DISK_LAKE: "no byte free on the lake's disk, up to 5 s",
    Kind.SESSION_LOST: "Mosquitto killed and its persistence file removed",
}
"""What each is, for people."""


@dataclass(slots=True, kw_only=True)
class Fault:
    """One fault that was done."""

    kind: Kind
    """Which."""
    detail: str
    """To whom, for how long."""
    began_us: int
    """When it began, microseconds since the epoch."""
    ended_us: int
    """When everything was allowed to run again."""


Doing = Callable[[Stack, random.Random], str]


def available(stack: Stack) -> dict[Kind, str | None]:
    """Return the kinds, each with the reason why it cannot be done here; `None` where it can."""
    reasons: dict[Kind, str | None] = dict.fromkeys(Kind)
    if stack.length is Length.EMBEDDED:
        for kind in (Kind.KILL_FORWARDER, Kind.KILL_KAFKA):
            reasons[kind] = "only through Kafka"
        reasons[Kind.DISK_LAKE] = "one disk with the edge log"
    if not stack.disks[0].is_small:
        for kind in (Kind.DISK_EDGE, Kind.DISK_LAKE):
            reasons[kind] = reasons[kind] or "needs a file system of its own: Linux, as root"
    return reasons


def do(kind: Kind, stack: Stack, rng: random.Random) -> Fault:
    """Do a fault, then let everything run again; what ended may still be starting on return."""
    began_us = time.time_ns() // 1000
    detail = _DOING[kind](stack, rng)
    time.sleep(rng.uniform(0.0, 1.0))
    stack.restore()
    return Fault(kind=kind, detail=detail, began_us=began_us, ended_us=time.time_ns() // 1000)


def _kill(part: Part) -> Doing:
    def kill(stack: Stack, _: random.Random) -> str:
        stack.kill(part)
        return part

    return kill


def _kill_pair(stack: Stack, rng: random.Random) -> str:
    pair = rng.sample(stack.parts, 2)
    stack.kill(*pair)
    return "+".join(pair)


def _kill_all(stack: Stack, rng: random.Random) -> str:
    parts = rng.sample(stack.parts, len(stack.parts))
    stack.kill(*parts)
    return "+".join(parts)


def _kill_storm(stack: Stack, rng: random.Random) -> str:
    said = []
    for _ in range(rng.randint(3, 6)):
        part = rng.choice(stack.parts)
        stack.kill(part)
        said.append(str(part))
        time.sleep(rng.uniform(0.05, 1.0))
        if rng.random() < 0.7:
            stack.restore()
    return ", ".join(said)


def _broker_alone(stack: Stack, rng: random.Random) -> str:
    frozen = rng.random() < 0.5
    if frozen:
        signal_all(stack.pids(Part.BRIDGE), signal.SIGSTOP)
    else:
        stack.kill(Part.BRIDGE)
    after_s = rng.uniform(0.2, 2.0)
    time.sleep(after_s)
    stack.kill(Part.MOSQUITTO)
    return f"bridge {'frozen' if frozen else 'dead'} for {after_s:.1f} s"


def _freeze(stack: Stack, rng: random.Random) -> str:
    parts = rng.sample(stack.parts, rng.randint(1, 2))
    held_s = rng.uniform(0.3, 4.0)
    signal_all([pid for part in parts for pid in stack.pids(part)], signal.SIGSTOP)
    time.sleep(held_s)
    return f"{'+'.join(parts)} for {held_s:.1f} s"


def _term(stack: Stack, rng: random.Random) -> str:
    if rng.random() < 0.3:
        stack.mosquitto.stop()
        return "mosquitto"
    service = rng.choice(stack.services)
    return f"{service.name}, gone after {service.terminate():.1f} s"


def _restart_all(stack: Stack, _: random.Random) -> str:
    took_s = [f"{service.name} {service.terminate():.1f} s" for service in reversed(stack.services)]
    stack.mosquitto.stop()
    if stack.kafka is not None:
        stack.kafka.stop()
    return ", ".join(took_s)


def _cut(stack: Stack, rng: random.Random) -> str:
    return _on_links(stack, rng, "cut")


def _stall(stack: Stack, rng: random.Random) -> str:
    return _on_links(stack, rng, "stall")


def _on_links(stack: Stack, rng: random.Random, what: str) -> str:
    links = rng.sample(list(stack.links.values()), rng.randint(1, 2))
    held_s = rng.uniform(0.3, 4.0)
    for link in links:
        if what == "cut":
            link.cut()
        else:
            link.stall()
    time.sleep(held_s)
    return f"{', '.join(link.name for link in links)} for {held_s:.1f} s"


def _reset(stack: Stack, rng: random.Random) -> str:
    link = rng.choice(list(stack.links.values()))
    link.reset()
    return link.name


def _disk(number: int) -> Doing:
    def fill(stack: Stack, rng: random.Random) -> str:
        held_s = rng.uniform(1.0, 5.0)
        stack.disks[number].fill()
        time.sleep(held_s)
        if rng.random() < 0.3:
            part = rng.choice([Part.BRIDGE if number == 0 else Part.JOBS, Part.JOBS])
            stack.kill(part)
            return f"for {held_s:.1f} s, then {part} killed"
        return f"for {held_s:.1f} s"

    return fill


def _session_lost(stack: Stack, _: random.Random) -> str:
    connections = stack.connections()
    stack.kill(Part.MOSQUITTO)
    (stack.directory / "mosquitto" / "mosquitto.db").unlink(missing_ok=True)
    stack.restore()
    stack.await_connections(connections)
    return "mosquitto.db removed"


_DOING: Mapping[Kind, Doing] = {
    Kind.KILL_BRIDGE: _kill(Part.BRIDGE),
    Kind.KILL_FORWARDER: _kill(Part.FORWARDER),
    Kind.KILL_JOBS: _kill(Part.JOBS),
    Kind.KILL_MOSQUITTO: _kill(Part.MOSQUITTO),
    Kind.KILL_KAFKA: _kill(Part.KAFKA),
    Kind.KILL_PAIR: _kill_pair,
    Kind.KILL_ALL: _kill_all,
    Kind.KILL_STORM: _kill_storm,
    Kind.BROKER_ALONE: _broker_alone,
    Kind.FREEZE: _freeze,
    Kind.TERM: _term,
    Kind.RESTART_ALL: _restart_all,
    Kind.CUT: _cut,
    Kind.STALL: _stall,
    Kind.RESET: _reset,
    Kind.DISK_EDGE: _disk(0),
    Kind.DISK_LAKE: _disk(-1),
    Kind.SESSION_LOST: _session_lost,
}
