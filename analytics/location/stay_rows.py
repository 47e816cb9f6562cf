"""Rows of the `locations` table: collected column by column, with what each item's track held at the time."""

from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from analytics.location.cells import WEIGHT_MIN
from analytics.location.items import ItemTable
from analytics.location.places import Floats, Places
from analytics.location.stays import Told
from analytics.location.tracks import DOUBT_SLOTS, SETTLED_SLOTS, TRACK
from analytics.schemas import LOCATIONS
from analytics.steps.identity import identify
from devices.schemas import TIMESTAMP

Ints = npt.NDArray[np.int64]
Tracks = npt.NDArray[np.void]

NOWHERE = -1
"""`left_for` of a row whose item departed, or has not left."""


class StayRows:
    """The rows of one chunk, in the order in which they were added."""

    def __init__(self, site: str, places: Places, table: ItemTable) -> None:
        self._site = site
        self._places = places
        self._table = table
        self._items: list[npt.NDArray[np.int32]] = []
        self._tracks: list[Tracks] = []
        self._numbers: list[Ints] = []

    def add_told(self, told: Told, count: int) -> None:
        """Add the first rows of what the kernel told, which may then be overwritten."""
        self._items.append(told.item[:count].copy())
        self._tracks.append(told.track[:count].copy())
        self._numbers.append(np.column_stack([told.as_of_us[:count], told.until_us[:count], told.left_for[:count]]))

    def table(self) -> pa.Table:
        """Return the rows in `LOCATIONS` form."""
        items = np.concatenate([np.empty(0, dtype=np.int32), *self._items])
        tracks = np.concatenate([np.empty(0, dtype=TRACK), *self._tracks])
        as_of_us, until_us, left_for = np.concatenate([np.empty((0, 3), dtype=np.int64), *self._numbers]).T
        epcs = [self._table.epc_hex(item) for item in items.tolist()]
        names = [identify(epc) for epc in epcs]
        zones = pa.array(self._places.zone_ids, pa.string())
        antennas, weights, means = _evidence(tracks)
        at = _power_weighted(self._places, antennas, weights, means)
        columns = {
            "site": pa.array([self._site] * len(items), pa.string()),
            "epc_hex": pa.array(epcs, pa.string()),
            "epc_uri": pa.array([uri for uri, _ in names], pa.string()),
            "gtin": pa.array([gtin for _, gtin in names], pa.string()),
            "zone": zones.take(pa.array(tracks["zone"].astype(np.int32))),
            "from_time": pa.array(tracks["from_us"], TIMESTAMP),
            "until_time": pa.array(until_us, TIMESTAMP, mask=until_us == 0),
            "confidence": pa.array(tracks["stated"].astype(np.float64)),
            "x": pa.array(at[:, 0], mask=np.isnan(at[:, 0])),
            "y": pa.array(at[:, 1], mask=np.isnan(at[:, 1])),
            "evidence": pa.array(_as_json(self._places.antenna_labels, antennas, weights, means), pa.string()),
            "left_for": zones.take(pa.array(left_for, mask=left_for == NOWHERE)),
            "as_of_time": pa.array(as_of_us, TIMESTAMP),
            "revision": pa.array(tracks["revision"].astype(np.int32)),
        }
        return pa.table(columns, schema=LOCATIONS)


def _evidence(tracks: Tracks) -> tuple[npt.NDArray[np.int16], Floats, Floats]:
    """Return antennas, reads and mean RSSI behind each row, strongest first; rows by slots, 0 reads for none.

    They are the doubtful reads where those opened the stay, else the settled ones.
    """
    by_doubt = (tracks["revision"] == 0) & (tracks["odds"] > 0)
    antennas, weights, means = (tracks[f"settled_{name}"].copy() for name in ("antenna", "weight", "dbm"))
    weights[by_doubt] = 0.0
    for name, column in (("antenna", antennas), ("weight", weights), ("dbm", means)):
        column[by_doubt, :DOUBT_SLOTS] = tracks[f"doubt_{name}"][by_doubt]
    weights[weights <= WEIGHT_MIN] = 0.0
    shown = np.where(weights > 0, np.where(np.isnan(means), -1e3, means), -1e4)
    order = np.argsort(-shown, axis=1, kind="stable")
    sort = np.arange(len(tracks))[:, None], order
    return antennas[sort], weights[sort].astype(np.float64), means[sort].astype(np.float64)


def _power_weighted(places: Places, antennas: npt.NDArray[np.int16], weights: Floats, means: Floats) -> Floats:
    """Return the mean position of antennas, each weighted by how often and with how much power it heard the item."""
    known = (weights > 0) & ~np.isnan(means)
    strongest = np.where(known, means, -np.inf).max(axis=1, keepdims=True, initial=-np.inf)
    level = np.where(known, means - np.where(np.isfinite(strongest), strongest, 0.0), 0.0)
    power = weights * 10.0 ** (level / 10.0)
    total = power.sum(axis=1)
    places_xy = places.antenna_xy[np.where(weights > 0, antennas, 0)]
    with np.errstate(invalid="ignore"):
        at = (power[:, :, None] * places_xy).sum(axis=1) / total[:, None]
    return np.asarray(np.round(at, 2))


def _as_json(labels: Sequence[str], antennas: npt.NDArray[np.int16], weights: Floats, means: Floats) -> list[str]:
    """Return each row's evidence as a JSON object."""
    quoted = [msgspec.json.encode(label).decode() for label in labels]
    counts = (weights > 0).sum(axis=1).tolist()
    reads, levels, numbers = np.round(weights, 1).tolist(), np.round(means, 1).tolist(), antennas.tolist()
    found = []
    for row, count in enumerate(counts):
        heard = [
            f'{{"antenna":{quoted[numbers[row][slot]]},"reads":{reads[row][slot]},'
            f'"rssi_dbm":{"null" if levels[row][slot] != levels[row][slot] else levels[row][slot]}}}'
            for slot in range(count)
        ]
        found.append(f'{{"antennas":[{",".join(heard)}]}}')
    return found


assert DOUBT_SLOTS <= SETTLED_SLOTS, "evidence of a doubt is shown in the columns of settled evidence"
