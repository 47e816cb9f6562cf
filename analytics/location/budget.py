"""A budget of false moves: how sure a move has to be follows how many moves the site takes back.

Nobody tells a store which of its moves never happened. But most of those end the same way: within two minutes the item
is said to be back where it came from. So moves that are *taken back* are counted, per hour that items are located, and
the confidence that is asked for rises with each and falls with the time in between: where they are taken back as often
as the budget expects, it stays where it is.
"""

from dataclasses import dataclass
from typing import Any

from analytics.location.decisions import Told
from analytics.location.policy import SENSITIVITY_LOG_ODDS, Policy, policy_of
from analytics.location.tracks import ORIGINS
from devices.site.model import MOVE_SENSITIVITY, LocationSettings

TAKEN_BACK_US = 120_000_000
"""A stay that ends this soon, where the item came from, was most likely none."""
FALSE_PER_TAKEN_BACK = 1.3
"""False moves, for each that is taken back: others last longer, or go on to a third zone; some that are taken back did
happen. 1.4 on ten simulated tuning days together, 0.7 to 2.5 on single ones."""
STEP_LOG_ODDS = 0.15
"""How much surer a move has to be after one was taken back."""
EXPECTED_MAX = 0.15
"""Moves taken back that are expected between two looks at most: with more items each counts for less, so that the
sensitivity takes some minutes to follow, in a site of any size, and does not swing."""
BUSY_S = 60
"""Time counts for this long after a move: at night, when nothing moves, there is nothing to learn."""
SENSITIVITY_MIN, SENSITIVITY_MAX = 0.1, 0.9
"""Bounds of the sensitivity that is found."""


@dataclass(slots=True, kw_only=True)
class MoveBudget:
    """The sensitivity to moves that is in force at a site, and what was counted since it was last looked at."""

    settings: LocationSettings
    """What the site file says."""
    sensitivity: float = MOVE_SENSITIVITY
    """In force."""
    taken_back: int = 0
    """Moves taken back since the last look."""
    moved: int = 0
    """Moves since the last look."""
    busy_until_s: int = 0
    """Until when time counts."""

    @classmethod
    def of(cls, settings: LocationSettings) -> "MoveBudget":
        """Return the start: the sensitivity that the site file says, or the middle."""
        fixed = settings.move_sensitivity
        return cls(settings=settings, sensitivity=MOVE_SENSITIVITY if fixed is None else fixed)

    @property
    def policy(self) -> Policy:
        """How sure a move has to be."""
        return policy_of(self.sensitivity)

    def count(self, told: Told, rows: int) -> None:
        """Count the moves among rows that were told."""
        went, track = told.left_for[:rows], told.track[:rows]
        moved = went >= 0
        back = (
            moved
            & (went % ORIGINS + 1 == track["came_from"])
            & (told.until_us[:rows] - track["from_us"] < TAKEN_BACK_US)
        )
        self.moved += int(moved.sum())
        self.taken_back += int(back.sum())

    def look(self, mark_s: int, passed_s: int, located: int) -> bool:
        """Follow what was counted; return whether the sensitivity has changed.

        Args:
            mark_s: The time, whole seconds.
            passed_s: Seconds since the last look.
            located: Items that are located.
        """
        if self.moved:
            self.busy_until_s = mark_s + BUSY_S
        taken_back, self.taken_back, self.moved = self.taken_back, 0, 0
        if self.settings.move_sensitivity is not None or mark_s >= self.busy_until_s:
            return False
        per_hour = self.settings.false_moves_per_item_hour / FALSE_PER_TAKEN_BACK
        expected = per_hour * located * passed_s / 3600.0
        weight = min(1.0, EXPECTED_MAX / max(expected, 1e-9))
        log_odds = STEP_LOG_ODDS * weight * (taken_back - expected)
        found = min(max(self.sensitivity - log_odds / SENSITIVITY_LOG_ODDS, SENSITIVITY_MIN), SENSITIVITY_MAX)
        changed, self.sensitivity = found != self.sensitivity, found
        return changed

    def to_list(self) -> list[Any]:
        """Return what a checkpoint keeps."""
        return [self.sensitivity, self.taken_back, self.moved, self.busy_until_s]

    def restore(self, values: list[Any]) -> None:
        """Go on from a checkpoint; a sensitivity that the site file says stands."""
        sensitivity, self.taken_back, self.moved, self.busy_until_s = values
        if self.settings.move_sensitivity is None:
            self.sensitivity = float(sensitivity)
