"""Rows of `counts` and `counted`: what a pass that is over says."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from analytics import on_hand
from analytics.counting.tally import Expected, Tally
from analytics.schemas import COUNTED, COUNTS
from analytics.step import Outputs
from analytics.steps.derived import table_of
from analytics.steps.identity import identify


class Pass(msgspec.Struct):
    """One pass."""

    reader: str
    from_us: int
    until_us: int
    reads: dict[str, int] = {}
    """Air reads by EPC."""
    last_us: dict[str, int] = {}
    """Time of the last read, by EPC."""
    zone_of: dict[str, str] = {}
    """Zones of the items known when it began."""


@dataclass(slots=True)
class CountRows:
    """Rows that one chunk gives."""

    site: str
    """Site identifier."""
    counts: list[dict[str, Any]] = field(default_factory=list)
    counted: list[dict[str, Any]] = field(default_factory=list)

    def tables(self) -> Outputs:
        """Return the rows as tables."""
        tables = {"counts": (self.counts, COUNTS), "counted": (self.counted, COUNTED)}
        return {name: table_of(rows, schema) for name, (rows, schema) in tables.items() if rows}

    def add(self, one: Pass, found: Tally, *, passes: int, as_of_us: int, known: Mapping[str, Expected]) -> None:
        """Add the rows of a pass.

        Args:
            one: The pass.
            found: What follows from it.
            passes: Number of passes of its count so far.
            as_of_us: When it was over.
            known: Items that were known then.
        """
        name = f"{one.reader}-{one.from_us // 1_000_000}"
        self._add_counts(one, name, found, passes, as_of_us, known)
        common = {"site": self.site, "pass": name, "as_of_time": as_of_us, "recall": found.chance}
        self._add_heard(one, common, known)
        self._add_missing(found, common, known)

    def _add_counts(  # noqa: PLR0917 - what `add` was given
        self, one: Pass, name: str, found: Tally, passes: int, as_of_us: int, known: Mapping[str, Expected]
    ) -> None:
        common = {
            "site": self.site,
            "pass": name,
            "reader": one.reader,
            "from_time": one.from_us,
            "until_time": one.until_us,
            "passes": passes,
            "as_of_time": as_of_us,
        }
        self.counts.append(
            {
                **common,
                "seen_quantity": len(one.reads),
                "estimate": found.total,
                "estimate_low": found.low,
                "estimate_high": found.high,
                "recall": found.recall,
                "further_quantity": found.further,
                "missing_quantity": sum(found.missing.values()),
            }
        )
        gone: dict[str, float] = {}
        for epc, probability in found.missing.items():
            gtin = known[epc].gtin
            gone[gtin] = gone.get(gtin, 0.0) + probability
        ends = on_hand.intervals([units for _, units in found.by_gtin.values()], on_hand.INTERVAL_PROBABILITY)
        for (gtin, (seen, units)), (low, high) in zip(found.by_gtin.items(), ends, strict=True):
            self.counts.append(
                {
                    **common,
                    "gtin": gtin,
                    "seen_quantity": seen,
                    "estimate": units.mean,
                    "estimate_low": min(float(low), units.mean),
                    "estimate_high": max(float(high), units.mean),
                    "recall": min(1.0, seen / units.mean) if units.mean > 0 else None,
                    "missing_quantity": gone.get(gtin, 0.0),
                }
            )

    def _add_heard(self, one: Pass, common: Mapping[str, Any], known: Mapping[str, Expected]) -> None:
        for epc in sorted(one.reads):
            uri, gtin = identify(epc)
            self.counted.append(
                {
                    **common,
                    "epc_hex": epc,
                    "epc_uri": uri,
                    "gtin": gtin,
                    "zone": known[epc].zone or None if epc in known else None,
                    "heard": True,
                    "reads": one.reads[epc],
                    "last_heard_time": one.last_us[epc],
                    "missing_probability": 0.0,
                }
            )

    def _add_missing(self, found: Tally, common: Mapping[str, Any], known: Mapping[str, Expected]) -> None:
        for epc, probability in found.missing.items():
            uri, gtin = identify(epc)
            self.counted.append(
                {
                    **common,
                    "epc_hex": epc,
                    "epc_uri": uri,
                    "gtin": gtin,
                    "zone": known[epc].zone or None,
                    "heard": False,
                    "reads": 0,
                    "last_heard_time": known[epc].heard_us,
                    "missing_probability": probability,
                }
            )
