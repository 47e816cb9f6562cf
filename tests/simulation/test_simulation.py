"""Everything promised holds in a few thousand simulated worlds; and each rule, broken on purpose, is noticed."""

import re
import subprocess
import sys

import pytest

from tests.simulation import mutants
from tests.simulation.campaign import kind_of, run_campaign, world_of
from tests.simulation.faults import Fault

EDGES = [seed for seed in range(2_300) if kind_of(seed) == "edge"]
EMBEDDED = [seed for seed in range(320) if kind_of(seed) == "embedded"]
OVER_KAFKA = [seed for seed in range(320) if kind_of(seed) == "kafka"]

REGRESSIONS = {
    30: "the broker forgot a session whose note had not been written when the bridge died",
    65: "the broker forgot a session whose note the full disk had refused",
    551: "a connection that flapped while the disk was full filled the memory",
    1016: "a crash between checkpoint and release left an edge log at its bound for ever",
    318279: "a broker that forgot its session with every connection filled the memory while the disk was full",
}
"""Seeds that found something, as the simulation was then; their worlds may differ by now."""


def failures(seeds: list[int]) -> list[str]:
    totals = run_campaign(seeds)
    return [f"{failure.kind}: {failure.problem}; replay: {failure.command}" for failure in totals.failures]


@pytest.mark.slow
@pytest.mark.parametrize("part", range(2))
def test_the_edge_keeps_its_promises(part: int) -> None:
    assert failures(EDGES[400:][part::2]) == []


@pytest.mark.slow
def test_the_jobs_behind_the_edge_log_and_behind_kafka_keep_theirs() -> None:
    totals = run_campaign([*EMBEDDED, *OVER_KAFKA, *EDGES[:400]])
    assert [f"{failure.kind}: {failure.problem}; replay: {failure.command}" for failure in totals.failures] == []
    assert [fault for fault in Fault if not totals.faults[fault]] == [], "every kind of fault happens"


def test_seeds_that_found_something_stay_clean() -> None:
    assert failures([seed for seed in REGRESSIONS if kind_of(seed) == "edge"]) == []


def test_a_seed_is_one_run() -> None:
    lines: list[list[str]] = [[], []]
    for trace in lines:
        world_of(21, trace.append).run()
    assert lines[0] == lines[1]
    assert len(lines[0]) > 20


@pytest.mark.parametrize(
    ("mutant", "seeds", "promise"),
    [
        (mutants.acknowledges_before_storing, EDGES[:20], "acknowledged before it was durable"),
        (mutants.acknowledges_across_a_reconnect, EDGES[:800], "acknowledged in order, on the connection"),
        (mutants.keeps_unsent_acknowledgements, EDGES[:200], "acknowledged in order, on the connection"),
        (mutants.swallows_a_full_disk, EDGES[:50], "acknowledged before it was durable"),
        (mutants.reads_on_at_the_bound, EDGES[:800], "the log keeps to its bound"),
        (mutants.gives_offsets_again, EDGES[:400], "an offset names one|nothing is lost"),
        (mutants.moves_the_cursor_at_send, OVER_KAFKA[:5], "the cursor passes nothing undelivered"),
        (mutants.believes_every_sending, OVER_KAFKA, "nothing is|undisturbed"),
        (mutants.forgets_to_plan_epochs, EMBEDDED, "nothing is|undisturbed"),
        (mutants.commits_an_epoch_again, EMBEDDED, "nothing is there twice"),
    ],
)
@pytest.mark.slow
def test_a_broken_rule_is_noticed(mutant: mutants.Mutant, seeds: list[int], promise: str) -> None:
    with mutant():
        for seed in seeds:
            found = failures([seed])
            if found:
                assert re.search(promise, found[0])
                return
    pytest.fail(f"{len(seeds)} worlds have not noticed it")


@pytest.mark.slow
def test_the_command_replays_a_seed_and_runs_a_campaign() -> None:
    command = [sys.executable, "-m", "tests.simulation"]
    replay = subprocess.run([*command, "--seed", "21", "--trace"], capture_output=True, text=True, check=False)
    assert replay.returncode == 0, replay.stderr
    assert "seed 21 (edge): everything held" in replay.stdout
    assert "bridge starts" in replay.stdout
    campaign = subprocess.run([*command, "--seeds", "7", "--first", "1"], capture_output=True, text=True, check=False)
    assert "7 worlds in" in campaign.stdout
    assert "0  worlds that broke any promise" in campaign.stdout
