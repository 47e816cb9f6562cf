"""A handheld reader: somebody walks past every shelf and rack with it, and it hears most of what hangs there.

Where the person stands, a tag at a distance of d metres is read once a second with the probability

    1 / (1 + exp(-(LEVEL + ease - FALL_PER_M * d)))

with `ease` normal for each tag (`EASE_SPREAD`: how it hangs), drawn once, so that a second pass finds the same tags
hard to read. RSSI falls with 20 log10(d). Dead tags are never read. The reader speaks our own dialect and gives no
antenna.
"""

import json
import math

import numpy as np

from devices.site.model import Reader, ZoneKind
from simulators.goods import Goods
from simulators.publishers.sent import Sent, microsecond_text
from simulators.world import SECOND_US, Agent, Process, World

HANDHELD = Reader(id="hand", profile="tagtide", mqtt_topic="tagtide/hand/reads", mobile=True, model="handheld")
"""The reader, as the site file names it."""
LEVEL = 1.5
"""Log odds of a read in a second, of a tag of middling ease right before the reader."""
EASE_SPREAD = 1.2
"""Standard deviation of log odds from tag to tag."""
FALL_PER_M = 1.6
"""Log odds lost with each metre."""
REACH_M = 4.0
"""Tags beyond this are not read."""
STOP_S = 6
"""Seconds before each shelf and each rack."""


class Handheld:
    """Hears tags around a person who walks, and publishes a batch a second."""

    def __init__(self, goods: Goods, rng: np.random.Generator) -> None:
        self._goods = goods
        self._rng = rng
        self._ease = EASE_SPREAD * rng.standard_normal(goods.count)
        self._sent: list[Sent] = []
        self._sequence = 0

    def listen(self, world: World, at: tuple[float, float]) -> None:
        """Read for a second what rests around a place."""
        near = [item for item, place in world.resting.items() if math.dist(place, at) < REACH_M]
        items = np.array(sorted(item for item in near if self._goods.readable[item]), dtype=np.int64)
        if not len(items):
            return
        distance = np.array([math.dist(world.resting[item], at) for item in items.tolist()])
        odds = LEVEL + self._ease[items] - FALL_PER_M * distance
        heard = self._rng.random(len(items)) < 1.0 / (1.0 + np.exp(-odds))
        rssi = -44.0 - 20.0 * np.log10(np.maximum(distance, 0.3)) + self._rng.normal(0.0, 4.0, len(items))
        reads = []
        for item, level in zip(items[heard].tolist(), rssi[heard].tolist(), strict=True):
            self._sequence += 1
            time_us = world.now_us + int(self._rng.integers(SECOND_US))
            reads.append(
                {
                    "epc": self._goods.epc_hex[item],
                    "time_us": time_us,
                    "rssi_dbm": round(level, 1),
                    "seq": self._sequence,
                }
            )
        if reads:
            sent_us = world.now_us + SECOND_US
            said = {"type": "reads", "time": microsecond_text(sent_us), "reads": reads}
            payload = json.dumps(said, separators=(",", ":")).encode()
            self._sent.append(Sent(sent_us, HANDHELD.mqtt_topic or "", payload))

    def drain(self) -> list[Sent]:
        """Return what was published since the last call."""
        sent, self._sent = self._sent, []
        return sent


def count_with_handheld(world: World, handheld: Handheld) -> Process:
    """Walk past every rack and every shelf once."""
    room = world.zone_kind(ZoneKind.BACK_ROOM)
    agent = Agent(room, world.plan.layout.rectangles[room].spot(world.rng))
    stops = [(room, world.rack_place(product)) for product in range(len(world.plan.products))]
    shelves = sorted(range(len(world.plan.shelf_products)), key=lambda shelf: (world.plan.shelf_zones[shelf], shelf))
    stops += [(world.plan.shelf_zones[shelf], world.shelf_place(shelf)) for shelf in shelves]
    for zone, place in stops:
        yield from world.walk(agent, zone, place)
        for _ in range(STOP_S):
            handheld.listen(world, place)
            yield world.after(1.0)
