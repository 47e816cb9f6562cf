"""Where goods belong: the shelves of the site file as a belief about items before any of their reads.

A unit of a GTIN lies at a shelf that holds that GTIN, unless it waits in the back room, was put down elsewhere, or the
site file is out of date. How many units do lie in a zone of their shelves, the *following*, and where the others are,
is learnt from the items that have been located: a plan that nobody follows soon says little. The plan speaks as so
many units of kin (`analytics.location.kin`) would, so what the items of a GTIN show themselves outweighs it.
"""

import numpy as np
import numpy.typing as npt

from analytics.location.places import Floats, Places
from devices.site.model import Site, ZoneKind

PLAN_UNITS = 20.0
"""In which zone of its shelves a GTIN lies is taken from the plan, until more of its units are located there;"""
AWAY_UNITS = 6.0
"""where else it lies from what lies off its shelves on the whole site, until more of its own than this do;"""
SHARE_UNITS = 15.0
"""and which of the two, from how well the site follows its plan, until more units of it than this are located."""
FOLLOWING = 0.75
"""Share of units in a zone of their shelves, before any are located;"""
FOLLOWING_UNITS = 50.0
"""this counts as much as so many located units."""
ANYWHERE_UNITS = 20.0
"""Until so many units were located away from their shelves, they are taken to lie anywhere, by area,"""
WAITING = {ZoneKind.BACK_ROOM: 10.0, ZoneKind.RECEIVING: 2.0}
"""but so many times denser where goods wait."""
SHELF_M = 1.2
"""How far from the place of its shelf a unit lies, standard deviation along each axis, metres."""
SHELF_CELLS = 16
"""Cells that are remembered as those of a GTIN's shelves."""
SHELVED = 0.8
"""Share of the units in a zone of their shelves that lie at these, where the site file says where they stand."""


class Assortment:
    """Which zones each GTIN is planned for, and how well that is kept to."""

    def __init__(self, site: Site, places: Places) -> None:
        """Read a site's shelves.

        Args:
            site: The site.
            places: Its map.
        """
        self.area: Floats = np.diff(places.zone_cells) / max(1, int(places.zone_cells[-1]))
        """Each zone's share of all cells."""
        self.planned: dict[str, Floats] = _planned(site, places)
        """Z by GTIN: share of its shelves' capacity in each zone; GTINs without a shelf are absent."""
        self._cell_zone = np.repeat(np.arange(places.zones), np.diff(places.zone_cells))
        self._shelf_density = _shelf_density(site, places, self._cell_zone)
        self.following = FOLLOWING
        """Share of units that lie in a zone of their shelves."""
        anywhere = self.area * [WAITING.get(zone.kind, 1.0) for zone in site.zones]
        self._anywhere: Floats = anywhere / max(anywhere.sum(), 1e-9)
        self.away: Floats = self._anywhere.copy()
        """Z: where the others lie."""

    def restore(self, following: float, away: Floats) -> None:
        """Take over what was learnt before."""
        self.following, self.away = following, away

    def shelf_cells(self, gtin: str | None) -> tuple[npt.NDArray[np.int16], Floats]:
        """Return the cells at a GTIN's shelves, and the share of each in what lies at those of its zone."""
        density = self._shelf_density.get(gtin or "")
        if density is None:
            return np.zeros(0, dtype=np.int16), np.zeros(0)
        cells = np.sort(np.argsort(-density, kind="stable")[:SHELF_CELLS])
        shares, zone = density[cells], self._cell_zone[cells]
        totals = np.bincount(zone, weights=shares, minlength=len(self.area))
        return cells.astype(np.int16), SHELVED * shares / np.maximum(totals[zone], 1e-9)

    def shares(self, gtin: str | None) -> Floats:
        """Return the share of a GTIN's shelves in each zone, Z; zeros for a GTIN without one."""
        return self.planned.get(gtin or "", np.zeros(len(self.area)))

    def units(self, shares: Floats) -> Floats:
        """Return how many units of GTINs that have a shelf the plan stands for, GTINs by zones.

        Args:
            shares: GTINs by zones, as in `shares`.
        """
        elsewhere = np.where(shares > 0, 0.0, self.away)
        around = np.maximum(elsewhere.sum(axis=1), 1e-9)
        return np.asarray(PLAN_UNITS * shares + AWAY_UNITS * elsewhere / around[:, None])

    def share_units(self) -> Floats:
        """Return how many units on their shelves, and how many elsewhere, the site stands for."""
        return SHARE_UNITS * np.array([self.following, 1.0 - self.following])

    def learn(self, planned: npt.NDArray[np.bool_], units: Floats) -> None:
        """Look at where items lie.

        Args:
            planned: GTINs that have a shelf, by zones: whether one is there.
            units: The same GTINs by zones: located units.
        """
        elsewhere = np.where(planned, 0.0, units)
        lost, away = float(elsewhere.sum()), elsewhere.sum(axis=0)
        kept = float(units.sum()) - lost
        self.following = (kept + FOLLOWING * FOLLOWING_UNITS) / (kept + lost + FOLLOWING_UNITS)
        self.away = (away + ANYWHERE_UNITS * self._anywhere) / (lost + ANYWHERE_UNITS)


def _planned(site: Site, places: Places) -> dict[str, Floats]:
    number = {zone: index for index, zone in enumerate(places.zone_ids)}
    found: dict[str, Floats] = {}
    for shelf in site.shelves:
        if shelf.gtin is not None:
            shares = found.setdefault(shelf.gtin, np.zeros(places.zones))
            shares[number[shelf.zone]] += shelf.capacity_units or 1
    return {gtin: shares / shares.sum() for gtin, shares in found.items()}


def _shelf_density(site: Site, places: Places, cell_zone: npt.NDArray[np.int64]) -> dict[str, Floats]:
    """Return how likely each cell holds a unit that lies at a shelf of its GTIN; only shelves with a place count."""
    number = {zone: index for index, zone in enumerate(places.zone_ids)}
    found: dict[str, Floats] = {}
    for shelf in site.shelves:
        if shelf.gtin is not None and shelf.x is not None and shelf.y is not None:
            apart = (places.cell_xy[:, 0] - shelf.x) ** 2 + (places.cell_xy[:, 1] - shelf.y) ** 2
            inside = cell_zone == number[shelf.zone]
            here = np.where(inside, np.exp(-0.5 * (apart - apart[inside].min()) / SHELF_M**2), 0.0)
            density = found.setdefault(shelf.gtin, np.zeros(len(cell_zone)))
            density += (shelf.capacity_units or 1) * here / here.sum()
    return found
