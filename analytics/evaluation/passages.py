"""How well the `passages` table says what went through the gates, and which way, beside the truth about it.

A row *tells of* a true passage if it is of the same tag at the same gate and their times overlap or touch; of several
rows, the one that overlaps it for longest. One row may tell of two passages that it takes for one.

* told: true passages of which a row tells / all true passages. Too few reads make no row;
* right: true passages told with the right direction / true passages told;
* unfounded: rows that overlap no true passage;
* pieces: rows that overlap a true passage of which another row tells, as of a long stand that fell apart;
* delay: of each row, from the last read of the passage to the time as of which the row was known;
* calibration: over the true passages told, the confidence of the row beside whether its direction is right.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from analytics.evaluation.confidence import ConfidenceBin, confidence_bins, confidence_error
from analytics.truth import read_truth_file

TRUE_PASSAGES = pa.schema(
    [
        pa.field("gate", pa.string(), nullable=False),
        pa.field("epc_hex", pa.string(), nullable=False),
        pa.field("direction", pa.string(), nullable=False),
        pa.field("from_us", pa.int64(), nullable=False),
        pa.field("until_us", pa.int64(), nullable=False),
    ]
)
"""Columns of a truth about passages: what was heard at a gate from its first read until its last."""
NOTHING = "nothing"
"""What was said of a passage of which no row tells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What was said of passages in one direction."""

    direction: str
    """What they truly did."""
    said: str
    """The direction of the rows that tell of them, or `NOTHING`."""
    count: int
    """How many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PassageScore:
    """Measures as in the module's docstring; `None` where there is nothing to measure."""

    true: int
    """Passages of the truth."""
    told: int
    """Those of which a row tells."""
    right: int
    """Those told with the right direction."""
    rows: int
    """Rows of the table."""
    unfounded: int
    """Rows that overlap no true passage."""
    pieces: int
    """Rows that overlap true passages of which other rows tell."""
    said: tuple[Said, ...]
    """The confusion table: by true direction and by what was said."""
    delay_s_median: float | None
    delay_s_p95: float | None
    bins: tuple[ConfidenceBin, ...]
    """Confidence of what was told, in tenths, beside how often it was right."""

    @property
    def told_share(self) -> float | None:
        """Told / true."""
        return self.told / self.true if self.true else None

    @property
    def right_share(self) -> float | None:
        """Right / told."""
        return self.right / self.told if self.told else None

    @property
    def calibration_error(self) -> float | None:
        """Expected calibration error over what was told."""
        return confidence_error(self.bins)

    def of(self, direction: str) -> tuple[int, int]:
        """Return how many passages of a direction were told right, of how many that were told."""
        told = [one for one in self.said if one.direction == direction and one.said != NOTHING]
        return sum(one.count for one in told if one.said == direction), sum(one.count for one in told)


@dataclass(frozen=True, slots=True)
class _Row:
    from_us: int
    until_us: int
    direction: str
    confidence: float

    def overlap_us(self, from_us: int, until_us: int) -> int:
        """Return for how long it overlaps a passage; less than 0 where it does not even touch it."""
        return min(self.until_us, until_us) - max(self.from_us, from_us)


def read_true_passages(path: Path | str) -> pa.Table:
    """Read `truth_passages.csv`, as the simulator writes it.

    Raises:
        TruthError: The file cannot be read or lacks a column.
    """
    return read_truth_file(path, TRUE_PASSAGES, "passages")


def compare_passages(rows: pa.Table, truth: pa.Table) -> PassageScore:
    """Compare rows of `passages` with the truth.

    Args:
        rows: Rows of the table.
        truth: In `TRUE_PASSAGES` form.
    """
    by_tag = _by_tag(rows)
    said: Counter[tuple[str, str]] = Counter()
    sure: list[tuple[float, bool]] = []
    founded: set[tuple[str, str, int]] = set()
    telling: set[tuple[str, str, int]] = set()
    for gate, epc, direction, from_us, until_us in zip(
        *(truth[name].to_pylist() for name in TRUE_PASSAGES.names), strict=True
    ):
        overlaps = [(row.overlap_us(from_us, until_us), place) for place, row in enumerate(by_tag[gate, epc])]
        founded |= {(gate, epc, place) for overlap_us, place in overlaps if overlap_us >= 0}
        overlap_us, place = max(overlaps, default=(-1, 0))
        if overlap_us < 0:
            said[direction, NOTHING] += 1
            continue
        row = by_tag[gate, epc][place]
        telling.add((gate, epc, place))
        said[direction, row.direction] += 1
        sure.append((row.confidence, row.direction == direction))
    delays_s = (_us(rows, "as_of_time") - _us(rows, "until_time")) / 1e6
    return score_of(
        said,
        rows=rows.num_rows,
        unfounded=rows.num_rows - len(founded),
        pieces=len(founded - telling),
        delay_s_median=float(np.median(delays_s)) if len(delays_s) else None,
        delay_s_p95=float(np.percentile(delays_s, 95)) if len(delays_s) else None,
        bins=confidence_bins(sure),
    )


def score_of(
    said: Mapping[tuple[str, str], int],
    *,
    rows: int,
    unfounded: int = 0,
    pieces: int = 0,
    delay_s_median: float | None = None,
    delay_s_p95: float | None = None,
    bins: Iterable[ConfidenceBin] = (),
) -> PassageScore:
    """Make a score of what was said: counts by true direction and said direction, in that order of the pair."""
    return PassageScore(
        true=sum(said.values()),
        told=sum(count for (_, told), count in said.items() if told != NOTHING),
        right=sum(count for (direction, told), count in said.items() if told == direction),
        rows=rows,
        unfounded=unfounded,
        pieces=pieces,
        said=tuple(
            Said(direction=direction, said=told, count=count) for (direction, told), count in sorted(said.items())
        ),
        delay_s_median=delay_s_median,
        delay_s_p95=delay_s_p95,
        bins=tuple(bins),
    )


def _by_tag(rows: pa.Table) -> Mapping[tuple[str, str], list[_Row]]:
    found: dict[tuple[str, str], list[_Row]] = defaultdict(list)
    names = ("gate", "epc_hex", "direction", "confidence")
    times = (_us(rows, name).tolist() for name in ("from_time", "until_time"))
    for gate, epc, direction, confidence, from_us, until_us in zip(
        *(rows[name].to_pylist() for name in names), *times, strict=True
    ):
        found[gate, epc].append(_Row(from_us, until_us, direction, confidence))
    return found


def _us(rows: pa.Table, name: str) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return rows[name].cast(pa.int64()).to_numpy()  # type: ignore[no-any-return]  # pyarrow has no types
