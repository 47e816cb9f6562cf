"""Rows of the `locations` table: collected column by column, with what each item's track held at the time."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from analytics.location.cells import Floats32, Int16s, Int32s
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
Evidence = tuple[Int16s, Floats32, Floats32]
"""Antennas, reads and mean RSSI behind each row: rows by slots."""
Tracks = npt.NDArray[np.void]

NOWHERE = -1
"""`left_for` of a row whose item departed, or has not left."""


class _Part(NamedTuple):
    """Rows that were added at once."""

    epcs: pa.StringArray
    zone: Int32s
    stated: Floats32
    evidence: Evidence
    position: Floats
    numbers: Ints
    """Start of the stay, the row's own time, end of the stay, `left_for` and revision."""


class StayRows:
    """The rows of one chunk, in the order in which they were added. Items are named when they are: numbers change."""

    def __init__(self, site: str, places: Places, table: ItemTable) -> None:
        self._site = site
        self._places = places
        self._table = table
        self._parts: list[_Part] = []

    def add_told(self, told: Told, count: int, law: RadioTables, kin: Kin) -> None:
        """Add the first rows of what the kernel told by a law and of these kin; they may then be overwritten."""
        tracks, items = told.track[:count], told.item[:count]
        evidence, zone = _evidence(tracks), tracks["zone"].astype(np.int32)
        stated = np.ascontiguousarray(tracks["stated"])
        groups = np.where(tracks["moved"] == 0, kin.group[items], NO_GROUP)
        most = int(
            kin.tables.shelf_count[groups].max()
        )  # none where nothing has a shelf: then all that follows is less
        plan = kin.tables.shelf_cell[groups, :most], kin.tables.shelf_share[groups, :most]
        part = _Part(
            epcs=self._table.epcs_of(items),
            zone=zone,
            stated=stated,
            evidence=evidence,
            position=locate(self._places, law, *evidence, zone, stated, *plan),
            numbers=np.stack([
                tracks["from_us"], told.as_of_us[:count], told.until_us[:count], told.left_for[:count],
                tracks["revision"],
            ]),
        )  # fmt: skip
        self._parts.append(part)

    def table(self) -> pa.Table:
        """Return the rows in `LOCATIONS` form."""
        if not self._parts:
            return LOCATIONS.empty_table()
        epcs, zone, stated, evidence, at, numbers = zip(*self._parts, strict=True)
        from_us, as_of_us, until_us, left_for, revision = np.concatenate(numbers, axis=1)
        all_epcs, x_y_radius = pa.concat_arrays(epcs), np.concatenate(at).T.copy()
        uris, gtins = name_items(all_epcs)
        zones = pa.array([*self._places.zone_ids, OUTSIDE], pa.string())
        rows = [np.concatenate(columns) for columns in zip(*evidence, strict=True)]
        columns = {
            "site": pa.repeat(pa.scalar(self._site, pa.string()), len(from_us)),
            "epc_hex": all_epcs,
            "epc_uri": uris,
            "gtin": gtins,
            "zone": zones.take(pa.array(np.concatenate(zone))),
            "from_time": pa.array(from_us, TIMESTAMP),
            "until_time": pa.array(until_us, TIMESTAMP, mask=until_us == 0),
            "confidence": pa.array(np.concatenate(stated).astype(np.float64)),
            "x": pa.array(x_y_radius[0]),
            "y": pa.array(x_y_radius[1]),
            "radius_m": pa.array(x_y_radius[2]),
            "evidence": describe(self._places.antenna_labels, *rows),
            "left_for": zones.take(pa.array(left_for, mask=left_for == NOWHERE)),
            "as_of_time": pa.array(as_of_us, TIMESTAMP),
            "revision": pa.array(revision.astype(np.int32)),
        }
        return pa.table(columns, schema=LOCATIONS)


def _evidence(tracks: Tracks) -> Evidence:
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
