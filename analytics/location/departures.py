"""Which items have left: those that the readers of their zone, being alive, have not heard for long enough."""

import numpy as np
import numpy.typing as npt

from analytics.location.state import LocationState

EXIT_SILENCE_S = 30
"""Silence after which an item last located in an exit zone has left: people walk through an exit in seconds;"""
EXIT_SILENCE_GAPS = 4.0
"""but not before it has been silent for so many times as long as it used to be between two reads."""
OUTSIDE_SILENCE_GAPS = 10.0
"""What is outside is read rarely: it is taken for gone after so many times as long as it used to be silent."""

Int32s = npt.NDArray[np.int32]


def find_gone_outside(state: LocationState, departed_after_s: int) -> Int32s:
    """Return the items outside the site that nobody hears any more.

    Args:
        state: Of the site.
        departed_after_s: Silence that the site file takes for departure.
    """
    held = state.held
    quiet_s = np.maximum(departed_after_s, OUTSIDE_SILENCE_GAPS * held["gap_s"])
    quiet = (held["outside"] > 0) & (state.tick_s - held["last_us"] * 1e-6 >= quiet_s)
    return np.asarray(np.flatnonzero(quiet), dtype=np.int32)


def find_departed(state: LocationState, departed_after_s: int) -> Int32s:
    """Return the located items that have left.

    Args:
        state: Of the site; what readers that are carried about have heard is forgotten where it is too old.
        departed_after_s: Silence that the site file takes for departure.
    """
    mark_s, held = state.tick_s, state.held
    state.carried.pass_until(mark_s, departed_after_s)
    patience_s = np.where(state.places.exits, EXIT_SILENCE_S, departed_after_s).astype(np.int64)
    silent_s = state.clock.zone_alive_s[held["zone"]] - held["heard_alive_s"]
    found = np.flatnonzero((held["zone"] >= 0) & (silent_s >= patience_s[held["zone"]]))
    used_to_be_s = np.minimum(EXIT_SILENCE_GAPS * held["gap_s"][found], departed_after_s)
    found = found[silent_s[found] >= used_to_be_s]
    if len(found) and state.carried.heard_s:
        epcs = state.table.epcs_of(found.astype(np.int32)).to_pylist()
        found = found[state.carried.silent(epcs, patience_s[held["zone"][found]], mark_s)]
    return np.asarray(found, dtype=np.int32)
