"""Deliveries that are booked and not all heard: what a receipt says about units that no antenna has told of.

A receipt of a GTIN opens a *line*: so many units booked. Items of the GTIN that are located for the first time in the
two hours after it, wherever, are its items, as long as units of it are missing. So are those that were first located
shortly before it, at the dock, or anywhere where the delivery was announced. With n of them heard, the units that are
there and not heard, u, have the probability

    P(u) ~ C(n + u, u) f ** u (1 - f) ** n * P(booked - n - u units of error)

where f is the share not heard at the line's age: never read, or not yet (`unheard_share`). Errors of a line are none,
or a few units either way, each further unit half as likely; how frequent they are follows from lines of which more was
heard than booked. Where a delivery was announced with the same number, an error is five times less likely; where it was
announced with another, either number may be the right one.
"""

import math

import msgspec
import numpy as np

from analytics.on_hand import Mass

MATCH_BEFORE_US = 30 * 60 * 1_000_000
"""Goods stand at the dock for this long at most before they are booked."""
MATCH_AFTER_US = 2 * 3600 * 1_000_000
"""And are heard for the first time within this, if ever."""
SETTLED_US = 3600 * 1_000_000
"""What has not been heard by then is evidence about items never read."""
KEPT_US = 24 * 3600 * 1_000_000
"""For so long a line says how many units of it are there; by then most of its goods are elsewhere, or sold."""
HEARD_HALF_US = 4 * 60 * 1_000_000
"""Half of what is to be heard has been heard by then, three quarters of the rest by the double, and so on."""
LINES_LIMIT = 64
"""Lines of one GTIN kept; further ones replace the oldest."""
DOCK_LIMIT = 10_000
"""Items of one GTIN that wait at the dock for their receipt."""
ERROR_PRIOR = (1.0, 10.0)
"""Before any line has settled: one in ten has another number than was booked, known as well as ten lines would tell."""
ANNOUNCED_FACTOR = 0.2
"""How much rarer errors are where the announcement says the same."""
ERROR_UNITS_MAX = 12
"""Errors larger than this are not thought of."""


class Line(msgspec.Struct, array_like=True):
    """One receipt of one GTIN."""

    at_us: int
    booked: int
    announced: int | None
    heard: int
    settled: bool = False


class Deliveries(msgspec.Struct):
    """Lines of a site, and what they taught."""

    lines: dict[str, list[Line]] = {}
    """Open lines by GTIN, oldest first."""
    dock: dict[str, list[int]] = {}
    """When items without a line were located at the dock for the first time, by GTIN."""
    announced: dict[str, list[int]] = {}
    """Units announced and not booked yet, by GTIN, one for each announcement, oldest first."""
    settled: float = 0.0
    """Lines that have settled."""
    exceeded: float = 0.0
    """Those of which more was heard than booked."""

    def announce(self, gtin: str, units: int) -> None:
        """Take in an announcement."""
        waiting = self.announced.setdefault(gtin, [])
        waiting.append(units)
        del waiting[:-LINES_LIMIT]

    def receive(self, gtin: str, units: int, at_us: int) -> None:
        """Take in a receipt."""
        if units <= 0:
            return
        waiting = [seen_us for seen_us in self.dock.pop(gtin, []) if seen_us >= at_us - MATCH_BEFORE_US]
        lines = self.lines.setdefault(gtin, [])
        announced = self.announced.get(gtin, [])
        lines.append(Line(at_us, units, announced.pop(0) if announced else None, len(waiting)))
        del lines[:-LINES_LIMIT]

    def find(self, gtin: str, at_us: int, *, at_dock: bool) -> bool:
        """Take in an item that is located for the first time; tell whether it comes with a delivery, or may do so."""
        may_be_next = at_dock or bool(self.announced.get(gtin))
        patience_us = MATCH_BEFORE_US if may_be_next else MATCH_AFTER_US
        for line in self.lines.get(gtin, ()):
            if line.at_us >= at_us - patience_us and line.heard < line.booked:
                line.heard += 1
                return True
        if may_be_next:
            self.dock.setdefault(gtin, []).append(at_us)
            del self.dock[gtin][:-DOCK_LIMIT]
        return may_be_next

    def leave_dock(self, now_us: int) -> list[int]:
        """Return when items were first located that no receipt has asked for in time; they are forgotten here."""
        over = []
        for gtin, found in list(self.dock.items()):
            self.dock[gtin] = [seen_us for seen_us in found if seen_us > now_us - MATCH_BEFORE_US]
            over += found[: len(found) - len(self.dock[gtin])]
            if not self.dock[gtin]:
                del self.dock[gtin]
        return over

    def settle(self, now_us: int) -> list[tuple[int, int]]:
        """Let time pass; return booked and unheard units of lines that tell of items never read."""
        told = []
        for gtin in list(self.lines):
            for line in self.lines[gtin]:
                if not line.settled and line.at_us <= now_us - SETTLED_US:
                    line.settled = True
                    self.settled += 1.0
                    self.exceeded += line.heard > line.booked
                    short = line.booked - line.heard
                    if line.announced == line.booked and 0 <= short <= max(2, line.booked // 3):
                        told.append((line.booked, short))
            self.lines[gtin] = [line for line in self.lines[gtin] if line.at_us > now_us - KEPT_US]
            if not self.lines[gtin]:
                del self.lines[gtin]
        return told

    def unheard(self, gtin: str, now_us: int, never_read: float) -> list[Mass]:
        """Return, for each line of a GTIN, the distribution of units that are there and not heard."""
        wrong = min(0.6, (ERROR_PRIOR[0] + 2.0 * self.exceeded) / (ERROR_PRIOR[1] + self.settled))
        return [
            unheard_units(line, unheard_share(now_us - line.at_us, never_read), wrong)
            for line in self.lines.get(gtin, ())
        ]

    def heard(self, gtin: str) -> int:
        """Return the items of a GTIN that were heard of its lines."""
        return sum(line.heard for line in self.lines.get(gtin, ()))


def unheard_share(age_us: int, never_read: float) -> float:
    """Return the share of a line that has not been heard at an age."""
    return never_read + (1.0 - never_read) * math.exp2(-1.0 - age_us / HEARD_HALF_US)


def unheard_units(line: Line, share: float, wrong: float) -> Mass:
    """Return the distribution of units of a line that are there and not heard."""
    short = line.booked if line.announced is None else max(line.booked, line.announced)
    units = np.arange(max(0, short - line.heard) + ERROR_UNITS_MAX + 1)
    choose = np.array([math.lgamma(line.heard + u + 1) - math.lgamma(u + 1) for u in units.tolist()])
    chance = np.exp(choose - choose.max() + units * math.log(share))
    error = np.array([_error(line, line.heard + u, wrong) for u in units.tolist()])
    mass = chance * error
    return np.asarray(mass / mass.sum()) if mass.sum() > 0 else np.ones(1)


def _error(line: Line, true_units: int, wrong: float) -> float:
    """Return how likely a line's numbers are where so many units came."""
    if line.announced is None:
        return _off(line.booked - true_units, wrong)
    if line.announced == line.booked:
        return _off(line.booked - true_units, ANNOUNCED_FACTOR * wrong)
    return 0.5 * (_off(line.booked - true_units, wrong) + _off(line.announced - true_units, wrong))


def _off(units: int, wrong: float) -> float:
    return 1.0 - wrong if units == 0 else 0.5 * wrong * 0.5 ** min(abs(units), 40)
