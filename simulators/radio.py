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
_MATERIAL_LOSS_DB = {Material.TEXTILE: 0.0, Material.LEATHER: 1.0, Material.METAL: 5.0, Material.LIQUID: 4.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class RadioLaw:
    """Parameters of tags and readers."""

    tx_power_dbm: float = 30.0
    """Conducted power of every antenna."""
    tag_gain_dbi: float = 2.0
    """Peak gain of a tag's dipole."""
    sensitivity_dbm: float = -18.0
    """Mean power that wakes a tag on textile."""
    sensitivity_spread_db: float = 1.3
    """Standard deviation of sensitivity from tag to tag."""
    link_spread_db: float = 2.0
    """Standard deviation of what a tag's immediate surroundings do to one antenna's signal, one way; drawn anew
    whenever the tag is moved."""
    orientation_floor_db: float = 12.0
    """How deep the null of a tag's dipole is at most."""
    body_loss_db: float = 3.0
    """Mean one-way loss to a carried tag, by the body beside it; its spread is the same."""
    rest_k_db: float = 9.0
    """Rician K factor of fading from read to read of a tag at rest."""
    moving_k_db: float = 3.0
    """Rician K factor for a carried tag."""
    wake_width_db: float = 0.6
    """Width of the logistic law of answering over power above sensitivity."""
    modulation_loss_db: float = 5.0
    """What backscatter loses in the tag."""
    rssi_noise_db: float = 0.5
    """Standard deviation of the reader's measurement."""
    receiver_sensitivity_dbm: float = -84.0
    """Weaker answers are not heard."""
    dwell_s: float = 0.5
    """How long a reader stays on one antenna."""
    reads_per_second: float = 250.0
    """Singulations per second that a reader manages, slotted ALOHA overhead included."""
    sessions: int = 2
    """Gen2 sessions in use; neighbouring readers take different ones."""
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
        self._margin = np.full((len(self.reader_of), count), -99.0, dtype=np.float32)
        self._moving = np.zeros(count, dtype=np.int64)
        self._quiet_until = np.full((law.sessions, count), _NEVER)
        self._persistence_us = np.zeros(count)
        self.set_persistence(60.0)

    def _schedule(self, plan: StorePlan) -> None:
        """Write down which antenna each reader drives in each dwell, until the pattern repeats."""
        antennas = [np.flatnonzero(self.reader_of == number) for number in range(len(plan.site.readers))]
        self._cycle = math.lcm(*(len(ports) for ports in antennas))
        self._active = np.array(
            [
                [ports[(dwell + number) % len(ports)] for number, ports in enumerate(antennas)]
                for dwell in range(self._cycle)
            ]
        )
        self._session_readers = [
            np.flatnonzero(np.array(self.session_of_reader) == session) for session in range(self.law.sessions)
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
        self._margin[:, items] = (
            self.law.tx_power_dbm + self.field.gain_db[:, cells] + self._own_db[:, items] - self._sensitivity[items]
        )

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

    def read_probability(self, items: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Return the probability that a dwell of each antenna reads each tag, antennas by items, without rivals."""
        draws = np.sort(self._fading[:_TABLE].astype(np.float64) + self._wake)
        above = np.searchsorted(draws, -self._margin[:, items].astype(np.float64), side="right")
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
            own = np.flatnonzero(np.array(self.session_of_reader)[self.reader_of] == session)
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

    def dwell(self, number: int, start_us: int) -> None:
        """Let every reader drive its next antenna for one dwell, and collect what is read."""
        active = self._active[number % self._cycle]
        for session, readers in enumerate(self._session_readers):
            items = np.flatnonzero(self._quiet_until[session] <= start_us)
            if items.size and readers.size:
                self._inventory(session, readers, active[readers], items, start_us)

    def _inventory(
        self,
        session: int,
        readers: npt.NDArray[np.int64],
        antennas: npt.NDArray[np.int64],
        items: npt.NDArray[np.int64],
        start_us: int,
    ) -> None:
        rng = self._rng
        margin = self._margin[antennas[:, None], items]
        luck = rng.integers(0, 2**32, size=margin.shape, dtype=np.uint32)
        margin += self._fading[(luck & 0xFFFF) + self._moving[items] * _TABLE]
        row, column = np.nonzero(margin + self._wake[luck >> 16] > 0.0)
        if not row.size:
            return
        when = rng.random(row.size)
        order = np.argsort(when, kind="stable")
        order = order[self._within_capacity(row[order], len(readers))]
        order = order[_first_of_each(column[order], items.size)]
        row, column, when = row[order], column[order], when[order]
        chosen = items[column]
        rssi = (
            2.0 * (margin[row, column] + self._sensitivity[chosen])
            - self.law.tx_power_dbm
            - self.law.modulation_loss_db
            + self.law.rssi_noise_db * rng.standard_normal(row.size)
        )
        heard = rssi >= self.law.receiver_sensitivity_dbm
        if not heard.all():
            row, chosen, when, rssi = row[heard], chosen[heard], when[heard], rssi[heard]
        time_us = start_us + (when * self._dwell_us).astype(np.int64)
        channel = rng.integers(len(CHANNELS_KHZ), size=len(readers))[row]
        self._quiet_until[session, chosen] = time_us + self._quiet_us(chosen)
        self._collected.append(
            (time_us, readers[row], antennas[row], chosen, rssi, channel, self._x[chosen], self._y[chosen])
        )

    def _quiet_us(self, items: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        rest = self._persistence_us[items]
        moving = np.minimum(rest, self.law.persistence_moving_s * 1e6)
        drawn = np.where(self._moving[items] > 0, moving, rest) * self._rng.uniform(0.85, 1.15, len(items))
        return drawn.astype(np.int64)

    def _within_capacity(self, row: npt.NDArray[np.int64], readers: int) -> npt.NDArray[np.int64]:
        """Return which answers, in order of time, find a slot before the dwell ends."""
        if len(row) <= self._capacity:
            return np.arange(len(row))
        kept = [np.flatnonzero(row == reader)[: self._capacity] for reader in range(readers)]
        found = np.sort(np.concatenate(kept))
        self.reads_dropped += len(row) - len(found)
        return found

    def collect(self) -> AirReads:
        """Return the reads since the last call, in order of time."""
        parts, self._collected = self._collected, []
        if not parts:
            empty = np.empty(0, dtype=np.int64)
            nothing = np.empty(0)
            return AirReads(
                time_us=empty,
                reader=empty,
                antenna=empty,
                item=empty,
                rssi_dbm=nothing,
                frequency_khz=empty,
                phase_deg=nothing,
            )
        time_us, reader, antenna, item, rssi, channel, x, y = (
            np.concatenate(part) for part in zip(*parts, strict=True)
        )
        order = np.lexsort((item, antenna, time_us))
        frequency = np.array(CHANNELS_KHZ)[channel]
        phase = self._phase_deg(antenna, item, x, y, frequency)
        return AirReads(
            time_us=time_us[order],
            reader=reader[order],
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
