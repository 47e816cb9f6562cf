"""The gate model that ships: how it is made, and how it does at gates that it has never seen.

`python -m tests.bench.gate_default --write` makes `analytics/gate/shipped_model.json` anew, digit for digit, in
five minutes. Without `--write` it prints how the shipped model does at simulated gates that were not learnt from and,
where TAGTIDE_DATA names the data, at a real one of which no label was learnt from, and how far labels sharpen it.
"""

import os
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from analytics.gate.companions import BELONGS
from analytics.gate.direction import DIRECTIONS, Direction
from analytics.gate.levels import ends_of
from analytics.gate.models import judge, learn_model, model_file, rows_of, shipped_model
from analytics.gate.passages import split_passages
from analytics.gate.softmax import fit_softmax
from devices.site.gate_model import GateModelFile, write_gate_model
from simulators.gate.sessions import draw_sessions
from tests.bench.gate import Labelled, read_sessions
from tests.shared_data import REPOSITORY

SHIPPED = REPOSITORY / "analytics" / "gate" / "shipped_model.json"
LEARN_SEED, JUDGE_SEED = 1, 2
LEARN_GATES, JUDGE_GATES = 500, 60
SESSIONS, TAGS_KEPT = 3, 3
NAME = "simulated-1"


def simulated(gates: int, seed: int) -> dict[int, list[Labelled]]:
    """Return labelled passages by simulated gate; a session that fell apart into several passages is left out."""
    rng = np.random.default_rng(seed)
    found: dict[int, list[Labelled]] = defaultdict(list)
    drawn = draw_sessions(gates=gates, sessions=SESSIONS, tags_kept=TAGS_KEPT, rng=rng)
    for number, session in enumerate(drawn):
        for tag, reads in enumerate(session.tags):
            time_us = (reads.at_s * 1e6).astype(np.int64)
            parts = split_passages(np.full(len(time_us), f"{tag}"), time_us, reads.side, reads.rssi_dbm)
            if len(parts) == 1:
                direction = Direction(session.direction)
                found[session.gate].append(Labelled(session=number, passage=parts[0], direction=direction))
    return found


def make() -> GateModelFile:
    """Learn the model that ships."""
    rows, labels = [], []
    for labelled in simulated(LEARN_GATES, LEARN_SEED).values():
        passages = [one.passage for one in labelled]
        rows.append(rows_of(passages, ends_of(np.concatenate([one.level_db for one in passages]))))
        labels += [DIRECTIONS.index(one.direction) for one in labelled]
    softmax = fit_softmax(np.concatenate(rows), np.array(labels, dtype=np.int64), len(DIRECTIONS))
    made = (
        f"learnt from {len(labels)} passages at {LEARN_GATES} simulated gates by "
        f"python -m tests.bench.gate_default --write (seed {LEARN_SEED})"
    )
    return model_file(softmax, ends_db=None, name=NAME, made=made)


def shares(
    labelled: Sequence[Labelled], model: GateModelFile, among: Sequence[Labelled] | None = None
) -> dict[str, npt.NDArray[np.bool_]]:
    """Return which passages of one gate are judged right, each tag alone and with its companions.

    Args:
        labelled: Passages to judge.
        model: By which.
        among: Passages that the gate's range of levels is taken from; the same where absent.
    """
    levels = [one.passage.level_db for one in (among or labelled)]
    ends_db = ends_of(np.concatenate(levels))
    right: dict[str, list[bool]] = {"each tag alone": [], "with its companions": []}
    for session in sorted({one.session for one in labelled}):
        mine = [one for one in labelled if one.session == session]
        for name, belongs in zip(right, (0.0, BELONGS), strict=True):
            chances, _ = judge([one.passage for one in mine], model, ends_db, belongs=belongs)
            right[name] += [
                DIRECTIONS[best] is one.direction for best, one in zip(chances.argmax(axis=1), mine, strict=True)
            ]
    return {name: np.array(found) for name, found in right.items()}


def sharpened(labelled: Sequence[Labelled], per_class: int, draws: int) -> dict[str, float]:
    """Return the share right of sessions that were not learnt from, with some labelled ones of each class."""
    rng = np.random.default_rng(0)
    direction_of = {one.session: one.direction for one in labelled}
    found: dict[str, list[npt.NDArray[np.bool_]]] = defaultdict(list)
    for _ in range(draws):
        known: set[int] = set()
        for direction in DIRECTIONS:
            sessions = [session for session, its in direction_of.items() if its is direction]
            known |= set(rng.choice(sessions, per_class, replace=False).tolist())
        learnt = [one for one in labelled if one.session in known]
        model = learn_model(
            [one.passage for one in learnt],
            [one.direction for one in learnt],
            name="bench",
            made="",
            prior=shipped_model(),
        )
        for name, right in shares([one for one in labelled if one.session not in known], model).items():
            found[name].append(right)
    return {name: float(np.concatenate(parts).mean()) for name, parts in found.items()}


def left_out(labelled: Sequence[Labelled]) -> dict[str, float]:
    """Return the share right where each session is judged by a model learnt from all others."""
    found: dict[str, list[npt.NDArray[np.bool_]]] = defaultdict(list)
    for session in sorted({one.session for one in labelled}):
        others = [one for one in labelled if one.session != session]
        model = learn_model(
            [one.passage for one in others],
            [one.direction for one in others],
            name="bench",
            made="",
            prior=shipped_model(),
        )
        for name, right in shares([one for one in labelled if one.session == session], model).items():
            found[name].append(right)
    return {name: float(np.concatenate(parts).mean()) for name, parts in found.items()}


def told(label: str, figures: dict[str, float]) -> str:
    """Return one line of the report."""
    return f"{label:58} " + "  ".join(f"{name} {share:7.2%}" for name, share in figures.items())


def main() -> None:
    """Write the model, or print how it does."""
    if sys.argv[1:] == ["--write"]:
        write_gate_model(make(), SHIPPED)
        print(f"wrote {SHIPPED.relative_to(REPOSITORY)}")
        return
    model = shipped_model()
    judged = [shares(labelled, model) for labelled in simulated(JUDGE_GATES, JUDGE_SEED).values()]
    means = {name: float(np.concatenate([one[name] for one in judged]).mean()) for name in judged[0]}
    print(told(f"{JUDGE_GATES} simulated gates that were not learnt from", means))
    folder = Path(os.environ.get("TAGTIDE_DATA", REPOSITORY.parent / "shared")) / "data" / "gate-direction"
    if not folder.is_dir():
        sys.exit(f"{folder} is not there: set TAGTIDE_DATA to the folder that holds data/gate-direction")
    labelled = read_sessions(folder)
    real = {name: float(right.mean()) for name, right in shares(labelled, model).items()}
    print(told("the real gate, none of its labels learnt from", real))
    for per_class in (1, 2, 4):
        print(told(f"the real gate, {per_class} labelled session(s) of each class", sharpened(labelled, per_class, 5)))
    print(told("the real gate, all sessions but the one judged", left_out(labelled)))


if __name__ == "__main__":
    main()
