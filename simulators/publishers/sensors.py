"""Shelf scales and environment sensors: true values with noise, drift and hands in, payloads out."""

import math

import numpy as np
import numpy.typing as npt

from devices.site.model import Sensor, Shelf
from simulators.publishers.sent import Sent, microsecond_text
from simulators.world import SECOND_US, World

SCALE_NOISE_GRAMS = 2.5
"""Standard deviation of one weighing."""
SCALE_DRIFT_GRAMS = 6.0
"""Standard deviation to which a scale's zero wanders over hours."""
SCALE_CHANGE_GRAMS = 15.0
"""A change of more than this is published at once."""
SCALE_IDLE_US = 30 * SECOND_US
"""Longest silence of a scale."""
SENSOR_INTERVAL_US = 60 * SECOND_US
"""How often environment sensors publish."""

_DRIFT_TIME_US = 3 * 3600.0 * SECOND_US  # the zero forgets where it was over three hours


class Scales:
    """All shelf scales of a store, weighed every second or two."""

    def __init__(self, shelves: tuple[Shelf, ...], rng: np.random.Generator) -> None:
        self._numbers = [number for number, shelf in enumerate(shelves) if shelf.mqtt_topic is not None]
        self._place_of = {number: place for place, number in enumerate(self._numbers)}
        self._shelves = [shelves[number] for number in self._numbers]
        self._rng = rng
        count = len(self._numbers)
        self._tare = rng.normal(0.0, SCALE_DRIFT_GRAMS, count)
        self._weighed_us = 0
        self._last = np.full(count, np.inf)
        self._last_us = np.zeros(count, dtype=np.int64)
        self._lag_us = rng.integers(5_000, 200_000, count)

    def weigh(self, world: World, at_us: int) -> list[Sent]:
        """Weigh every shelf and return what its scale publishes: changes at once, otherwise now and then."""
        if not self._numbers:
            return []
        grams = self._reading(world, at_us)
        due = (np.abs(grams - self._last) > SCALE_CHANGE_GRAMS) | (at_us - self._last_us >= SCALE_IDLE_US)
        sent = []
        for place in np.flatnonzero(due).tolist():
            value = float(grams[place])
            self._last[place], self._last_us[place] = value, at_us
            topic = self._shelves[place].mqtt_topic
            assert topic is not None
            sent_us = at_us + int(self._lag_us[place])
            sent.append(Sent(sent_us, topic, _scale_payload(self._shelves[place].profile, value, sent_us)))
        return sent

    def _reading(self, world: World, at_us: int) -> npt.NDArray[np.float64]:
        rng, count = self._rng, len(self._numbers)
        steps = min(max(0.0, at_us - self._weighed_us), SCALE_IDLE_US) / _DRIFT_TIME_US
        self._weighed_us = at_us
        drift, noise = rng.standard_normal((2, count))
        self._tare += -steps * self._tare + SCALE_DRIFT_GRAMS * math.sqrt(2.0 * steps) * drift
        grams = np.array([world.shelf_grams[number] for number in self._numbers])
        grams += self._tare + SCALE_NOISE_GRAMS * noise
        for number, (until_us, hand_grams) in world.hands.items():
            if at_us < until_us and number in self._place_of:
                grams[self._place_of[number]] += hand_grams * float(rng.uniform(0.5, 1.2))
        world.hands = {number: hand for number, hand in world.hands.items() if hand[0] > at_us}
        return np.asarray(np.rint(grams))


def _scale_payload(profile: str | None, grams: float, at_us: int) -> bytes:
    if profile == "weight":
        return f"{grams / 1000.0:.3f}".encode()
    return _measurement("mass", f"{grams / 1000.0:.3f}", at_us)


def _measurement(quantity: str, value: str, at_us: int) -> bytes:
    return (
        f'{{"type":"measurement","quantity":"{quantity}","value":{value},"time":"{microsecond_text(at_us)}"}}'.encode()
    )


class Climate:
    """Temperature and light sensors."""

    def __init__(self, sensors: tuple[Sensor, ...], start_us: int, rng: np.random.Generator) -> None:
        self._sensors = sensors
        self._rng = rng
        self._start_us = start_us
        self._next_us = start_us

    def measure(self, at_us: int) -> list[Sent]:
        """Return what the sensors publish if a measurement is due."""
        if at_us < self._next_us:
            return []
        self._next_us += SENSOR_INTERVAL_US
        hours = (at_us - self._start_us) / 3.6e9
        celsius = 20.5 + 1.8 * math.sin(hours / 10.0 * math.pi) + 0.08 * float(self._rng.standard_normal())
        lux = 520.0 + 160.0 * math.sin(hours / 10.0 * math.pi) + 6.0 * float(self._rng.standard_normal())
        payloads = (
            _measurement("temperature", f"{celsius:.2f}", at_us),
            _measurement("illuminance", f"{lux:.0f}", at_us),
        )
        return [
            Sent(at_us + 40_000 + 1_000 * place, sensor.mqtt_topic, payloads[place % 2])
            for place, sensor in enumerate(self._sensors)
        ]
