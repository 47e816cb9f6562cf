"""Is what is said with 0.9 right nine times in ten? Stated probabilities in bins, beside how often they were right."""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

TENTHS = tuple(tenth / 10 for tenth in range(11))
"""Edges of ten equal bins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfidenceBin:
    """What was said with nearly the same probability."""

    low: float
    """Least probability of the bin."""
    high: float
    """Probability at which the next bin begins; the last bin holds 1."""
    count: int
    """How many were said with such a probability; empty bins are left out."""
    said_mean: float
    """Their mean probability."""
    right_share: float
    """How many of them were right / count."""


def confidence_bins(said: Iterable[tuple[float, bool]], edges: Sequence[float] = TENTHS) -> tuple[ConfidenceBin, ...]:
    """Sort what was said into bins.

    Args:
        said: Probability of each, 0 to 1, and whether it was right.
        edges: Edges of the bins, rising from 0 to 1.
    """
    pairs = list(said)
    found = []
    for low, high in itertools.pairwise(edges):
        inside = [one for one in pairs if low <= one[0] < high or (high == edges[-1] and one[0] == high)]
        if inside:
            count = len(inside)
            found.append(
                ConfidenceBin(
                    low=low,
                    high=high,
                    count=count,
                    said_mean=sum(probability for probability, _ in inside) / count,
                    right_share=sum(right for _, right in inside) / count,
                )
            )
    return tuple(found)


def confidence_error(bins: Iterable[ConfidenceBin]) -> float | None:
    """Return the expected calibration error.

    `sum over bins of (count / all) * |right share - mean probability|`; `None` where nothing was said.
    """
    known = list(bins)
    total = sum(one.count for one in known)
    return sum(one.count * abs(one.right_share - one.said_mean) for one in known) / total if total else None
