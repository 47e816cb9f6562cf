"""What is believed about each item: kernels over arrays that are indexed by item number.

Per item: log-probabilities over zones (a forward filter: things leave where they are at a small rate and go anywhere),
up to `SLOTS` antennas that heard it lately with decayed counts and mean RSSI (the evidence that a row shows), and the
time from which reads spoke against the zone that is reported.
"""

import numba
import numpy as np
import numpy.typing as npt

SLOTS = 6
"""Antennas that are remembered for an item. A ceiling antenna hears 5-10 m far; six strongest carry the decision."""
EVIDENCE_DECAY_S = 60.0
"""Decay time of remembered counts and means."""
LEAVE_PER_S = 1.0 / 1800.0
"""Rate at which a thing leaves its zone: once in half an hour, a busy shop."""
TRUST = 0.35
"""Exponent on the likelihood of each read. Shadowing stays while fading changes, so that successive reads of one
antenna say less than independent ones would."""

Floats32 = npt.NDArray[np.float32]
Int16s = npt.NDArray[np.int16]
Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]


@numba.njit(cache=True)
def absorb(  # noqa: PLR0917 - kernels take their arrays one by one
    tick_s: int,
    items: Int32s,
    antennas: Int16s,
    bins: Int16s,
    rssi: Floats32,
    times_us: Int64s,
    tables: Floats32,
    belief: Floats32,
    belief_s: Int64s,
    zone: Int16s,
    from_us: Int64s,
    last_us: Int64s,
    contrary_us: Int64s,
    slot_antenna: Int16s,
    slot_weight: Floats32,
    slot_mean: Floats32,
    touched: Int32s,
) -> int:
    """Take in the reads of one tick, in arrival order; return how many items they touched.

    `touched` is filled with their numbers, in order of first touch.
    """
    zones = belief.shape[1]
    count = 0
    for row in range(len(items)):
        item = items[row]
        if belief_s[item] != tick_s:
            _predict(belief[item], tick_s - belief_s[item])
            _fade(slot_weight[item], tick_s - belief_s[item])
            belief_s[item] = tick_s
            touched[count] = item
            count += 1
            if zone[item] < 0 and from_us[item] == 0:
                from_us[item] = times_us[row]
        for z in range(zones):
            belief[item, z] += np.float32(TRUST) * tables[antennas[row], bins[row], z]
        _remember(antennas[row], rssi[row], slot_antenna[item], slot_weight[item], slot_mean[item])
        if zone[item] >= 0:
            best = np.argmax(belief[item])
            if best == zone[item]:
                contrary_us[item] = 0
            elif contrary_us[item] == 0:
                contrary_us[item] = times_us[row]
        last_us[item] = max(last_us[item], times_us[row])
    for index in range(count):
        _normalise(belief[touched[index]])
    return count


@numba.njit(cache=True)
def _predict(row: Floats32, elapsed_s: int) -> None:
    zones = len(row)
    leave = min(1.0 - np.exp(-elapsed_s * LEAVE_PER_S), 0.9)
    for z in range(zones):
        row[z] = np.log(np.exp(row[z]) * (1.0 - leave) + leave / zones)


@numba.njit(cache=True)
def _normalise(row: Floats32) -> None:
    top = row.max()
    total = np.float64(0.0)
    for z in range(len(row)):
        total += np.exp(np.float64(row[z] - top))
    shift = np.float32(top + np.log(total))
    for z in range(len(row)):
        row[z] -= shift


@numba.njit(cache=True)
def _fade(weights: Floats32, elapsed_s: int) -> None:
    factor = np.float32(np.exp(-elapsed_s / EVIDENCE_DECAY_S))
    for slot in range(len(weights)):
        weights[slot] *= factor


@numba.njit(cache=True)
def _remember(antenna: int, rssi: float, antennas: Int16s, weights: Floats32, means: Floats32) -> None:
    """Add a read to its antenna's slot, or to the slot with least weight."""
    place = 0
    for slot in range(len(weights)):
        if weights[slot] > 0 and antennas[slot] == antenna:
            place = slot
            break
        if weights[slot] < weights[place]:
            place = slot
    if antennas[place] != antenna or weights[place] <= 0:
        antennas[place] = antenna
        weights[place] = 0.0
        means[place] = rssi
    weights[place] += np.float32(1.0)
    if not np.isnan(rssi):
        if np.isnan(means[place]):
            means[place] = rssi
        else:
            means[place] += (rssi - means[place]) / weights[place]


@numba.njit(cache=True)
def silent_items(
    zone: Int16s,
    alive_at_read_s: Int32s,
    zone_alive_s: Int64s,
    patience_s: Int64s,
    found: Int32s,
) -> int:
    """Find the located items that their zone's readers have not heard for longer than `patience_s` of the zone."""
    count = 0
    for item in range(len(zone)):
        z = zone[item]
        if z >= 0 and zone_alive_s[z] - alive_at_read_s[item] >= patience_s[z]:
            found[count] = item
            count += 1
    return count
