"""The direction of each passage through a gate, with its probability."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from analytics.gate.companions import BELONGS, loads_of, shared_fate
from analytics.gate.features import features
from analytics.gate.passages import Passage
from analytics.gate.softmax import RIDGE, Softmax, fit_softmax

_FLOOR_QUANTILE = 0.02  # of all levels: the weakest reads, without the few that are weaker by mishap


class Direction(StrEnum):
    """Where a passage led."""

    INBOUND = "inbound"
    """From the outer side to the inner side."""
    OUTBOUND = "outbound"
    """From the inner side to the outer side."""
    PASSED_BY = "passed_by"
    """Along the gate, not through it."""
    STATIC = "static"
    """Stood near the gate."""
    RETURNED = "returned"
    """Through it and back again."""


DIRECTIONS = tuple(Direction)
"""All of them, in the order of a model's classes."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GateModel:
    """What was learnt of a gate."""

    floor_db: float
    """Level of its weakest reads."""
    softmax: Softmax
    """From features to directions."""

    def alone(self, passages: Sequence[Passage]) -> npt.NDArray[np.float64]:
        """Return the probability of each direction (column) for each passage by its own reads."""
        return self.softmax.probabilities(_rows(passages, self.floor_db))


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectionEstimate:
    """Where a passage led, and how sure that is."""

    direction: Direction
    """The most probable one."""
    probability: float
    """Its probability."""
    load: int
    """Passages with the same number were at the gate together."""


def fit_gate(passages: Sequence[Passage], directions: Sequence[Direction], *, ridge: float = RIDGE) -> GateModel:
    """Learn from passages whose direction is known.

    Raises:
        ValueError: There are none.
    """
    if not passages:
        raise ValueError("no passages to learn from")
    floor_db = float(np.quantile(np.concatenate([passage.level_db for passage in passages]), _FLOOR_QUANTILE))
    labels = np.array([DIRECTIONS.index(direction) for direction in directions], dtype=np.int64)
    return GateModel(
        floor_db=floor_db, softmax=fit_softmax(_rows(passages, floor_db), labels, len(DIRECTIONS), ridge=ridge)
    )


def estimate_directions(
    passages: Sequence[Passage], model: GateModel, *, belongs: float = BELONGS
) -> list[DirectionEstimate]:
    """Estimate the direction of each passage, by its own reads and by those of what was at the gate with it.

    Args:
        passages: Of one gate.
        model: What was learnt of it.
        belongs: Probability that what is at the gate together moves together; 0 judges each tag alone.
    """
    if not passages:
        return []
    loads = loads_of(list(passages))
    # The model weighs its classes alike, so its probabilities are likelihoods up to a factor.
    posterior = shared_fate(model.alone(passages), loads, belongs=belongs)
    best = posterior.argmax(axis=1)
    return [
        DirectionEstimate(direction=DIRECTIONS[which], probability=float(row[which]), load=int(load))
        for which, row, load in zip(best, posterior, loads, strict=True)
    ]


def _rows(passages: Sequence[Passage], floor_db: float) -> npt.NDArray[np.float64]:
    return np.array([features(passage, floor_db) for passage in passages])
