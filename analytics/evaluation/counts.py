"""How well counting passes say what is there and what is missing, beside where everything was.

An item is *there* for a pass if it is truly in zones where the pass has been, when it begins and when it ends: what
is delivered meanwhile is not there to be heard. Where it has been follows from what it heard of what was truly in
each zone from its begin to its end, as the step decides it from where items are located
(`analytics.counting.tally.covered`). Items that nothing can read are not in the truth.

* true recall: items heard that are there / items that are there; beside it, the recall that the pass says;
* totals held: passes whose interval of the total, ends included, holds the number of items that are there / passes;
* further: what the pass says that one more would add, beside how many items the next pass of the same count heard and
  none before it;
* missing: of the items that passes expected and did not hear, sorted by the probability with which they were said to be
  gone, the share that was truly off site as of then.
"""

import itertools
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from analytics.counting.tally import covered
from analytics.evaluation.confidence import ConfidenceBin, confidence_bins, confidence_error

GONE_EDGES = (0.0, 0.05, 0.3, 0.7, 0.9, 0.97, 1.0)
"""Edges of the bins of probabilities of being gone, most of which are near 0 or near 1."""

_Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class PassScore:
    """One counting pass."""

    name: str
    """The pass, as `counts` names it."""
    heard: int
    """Items that it heard."""
    recall: float | None
    """Its recall, as it says."""
    true_recall: float | None
    """Its true recall."""
    estimate: float
    """The total that can be heard, as it says,"""
    estimate_low: float
    """the low end of its interval,"""
    estimate_high: float
    """and the high end."""
    there: int
    """Items that are there."""
    further: float | None
    """What one more pass would add, as it says."""
    further_true: int | None
    """What the next pass of the same count added; `None` where there was none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CountScore:
    """Counting passes of a day. Measures as in the module's docstring."""

    passes: tuple[PassScore, ...]
    """Oldest first."""
    missing: tuple[ConfidenceBin, ...]
    """Probabilities of being gone, beside how many were."""

    @property
    def held_share(self) -> float | None:
        """Share of passes whose interval holds the number of items that are there."""
        held = [one.estimate_low <= one.there <= one.estimate_high for one in self.passes]
        return sum(held) / len(held) if held else None

    @property
    def calibration_error(self) -> float | None:
        """Expected calibration error of the probabilities of being gone."""
        return confidence_error(self.missing)


def compare_counts(counts: pa.Table, counted: pa.Table, truth: pa.Table) -> CountScore:
    """Compare rows of `counts` and `counted` with the truth.

    Args:
        counts: Rows of `counts`; those of single GTINs are passed over.
        counted: Rows of `counted`.
        truth: Where everything was, in `analytics.truth.TRUTH` form.
    """
    where = _Where(truth)
    items = _rows(counted, ("pass", "epc_hex", "heard", "missing_probability"), "as_of_time")
    heard: dict[str, set[str]] = {}
    for item in items:
        if item["heard"]:
            heard.setdefault(item["pass"], set()).add(item["epc_hex"])
    names = (
        "pass",
        "passes",
        "from_time",
        "gtin",
        "recall",
        "estimate",
        "estimate_low",
        "estimate_high",
        "further_quantity",
    )
    place = counts.schema.get_field_index("from_time")
    counts = counts.set_column(place, "from_time", counts["from_time"].cast(pa.int64()))
    rows = [row for row in _rows(counts, names, "until_time") if row["gtin"] is None]
    gone = gone_items(counted, truth)
    return CountScore(passes=tuple(_passes(rows, heard, where)), missing=confidence_bins(gone, GONE_EDGES))


def gone_items(counted: pa.Table, truth: pa.Table) -> list[tuple[float, bool]]:
    """Return, for each item expected and not heard, the probability that it is gone as said, and whether it is."""
    where = _Where(truth)
    items = _rows(counted, ("epc_hex", "heard", "missing_probability"), "as_of_time")
    return [
        (item["missing_probability"], where.zone(item["epc_hex"], item["as_of_time"]) is None)
        for item in items
        if not item["heard"]
    ]


class _Where:
    """Where every item was, by item and time."""

    def __init__(self, truth: pa.Table) -> None:
        self._stays: dict[str, list[tuple[int, int, str]]] = {}
        columns = (truth[name].to_pylist() for name in ("epc_hex", "zone", "from_us", "until_us"))
        for epc, zone, from_us, until_us in zip(*columns, strict=True):
            if zone:
                self._stays.setdefault(epc, []).append((from_us, until_us, zone))

    def zone(self, epc: str, at_us: int) -> str | None:
        """Return the zone of an item; `None` where it is off site."""
        stays = self._stays.get(epc, [])
        return next((zone for from_us, until_us, zone in stays if from_us <= at_us < until_us), None)

    def there(self, heard: set[str], from_us: int, until_us: int) -> set[str]:
        """Return the items that are in zones where a pass has been that heard some items."""
        zones = {epc: zone for epc in self._stays if (zone := self.zone(epc, until_us)) is not None}
        all_the_time = {epc: zone for epc, zone in zones.items() if self.zone(epc, from_us) == zone}
        found = Counter(zone for epc, zone in all_the_time.items() if epc in heard)
        been = covered(Counter(all_the_time.values()), found)
        return {epc for epc, zone in zones.items() if zone in been and self.zone(epc, from_us) in been}


def _passes(rows: list[_Row], heard: Mapping[str, set[str]], where: _Where) -> Iterable[PassScore]:
    before: set[str] = set()
    for row, following in itertools.zip_longest(rows, rows[1:]):
        mine = heard.get(row["pass"], set())
        there = where.there(mine, row["from_time"], row["until_time"])
        before = mine if row["passes"] == 1 else before | mine
        goes_on = following is not None and following["passes"] > 1
        yield PassScore(
            name=row["pass"],
            heard=len(mine),
            recall=row["recall"],
            true_recall=len(mine & there) / len(there) if there else None,
            estimate=row["estimate"],
            estimate_low=row["estimate_low"],
            estimate_high=row["estimate_high"],
            there=len(there),
            further=row["further_quantity"],
            further_true=len(heard.get(following["pass"], set()) - before) if following and goes_on else None,
        )


def _rows(table: pa.Table, names: Iterable[str], time: str) -> list[_Row]:
    """Return columns of a table row by row, in order of a time, which is in microseconds then."""
    taken = table.select([*names, time]).set_column(len(list(names)), time, table[time].cast(pa.int64()))
    return taken.sort_by(time).to_pylist()  # type: ignore[no-any-return]  # pyarrow has no types
