"""When things happened: device clocks, their offsets, and the site's watermark. Row by row, in row order.

Owned here: two kernels and the numbers they keep. What the rows are, and what is told about them, is `arrival.py`'s
affair; `docs/time.md` says the same in prose.

A clock's *lag* at a row is received minus reader time: the clock's offset plus the delivery's delay, which is never
negative. So the smallest lag is the best estimate of the offset, and a lag below the estimate refutes it at once. A
lag above it may be delay - a reader replays what it buffered - or a clock set back. A replay catches up: its lag
shrinks. A clock that was set back lags steadily. So an estimate rises only after `STEADY_BUCKETS` stretches of
traffic in a row whose smallest lags lie close together, and no outage, however long, wears it out.

States of a clock: `unknown` (nothing seen, or only lags that may be delay) -> `estimated` (an offset is in force).
"""

import numba
import numpy as np
import numpy.typing as npt

Times = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.int8]

NEVER = int(np.iinfo(np.int64).min)
"""Stands for a missing time in arrays of microseconds."""

DEAD_BAND_US = 500_000
"""A clock that seems this little behind is left alone: half a second is network delay, not clock error. A clock
that seems ahead is always corrected, for no delivery takes less than no time."""
STEADY_BUCKET_US = 5_000_000
"""Receive time over which one smallest lag is taken: five reports of a reader that reports every second."""
STEADY_BUCKETS = 12
"""So many buckets in a row, a minute of traffic at least, make an estimate rise."""
STEADY_SPREAD_US = 1_000_000
"""And only if their lags lie this close together: the reports of a quiet reader, sent once a second, do. A backlog
that drains at 1.02 times the pace at which it was recorded shrinks by more in that minute, and is no clock."""
FIRST_LAG_US = 60_000_000
"""A first lag up to here is taken for clock error at once: better a start that is a minute off than one uncorrected.
A larger one may be a replay, and has to be steady first."""
UNSET_BEFORE_US = 1_262_304_000_000_000
"""2010-01-01. Clocks before it were never set: they count from 1970, or from their firmware's year zero."""
HISTORY_LAG_US = 86_400_000_000
"""A plausible time more than a day old is history published again, not a clock that is wrong."""
ANNOUNCE_US = 250_000
"""Change of the correction that is worth a `clock` row."""
ANNOUNCE_EVERY_US = 10_000_000
"""But not more often than this, in receive time, per clock."""
COMPLAIN_EVERY_US = 86_400_000_000
"""An implausible clock is an alert once a day, in receive time, not once a row."""
UNTIMED_GRACE_US = 60_000_000
"""Where readers have not said any time yet, readings without one start the site's time after this long; and so do
clock marks behind a business event."""

AHEAD_US = 60_000_000
"""A trusted time may lie this much after its receive time. What is further ahead counts when it was received: rows
wait for the watermark, which never passes the bridge's clock, so a clock that is years ahead would fill the memory."""
FORETOLD_US = 30 * 86_400_000_000
"""The same for what a business system says: an announcement may be a month ahead."""

ESTIMATE, TRUSTED, ARRIVAL, BUSINESS = 0, 1, 2, 3
"""Clock modes: those of `devices.site.model.ReaderClock`, and that of business systems."""

OFFSET, ANNOUNCED, ANNOUNCED_AT, COMPLAINED_AT, BUCKET, BUCKET_LAG, STEADY_COUNT, STEADY_NEXT, STEADY = range(9)
"""Columns of a clock's row of numbers: offset in force or `NEVER`, what was last announced and when, when it was
last complained about, the open bucket and its smallest lag, closed buckets kept, where the next goes, the first."""
CLOCK_COLUMNS = STEADY + STEADY_BUCKETS

READ, READING, DEVICE_EVENT, BUSINESS_EVENT, MARK = range(5)
"""What a row is, for the watermark."""

(
    SITE_TIME,
    SITE_LAG,
    WATERMARK,
    UNTIMED_SINCE,
    BUSINESS_SINCE,
    WINDOW_SINCE,
    WINDOW_ROWS,
    WINDOW_BEHIND,
    USUAL_BEHIND,
) = range(9)
"""A site's numbers: newest time reached or `NEVER`, lag of the row that set it, the watermark, when readings without a
time, and business events, began while nothing had set the site's time; and of how far behind rows come: when the open
window began or `NEVER`, its rows, the furthest in it, and what earlier windows taught or `NEVER`."""

WINDOW_US = 120_000_000
"""How far behind the newest time rows come is looked at over windows of this long at least, so that readers that
report every few seconds, or wait for a network, are seen at it;"""
WINDOW_ROWS_MIN = 500
"""and of so many rows at least: few rows tell little of the furthest."""
USUAL_KEPT_PERCENT = 90
"""What was learnt falls to this share a window at most: it takes a quarter of an hour of quiet to halve it."""
SPARE_PERCENT, SPARE_US = 10, 100_000
"""The wait is longer than the furthest seen by this share of it and this much, for what is rarer than a window."""


def new_clocks(count: int) -> Times:
    """Return the numbers of clocks that nothing is known about."""
    clocks = np.full((count, CLOCK_COLUMNS), NEVER, dtype=np.int64)
    clocks[:, [ANNOUNCED, STEADY_COUNT, STEADY_NEXT]] = 0
    return clocks


def new_site() -> Times:
    """Return the numbers of a site that nothing has come from."""
    return np.array([NEVER, 0, 0, NEVER, NEVER, NEVER, 0, 0, NEVER], dtype=np.int64)


@numba.njit(cache=True)
def correct_times(  # noqa: PLR0917  numba's kernels take their arrays by place
    clocks: Times,
    modes: Codes,
    clock: npt.NDArray[np.int32],
    received_us: Times,
    reader_us: Times,
    kept: Flags,
    event_us: Times,
    announced: Flags,
    previous_offset_us: Times,
    implausible: Flags,
) -> None:
    """Fill in event times from reader times, and learn the clocks' offsets on the way.

    Args:
        clocks: Numbers of each clock; changed.
        modes: Mode of each clock.
        clock: Which clock each row is timed by; below 0 for rows without one.
        received_us: When each row was received.
        reader_us: What the device's clock said, or `NEVER`.
        kept: Rows that count.
        event_us: Filled in: corrected time, or `NEVER` where the device's time is missing or ignored.
        announced: Filled in: rows at which a changed correction is to be told.
        previous_offset_us: Filled in for those: the correction told before.
        implausible: Filled in: rows at which a complaint is due.
    """
    for row in range(clock.size):
        if not kept[row] or clock[row] < 0:
            continue
        mode = modes[clock[row]]
        if reader_us[row] == NEVER or mode == ARRIVAL:
            event_us[row] = NEVER
            continue
        numbers = clocks[clock[row]]
        received = received_us[row]
        if mode in (TRUSTED, BUSINESS):
            event_us[row] = reader_us[row]
            if reader_us[row] - received > (AHEAD_US if mode == TRUSTED else FORETOLD_US):
                event_us[row] = received
                implausible[row] = _is_due(numbers, COMPLAINED_AT, received, COMPLAIN_EVERY_US)
            continue
        lag = received - reader_us[row]
        unset = reader_us[row] < UNSET_BEFORE_US
        if abs(lag) > HISTORY_LAG_US and not unset:
            implausible[row] = _is_due(numbers, COMPLAINED_AT, received, COMPLAIN_EVERY_US)
            if lag > 0:
                event_us[row] = reader_us[row]
                continue
        _learn(numbers, received, lag, unset)
        offset = _correction(numbers[OFFSET])
        event_us[row] = reader_us[row] + offset
        if abs(offset - numbers[ANNOUNCED]) > ANNOUNCE_US and _is_due(
            numbers, ANNOUNCED_AT, received, ANNOUNCE_EVERY_US
        ):
            announced[row] = True
            previous_offset_us[row] = numbers[ANNOUNCED]
            numbers[ANNOUNCED] = offset


@numba.njit(cache=True)
def _is_due(numbers: Times, which: int, received: int, every: int) -> bool:
    """Tell whether something may be told again, and note that it is."""
    if numbers[which] != NEVER and abs(received - numbers[which]) < every:
        return False
    numbers[which] = received
    return True


@numba.njit(cache=True)
def _correction(offset: int) -> int:
    return 0 if offset == NEVER or 0 <= offset <= DEAD_BAND_US else offset


@numba.njit(cache=True)
def _learn(numbers: Times, received: int, lag: int, unset: bool) -> None:  # noqa: FBT001  as above
    """Take one row's lag into a clock's estimate."""
    bucket = received // STEADY_BUCKET_US
    if bucket != numbers[BUCKET]:
        if numbers[BUCKET] != NEVER:
            _close_bucket(numbers)
        numbers[BUCKET] = bucket
        numbers[BUCKET_LAG] = lag
    else:
        numbers[BUCKET_LAG] = min(numbers[BUCKET_LAG], lag)
    if numbers[OFFSET] == NEVER:
        if unset or lag <= FIRST_LAG_US:
            numbers[OFFSET] = lag
    elif lag < numbers[OFFSET]:
        numbers[OFFSET] = lag
    elif unset and lag > numbers[OFFSET] + FIRST_LAG_US:  # started again from its year zero: nothing to wait for
        numbers[OFFSET] = lag
        numbers[STEADY_COUNT] = 0
        numbers[STEADY_NEXT] = 0
        numbers[BUCKET_LAG] = lag


@numba.njit(cache=True)
def _close_bucket(numbers: Times) -> None:
    """Keep a bucket's smallest lag; let the estimate rise to the smallest of them all if they are steady."""
    numbers[STEADY + numbers[STEADY_NEXT]] = numbers[BUCKET_LAG]
    numbers[STEADY_NEXT] = (numbers[STEADY_NEXT] + 1) % STEADY_BUCKETS
    numbers[STEADY_COUNT] = min(numbers[STEADY_COUNT] + 1, STEADY_BUCKETS)
    if numbers[STEADY_COUNT] < STEADY_BUCKETS:
        return
    smallest, largest = numbers[STEADY], numbers[STEADY]
    for kept in range(1, STEADY_BUCKETS):
        smallest = min(smallest, numbers[STEADY + kept])
        largest = max(largest, numbers[STEADY + kept])
    if largest - smallest <= STEADY_SPREAD_US:
        numbers[OFFSET] = smallest


@numba.njit(cache=True)
def place_in_time(  # noqa: PLR0917  as above
    site: Times,
    lateness_us: int,
    readers: bool,  # noqa: FBT001  as above
    kind: Codes,
    received_us: Times,
    kept: Flags,
    event_us: Times,
    effective_us: Times,
) -> None:
    """Give rows their effective times, and move the watermark along.

    Args:
        site: The site's numbers; changed.
        lateness_us: How far the watermark stays behind the newest time.
        readers: Whether the site has readers, which may be expected to say times.
        kind: What each row is.
        received_us: When each row was received.
        kept: Rows that count.
        event_us: Event times; filled in where `NEVER`.
        effective_us: Filled in.
    """
    for row in range(kind.size):
        if not kept[row]:
            continue
        received = received_us[row]
        timed = event_us[row] != NEVER
        if not timed:
            history = site[SITE_TIME] != NEVER and site[SITE_LAG] > HISTORY_LAG_US
            event_us[row] = received - site[SITE_LAG] if history else received
        effective_us[row] = max(event_us[row], site[WATERMARK] + 1)
        if kind[row] == BUSINESS_EVENT and site[SITE_TIME] == NEVER and site[BUSINESS_SINCE] == NEVER:
            site[BUSINESS_SINCE] = received
        if kind[row] == MARK or (not timed and kind[row] <= READING):
            _pass_time(site, kind[row], received, readers)
        elif timed and kind[row] <= DEVICE_EVENT:
            reached = min(event_us[row], received)
            if site[SITE_TIME] != NEVER and kind[row] != DEVICE_EVENT:
                _watch_lateness(site, lateness_us, reached)
            if reached > site[SITE_TIME]:
                site[SITE_TIME] = reached
                site[SITE_LAG] = received - reached
        if site[SITE_TIME] != NEVER:
            site[WATERMARK] = max(site[WATERMARK], site[SITE_TIME] - wait_us(site, lateness_us))


@numba.njit(cache=True)
def wait_us(site: Times, lateness_us: int) -> int:
    """Return how far the watermark stays behind: as far as rows come behind here, at most the allowed lateness.

    Until a window has taught better it is the allowed lateness. A row that comes further behind counts at once.
    """
    if site[USUAL_BEHIND] == NEVER:
        return lateness_us
    furthest = max(site[USUAL_BEHIND], site[WINDOW_BEHIND])
    waited: int = min(lateness_us, furthest + furthest * SPARE_PERCENT // 100 + SPARE_US)
    return waited


@numba.njit(cache=True)
def _watch_lateness(site: Times, lateness_us: int, reached: int) -> None:
    """Learn from a row how far behind the newest time rows come; what is later than is ever waited for is left out."""
    if site[WINDOW_SINCE] == NEVER:
        site[WINDOW_SINCE] = site[SITE_TIME]
    elif site[SITE_TIME] - site[WINDOW_SINCE] >= WINDOW_US and site[WINDOW_ROWS] >= WINDOW_ROWS_MIN:
        kept = 0 if site[USUAL_BEHIND] == NEVER else site[USUAL_BEHIND] * USUAL_KEPT_PERCENT // 100
        site[USUAL_BEHIND] = max(site[WINDOW_BEHIND], kept)
        site[WINDOW_SINCE], site[WINDOW_ROWS], site[WINDOW_BEHIND] = site[SITE_TIME], 0, 0
    site[WINDOW_ROWS] += 1
    behind = site[SITE_TIME] - reached
    if behind <= lateness_us:
        site[WINDOW_BEHIND] = max(site[WINDOW_BEHIND], behind)


@numba.njit(cache=True)
def _pass_time(site: Times, kind: int, received: int, readers: bool) -> None:  # noqa: FBT001  as above
    """Let the bridge's clock move the site's time, as far behind it as the newest row was."""
    if site[SITE_TIME] != NEVER:
        site[SITE_TIME] = max(site[SITE_TIME], received - site[SITE_LAG])
    elif kind == READING and readers:
        if site[UNTIMED_SINCE] == NEVER:
            site[UNTIMED_SINCE] = received
        elif received - site[UNTIMED_SINCE] >= UNTIMED_GRACE_US:
            site[SITE_TIME] = received
    elif kind != MARK or (site[BUSINESS_SINCE] != NEVER and received - site[BUSINESS_SINCE] >= UNTIMED_GRACE_US):
        site[SITE_TIME] = received
