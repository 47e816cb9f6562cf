"""What scales count on each shelf, and what changed lately: what inventory remembers of the shelf step's rows.

Rows of the shelf step come when a count changes, seconds after the goods did. Hands and jolts are gone by then, drift
is followed, and goods of another kind show in a count that it is not sure of (`analytics.steps.shelf`).
"""

from collections.abc import Mapping

import msgspec

from analytics.on_scales import Look
from devices.site.model import Shelf, Site

LAG_US = 5 * 60 * 1_000_000
"""Tags tell of goods put on a shelf, or taken off it, within this and the site's `departed_after_s`."""
SURE_CONFIDENCE = 0.8
"""A count less sure than this is off by a tenth of a unit or more: something else lies there."""
STALE_US = 48 * 3600 * 1_000_000
"""A count that has not changed for this long says nothing: scales die without a word."""
CHANGES_KEPT = 64
"""Changes of one shelf that are remembered."""
JUMP_UNITS = 2
"""A count that rises by so many units at once may be one heavy thing of another kind,"""
JUMP_KEPT_US = 12 * 3600 * 1_000_000
"""for so long, unless a fall by as many takes it back."""
JUMPS_KEPT = 3
"""Jumps of one shelf that are remembered."""


class Weighed(msgspec.Struct, array_like=True):
    """One shelf, as its scale has it."""

    units: int
    at_us: int
    """When that was known."""
    sure: bool = True
    changes: list[tuple[int, int]] = []
    """Late changes: when, and by how many units."""
    jumps: list[tuple[int, int]] = []
    """Rises by several units at once."""


def weigh(before: Weighed | None, units: int, at_us: int, *, confidence: float, lag_us: int) -> Weighed:
    """Return a shelf after a row of the shelf step.

    Args:
        before: The shelf until then.
        units: Units that its scale counts now.
        at_us: Since when, microseconds.
        confidence: How sure the shelf step is of the count.
        lag_us: How long changes matter, microseconds.
    """
    changes = [(at_us, units)] if before is None else [*before.changes, (at_us, units - before.units)]
    changes = [change for change in changes if change[0] > at_us - lag_us][-CHANGES_KEPT:]
    jumps = [] if before is None else _jumps(before.jumps, at_us, units - before.units)
    return Weighed(units, at_us, confidence >= SURE_CONFIDENCE, changes, jumps)


def _jumps(before: list[tuple[int, int]], at_us: int, change: int) -> list[tuple[int, int]]:
    """Return the jumps of a shelf after another change."""
    if change >= JUMP_UNITS:
        return [*before, (at_us, change)][-JUMPS_KEPT:]
    same = [place for place, (_, units) in enumerate(before) if change < 0 and abs(units + change) <= 1]
    return [jump for place, jump in enumerate(before) if not same or place != same[-1]]


def lag_of(site: Site) -> int:
    """Return how long tags of a site may take to tell what scales have told, microseconds."""
    return round(site.departed_after_s * 1e6) + LAG_US


class Looks:
    """What scales say of each GTIN in each zone, at a time."""

    def __init__(self, shelves: Mapping[str, Weighed], site: Site, now_us: int) -> None:
        self._now_us = now_us
        self._lag_us = lag_of(site)
        self._found: dict[str, dict[str, Look]] = {}
        stands: dict[tuple[str, str], list[Shelf]] = {}
        for shelf in site.shelves:
            if shelf.gtin is not None:
                stands.setdefault((shelf.gtin, shelf.zone), []).append(shelf)
        for (gtin, zone), of_gtin in stands.items():
            known = [shelves[shelf.id] for shelf in of_gtin if shelf.id in shelves]
            fresh = [one for one in known if one.at_us > now_us - STALE_US]
            if fresh:
                look = self._look(fresh, whole=len(fresh) == len(of_gtin))
                self._found.setdefault(gtin, {})[zone] = look

    def of(self, gtin: str) -> Mapping[str, Look]:
        """Return the looks at a GTIN, by zone."""
        return self._found.get(gtin, {})

    def _look(self, weighed: list[Weighed], *, whole: bool) -> Look:
        late = [units for one in weighed for at_us, units in one.changes if at_us > self._now_us - self._lag_us]
        return Look(
            units=sum(one.units for one in weighed),
            whole=whole,
            sure=all(one.sure for one in weighed),
            put_on=sum(units for units in late if units > 0),
            taken=-sum(units for units in late if units < 0),
            jumps=tuple(units for one in weighed for at_us, units in one.jumps if at_us > self._now_us - JUMP_KEPT_US),
        )
