"""The filter for one item: exact sums over where it is, since when, and how its links happen to be.

What an item does is a sequence of *segments*: it rests somewhere, somebody stands with it somewhere, somebody walks
with it. Every rest and every stand has links of its own, drawn anew, that stay while it lasts. A *hypothesis* says in
which kind of segment the item is and since when; for each it is kept

- `weight[cell]`: probability of being in this segment, in this cell, and of all that was seen,
- for each antenna, over the grids of margin and reflection, the log likelihood of what it read and did not read since
  the segment began: the links are summed out exactly, antenna by antenna, given the cell.

While somebody walks, links change every second: each read counts by itself (`walk[cell, heading]`). What leaves a
hypothesis each second flows into the *fresh* one of its kind, which becomes a hypothesis of its own with the next
read: segments that begin between two reads are one and the same as far as reads can tell.

How long a tag keeps quiet after a read is known up to its own patience, of which a distribution is kept for the item as
a whole; so is how long it waits in vain once awake.

What is neglected: the least of too many hypotheses (`slots`, `PRUNED`), and when within `miss_every` seconds an antenna
asked in vain.
"""

import numba
import numpy as np
import numpy.typing as npt

REST, STAND = 0, 1
_HEADING_KEPT = 0.8
_SCALE_MIN = 1e-280

Floats = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]
Int64s = npt.NDArray[np.int64]


@numba.njit(cache=True, fastmath=True)
def follow_item(  # noqa: PLR0917 - kernels take their arrays one by one
    # what was heard, by time: tick, antenna, RSSI less what the least margin and reflection make of it, RSSI, session
    read_tick: Int64s,
    read_antenna: Int64s,
    read_faded: Int64s,
    read_rssi: Int64s,
    read_session: Int64s,
    # ticks by antenna: attempts that could have read it
    attempts: Singles,
    session_of: Int64s,
    persistence_s: Floats,  # at rest, carried
    persistence_spread: Floats,  # from tag to tag, from time to time; relative
    # kinds by antennas by cells: place of the expected margin on its grid
    mean: Int64s,
    # kinds by means by margins; kinds by reflections; kinds by margins by faded RSSI; kinds by margins
    margin_share: Floats,
    reflection_share: Floats,
    log_read: Floats,
    read: Floats,
    # means by RSSI; means
    walk_log_read: Floats,
    walk_read: Floats,
    margin_bins: int,
    reflection_bins: int,
    # movement
    opening: Floats,
    rest_to_stand: Floats,
    rest_to_walk: Floats,
    stand_to_walk: Floats,
    stand_to_rest: Floats,
    walk_to_stand: Floats,
    walk_to_rest: Floats,
    walk_to_gone: Floats,
    gone_to_rest: float,
    arrivals: Floats,
    gone_to_walk: float,
    entry: Floats,
    near_cell: Int64s,
    near_share: Floats,
    next_cell: Int64s,
    step_share: Floats,
    zone_of: Int64s,
    # how exactly
    slots: int,
    miss_every: int,
    pruned: float,
    belief: Singles,
) -> None:
    """Fill `belief`, ticks by zones and one more for not here, with what is known after each tick."""
    ticks, antennas = attempts.shape
    cells, headings = next_cell.shape
    means, margins = margin_share.shape[1], margin_share.shape[2]
    reflections = reflection_share.shape[1]
    zones = belief.shape[1] - 1
    sessions = session_of.max() + 1

    weight = np.zeros((slots, cells))
    kind = np.full(slots, -1)
    fresh = np.zeros(slots, dtype=np.bool_)
    since = np.zeros(slots, dtype=np.int64)
    of_reads = np.zeros((slots, antennas, margins, reflections), dtype=np.float32)
    heard = np.zeros((slots, antennas), dtype=np.bool_)
    missed = np.zeros((slots, antennas))
    evidence = np.zeros((slots, antennas, means))
    total_attempts = np.zeros(antennas)
    attempts_before = np.zeros(antennas)
    counted = np.zeros((slots, antennas))
    log_miss = np.log(1.0 - read)

    walk = np.zeros((cells, headings))
    walk_next = np.zeros((cells, headings))
    gone = max(0.0, 1.0 - opening.sum())
    last_read = np.full(sessions, -1, dtype=np.int64)
    carried_then = np.zeros(sessions)
    waited_s = np.ones(sessions)
    surely_s = np.zeros(sessions)
    patience = np.exp(persistence_spread[0] * np.linspace(-2.0, 2.0, 7))
    patience_share = np.exp(-0.5 * np.linspace(-2.0, 2.0, 7) ** 2)
    patience_share /= patience_share.sum()
    of_patience = np.zeros(7)
    carried_now = 0.0

    # The opening stock is a hypothesis; then one fresh one of each kind.
    kind[0], since[0] = REST, 0
    weight[0] = opening
    fresh_slot = np.array([1, 2])
    for k in range(2):
        kind[1 + k] = k
        fresh[1 + k] = True

    row = 0
    for tick in range(ticks):
        # 1. what everybody does within a second
        flow_rest = np.zeros(cells)
        flow_stand = np.zeros(cells)
        put_down = np.zeros(cells)
        flow_walk = np.zeros(cells)
        if tick > 0:
            for h in range(slots):
                if kind[h] == REST:
                    for c in range(cells):
                        w = weight[h, c]
                        flow_stand[c] += w * rest_to_stand[c]
                        flow_walk[c] += w * rest_to_walk[c]
                        weight[h, c] = w * (1.0 - rest_to_stand[c] - rest_to_walk[c])
                elif kind[h] == STAND:
                    for c in range(cells):
                        w = weight[h, c]
                        put_down[c] += w * stand_to_rest[c]
                        flow_walk[c] += w * stand_to_walk[c]
                        weight[h, c] = w * (1.0 - stand_to_rest[c] - stand_to_walk[c])
            left = 0.0
            walk_next[:] = 0.0
            for c in range(cells):
                here = 0.0
                going = 1.0 - walk_to_stand[c] - walk_to_rest[c] - walk_to_gone[c]
                for d in range(headings):
                    here += walk[c, d]
                if here > 0.0:
                    flow_stand[c] += here * walk_to_stand[c]
                    put_down[c] += here * walk_to_rest[c]
                    left += here * walk_to_gone[c]
                    for d in range(headings):
                        w = walk[c, d] * going
                        n = next_cell[c, d]
                        if n < 0:
                            flow_walk[c] += w
                            continue
                        moved = w * step_share[c, d]
                        flow_walk[c] += (1.0 - _HEADING_KEPT) * (w - moved)
                        flow_walk[n] += (1.0 - _HEADING_KEPT) * moved
                        walk_next[c, d] += _HEADING_KEPT * (w - moved)
                        walk_next[n, d] += _HEADING_KEPT * moved
            came, back = gone * gone_to_rest, gone * gone_to_walk
            for c in range(cells):
                turned = (flow_walk[c] + back * entry[c]) / headings
                for d in range(headings):
                    walk[c, d] = walk_next[c, d] + turned
                if put_down[c] > 0.0:
                    for n in range(near_cell.shape[1]):
                        flow_rest[near_cell[c, n]] += put_down[c] * near_share[c, n]
                flow_rest[c] += came * arrivals[c]
            gone += left - came - back
            weight[fresh_slot[REST]] += flow_rest
            weight[fresh_slot[STAND]] += flow_stand

        # 2. who asked in vain
        attempts_before[:] = total_attempts
        asleep = np.ones(sessions, dtype=np.bool_)
        rest_s = persistence_s[REST] * (patience * patience_share).sum() / patience_share.sum()
        for s in range(sessions):
            mean_s = carried_then[s] * persistence_s[STAND] + (1.0 - carried_then[s]) * rest_s
            surely_s[s] = mean_s * (1.0 + 2.0 * persistence_spread[0]) + 1.0
            asleep[s] = last_read[s] >= 0 and tick - last_read[s] <= surely_s[s]
        for a in range(antennas):
            if not asleep[session_of[a]] and attempts[tick, a] > 0.0:
                total_attempts[a] += attempts[tick, a]
                for c in range(cells):
                    factor = 1.0 - min(1.0, attempts[tick, a]) * walk_read[mean[STAND, a, c]]
                    for d in range(headings):
                        walk[c, d] *= factor
        if tick % miss_every == miss_every - 1:
            whole = gone + walk.sum()
            for h in range(slots):
                if kind[h] >= 0:
                    whole += weight[h].sum()
            for k in range(2):
                if weight[fresh_slot[k]].sum() > pruned * whole:
                    fresh_slot[k] = _open(
                        k,
                        fresh_slot[k],
                        tick,
                        weight,
                        kind,
                        fresh,
                        since,
                        of_reads,
                        heard,
                        missed,
                        evidence,
                        counted,
                        attempts_before,
                    )
            for h in range(slots):
                if kind[h] >= 0 and not fresh[h]:
                    for a in range(antennas):
                        vain = total_attempts[a] - counted[h, a]
                        if vain > 0.0:
                            counted[h, a] = total_attempts[a]
                            missed[h, a] += vain
                            k = kind[h]
                            _weigh(
                                weight[h],
                                mean[k, a],
                                margin_share[k],
                                reflection_share[k],
                                of_reads[h, a],
                                heard[h, a],
                                missed[h, a],
                                log_miss[k],
                                evidence[h, a],
                            )

        # 3. who read it
        while row < len(read_tick) and read_tick[row] <= tick:
            a, s = read_antenna[row], read_session[row]
            awake_rest, awake_carried = 1.0, 1.0
            if last_read[s] >= 0:
                quiet_s = float(tick - last_read[s])
                unread = 1.0 - 1.0 / (1.0 + waited_s[s])
                seen_s = min(quiet_s, np.ceil(surely_s[s]))
                awake_carried = _interval(seen_s, persistence_s[STAND], persistence_spread[1], unread)
                awake_rest = 0.0
                for i in range(len(patience)):
                    own_s = patience[i] * persistence_s[REST]
                    of_patience[i] = _interval(seen_s, own_s, persistence_spread[1], unread)
                    awake_rest += patience_share[i] * of_patience[i]
                # How patient this tag is shows while it rests; how long it waits once awake shows always.
                resting = 1.0 - max(carried_then[s], carried_now)
                mean_s = 0.0
                for i in range(len(patience)):
                    patience_share[i] *= resting * of_patience[i] / awake_rest + (1.0 - resting)
                    mean_s += patience_share[i] * patience[i]
                mean_s *= persistence_s[REST]
                mean_s = carried_then[s] * persistence_s[STAND] + (1.0 - carried_then[s]) * mean_s
                waited_s[s] += 0.2 * (max(quiet_s - mean_s, 0.3) - waited_s[s])
            mixed = carried_then[s] * awake_carried + (1.0 - carried_then[s]) * awake_rest
            for k in range(2):
                if weight[fresh_slot[k]].sum() > 0.0:
                    fresh_slot[k] = _open(
                        k,
                        fresh_slot[k],
                        tick,
                        weight,
                        kind,
                        fresh,
                        since,
                        of_reads,
                        heard,
                        missed,
                        evidence,
                        counted,
                        attempts_before,
                    )
            for h in range(slots):
                if kind[h] >= 0 and not fresh[h]:
                    k = kind[h]
                    for g in range(margins):
                        for r in range(reflections):
                            place = read_faded[row] - g * margin_bins - r * reflection_bins
                            place = min(max(place, 0), log_read.shape[2] - 1)
                            of_reads[h, a, g, r] += log_read[k, g, place]
                    heard[h, a] = True
                    vain = total_attempts[a] - counted[h, a]
                    counted[h, a] = total_attempts[a]
                    missed[h, a] += vain
                    _weigh(
                        weight[h],
                        mean[k, a],
                        margin_share[k],
                        reflection_share[k],
                        of_reads[h, a],
                        heard[h, a],
                        missed[h, a],
                        log_miss[k],
                        evidence[h, a],
                    )
                    own = mixed
                    if last_read[s] >= since[h]:
                        own = awake_rest if k == REST else awake_carried
                    for c in range(cells):
                        weight[h, c] *= own
            for c in range(cells):
                factor = mixed * np.exp(walk_log_read[mean[STAND, a, c], read_rssi[row]])
                for d in range(headings):
                    walk[c, d] *= factor
            gone = 0.0
            last_read[s] = tick
            row += 1
            whole = _rescale(weight, kind, walk, gone, pruned, fresh)
            gone /= whole
            carried_now = walk.sum()
            for h in range(slots):
                if kind[h] == STAND:
                    carried_now += weight[h].sum()
            carried_then[s] = carried_now

        # 4. what that means
        whole = _rescale(weight, kind, walk, gone, pruned, fresh)
        gone /= whole
        sums = np.zeros(zones + 1)
        sums[zones] = gone
        carried_now = 0.0
        for c in range(cells):
            z = zone_of[c] if zone_of[c] >= 0 else zones
            here = 0.0
            for d in range(headings):
                here += walk[c, d]
            for h in range(slots):
                if kind[h] == STAND:
                    here += weight[h, c]
            carried_now += here
            for h in range(slots):
                if kind[h] == REST:
                    here += weight[h, c]
            sums[z] += here
        for z in range(zones + 1):
            belief[tick, z] = sums[z]


@numba.njit(cache=True, fastmath=True)
def _interval(quiet_s: float, mean_s: float, spread: float, unread: float) -> float:
    """Return the probability that a tag is read so long after its last read, to the second.

    It wakes after a log-normal time, and each second then leaves it unread with probability `unread`.
    """
    total = 1e-6
    below = 0.0
    last = int(quiet_s) + 1
    for second in range(1, last + 1):
        z = np.log(second / mean_s) / spread
        here = 1.0 / (1.0 + np.exp(-1.702 * z))
        total = total * unread + (here - below)
        below = here
    return float(total + 1e-5)


@numba.njit(cache=True)
def _open(  # noqa: PLR0917 - as above
    k: int,
    slot: int,
    tick: int,
    weight: Floats,
    kind: Int64s,
    fresh: npt.NDArray[np.bool_],
    since: Int64s,
    of_reads: Singles,
    heard: npt.NDArray[np.bool_],
    missed: Floats,
    evidence: Floats,
    counted: Floats,
    total_attempts: Floats,
) -> int:
    """Turn a fresh hypothesis to one of its own; return the slot of the next fresh one, the least one's if need be."""
    fresh[slot] = False
    since[slot] = tick
    of_reads[slot] = 0.0
    heard[slot] = False
    missed[slot] = 0.0
    evidence[slot] = 0.0
    counted[slot] = total_attempts
    found, least = -1, np.inf
    for h in range(len(kind)):
        if kind[h] < 0:
            found = h
            break
        if not fresh[h] and h != slot and weight[h].sum() < least:
            found, least = h, weight[h].sum()
    kind[found] = k
    fresh[found] = True
    weight[found] = 0.0
    return found


@numba.njit(cache=True, fastmath=True)
def _weigh(  # noqa: PLR0917 - as above
    weight: Floats,
    mean: Int64s,
    margin_share: Floats,
    reflection_share: Floats,
    of_reads: Singles,
    heard: bool,  # noqa: FBT001 - kernels have no keywords
    missed: float,
    log_miss: Floats,
    evidence: Floats,
) -> None:
    """Bring a hypothesis' weights in line with all that one antenna read and missed since it began."""
    means, margins = margin_share.shape
    by_margin = np.empty(margins)
    top = 0.0
    if heard:
        top = of_reads.max()
        for g in range(margins):
            total = 0.0
            for r in range(len(reflection_share)):
                total += reflection_share[r] * np.exp(of_reads[g, r] - top)
            by_margin[g] = total * np.exp(missed * log_miss[g])
    else:
        for g in range(margins):
            by_margin[g] = np.exp(missed * log_miss[g])
    ratio = np.empty(means)
    for q in range(means):
        total = 0.0
        for g in range(margins):
            total += margin_share[q, g] * by_margin[g]
        now = np.log(total + 1e-300) + top
        ratio[q] = np.exp(min(now - evidence[q], 600.0))
        evidence[q] = now
    for c in range(len(weight)):
        weight[c] *= ratio[mean[c]]


@numba.njit(cache=True, fastmath=True)
def _rescale(  # noqa: PLR0917 - as above
    weight: Floats,
    kind: Int64s,
    walk: Floats,
    gone: float,
    pruned: float,
    fresh: npt.NDArray[np.bool_],
) -> float:
    """Divide everything by its sum, and drop hypotheses that have become too unlikely; return the sum."""
    whole = gone + walk.sum()
    for h in range(len(kind)):
        if kind[h] >= 0:
            whole += weight[h].sum()
    whole = max(whole, _SCALE_MIN)
    walk /= whole
    for h in range(len(kind)):
        if kind[h] >= 0:
            weight[h] /= whole
            if not fresh[h] and weight[h].sum() < pruned:
                kind[h] = -1
                weight[h] = 0.0
    return float(whole)
