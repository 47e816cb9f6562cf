"""What is carried together: who pools reads with whom, and that it does not depend on chunks."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given

from analytics.location.company import MOVERS, Movers, gather, note_mover, pool_room
from analytics.location.places import map_site
from analytics.location.radio import physics, tabulate
from analytics.location.tracks import TRACK
from analytics.steps.location import LocationStep
from devices.chunk import Chunk
from tests.analytics.chunk_building import Sayings
from tests.analytics.step_laws import LAWS, check_step, cut_points
from tests.analytics.test_location import SITE, hear

PLACES = map_site(SITE)
LAW = tabulate(PLACES, physics(PLACES))
DENIM, EXIT = 0, int(PLACES.zone_cells[2])
BEGAN_US, NOW_US = 1_000_000_000, 1_006_000_000


def carried(**changes: Any) -> np.ndarray[Any, Any]:
    """Return two tracks of items that moved from one cell at once, and that antenna 2 hears; the second changed."""
    tracks = np.zeros(2, dtype=TRACK)
    tracks["moved"], tracks["cell"], tracks["settled_us"], tracks["last_us"] = 1, DENIM, BEGAN_US, NOW_US
    tracks["settled_antenna"][:, 0], tracks["settled_weight"][:, 0], tracks["settled_dbm"][:, 0] = 1, 3.0, -48.0
    for name, value in changes.items():
        if name.startswith("settled_") and name != "settled_us":
            tracks[name][1, 0] = value
        else:
            tracks[name][1] = value
    return tracks


def company_of_first(tracks: np.ndarray[Any, Any]) -> tuple[float, dict[int, float]]:
    """Return how many others the first item pools reads with, and the weight of each antenna in the pool."""
    movers, cells = Movers.none(), len(PLACES.cell_xy)
    for item in range(len(tracks)):
        note_mover(movers, item, tracks[item])
    scratch, powers, pool = np.zeros(cells, dtype=np.float32), np.zeros(cells, dtype=np.int32), pool_room(cells)
    others = gather(0, tracks, movers, PLACES.cell_xy.astype(np.float32), LAW, scratch, powers, pool)
    return others, {int(a): float(w) for a, w in zip(pool.antenna, pool.weight, strict=True) if w > 0}


def test_items_taken_up_at_once_and_heard_alike_pool_their_reads() -> None:
    others, weights = company_of_first(carried())
    assert 0.5 <= others <= 1.0
    assert weights == {1: pytest.approx(3.0 + 3.0 * others, rel=1e-5)}


@pytest.mark.parametrize(
    "changes",
    [
        {"settled_us": BEGAN_US - 5_000_000},
        {"cell": EXIT},
        {"settled_antenna": 2},
        {"last_us": NOW_US - 9_000_000},
        {"moved": 0},
    ],
    ids=["moved earlier", "lay elsewhere", "is heard elsewhere", "is silent", "has not moved"],
)
def test_what_shares_no_fate_is_no_company(changes: dict[str, Any]) -> None:
    others, _ = company_of_first(carried(**changes))
    assert others == 0.0


def test_what_only_the_others_heard_is_known_of_all() -> None:
    tracks = carried()
    tracks["settled_antenna"][1, 1], tracks["settled_weight"][1, 1], tracks["settled_dbm"][1, 1] = 2, 1.0, -64.0
    others, weights = company_of_first(tracks)
    assert weights[2] == pytest.approx(others, rel=1e-5)


def test_older_reads_of_others_count_for_less() -> None:
    _, weights = company_of_first(carried(last_us=NOW_US - 4_000_000))
    _, fresh = company_of_first(carried())
    assert 3.0 < weights[1] < 0.5 * (3.0 + fresh[1])


def test_only_the_newest_movers_are_remembered() -> None:
    movers, tracks = Movers.none(), carried()
    for item in range(MOVERS + 1):
        note_mover(movers, item, tracks[0])
        note_mover(movers, item, tracks[0])
    assert sorted(movers.item.tolist()) == list(range(1, MOVERS + 1))


def armful(items: int) -> Chunk:
    """Items lie side by side for a minute; then they are carried a zone on, each read once in 4 s, and not clearly."""
    said = Sayings()
    for item in range(items):
        hear(said, 0, 0.2 * item, 60, epc=f"{item:024X}")
    for turn in range(10):
        for item in range(items):
            at, antenna = 61 + 4.0 * turn + 0.3 * item, 1 + (turn + item) % 2
            level = -64.0 if antenna == 1 else -58.0
            said.read(at, reader="r1", antenna=antenna, rssi_dbm=level, epc_hex=f"{item:024X}")
    return said.mark(110).chunk()


ARMFUL = armful(4)


@LAWS
@given(cut_points(ARMFUL))
def test_cutting_reloading_and_repeating_change_nothing(offsets: list[int]) -> None:
    check_step(LocationStep(), SITE, ARMFUL, offsets)
