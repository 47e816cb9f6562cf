"""Promise: whatever comes in, every reader of outside bytes gives rows or a rejection that is explained.

Some thousand inputs of each kind with a fixed seed; `python -m tests.fuzz --inputs 1000000` feeds a million, and
docs/reliability.md has its totals. What a run found is a golden case or a test beside the code that was mended.
"""

import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.fuzz.mutation import Mutator, tree_of, written
from tests.fuzz.running import Run, input_of, read_reproducer
from tests.fuzz.target import Outcome, hold
from tests.fuzz.targets import TARGETS

SEED = 20_261_122
INPUTS = {
    "impinj": 500,
    "zebra": 500,
    "tagtide": 500,
    "weight": 500,
    "values": 1_500,
    "epc": 1_500,
    "capture": 200,
    "mqtt": 600,
    "site": 40,
    "pipeline": 2,
    "kafka": 120,
    "state": 25,
    "journal": 60,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_bad_input_gives_rows_or_rejects(name: str, tmp_path: Path) -> None:
    totals = Run(TARGETS[name]).run(INPUTS[name], SEED)
    assert totals.inputs == INPUTS[name]
    for failure in totals.failures:
        pytest.fail(f"{failure.what}\npython -m tests.fuzz --target {name} --replay {failure.write(tmp_path)}")
    assert totals.rows, "nothing was accepted: the inputs are too far from valid ones"
    assert totals.rejects, "nothing was rejected: the inputs are too close to valid ones"


class Picky:
    """A target with a flaw: it trips over `\xff`, and over `a` and `b` together."""

    name = "picky"
    reads = "bytes"

    def __init__(self) -> None:
        self._seen: list[bytes] = []

    def make(self, rng: random.Random) -> bytes:
        return bytes([rng.choice(b"abcdefgh\xff")])

    def check(self, data: bytes) -> Outcome:
        data.decode("ascii")
        self._seen.append(data)
        return Outcome(rows=1)

    def settle(self) -> None:
        seen, self._seen = self._seen, []
        hold(not {b"a", b"b"} <= set(seen), "a and b together")


def failures_of(inputs: Sequence[bytes]) -> list[list[bytes]]:
    return [failure.inputs for failure in Run(Picky).feed(inputs).failures]


def test_an_input_that_breaks_the_law_is_kept() -> None:
    assert failures_of([b"c", b"\xff", b"d"]) == [[b"\xff"]]


def test_inputs_that_break_it_together_are_found_among_the_others() -> None:
    assert failures_of([b"c", b"a", b"d", b"e", b"b", b"f", b"a"]) in ([[b"a", b"b"]], [[b"b", b"a"]])


def test_a_reproducer_reproduces(tmp_path: Path) -> None:
    totals = Run(Picky).run(200, seed=1)
    assert totals.failures
    for failure in totals.failures:
        again = Run(Picky).feed(read_reproducer(failure.write(tmp_path)))
        assert [found.inputs for found in again.failures] == [failure.inputs]


@pytest.mark.parametrize("name", ["zebra", "site", "kafka"])
def test_a_seed_and_a_number_name_an_input(name: str) -> None:
    one, other = (TARGETS[name]() for _ in range(2))
    assert [input_of(one.make, name, 7, number) for number in (5, 2)] == [
        input_of(other.make, name, 7, number) for number in (5, 2)
    ]


def test_a_document_that_is_not_changed_is_written_as_it_was() -> None:
    document = b'{"a":[1,2.5,null,true,{"a":"x","a":"y"}]}'
    assert written(tree_of(document)) == document


def test_mutations_are_many_and_small() -> None:
    mutate = Mutator([b'{"a":{"b":[1,2,3]},"c":"2026-03-14T09:26:53Z"}', b"12.5"])
    made = {mutate(random.Random(number)) for number in range(500)}
    assert len(made) > 400
    assert max(map(len, made)) < 40_000
