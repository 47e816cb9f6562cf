"""Readers and tags on the air: Gen2 inventory rounds of limited throughput over tags that keep quiet for a while.

Time goes in dwells. In each dwell every reader drives one of its antennas, one after the other; a tag that is not
quiet in the reader's session answers if the power that reaches it, fading included, exceeds its sensitivity; a reader
singulates as many tags as the dwell has time for. Who has answered keeps quiet in that session for its persistence
time, whichever reader asks. Fading is reciprocal, so it counts twice in the received signal strength: reads that
happen are the lucky ones, and RSSI is biased accordingly, as it is in life.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simulators.catalogue import Material, Product
from simulators.goods import Goods
from simulators.plan import StorePlan
from simulators.propagation import PropagationField, PropagationLaw

CHANNELS_KHZ = (865_700, 866_300, 866_900, 867_500)
"""The four high-power channels of ETSI EN 302 208."""

_NEVER = np.iinfo(np.int64).max
_TABLE = 65_536
_REACH_DB = 9.0  # a tag this far below its sensitivity answers in less than one of 10,000 dwells: it is not asked
_MATERIAL_LOSS_DB = {Material.TEXTILE: 0.0, Material.LEATHER: 1.0, Material.METAL: 5.0, Material.LIQUID: 4.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class RadioLaw:
    """Parameters of tags and readers."""

    tx_power_dbm: float = 30.0
    """Conducted power of every antenna."""
    tag_gain_dbi: float = 2.0
    """Peak gain of a tag's dipole."""
    sensitivity_dbm: float = -18.5
    """Mean power that wakes a tag on textile."""
    sensitivity_spread_db: float = 1.3
    """Standard deviation of sensitivity from tag to tag."""
    link_spread_db: float = 3.0
    """Standard deviation of what a tag's immediate surroundings do to one antenna's signal, one way; drawn anew
    whenever the tag is moved."""
    orientation_floor_db: float = 12.0
    """How deep the null of a tag's dipole is at most."""
    body_loss_db: float = 3.0
    """Mean one-way loss to a carried tag, by the body beside it; its spread is the same."""
    rest_k_db: float = 7.0
    """Rician K factor of fading from read to read of a tag at rest."""
    moving_k_db: float = 3.0
    """Rician K factor for a carried tag."""
    wake_width_db: float = 0.6
    """Width of the logistic law of answering over power above sensitivity."""
    modulation_loss_db: float = 5.0
    """What backscatter loses in the tag."""
    rssi_noise_db: float = 0.5
    """Standard deviation of the reader's measurement."""
    backscatter_spread_db: float = 6.0
    """Standard deviation of what a tag's reflection towards one antenna differs by, drawn anew whenever the tag is
    moved: it shows in RSSI and not in whether the tag wakes."""
    rssi_offset_db: float = 2.0
    """Standard deviation, from antenna port to antenna port, of what the reader's RSSI is off by."""
    receiver_sensitivity_dbm: float = -84.0
    """Weaker answers are not heard."""
    dwell_s: float = 0.5
    """How long a reader stays on one antenna."""
    window_s: float = 1.0
    """Longest time for which everything is taken to stand still: carried tags are where they are in its middle."""
    reads_per_second: float = 250.0
    """Singulations per second that a reader manages, slotted ALOHA overhead included."""
    sessions: int = 1
    """Gen2 sessions in use; where there are several, neighbouring readers take different ones."""
    persistence_moving_s: float = 4.0
    """Longest persistence of a carried tag: it loses power in nulls and forgets."""
    persistence_spread: float = 0.2
    """Relative standard deviation of persistence from tag to tag."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AirReads:
    """Reads on the air, column by column, in order of time."""

    time_us: npt.NDArray[np.int64]
    """True time."""
    reader: npt.NDArray[np.int64]
    """Reader number."""
    antenna: npt.NDArray[np.int64]
    """Antenna number over all readers."""
    item: npt.NDArray[np.int64]
    """Item number."""
    rssi_dbm: npt.NDArray[np.float64]
    """Received signal strength as measured, not yet rounded."""
    frequency_khz: npt.NDArray[np.int64]
    """Carrier."""
    phase_deg: npt.NDArray[np.float64]
    """Backscatter phase, 0 to 360."""

    def __len__(self) -> int:
        return len(self.time_us)


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
        self.reader_of = np.array([reader for reader, _ in plan.antennas])
        """Reader number of each antenna."""
        self.session_of_reader = [number % law.sessions for number in range(len(plan.site.readers))]
        """Session that each reader uses."""
        self.rssi_offset_db = law.rssi_offset_db * rng.standard_normal(len(self.reader_of))
        """What each antenna port's RSSI is off by."""
        self.window_dwells = 1
        """Dwells that one call of `run` covers."""
        self.reads_dropped = 0
        """Answers for which a dwell had no time left."""
        self._rng = rng
        self._dwell_us = round(law.dwell_s * 1e6)
        self._capacity = max(1, math.floor(law.reads_per_second * law.dwell_s))
        self._draw_tags(plan.products, goods)
        self._schedule(plan)
        self._tables()
        self._collected: list[tuple[npt.NDArray[np.generic], ...]] = []

    def _draw_tags(self, products: Sequence[Product], goods: Goods) -> None:
        law, rng, count = self.law, self._rng, goods.count
        material_db = np.array([_MATERIAL_LOSS_DB[product.material] for product in products])[goods.product]
        # A material weakens the tag both ways: it is kept apart from sensitivity, which counts once.
        self._tag_db = law.tag_gain_dbi - material_db
        self._sensitivity = law.sensitivity_dbm + law.sensitivity_spread_db * rng.standard_normal(count)
        self._patience = np.exp(law.persistence_spread * rng.standard_normal(count))
        self._tag_phase = rng.uniform(0.0, 360.0, count)
        self._readable = goods.readable
        self._x, self._y = np.zeros(count), np.zeros(count)
        self._own_db = np.zeros((len(self.reader_of), count), dtype=np.float32)
        self._reflection_db = np.zeros((len(self.reader_of), count), dtype=np.float32)
        self._margin = np.full((len(self.reader_of) + 1, count), -99.0, dtype=np.float32)  # the last: nobody's
        self._moving = np.zeros(count, dtype=np.int64)
        self._quiet_until = np.full((law.sessions, count), _NEVER)
        self._in_reach = np.zeros((law.sessions, count), dtype=np.bool_)
        self._persistence_us = np.zeros(count)
        self.set_persistence(60.0)

    def _schedule(self, plan: StorePlan) -> None:
        """Write down which antenna each reader drives in each dwell, until the pattern repeats.

        Sessions with fewer readers are filled up with an antenna that no tag hears.
        """
        antennas = [np.flatnonzero(self.reader_of == number) for number in range(len(plan.site.readers))]
        readers = [
            [number for number, own in enumerate(self.session_of_reader) if own == session]
            for session in range(self.law.sessions)
        ]
        most, nobody = max(len(own) for own in readers), len(self.reader_of)
        self._cycle = math.lcm(*(len(ports) for ports in antennas))
        self._active = np.full((self._cycle, self.law.sessions, most), nobody)
        for dwell in range(self._cycle):
            for session, own in enumerate(readers):
                for place, reader in enumerate(own):
                    ports = antennas[reader]
                    self._active[dwell, session, place] = ports[(dwell + reader) % len(ports)]
        self._antennas_of_session = [
            np.flatnonzero(np.array(self.session_of_reader)[self.reader_of] == session)
            for session in range(self.law.sessions)
        ]
        self._ports = np.array([len(antennas[reader]) for reader in self.reader_of])

    def _tables(self) -> None:
        """Draw the law of fading once: a dwell then only looks up."""
        law, rng = self.law, self._rng
        self._fading = np.concatenate(
            [rician_db(rng, k_db, _TABLE) for k_db in (law.rest_k_db, law.moving_k_db)]
        ).astype(np.float32)
        self._wake = rng.logistic(0.0, law.wake_width_db, _TABLE).astype(np.float32)

    # --- where tags are ----------------------------------------------------------------------------------------

    def place(self, items: Sequence[int], x: Sequence[float], y: Sequence[float], *, carried: Sequence[bool]) -> None:
        """Put tags somewhere, in a new posture: orientation and immediate surroundings are drawn anew.

        Args:
            items: Item numbers.
            x: Metres.
            y: Metres.
            carried: Whether each is in somebody's hands.
        """
        if not len(items):
            return
        chosen = np.asarray(items)
        law, rng, shape = self.law, self._rng, (len(self.reader_of), len(chosen))
        self._moving[chosen] = held = np.asarray(carried, dtype=np.int64)
        self._x[chosen], self._y[chosen] = x, y
        own = law.link_spread_db * rng.standard_normal(shape) + self._orientation_db(chosen)
        body = np.maximum(0.0, law.body_loss_db * (1.0 + rng.standard_normal(shape)))
        self._own_db[:, chosen] = own + self._tag_db[chosen] - held * body
        self._reflection_db[:, chosen] = law.backscatter_spread_db * rng.standard_normal(shape)
        arriving = chosen[self._readable[chosen] & (self._quiet_until[0, chosen] == _NEVER)]
        self._quiet_until[:, arriving] = 0
        self._refresh(chosen)

    def move(self, items: Sequence[int], x: Sequence[float], y: Sequence[float]) -> None:
        """Move tags without changing their posture."""
        if not len(items):
            return
        chosen = np.asarray(items)
        self._x[chosen], self._y[chosen] = x, y
        self._refresh(chosen)

    def remove(self, items: Sequence[int]) -> None:
        """Take tags off site."""
        self._quiet_until[:, np.asarray(items, dtype=np.int64)] = _NEVER

    def _refresh(self, items: npt.NDArray[np.int64]) -> None:
        cells = self.field.cell(self._x[items], self._y[items])
        margin = self.field.gain_db[:, cells] + self._own_db[:, items]
        margin += (self.law.tx_power_dbm - self._sensitivity[items]).astype(np.float32)
        self._margin[:-1, items] = margin
        for session, antennas in enumerate(self._antennas_of_session):
            self._in_reach[session, items] = (margin[antennas] > -_REACH_DB).any(axis=0)

    def _orientation_db(self, items: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Turn each tag's dipole somewhere and return what each antenna loses by it."""
        axis = self._rng.standard_normal((len(items), 3))
        axis /= np.linalg.norm(axis, axis=1, keepdims=True)
        tags = np.column_stack([self._x[items], self._y[items], np.ones(len(items))])
        ray = self.field.places[:, None, :] - tags
        ray /= np.linalg.norm(ray, axis=2, keepdims=True)
        sine_squared = 1.0 - np.einsum("aid,id->ai", ray, axis) ** 2
        return np.asarray(np.maximum(10.0 * np.log10(np.maximum(sine_squared, 1e-9)), -self.law.orientation_floor_db))

    # --- how often tags answer ---------------------------------------------------------------------------------

    def set_persistence(self, seconds: float) -> None:
        """Set how long tags keep quiet after they have answered, mean over tags at rest."""
        self._persistence_us = np.asarray(seconds * 1e6 * self._patience)
        shortest_s = 0.8 * min(self.law.persistence_moving_s, float(self._persistence_us.min()) / 1e6)
        most = max(1, round(self.law.window_s / self.law.dwell_s))
        fitting = [n for n in range(1, most + 1) if most % n == 0 and n * self.law.dwell_s <= shortest_s]
        self.window_dwells = max([1, *fitting])

    def read_probability(self, items: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Return the probability that a dwell of each antenna reads each tag, antennas by items, without rivals."""
        draws = np.sort(self._fading[:_TABLE].astype(np.float64) + self._wake)
        above = np.searchsorted(draws, -self._margin[:-1, items].astype(np.float64), side="right")
        return np.asarray(1.0 - above / _TABLE)

    def persistence_for_interval(self, interval_s: float) -> float:
        """Find the persistence at which a tag on site is read once in so many seconds, over all tags and antennas.

        Args:
            interval_s: Mean seconds between two reads of one tag, by any antenna.

        Returns:
            Seconds; at least 0.05, where tags cannot be read as often as that.
        """
        on_site = np.flatnonzero(self._quiet_until[0] != _NEVER)
        silent = 1.0 - self.read_probability(on_site)
        waits = []
        for session in range(self.law.sessions):
            own = self._antennas_of_session[session]
            if not own.size:
                continue
            # A reader comes back to an antenna after one dwell for each port.
            rate = (-np.log(np.maximum(silent[own], 1e-6)) / (self._ports[own, None] * self.law.dwell_s)).sum(axis=0)
            waits.append(1.0 / np.maximum(rate, 1e-9))
        low, high = 0.05, 100.0 * interval_s
        for _ in range(50):
            middle = math.sqrt(low * high)
            rate_mean = sum(float((1.0 / (middle * self._patience[on_site] + wait)).mean()) for wait in waits)
            low, high = (middle, high) if rate_mean > 1.0 / interval_s else (low, middle)
        return low

    # --- dwells ------------------------------------------------------------------------------------------------

    def run(self, first_dwell: int, start_us: int) -> int:
        """Let every reader drive its next antennas for one window of dwells, and collect what is read.

        A window is short enough that no tag answers twice in it in one session.

        Args:
            first_dwell: How many dwells there were before.
            start_us: When the window starts.

        Returns:
            How many dwells there have been now.
        """
        dwells = np.arange(first_dwell, first_dwell + self.window_dwells)
        starts_us = start_us + self._dwell_us * np.arange(self.window_dwells)
        pairs = np.flatnonzero((self._quiet_until <= starts_us[-1]) & self._in_reach)
        if pairs.size:
            self._inventory(pairs, self._active[dwells % self._cycle], starts_us)
        return first_dwell + self.window_dwells

    def _inventory(
        self,
        pairs: npt.NDArray[np.int64],
        active: npt.NDArray[np.int64],
        starts_us: npt.NDArray[np.int64],
    ) -> None:
        """Ask tags, each of them in a session that it is not quiet in.

        Args:
            pairs: Session times number of items, plus item.
            active: Antennas by dwell, session and reader.
            starts_us: Start of each dwell.
        """
        rng, count, (dwells, sessions, places) = self._rng, self._margin.shape[1], active.shape
        columns, starts_us = dwells * places, np.repeat(starts_us, places)
        of_session = active.transpose(1, 0, 2).reshape(sessions, columns)
        # Everything is addressed flat: numpy takes by one index four times faster than by two.
        session = pairs // count
        item = pairs - session * count
        links = (of_session.take(session, axis=0) * count + item[:, None]).ravel()
        margin_db = self._margin.ravel().take(links)
        asked = np.flatnonzero(margin_db > -_REACH_DB)
        luck = rng.integers(0, 2**32, size=asked.size, dtype=np.uint32)
        fading = (luck & 0xFFFF) + self._moving.take(item.take(asked // columns)) * _TABLE
        power_db = margin_db.take(asked) + self._fading.take(fading)
        answers = np.flatnonzero(power_db + self._wake.take(luck >> 16) > 0.0)
        asked, power_db = asked.take(answers), power_db.take(answers)
        pair, antenna, started_us = asked // columns, links.take(asked) // count, starts_us.take(asked % columns)
        time_us = started_us + (rng.random(pair.size) * self._dwell_us).astype(np.int64)
        order = np.argsort(time_us, kind="stable")
        order = order[self._quiet_until.ravel().take(pairs[pair[order]]) <= started_us[order]]
        order = order[self._within_capacity(antenna[order], started_us[order])]
        order = order[_first_of_each(pair[order], item.size)]
        pair, antenna, time_us, started_us = pair[order], antenna[order], time_us[order], started_us[order]
        chosen = item[pair]
        rssi = (
            2.0 * (power_db[order] + self._sensitivity[chosen])
            - self.law.tx_power_dbm
            - self.law.modulation_loss_db
            + self.rssi_offset_db[antenna]
            + self._reflection_db[antenna, chosen]
            + self.law.rssi_noise_db * rng.standard_normal(pair.size)
        )
        self._quiet_until[session[pair], chosen] = time_us + self._quiet_us(chosen)
        hops = rng.integers(len(CHANNELS_KHZ), size=(dwells, len(self.reader_of)))
        channel = hops[(started_us - starts_us[0]) // self._dwell_us, self.reader_of[antenna]]
        heard = rssi >= self.law.receiver_sensitivity_dbm
        columns_read = (time_us, antenna, chosen, rssi, channel, self._x[chosen], self._y[chosen])
        self._collected.append(tuple(values[heard] for values in columns_read))

    def _quiet_us(self, items: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        rest = self._persistence_us[items]
        moving = np.minimum(rest, self.law.persistence_moving_s * 1e6)
        drawn = np.where(self._moving[items] > 0, moving, rest) * self._rng.uniform(0.85, 1.15, len(items))
        return np.asarray(drawn.astype(np.int64))

    def _within_capacity(
        self, antenna: npt.NDArray[np.int64], start_us: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.int64]:
        """Return which answers, in order of time, find a slot before their dwell ends."""
        if len(antenna) <= self._capacity:
            return np.arange(len(antenna))
        dwell = start_us * len(self.reader_of) + antenna
        by_dwell = np.argsort(dwell, kind="stable")
        ordered = dwell[by_dwell]
        rank = np.arange(len(ordered)) - np.searchsorted(ordered, ordered)
        kept = np.sort(by_dwell[rank < self._capacity])
        self.reads_dropped += len(antenna) - len(kept)
        return np.asarray(kept)

    def collect(self) -> AirReads:
        """Return the reads since the last call, in order of time."""
        parts, self._collected = self._collected, []
        if not parts:
            whole, real = np.empty(0, dtype=np.int64), np.empty(0)
            return AirReads(
                time_us=whole,
                reader=whole,
                antenna=whole,
                item=whole,
                rssi_dbm=real,
                frequency_khz=whole,
                phase_deg=real,
            )
        time_us, antenna, item, rssi, channel, x, y = (np.concatenate(part) for part in zip(*parts, strict=True))
        order = np.lexsort((item, antenna, time_us))
        frequency = np.array(CHANNELS_KHZ)[channel]
        phase = self._phase_deg(antenna, item, x, y, frequency)
        return AirReads(
            time_us=time_us[order],
            reader=self.reader_of[antenna[order]],
            antenna=antenna[order],
            item=item[order],
            rssi_dbm=rssi[order],
            frequency_khz=frequency[order],
            phase_deg=phase[order],
        )

    def _phase_deg(
        self,
        antenna: npt.NDArray[np.int64],
        item: npt.NDArray[np.int64],
        x: npt.NDArray[np.float64],
        y: npt.NDArray[np.float64],
        frequency_khz: npt.NDArray[np.int64],
    ) -> npt.NDArray[np.float64]:
        """Return the phase of a signal that goes there and back, with the tag's own turn and noise."""
        place = self.field.places[antenna]
        distance = np.sqrt((place[:, 0] - x) ** 2 + (place[:, 1] - y) ** 2 + (place[:, 2] - 1.0) ** 2)
        turns = 2.0 * distance * frequency_khz * 1e3 / 299_792_458.0
        noise = 4.0 * self._rng.standard_normal(len(antenna))
        return np.asarray((-360.0 * turns + self._tag_phase[item] + noise) % 360.0)


def rician_db(rng: np.random.Generator, k_db: float, count: int) -> npt.NDArray[np.float64]:
    """Draw Rician fading in dB, mean power one.

    Args:
        rng: Random stream.
        k_db: Power of the direct path over that of the scattered ones, dB.
        count: How many.
    """
    k = 10.0 ** (k_db / 10.0)
    scattered = rng.standard_normal((2, count)) * math.sqrt(0.5 / (k + 1.0))
    power = (math.sqrt(k / (k + 1.0)) + scattered[0]) ** 2 + scattered[1] ** 2
    return np.asarray(10.0 * np.log10(np.maximum(power, 1e-6)))


def _first_of_each(column: npt.NDArray[np.int64], count: int) -> npt.NDArray[np.int64]:
    """Return the places of each value's first occurrence, in order."""
    places = np.arange(len(column))
    first = np.empty(count, dtype=np.int64)
    first[column[::-1]] = places[::-1]
    return np.flatnonzero(first[column] == places)
