"""Models of a gate's directions as files: the one that ships with the program, and those learnt from labelled passages.

The shipped model has never seen a real gate: it is learnt from simulated ones that differ in everything, by
`python -m tests.bench.gate_default --write`. A gate whose passages somebody has labelled gets a model of its own, for
which the shipped one is what was believed before.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from importlib.resources import files

import numpy as np
import numpy.typing as npt

from analytics.gate.companions import BELONGS, loads_of, shared_fate
from analytics.gate.direction import DIRECTIONS, Direction
from analytics.gate.features import features
from analytics.gate.levels import ends_of, stretched
from analytics.gate.passages import Passage
from analytics.gate.softmax import Softmax, fit_softmax
from devices.site.gate_model import CLASSES, FORMAT, VERSION, GateModelFile, parse_gate_model

PRIOR_RIDGE = 500.0
"""How firmly a gate's own model is held to the shipped one, in passages: those of one trolley are hardly more than one
passage, so that some dozens of trolleys outweigh it."""

EVIDENCE_POWER = 0.75
"""Power to which a tag's likelihoods are raised before they are put together with those of its companions: tags of one
load hear the same walk, so that ten of them say less than ten times as much. Chosen on simulated days (seeds 61 to 65):
there it makes stated confidence honest, and a few more loads right."""

STRANGE_SHARE = 0.03
"""Probability that a gate, or what happens at it, is like nothing that the model was learnt from, so that any direction
is as likely as the others. Chosen on simulated days (seeds 61 to 63): there what is said with 0.97 or more is right in
96 %."""

assert tuple(str(direction) for direction in DIRECTIONS) == CLASSES, "the file's classes are the directions"


@cache
def shipped_model() -> GateModelFile:
    """Return the model that ships with the program."""
    found = parse_gate_model((files("analytics") / "gate" / "shipped_model.json").read_bytes())
    assert isinstance(found, GateModelFile), found
    return found


def softmax_of(model: GateModelFile) -> Softmax:
    """Return a file's numbers as arrays."""
    return Softmax(mean=np.array(model.mean), scale=np.array(model.scale), weights=np.array(model.weights))


def learn_model(
    passages: Sequence[Passage],
    directions: Sequence[Direction],
    *,
    name: str,
    made: str,
    prior: GateModelFile | None,
) -> GateModelFile:
    """Learn a gate's model from passages whose direction is known.

    Args:
        passages: Of that gate, levels as its readers report them.
        directions: Theirs.
        name: By what rows name the model.
        made: What it is learnt from, for people.
        prior: What is believed before; where absent, nothing.

    Raises:
        ValueError: There are none.
    """
    if not passages:
        raise ValueError("no passages to learn from")
    ends_db = ends_of(np.concatenate([passage.level_db for passage in passages]))
    labels = np.array([DIRECTIONS.index(direction) for direction in directions], dtype=np.int64)
    rows = rows_of(passages, ends_db)
    softmax = (
        fit_softmax(rows, labels, len(DIRECTIONS))
        if prior is None
        else fit_softmax(rows, labels, len(DIRECTIONS), ridge=PRIOR_RIDGE, prior=softmax_of(prior))
    )
    return model_file(softmax, ends_db=ends_db, name=name, made=made)


def model_file(softmax: Softmax, *, ends_db: tuple[float, float] | None, name: str, made: str) -> GateModelFile:
    """Return a model in its file's form; without ends, levels are stretched by each gate's own reads."""
    return GateModelFile(
        format=FORMAT,
        version=VERSION,
        name=name,
        made=made,
        classes=CLASSES,
        floor_db=None if ends_db is None else ends_db[0],
        ceiling_db=None if ends_db is None else ends_db[1],
        mean=tuple(softmax.mean.tolist()),
        scale=tuple(softmax.scale.tolist()),
        weights=tuple(tuple(row) for row in softmax.weights.tolist()),
    )


def rows_of(passages: Sequence[Passage], ends_db: tuple[float, float]) -> npt.NDArray[np.float64]:
    """Return the features of passages, their levels stretched to the common range."""
    return np.array(
        [features(replace(one, level_db=stretched(one.level_db, ends_db)), floor_db=0.0) for one in passages]
    )


def judge(
    passages: Sequence[Passage], model: GateModelFile, ends_db: tuple[float, float], *, belongs: float = BELONGS
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Judge passages that may have been at a gate together.

    Args:
        passages: Of one gate, at least one.
        model: By which.
        ends_db: Level of weak and of strong reads at this gate, where the model has none of its own.
        belongs: Probability that what is at the gate together moves together; 0 judges each tag alone.

    Returns:
        The probability of each direction (column) for each passage, and the number of each passage's load.
    """
    own = (model.floor_db, model.ceiling_db)
    ends = ends_db if own[0] is None or own[1] is None else (own[0], own[1])
    likelihood = softmax_of(model).probabilities(rows_of(passages, ends)) ** EVIDENCE_POWER
    likelihood /= likelihood.sum(axis=1, keepdims=True)
    loads = loads_of(list(passages))
    chances = shared_fate(likelihood, loads, belongs=belongs)
    return (1.0 - STRANGE_SHARE) * chances + STRANGE_SHARE / chances.shape[1], loads
