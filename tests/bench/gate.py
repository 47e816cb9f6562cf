"""Real gate sessions: how many tag passages get the right direction, each session judged by a model of the others.

`python -m tests.bench.gate` prints the table of docs/accuracy.md. The sessions are not ours: TAGTIDE_DATA names the
folder that holds `data/gate-direction/`.
"""

import csv
import os
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from analytics.evaluation.passages import score_of
from analytics.gate.companions import BELONGS
from analytics.gate.direction import Direction, estimate_directions, fit_gate
from analytics.gate.passages import Passage, level_of_linear, split_passages
from tests.shared_data import REPOSITORY

_CLASSES = (Direction.INBOUND, Direction.OUTBOUND, Direction.PASSED_BY, Direction.STATIC, Direction.RETURNED)
"""The data's classes 0 to 4; its antenna 0 is taken for the outer side."""
WAYS = {"each tag alone": 0.0, "with its companions": BELONGS}
"""How directions are found, with the probability that what is at the gate together moves together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """A passage with its truth."""

    session: int
    """Which recording."""
    passage: Passage
    """The reads."""
    direction: Direction
    """What was done."""


def read_sessions(folder: Path) -> list[Labelled]:
    """Read every session; a tag in a session is one passage."""
    labelled = []
    for session, path in enumerate(sorted(folder.glob("*.csv"))):
        with path.open(newline="") as stream:
            rows = [row for row in csv.reader(stream) if row[0]]
        times = [datetime.strptime(f"{row[1]}+0900", "%Y/%m/%d %H:%M:%S.%f%z").timestamp() for row in rows]
        passages = split_passages(
            np.array([row[0] for row in rows]),
            (np.array(times) * 1e6).astype(np.int64),
            np.array([int(row[2]) for row in rows], dtype=np.int8),
            level_of_linear(np.array([float(row[4]) for row in rows])),
        )
        direction = _CLASSES[int(rows[0][5])]
        labelled += [Labelled(session=session, passage=passage, direction=direction) for passage in passages]
    return labelled


def judged(labelled: Sequence[Labelled], folds: int | None = None) -> dict[str, list[Direction]]:
    """Return the direction of each passage by a model that has not seen its session.

    Args:
        labelled: Passages with their truth.
        folds: Parts that the sessions are dealt into, one part left out at a time; each session alone where not given.

    Returns:
        Directions by how they were found: each tag alone, and with its companions.
    """
    found: dict[str, dict[int, Direction]] = {name: {} for name in WAYS}
    fold_of = {
        session: at if folds is None else at % folds
        for at, session in enumerate(sorted({one.session for one in labelled}))
    }
    for fold in sorted(set(fold_of.values())):
        others = [one for one in labelled if fold_of[one.session] != fold]
        model = fit_gate([one.passage for one in others], [one.direction for one in others])
        mine = [at for at, one in enumerate(labelled) if fold_of[one.session] == fold]
        passages = [labelled[at].passage for at in mine]
        for name, belongs in WAYS.items():
            estimates = estimate_directions(passages, model, belongs=belongs)
            found[name] |= {at: estimate.direction for at, estimate in zip(mine, estimates, strict=True)}
    return {name: [of_passage[at] for at in range(len(labelled))] for name, of_passage in found.items()}


def main() -> None:
    """Print the table."""
    folder = Path(os.environ.get("TAGTIDE_DATA", REPOSITORY.parent / "shared")) / "data" / "gate-direction"
    if not folder.is_dir():
        sys.exit(f"{folder} is not there: set TAGTIDE_DATA to the folder that holds data/gate-direction")
    labelled = read_sessions(folder)
    print(f"{len({one.session for one in labelled})} sessions, {len(labelled)} passages; by session left out")
    for name, found in judged(labelled).items():
        pairs = Counter((str(one.direction), str(said)) for one, said in zip(labelled, found, strict=True))
        score = score_of(pairs, rows=len(found))
        wrong = {f"{one.direction} taken for {one.said}": one.count for one in score.said if one.said != one.direction}
        print(f"{name:20}  {score.right_share or 0.0:7.2%} right  {score.told - score.right:3} wrong  {wrong}")


if __name__ == "__main__":
    main()
