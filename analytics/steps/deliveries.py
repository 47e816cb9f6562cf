"""Deliveries that are booked and not all heard: what a receipt says about units that no antenna has told of.

A receipt of a GTIN opens a *line*: so many units booked. It is of the announcement whose document it names; where
there is none, of one of the same number; where documents are not told, else of the oldest. Items of the GTIN that are
located for the first time in the two hours after it, wherever, are its items, as long as units of it are missing. So
are those that were first located shortly before it, at the dock, or anywhere where the GTIN was announced: so many of
them, the newest, as were booked or announced. With n of a line heard, the units that are there and not heard, u, have
the probability

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

    @property
    def most(self) -> int:
        """Units that anybody has spoken of."""
        return max(self.booked, self.announced or 0)


class Announcement(msgspec.Struct, array_like=True):
    """What was announced of one GTIN and not booked yet."""

    units: int
    document: str = ""
    """Document that it belongs to; empty where that is not told."""


class Deliveries(msgspec.Struct):
    """Lines of a site, and what they taught."""

    lines: dict[str, list[Line]] = {}
    """Open lines by GTIN, oldest first."""
    dock: dict[str, list[int]] = {}
    """When items without a line were located at the dock for the first time, by GTIN."""
    elsewhere: dict[str, list[int]] = {}
    """When items of an announced GTIN were located for the first time, but not at the dock, by GTIN."""
    announced: dict[str, list[Announcement]] = {}
    """Announced and not booked yet, by GTIN, oldest first."""
    settled: float = 0.0
    """Lines that have settled."""
    exceeded: float = 0.0
    """Those of which more was heard than booked."""

    def announce(self, gtin: str, units: int, document: str = "") -> None:
        """Take in an announcement."""
        waiting = self.announced.setdefault(gtin, [])
        waiting.append(Announcement(units, document))
        del waiting[:-LINES_LIMIT]

    def receive(self, gtin: str, units: int, at_us: int, document: str = "") -> list[int]:
        """Take in a receipt; return when items were first located that might have been of it, and are not."""
        if units <= 0:
            return []
        line = Line(at_us, units, self._announcement(gtin, units, document), 0)
        waiting = sorted([*self.dock.pop(gtin, []), *self.elsewhere.pop(gtin, [])])
        late = [seen_us for seen_us in waiting if seen_us < at_us - MATCH_BEFORE_US]
        waiting = waiting[len(late) :]
        if line.announced is not None:  # more than anybody has spoken of have lain there before
            late += waiting[: max(0, len(waiting) - line.most)]
        line.heard = min(len(waiting), line.most) if line.announced is not None else len(waiting)
        lines = self.lines.setdefault(gtin, [])
        lines.append(line)
        del lines[:-LINES_LIMIT]
        return late

    def _announcement(self, gtin: str, units: int, document: str) -> int | None:
        """Return the units that were announced of what a receipt books; they are announced no more."""
        waiting = self.announced.get(gtin, [])
        if not waiting:
            return None
        same = [place for place, one in enumerate(waiting) if document and one.document == document]
        same = same or [place for place, one in enumerate(waiting) if one.units == units]
        if document and not same and all(one.document for one in waiting):
            return None  # of another delivery
        found = waiting.pop(same[0] if same else 0)
        if not waiting:
            del self.announced[gtin]
        return found.units

    def find(self, gtin: str, at_us: int, *, at_dock: bool) -> bool:
        """Take in an item that is located for the first time; tell whether it is taken to come with a delivery."""
        announced = gtin in self.announced
        patience_us = MATCH_BEFORE_US if at_dock or announced else MATCH_AFTER_US
        for line in self.lines.get(gtin, ()):
            if line.at_us >= at_us - patience_us and line.heard < line.booked:
                line.heard += 1
                return True
        if at_dock or announced:
            waiting = (self.dock if at_dock else self.elsewhere).setdefault(gtin, [])
            waiting.append(at_us)
            del waiting[:-DOCK_LIMIT]
        return at_dock or announced

    def leave_dock(self, now_us: int) -> list[tuple[str, int]]:
        """Forget items that no receipt has asked for in time; return GTIN and first time of each."""
        until_us = now_us - MATCH_BEFORE_US
        return [*_forget(self.dock, until_us), *_forget(self.elsewhere, until_us)]

    def settle(self, now_us: int) -> list[Line]:
        """Let time pass; return lines that have just settled."""
        told = []
        for gtin in list(self.lines):
            for line in self.lines[gtin]:
                if not line.settled and line.at_us <= now_us - SETTLED_US:
                    line.settled = True
                    self.settled += 1.0
                    self.exceeded += line.heard > line.booked
                    told.append(line)
            self.lines[gtin] = [line for line in self.lines[gtin] if line.at_us > now_us - KEPT_US]
            if not self.lines[gtin]:
                del self.lines[gtin]
        return told

    def wrong(self) -> float:
        """Return the share of lines that are booked wrongly."""
        return min(0.6, (ERROR_PRIOR[0] + 2.0 * self.exceeded) / (ERROR_PRIOR[1] + self.settled))

    def unheard(self, gtin: str, now_us: int, never_read: float) -> list[Mass]:
        """Return, for each line of a GTIN, the distribution of units that are there and not heard."""
        return [
            unheard_units(line, unheard_share(now_us - line.at_us, never_read), self.wrong())
            for line in self.lines.get(gtin, ())
        ]

    def heard(self, gtin: str) -> int:
        """Return the items of a GTIN that were heard of its lines."""
        return sum(line.heard for line in self.lines.get(gtin, ()))


def _forget(waiting: dict[str, list[int]], until_us: int) -> list[tuple[str, int]]:
    """Return what has waited since a time or before, which waits no more."""
    over = [(gtin, seen_us) for gtin, found in waiting.items() for seen_us in found if seen_us <= until_us]
    for gtin in {gtin for gtin, _ in over}:
        waiting[gtin] = [seen_us for seen_us in waiting[gtin] if seen_us > until_us]
        if not waiting[gtin]:
            del waiting[gtin]
    return over


def unheard_share(age_us: int, never_read: float) -> float:
    """Return the share of a line that has not been heard at an age."""
    return never_read + (1.0 - never_read) * math.exp2(-1.0 - age_us / HEARD_HALF_US)


def unheard_units(line: Line, share: float, wrong: float) -> Mass:
    """Return the distribution of units of a line that are there and not heard."""
    mass = _chances(line, np.array([share]), wrong)[:, 0]
    return np.asarray(mass / mass.sum()) if mass.sum() > 0 else np.ones(1)


def heard_chances(line: Line, shares: Mass, wrong: float) -> Mass:
    """Return how likely what was heard of a line is for each share that is never heard, up to a factor."""
    return np.asarray(_chances(line, shares, wrong).sum(axis=0) * (1.0 - shares) ** line.heard)


def _chances(line: Line, shares: Mass, wrong: float) -> Mass:
    """Return C(n + u, u) f ** u P(errors) up to one factor: units u that are not heard by shares f."""
    units = np.arange(max(0, line.most - line.heard) + ERROR_UNITS_MAX + 1)
    choose = np.array([math.lgamma(line.heard + u + 1) - math.lgamma(u + 1) for u in units.tolist()])
    error = np.array([_error(line, line.heard + u, wrong) for u in units.tolist()])
    chance = np.exp((choose - choose.max())[:, None] + units[:, None] * np.log(shares)[None, :])
    return np.asarray(chance * error[:, None])


def _error(line: Line, true_units: int, wrong: float) -> float:
    """Return how likely a line's numbers are where so many units came."""
    if line.announced is None:
        return _off(line.booked - true_units, wrong)
    if line.announced == line.booked:
        return _off(line.booked - true_units, ANNOUNCED_FACTOR * wrong)
    return 0.5 * (_off(line.booked - true_units, wrong) + _off(line.announced - true_units, wrong))


def _off(units: int, wrong: float) -> float:
    return 1.0 - wrong if units == 0 else 0.5 * wrong * 0.5 ** min(abs(units), 40)
