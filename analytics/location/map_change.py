"""What becomes of a location state when the site file has changed under it.

A state numbers zones, readers, antennas and cells as its map did, so it means nothing on another map. Every open stay
is closed then, with its last read, and items are located anew as they are read: nothing is in two places, and nothing
stays where no antenna of the new map could ever miss it.
"""

import hashlib
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from analytics.location.places import Places


class MapMark(msgspec.Struct, frozen=True):
    """By what a map is known again."""

    zones: tuple[str, ...]
    """Zone identifiers, by number."""
    digest: str
    """Of everything that numbers and measures depend on."""


def mark_of(places: Places) -> MapMark:
    """Return a map's mark."""
    digest = hashlib.blake2b(digest_size=16)
    names = (places.zone_ids, places.reader_ids, places.antenna_labels)
    digest.update(msgspec.json.encode(names))
    arrays: tuple[npt.NDArray[Any], ...] = (
        places.exits,
        places.zone_reader,
        places.port_antenna,
        places.antenna_reader,
        places.antenna_xy,
        places.distance_m,
        places.off_axis_deg,
        places.wall_db,
        places.cell_xy,
        places.zone_cells,
    )
    if places.residual_db.any():
        arrays += (places.residual_db,)
    for array in arrays:
        digest.update(repr(array.shape).encode() + np.ascontiguousarray(array).tobytes())
    return MapMark(zones=places.zone_ids, digest=digest.hexdigest())


def closing_rows(
    site: str, mark: MapMark, epcs: list[str], tracks: npt.NDArray[np.void], *, as_of_us: int
) -> list[dict[str, Any]]:
    """Return a row of `locations` for each open stay: the last of it.

    Args:
        site: Site identifier.
        mark: The map that the tracks were made on.
        epcs: EPC of each track.
        tracks: What was believed of each item.
        as_of_us: When it is told.
    """
    rows = []
    for number in np.flatnonzero(tracks["zone"] >= 0).tolist():
        track = tracks[number]
        rows.append(
            {
                "site": site,
                "epc_hex": epcs[number],
                "zone": mark.zones[int(track["zone"])],
                "from_time": int(track["from_us"]),
                "until_time": int(max(track["last_us"], track["from_us"] + 1)),
                "confidence": float(track["stated"]),
                "as_of_time": as_of_us,
                "revision": int(track["revision"]) + 1,
            }
        )
    return rows
