"""Everything that the location step remembers of a site, and how it begins: `checkpoint` turns it to bytes and back."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from analytics.location import arrivals, beliefs, learning, radio, stays, tracks
from analytics.location.assortment import Assortment
from analytics.location.budget import MoveBudget
from analytics.location.carried import Carried
from analytics.location.company import Movers
from analytics.location.items import ItemTable
from analytics.location.kin import Kin
from analytics.location.pending import PendingRows
from analytics.location.places import Places, map_site
from analytics.location.policy import Policy
from devices.site.model import Site

_TRACKS_MIN = 256


@dataclass(slots=True, kw_only=True)
class LocationState:
    """What the location step remembers of a site."""

    site_id: str
    """The site's identifier."""
    places: Places
    """The site's map; follows from the site file."""
    site: beliefs.Site
    """The same, as kernels need it."""
    budget: MoveBudget
    """What follows the site's budget of false moves."""
    policy: Policy
    """How sure a move has to be, by it."""
    law: radio.RadioLaw
    """The radio law in force."""
    tables: radio.RadioTables
    """The same, as tables."""
    lessons: learning.Lessons
    """What was counted to learn the next one from."""
    kin: Kin
    """Which items share a fate, and where they lie."""
    clock: stays.Clock
    """What passes with time."""
    table: ItemTable = field(default_factory=ItemTable)
    """EPCs and their numbers."""
    tracks: npt.NDArray[np.void] = field(default_factory=lambda: fresh_tracks(_TRACKS_MIN))
    """What is believed about each item, by number; some spare ones at the end."""
    pending: PendingRows = field(default_factory=lambda: PendingRows(arrivals.EMPTY))
    """Rows that wait for the watermark."""
    movers: Movers = field(default_factory=Movers.none)
    """Which items began to move last."""
    carried: Carried = field(default_factory=Carried)
    """What readers that are carried about have heard."""
    closing: list[dict[str, Any]] = field(default_factory=list)
    """Rows that close the stays of an older map; they go out with the next chunk."""
    law_rows: list[dict[str, Any]] = field(default_factory=list)
    """Rows of radio laws that this chunk put in force; they go out with it."""

    @property
    def bytes_used(self) -> int:
        """Memory in use for items, bytes."""
        return self.table.bytes_used + int(self.tracks.nbytes) + self.kin.bytes_used

    @property
    def tick_s(self) -> int:
        """The last whole second that has passed."""
        return int(self.clock.tick_s[0])

    @property
    def items(self) -> beliefs.Items:
        """What is remembered of each item, as kernels need it."""
        return beliefs.Items(tracks=self.tracks, group=self.kin.group, kin=self.kin.tables, movers=self.movers)

    @property
    def held(self) -> npt.NDArray[np.void]:
        """The tracks of the items that are known."""
        return self.tracks[: len(self.table)]

    def make_room(self) -> None:
        """Grow the tracks by a quarter where they do not reach: at most a quarter of their memory is spare."""
        missing = len(self.table) - len(self.tracks)
        if missing > 0:
            more = fresh_tracks(max(missing, len(self.tracks) // 4, _TRACKS_MIN))
            self.tracks = np.concatenate([self.tracks, more])
        self.kin.extend(self.table)

    def count_kin_anew(self) -> None:
        """Group and count all items again, as where their numbers have changed."""
        self.kin = Kin(self.kin.assortment, self.kin.strays)
        self.kin.extend(self.table)
        self.kin.recount(self.tracks)


def initial_state(site: Site) -> LocationState:
    """Return the state before any read."""
    places = map_site(site)
    law, budget = radio.physics(places), MoveBudget.of(site.location)
    area = np.diff(places.zone_cells) / max(1, int(places.zone_cells[-1]))
    return LocationState(
        site_id=site.id,
        places=places,
        site=beliefs.Site(
            zone_cells=places.zone_cells,
            area=area.astype(np.float32),
            cell_xy=places.cell_xy.astype(np.float32),
            zone_reader=places.zone_reader,
            antenna_reader=places.antenna_reader,
        ),
        budget=budget,
        policy=budget.policy,
        law=law,
        tables=radio.tabulate(places, law),
        lessons=learning.Lessons.none(places),
        kin=Kin(Assortment(site, places)),
        clock=stays.Clock(
            tick_s=np.zeros(1, dtype=np.int64),
            reader_heard_s=np.zeros(len(places.reader_ids), dtype=np.int64),
            zone_alive_s=np.zeros(places.zones, dtype=np.int64),
        ),
    )


def fresh_tracks(count: int) -> npt.NDArray[np.void]:
    """Return tracks of items of which nothing is known."""
    fresh = np.zeros(count, dtype=tracks.TRACK)
    fresh["zone"] = -1
    return fresh
