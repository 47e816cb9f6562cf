"""A run: faults in a row from one seed, a look now and then that everything comes back, and the comparison."""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from deploy.kafka_libs import KafkaLibs
from tests.chaos.comparison import Comparison, compare, landed, missing
from tests.chaos.faults import Fault, Kind, available, do
from tests.chaos.processes import End
from tests.chaos.stack import Length, Stack, running

_STUCK_S = 300.0
"""Without any progress for so long, nothing will come any more. The longest pauses of ours are 30 s; kernels that have
to be compiled first take two minutes on a busy machine."""

_STARTS_US = 60_000_000
"""A daemon that was started just before a disk had room again may say as late as this that it found it full."""

_LOOK_S = 0.5
"""Between two looks at whether it is so: a look reads the lake."""

_WAVE_S = 0.7
"""How long devices publish for the two waves that mark the end."""

_GAP_S = (0.2, 2.0)
"""Between two faults."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to do."""

    directory: Path
    """A new directory for everything."""
    length: Length
    """Which way to the lake."""
    rounds: int
    """How many faults."""
    seed: int
    """What all chance is drawn from."""
    kinds: Sequence[Kind]
    """Kinds to draw from; those that cannot be done here are left out."""
    rate_per_s: float = 30.0
    """Publications a second of each device."""
    disk_mib: int = 384
    """Size of the small disks, MiB."""
    recovery_every: int = 6
    """Faults between two looks at whether everything works again: until then they pile up."""
    libs: KafkaLibs | None = None
    """Kafka's jars, where they are known."""
    journaled: bool = True
    """Whether Mosquitto has its journal plugin; without it, what dies with the broker is counted and no failure."""


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What came of it."""

    plan: Plan
    """What was to be done."""
    faults: list[Fault]
    """What was done."""
    comparison: Comparison
    """Acknowledged against landed."""
    left_out: dict[Kind, str]
    """Kinds that could not be done here, and why."""
    sessions_lost_told: int
    """How often the bridge said that the broker had forgotten its session."""
    ends: list[str]
    """Daemons that ended by themselves, otherwise than by starting on a full disk."""
    problems: list[str] = field(default_factory=list)
    """Why it is a failure; empty if it is none."""
    seconds: float = 0.0
    """How long it took."""


class StuckError(Exception):
    """Nothing moves any more although everything is up."""


def run(plan: Plan, tell: Callable[[str], None]) -> Outcome:
    """Do everything and compare.

    Args:
        plan: What to do.
        tell: Told what happens, a line each.

    Raises:
        StuckError: Everything was up, and yet nothing moved.
        TimeoutError: Something did not come up, or did not go when asked to.
        HarnessError: A thread of the harness has died.
    """
    began = time.monotonic()
    rng = random.Random(plan.seed)
    stack = Stack(
        plan.directory,
        plan.length,
        seed=plan.seed,
        rate_per_s=plan.rate_per_s,
        disk_mib=plan.disk_mib,
        libs=plan.libs,
        journaled=plan.journaled,
    )
    with running(stack):
        reasons = available(stack)
        kinds = [kind for kind in plan.kinds if reasons[kind] is None]
        faults = _do_rounds(stack, plan, kinds, rng, tell)
        _settle(stack, tell)
        comparison = compare(stack.ledger.entries, landed(stack.lake), faults)
        outcome = Outcome(
            plan=plan,
            faults=faults,
            comparison=comparison,
            left_out={kind: reason for kind in plan.kinds if (reason := reasons[kind]) is not None},
            sessions_lost_told=stack.services[0].said().count("had forgotten our session"),
            ends=[end.text for service in stack.services for end in _unasked(service.ends, faults)],
        )
    outcome.seconds = time.monotonic() - began
    outcome.problems = _problems(outcome)
    return outcome


def _do_rounds(
    stack: Stack, plan: Plan, kinds: Sequence[Kind], rng: random.Random, tell: Callable[[str], None]
) -> list[Fault]:
    faults: list[Fault] = []
    bag: list[Kind] = []
    for number in range(1, plan.rounds + 1):
        if not bag:  # every kind comes up before any comes again
            bag = rng.sample(list(kinds), len(kinds))
        time.sleep(rng.uniform(*_GAP_S))
        fault = do(bag.pop(), stack, rng)
        faults.append(fault)
        tell(f"{number:4} {fault.kind}: {fault.detail}; {stack.ledger.acknowledged:,} acknowledged")
        if number % plan.recovery_every == 0:
            _await_flow(stack)
    return faults


def _await_flow(stack: Stack) -> None:
    """Wait until what is published now is in the lake: everything works again."""
    before = len(stack.ledger.entries)
    _await(stack, lambda: len(stack.ledger.entries) > before + 20, "devices publish again")
    entries = stack.ledger.entries[before : before + 20]
    _await(stack, lambda: all(entry.acknowledged_us for entry in entries), "publications are acknowledged again")
    time.sleep(0.2)
    newest = [entry for entry in stack.ledger.entries[-40:] if entry.acknowledged_us]
    _await(stack, lambda: missing(newest, stack.lake) == 0, "what is published now lands again")


def _settle(stack: Stack, tell: Callable[[str], None]) -> None:
    """Let everything that is on its way arrive.

    Devices fall silent and wait for their acknowledgements. Then all of them publish for a moment, twice, the second
    time when the first wave has landed: order is kept on every way, so when the second has landed, too, everything
    before the first has, or never will.
    """
    for device in stack.devices:
        device.pause()
    _await(stack, lambda: all(device.is_idle for device in stack.devices), "everything is acknowledged")
    tell(f"     settling: {stack.ledger.acknowledged:,} acknowledged")
    for _ in range(2):
        before = len(stack.ledger.entries)
        for device in stack.devices:
            device.resume()
        time.sleep(_WAVE_S)
        for device in stack.devices:
            device.pause()
        _await(stack, lambda: all(device.is_idle for device in stack.devices), "everything is acknowledged")
        wave = stack.ledger.entries[before:]
        _await(stack, lambda wave=wave: missing(wave, stack.lake) == 0, "the last publications land")  # type: ignore[misc]


def _await(stack: Stack, condition: Callable[[], bool], what: str) -> None:
    """Wait until something is so, for as long as anything moves."""
    last: object = None
    moved_at = time.monotonic()
    while True:
        stack.check()
        try:
            if condition():
                return
        except Exception as error:  # a lake that is not there yet, or cannot be read now
            if time.monotonic() - moved_at > _STUCK_S:
                raise StuckError(f"not so after {_STUCK_S:g} s without progress: {what}") from error
        now = (stack.ledger.acknowledged, stack.stored_publications(), stack.commits())
        if now != last:
            last, moved_at = now, time.monotonic()
        elif time.monotonic() - moved_at > _STUCK_S:
            raise StuckError(f"not so after {_STUCK_S:g} s without progress: {what}")
        time.sleep(_LOOK_S)


def _unasked(ends: Sequence[End], faults: Sequence[Fault]) -> list[End]:
    """Return what ended without a signal of ours.

    A daemon that is started while the disk is full says so and ends; whoever keeps it running starts it again.
    """
    full = [fault for fault in faults if fault.kind in {Kind.DISK_EDGE, Kind.DISK_LAKE}]
    return [
        end
        for end in ends
        if not end.text.endswith(" -9")
        and not any(
            end.started_us <= fault.ended_us and fault.began_us <= end.at_us <= fault.ended_us + _STARTS_US
            for fault in full
        )
    ]


def _problems(outcome: Outcome) -> list[str]:
    comparison, told = outcome.comparison, outcome.sessions_lost_told
    removed = sum(fault.kind is Kind.SESSION_LOST for fault in outcome.faults)
    lost = len(comparison.lost) - (0 if outcome.plan.journaled else comparison.lost_with_broker)
    checks = {
        f"{lost:,} acknowledged publications are lost": lost > 0,
        f"{len(comparison.duplicated):,} publications are there twice": bool(comparison.duplicated),
        f"{len(comparison.strange):,} rows belong to no publication": bool(comparison.strange),
        f"the broker's file was removed {removed} times, the bridge told {told}": told < removed,
        f"daemons ended by themselves: {', '.join(outcome.ends)}": bool(outcome.ends),
    }
    return [text for text, is_so in checks.items() if is_so]
