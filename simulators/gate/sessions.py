"""Sessions at many gates that differ in everything: what a model can be learnt from before any gate has been seen."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from simulators.gate.motion import DIRECTIONS, draw_path
from simulators.gate.physics import TagReads, draw_gate, hear

_TAGS_MAX = 30
_LOAD_M = (0.35, 0.25)  # half the length and width of a trolley


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One load at one gate."""

    gate: int
    """Number of the gate."""
    direction: str
    """What was done: one of `motion.DIRECTIONS`."""
    tags: tuple[TagReads, ...]
    """What was heard of each tag; those never heard are left out."""


def draw_sessions(*, gates: int, sessions: int, tags_kept: int, rng: np.random.Generator) -> Iterator[Session]:
    """Yield sessions, gate by gate.

    Args:
        gates: How many gates.
        sessions: Of each direction at each gate.
        tags_kept: Tags of a load that are kept at most; more of them take part and share the reader's time.
        rng: Random stream.
    """
    for gate in range(gates):
        law = draw_gate(rng)
        for direction in DIRECTIONS:
            for _ in range(sessions):
                count = int(np.exp(rng.uniform(0, np.log(_TAGS_MAX))))
                path = draw_path(direction, rng)
                heard = [
                    hear(law, path, offset_m=_place(rng), tags=count, rng=rng) for _ in range(min(count, tags_kept))
                ]
                kept = tuple(tag for tag in heard if len(tag.at_s))
                if kept:
                    yield Session(gate=gate, direction=direction, tags=kept)


def _place(rng: np.random.Generator) -> tuple[float, float]:
    return float(rng.uniform(-_LOAD_M[0], _LOAD_M[0])), float(rng.uniform(-_LOAD_M[1], _LOAD_M[1]))
