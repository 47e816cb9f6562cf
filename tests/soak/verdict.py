"""Judging a soak: straight lines through samples, and the bounds that they are held to. No I/O."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from tests.soak.samples import Sample

_Z = 2.0
"""Standard errors on either side of a slope: about 95 in 100."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A straight line through values over time."""

    mean: float
    """Mean of the values."""
    per_hour: float
    """Slope."""
    per_hour_error: float
    """Half of the slope's interval."""
    last: float
    """Last value."""


def line_through(samples: Sequence[Sample], name: str) -> Line | None:
    """Fit a line by least squares; `None` with fewer than three values.

    The error is of independent residuals; memory wanders, so neighbours are alike, and the interval is widened by
    their correlation at a distance of one sample.
    """
    found = [(each.at_s / 3600, each.values[name]) for each in samples if name in each.values]
    if len(found) < 3:
        return None
    count = len(found)
    mean_t, mean_v = (sum(column) / count for column in zip(*found, strict=True))
    spread = sum((t - mean_t) ** 2 for t, _ in found)
    slope = sum((t - mean_t) * (v - mean_v) for t, v in found) / spread
    residuals = [v - mean_v - slope * (t - mean_t) for t, v in found]
    squares = sum(each**2 for each in residuals)
    likeness = max(0.0, min(0.99, sum(a * b for a, b in pairwise(residuals)) / squares)) if squares else 0.0
    error = math.sqrt(squares / (count - 2) / spread * (1 + likeness) / (1 - likeness))
    return Line(mean=mean_v, per_hour=slope, per_hour_error=_Z * error, last=found[-1][1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was judged."""

    name: str
    """What."""
    measured: str
    """What was seen."""
    bound: str
    """What it was to be."""
    holds: bool
    """Whether it was."""


def judge(samples: Sequence[Sample], *, warm_up_s: float, ceilings: Mapping[str, float]) -> list[Finding]:
    """Judge memory, descriptors, threads, and what is kept.

    Args:
        samples: In order of time.
        warm_up_s: Samples before are left out of slopes and ceilings.
        ceilings: Highest value that is allowed, by name of a value.
    """
    warm = [each for each in samples if each.at_s >= warm_up_s]
    names = sorted({name for each in warm for name in each.values})
    findings = [_flat(warm, name, _rss_bound) for name in names if name.endswith("_rss_mb")]
    findings += [_flat(warm, name, lambda _: 6.0) for name in names if name.endswith(("_fds", "_threads"))]
    for name, ceiling in ceilings.items():
        highest = max((each.values[name] for each in warm if name in each.values), default=math.inf)
        findings.append(
            Finding(name=name, measured=f"at most {highest:,.1f}", bound=f"{ceiling:,.1f}", holds=highest <= ceiling)
        )
    return findings


def _rss_bound(mean: float) -> float:
    """MB an hour: a tenth of what a process takes, and 10 MB at least, for allocators wander."""
    return max(10.0, 0.1 * mean)


def _flat(samples: Sequence[Sample], name: str, bound_of: Callable[[float], float]) -> Finding:
    line = line_through(samples, name)
    if line is None:
        return Finding(name=name, measured="nothing", bound="flat", holds=False)
    bound = bound_of(line.mean)
    return Finding(
        name=name,
        measured=f"{line.mean:,.1f} on average, {line.per_hour:+.2f} ± {line.per_hour_error:.2f} an hour",
        bound=f"slope of at most {bound:+.1f} an hour",
        holds=line.per_hour - line.per_hour_error <= bound,
    )
