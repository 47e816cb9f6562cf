"""Which items have left: those that the readers of their zone, being alive, have not heard for long enough."""

from typing import NamedTuple

import numpy as np

from analytics.location.cells import Int32s, Int64s
from analytics.location.kernel import kernel
from analytics.location.state import LocationState
from analytics.location.tracks import Tracks

EXIT_SILENCE_S = 30
"""Silence after which an item last located in an exit zone has left: people walk through an exit in seconds;"""
EXIT_SILENCE_GAPS = 4.0
"""but not before it has been silent for so many times as long as it used to be between two reads."""
OUTSIDE_SILENCE_GAPS = 10.0
"""What is outside is read rarely: it is taken for gone after so many times as long as it used to be silent."""


class Silent(NamedTuple):
    """What a look at all items finds."""

    gone: Int32s
    """Items outside the site that nobody hears any more."""
    departed: Int32s
    """Located items that have left."""
    located: int
    """How many are located, those that have left not counted."""


def find_silent(state: LocationState, departed_after_s: int) -> Silent:
    """Look at all items for silence.

    Args:
        state: Of the site; what readers that are carried about have heard is forgotten where it is too old.
        departed_after_s: Silence that the site file takes for departure.
    """
    mark_s, held = state.tick_s, state.held
    state.carried.pass_until(mark_s, departed_after_s)
    patience_s = np.where(state.places.exits, EXIT_SILENCE_S, departed_after_s).astype(np.int64)
    gone, departed = np.empty(len(held), dtype=np.int32), np.empty(len(held), dtype=np.int32)
    found = _go_through(held, mark_s, state.clock.zone_alive_s, patience_s, departed_after_s, gone, departed)
    gone, departed = gone[: found[0]].copy(), departed[: found[1]].copy()
    if len(departed) and state.carried.heard_s:
        epcs = state.table.epcs_of(departed).to_pylist()
        departed = departed[state.carried.silent(epcs, patience_s[held["zone"][departed]], mark_s)]
    return Silent(gone=gone, departed=departed, located=found[2] - len(departed))


@kernel
def _go_through(  # noqa: PLR0917 - kernels take their arrays one by one
    tracks: Tracks,
    mark_s: int,
    zone_alive_s: Int64s,
    patience_s: Int64s,
    departed_after_s: int,
    gone: Int32s,
    departed: Int32s,
) -> tuple[int, int, int]:
    """List what is silent: once through the tracks, since with many items reading them is what it costs."""
    gone_count, departed_count, located = 0, 0, 0
    for item in range(len(tracks)):
        track = tracks[item]
        zone = track.zone
        if zone >= 0:
            located += 1
            silent_s = zone_alive_s[zone] - track.heard_alive_s
            used_to_be_s = min(np.float32(EXIT_SILENCE_GAPS) * track.gap_s, np.float32(departed_after_s))
            if silent_s >= patience_s[zone] and silent_s >= used_to_be_s:
                departed[departed_count] = item
                departed_count += 1
        elif track.outside > 0:
            quiet_s = max(np.float32(OUTSIDE_SILENCE_GAPS) * track.gap_s, np.float32(departed_after_s))
            if mark_s - track.last_us * 1e-6 >= quiet_s:
                gone[gone_count] = item
                gone_count += 1
    return gone_count, departed_count, located
