"""Readers and tags on the air: Gen2 inventory rounds of limited throughput over tags that keep quiet for a while.

Time goes in dwells. In each dwell every reader drives one of its antennas, one after the other; a tag that is not
quiet in the reader's session answers if the power that reaches it, fading included, exceeds its sensitivity; a reader
singulates as many tags as the dwell has time for. Who has answered keeps quiet in that session for its persistence
time, whichever reader asks. Fading is reciprocal, so it counts twice in the received signal strength: reads that
happen are the lucky ones, and RSSI is biased accordingly, as it is in life.
"""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from simulators.fading import fading_db
from simulators.goods import Goods
from simulators.plan import StorePlan
from simulators.propagation import TAG_HEIGHT_M, PropagationField, PropagationLaw
from simulators.radio_law import CHANNELS_KHZ, AirReads, RadioLaw
from simulators.tags import NEVER, REACH_DB, Tags
from simulators.wiring import Wiring

_TABLE = 65_536
_LIGHT_M_PER_S = 299_792_458.0

Int64s = npt.NDArray[np.int64]
Float64s = npt.NDArray[np.float64]


class _Answers(NamedTuple):
    """Answers of one window, column by column; what a reader makes of them is worked out later, all at once."""

    time_us: Int64s
    antenna: Int64s
    item: Int64s
    power_db: npt.NDArray[np.float32]
    reflection_db: npt.NDArray[np.float32]
    x: Float64s
    y: Float64s


class Radio:
    """All readers of a store and all tags in it."""

    def __init__(
        self,
        *,
        plan: StorePlan,
        goods: Goods,
        law: RadioLaw,
        propagation: PropagationLaw,
        rng: np.random.Generator,
    ) -> None:
        self.law = law
        """Parameters of tags and readers."""
        self.field = PropagationField(plan=plan, law=propagation, rng=rng)
        """Gain of every antenna at every place."""
        self.wiring = Wiring([reader for reader, _ in plan.antennas], sessions=law.sessions)
        """Which reader drives which antenna when."""
        self.rssi_offset_db = law.rssi_offset_db * rng.standard_normal(self.wiring.antennas)
        """What each antenna port's RSSI is off by."""
        self.tags = Tags(products=plan.products, goods=goods, law=law, field=self.field, wiring=self.wiring, rng=rng)
        """Every tag."""
        self.window_dwells = 1
        """Dwells that one call of `run` covers."""
        self.reads_dropped = 0
        """Answers for which a dwell had no time left."""
        self._rng = rng
        self._dwell_us = round(law.dwell_s * 1e6)
        self._capacity = max(1, math.floor(law.reads_per_second * law.dwell_s))
        # The law of fading, drawn once: a dwell then only looks up.
        fading = [fading_db(rng, law.fading, parameter, _TABLE) for parameter in law.fading_parameters]
        self._fading = np.concatenate(fading).astype(np.float32)
        self._wake = rng.logistic(0.0, law.wake_width_db, _TABLE).astype(np.float32)
        self._persistence_us = np.zeros(goods.count)
        self._collected: list[_Answers] = []
        self.set_persistence(60.0)

    # --- how often tags answer ---------------------------------------------------------------------------------

    def set_persistence(self, seconds: float) -> None:
        """Set how long tags keep quiet after they have answered, mean over tags at rest."""
        self._persistence_us = np.asarray(seconds * 1e6 * self.tags.patience)
        shortest_s = 0.8 * min(self.law.persistence_moving_s, float(self._persistence_us.min()) / 1e6)
        most = max(1, round(self.law.window_s / self.law.dwell_s))
        fitting = [n for n in range(1, most + 1) if most % n == 0 and n * self.law.dwell_s <= shortest_s]
        self.window_dwells = max([1, *(n for n in fitting if n <= self.wiring.round_dwells)])

    @property
    def persistence_s(self) -> float:
        """How long tags at rest keep quiet, mean, seconds."""
        return float(self._persistence_us.mean()) / 1e6

    def read_probability(self, items: Int64s) -> Float64s:
        """Return the probability that a dwell reads a tag at rest, by session, item and column, without rivals."""
        draws = np.sort(self._fading[:_TABLE].astype(np.float64) + self._wake)
        above = np.searchsorted(draws, -self.tags.margin_db[:, items].astype(np.float64), side="right")
        return np.asarray(1.0 - above / _TABLE)

    def persistence_for_interval(self, interval_s: float) -> float:
        """Find the persistence at which a tag on site is read once in so many seconds, over all tags and antennas.

        Args:
            interval_s: Mean seconds between two reads of one tag, by any antenna.

        Returns:
            Seconds; at least 0.05, where tags cannot be read as often as that.
        """
        on_site = np.flatnonzero(self.tags.quiet_until[0] != NEVER)
        silent = np.maximum(1.0 - self.read_probability(on_site), 1e-6)
        rate = -np.log(silent).sum(axis=2) / (self.wiring.round_dwells * self.law.dwell_s)
        wait_s = 1.0 / np.maximum(rate, 1e-9)  # of each session and item, once the tag is awake
        low, high = 0.05, 100.0 * interval_s
        for _ in range(50):
            middle = math.sqrt(low * high)
            reads_per_s = float((1.0 / (middle * self.tags.patience[on_site] + wait_s)).sum(axis=0).mean())
            low, high = (middle, high) if reads_per_s > 1.0 / interval_s else (low, middle)
        return low

    # --- dwells ------------------------------------------------------------------------------------------------

    def run(self, first_dwell: int, start_us: int) -> int:
        """Let every reader drive its next antennas for one window of dwells, and keep what is read.

        A window is short enough that no tag answers twice in it in one session.

        Args:
            first_dwell: How many dwells there were before.
            start_us: When the window starts.

        Returns:
            How many dwells there have been now.
        """
        last_start_us = start_us + (self.window_dwells - 1) * self._dwell_us
        pairs = np.flatnonzero((self.tags.quiet_until <= last_start_us) & self.tags.in_reach)
        if pairs.size:
            self._inventory(pairs, self.wiring.waiting_dwells(first_dwell), start_us)
        return first_dwell + self.window_dwells

    def _inventory(self, pairs: Int64s, waiting_dwells: Int64s, start_us: int) -> None:
        """Ask tags, each of them in a session that it is not quiet in by the last dwell.

        Args:
            pairs: Session times number of items, plus item.
            waiting_dwells: After how many dwells each link's antenna is driven.
            start_us: When the window starts.
        """
        tags, rng, columns = self.tags, self._rng, self.wiring.columns
        session = pairs // tags.count
        item = pairs - session * tags.count
        margin_db = tags.margin_db.reshape(-1, columns).take(pairs, axis=0).ravel()
        asked = np.flatnonzero(margin_db > -REACH_DB)
        pair = asked // columns
        link = asked + (session.take(pair) - pair) * columns
        if self.window_dwells < self.wiring.round_dwells:
            driven = np.flatnonzero(waiting_dwells.take(link) < self.window_dwells)
            asked, pair, link = asked.take(driven), pair.take(driven), link.take(driven)
        luck = rng.integers(0, 2**32, size=asked.size, dtype=np.uint32)
        fading = (luck & 0xFFFF) + tags.moving.take(item.take(pair)) * _TABLE
        power_db = margin_db.take(asked) + self._fading.take(fading)
        answers = np.flatnonzero(power_db + self._wake.take(luck >> 16) > 0.0)
        pair, link, power_db = pair.take(answers), link.take(answers), power_db.take(answers)
        dwell_us = start_us + waiting_dwells.take(link) * self._dwell_us
        time_us = dwell_us + (rng.random(pair.size) * self._dwell_us).astype(np.int64)
        order = np.argsort(time_us, kind="stable")
        order = order[(tags.quiet_until.ravel().take(pairs.take(pair)) <= dwell_us).take(order)]
        order = order[self._within_capacity(link.take(order))]
        order = order[_first_of_each(pair.take(order), pairs.size)]
        pair, link, time_us = pair.take(order), link.take(order), time_us.take(order)
        place, chosen = pairs.take(pair), item.take(pair)
        tags.quiet_until.ravel()[place] = time_us + self._quiet_us(chosen)
        self._collected.append(
            _Answers(
                time_us=time_us,
                antenna=self.wiring.antenna_of_link.take(link),
                item=chosen,
                power_db=power_db.take(order),
                reflection_db=tags.reflection_db.ravel().take(place * columns + link % columns),
                x=tags.x.take(chosen),
                y=tags.y.take(chosen),
            )
        )

    def _quiet_us(self, items: Int64s) -> Int64s:
        rest = self._persistence_us.take(items)
        moving = np.minimum(rest, self.law.persistence_moving_s * 1e6)
        drawn = np.where(self.tags.moving.take(items) > 0, moving, rest) * self._rng.uniform(0.85, 1.15, len(items))
        return np.asarray(drawn.astype(np.int64))

    def _within_capacity(self, link: Int64s) -> Int64s:
        """Return which answers, in order of time, find a slot before their antenna's dwell ends."""
        if len(link) <= self._capacity:
            return np.arange(len(link))
        by_link = np.argsort(link, kind="stable")
        ordered = link[by_link]
        rank = np.arange(len(ordered)) - np.searchsorted(ordered, ordered)
        kept = np.sort(by_link[rank < self._capacity])
        self.reads_dropped += len(link) - len(kept)
        return np.asarray(kept)

    # --- what readers make of it -------------------------------------------------------------------------------

    def collect(self) -> AirReads:
        """Return the reads since the last call, in order of time."""
        parts, self._collected = self._collected, []
        if not parts:
            whole, real = np.empty(0, dtype=np.int64), np.empty(0)
            parts = [_Answers(whole, whole, whole, real.astype(np.float32), real.astype(np.float32), real, real)]
        time_us, antenna, item, power_db, reflection_db, x, y = (
            np.concatenate(column) for column in zip(*parts, strict=True)
        )
        rssi_dbm = (
            2.0 * (power_db + self.tags.sensitivity_dbm[item])
            - (self.law.tx_power_dbm + self.law.modulation_loss_db)
            + reflection_db
            + self.rssi_offset_db[antenna]
            + self.law.rssi_noise_db * self._rng.standard_normal(len(item))
        )
        order = np.lexsort((item, antenna, time_us))
        order = order[rssi_dbm[order] >= self.law.receiver_sensitivity_dbm]
        time_us, antenna, item = time_us[order], antenna[order], item[order]
        frequency_khz = self._channels_khz(time_us, antenna)
        return AirReads(
            time_us=time_us,
            reader=self.wiring.reader_of[antenna],
            antenna=antenna,
            item=item,
            rssi_dbm=rssi_dbm[order],
            frequency_khz=frequency_khz,
            phase_deg=self._phase_deg(antenna, item, x[order], y[order], frequency_khz),
        )

    def _channels_khz(self, time_us: Int64s, antenna: Int64s) -> Int64s:
        """Return each read's carrier: a reader hops between dwells, each antenna's order is its own."""
        dwell = time_us // self._dwell_us
        hop = (dwell * 7 + dwell // len(CHANNELS_KHZ) + antenna * 5) % len(CHANNELS_KHZ)
        return np.asarray(np.array(CHANNELS_KHZ).take(hop))

    def _phase_deg(self, antenna: Int64s, item: Int64s, x: Float64s, y: Float64s, frequency_khz: Int64s) -> Float64s:
        """Return the phase of a signal that goes there and back, with the tag's own turn and noise."""
        place = self.field.places[antenna]
        distance = np.sqrt((place[:, 0] - x) ** 2 + (place[:, 1] - y) ** 2 + (place[:, 2] - TAG_HEIGHT_M) ** 2)
        turns = 2.0 * distance * frequency_khz * 1e3 / _LIGHT_M_PER_S
        noise = 4.0 * self._rng.standard_normal(len(antenna))
        return np.asarray((-360.0 * turns + self.tags.phase_deg[item] + noise) % 360.0)


def _first_of_each(values: Int64s, bound: int) -> Int64s:
    """Return the places of each value's first occurrence, in order; values lie below `bound`."""
    places = np.arange(len(values))
    first = np.empty(bound, dtype=np.int64)
    first[values[::-1]] = places[::-1]
    return np.flatnonzero(first[values] == places)
