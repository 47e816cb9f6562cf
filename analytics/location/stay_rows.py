"""Rows of the `locations` table: collected column by column, with what each item's track held at the time."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from analytics.location.cells import Floats32, Int16s
from analytics.location.decisions import Told
from analytics.location.evidence import describe
from analytics.location.items import ItemTable
from analytics.location.kin import NO_GROUP, Kin
from analytics.location.places import Floats, Places
from analytics.location.position import locate
from analytics.location.radio import RadioTables
from analytics.location.tracks import DOUBT_SLOTS, SETTLED_SLOTS
from analytics.schemas import LOCATIONS, OUTSIDE
from analytics.steps.sgtin import name_items
from devices.schemas import TIMESTAMP

Ints = npt.NDArray[np.int64]
Tracks = npt.NDArray[np.void]

NOWHERE = -1
"""`left_for` of a row whose item departed, or has not left."""


class StayRows:
    """The rows of one chunk, in the order in which they were added. Items are named when they are: numbers change."""

    def __init__(self, site: str, places: Places, table: ItemTable) -> None:
        self._site = site
        self._places = places
        self._table = table
        self._epcs: list[pa.StringArray] = []
        self._tracks: list[Tracks] = []
        self._numbers: list[Ints] = []
        self._positions: list[Floats] = []

    def add_told(self, told: Told, count: int, law: RadioTables, kin: Kin) -> None:
        """Add the first rows of what the kernel told by a law and of these kin; they may then be overwritten."""
        tracks = told.track[:count].copy()
        self._epcs.append(self._table.epcs_of(told.item[:count]))
        self._tracks.append(tracks)
        zones, stated = tracks["zone"].astype(np.int32), np.ascontiguousarray(tracks["stated"])
        groups = np.where(tracks["moved"] == 0, kin.group[told.item[:count]], NO_GROUP)
        plan = kin.tables.shelf_cell[groups], kin.tables.shelf_share[groups]
        self._positions.append(locate(self._places, law, *_evidence(tracks), zones, stated, *plan))
        self._numbers.append(np.column_stack([told.as_of_us[:count], told.until_us[:count], told.left_for[:count]]))

    def table(self) -> pa.Table:
        """Return the rows in `LOCATIONS` form."""
        if not self._epcs:
            return LOCATIONS.empty_table()
        tracks = np.concatenate(self._tracks)
        as_of_us, until_us, left_for = np.concatenate(self._numbers).T
        epcs = pa.concat_arrays(self._epcs)
        uris, gtins = name_items(epcs)
        zones = pa.array([*self._places.zone_ids, OUTSIDE], pa.string())
        evidence = describe(self._places.antenna_labels, *_evidence(tracks))
        at = np.concatenate(self._positions)
        columns = {
            "site": pa.array([self._site], pa.string()).take(pa.array(np.zeros(len(tracks), dtype=np.int32))),
            "epc_hex": epcs,
            "epc_uri": uris,
            "gtin": gtins,
            "zone": zones.take(pa.array(tracks["zone"].astype(np.int32))),
            "from_time": pa.array(tracks["from_us"], TIMESTAMP),
            "until_time": pa.array(until_us, TIMESTAMP, mask=until_us == 0),
            "confidence": pa.array(tracks["stated"].astype(np.float64)),
            "x": pa.array(at[:, 0]),
            "y": pa.array(at[:, 1]),
            "radius_m": pa.array(at[:, 2]),
            "evidence": evidence,
            "left_for": zones.take(pa.array(left_for, mask=left_for == NOWHERE)),
            "as_of_time": pa.array(as_of_us, TIMESTAMP),
            "revision": pa.array(tracks["revision"].astype(np.int32)),
        }
        return pa.table(columns, schema=LOCATIONS)


def _evidence(tracks: Tracks) -> tuple[Int16s, Floats32, Floats32]:
    """Return antennas, reads and mean RSSI behind each row: rows by slots.

    They are the doubtful reads where those opened the stay, else the settled ones.
    """
    by_doubt = (tracks["revision"] == 0) & (tracks["odds"] > 0)
    antennas, weights, means = (tracks[f"settled_{name}"].copy() for name in ("antenna", "weight", "dbm"))
    weights[by_doubt] = 0.0
    for name, column in (("antenna", antennas), ("weight", weights), ("dbm", means)):
        column[by_doubt, :DOUBT_SLOTS] = tracks[f"doubt_{name}"][by_doubt]
    return antennas, weights, means


assert DOUBT_SLOTS <= SETTLED_SLOTS, "evidence of a doubt is shown in the columns of settled evidence"
