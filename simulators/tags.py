"""Every tag of a simulated day as readers see it: where it is, how well antennas reach it, whether it is quiet."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from simulators.catalogue import Material, Product
from simulators.goods import Goods
from simulators.propagation import TAG_HEIGHT_M, PropagationField
from simulators.radio_law import RadioLaw
from simulators.wiring import Wiring

NEVER = np.iinfo(np.int64).max
"""Quiet for ever: a tag that is dead, or not on site."""
REACH_DB = 9.0
"""A tag this far below its sensitivity answers in less than one of 10,000 dwells: it is not asked."""

_NO_LINK_DB = -99.0


class Tags:
    """The state of all tags, column by column."""

    def __init__(
        self,
        *,
        products: Sequence[Product],
        goods: Goods,
        law: RadioLaw,
        field: PropagationField,
        wiring: Wiring,
        rng: np.random.Generator,
    ) -> None:
        count = goods.count
        self.count = count
        """Number of items, tagged or not."""
        self.x = np.zeros(count)
        """Metres."""
        self.y = np.zeros(count)
        """Metres."""
        self.moving = np.zeros(count, dtype=np.int64)
        """1 for a tag in somebody's hands."""
        self.readable = goods.readable
        """Whether there is a tag and it works."""
        self.sensitivity_dbm = law.sensitivity_dbm + law.sensitivity_spread_db * rng.standard_normal(count)
        """Power that wakes each tag."""
        self.patience = np.exp(law.persistence_spread * rng.standard_normal(count))
        """Persistence of each tag, relative to the mean."""
        self.phase_deg = rng.uniform(0.0, 360.0, count)
        """What each tag adds to the phase of its answer."""
        self.quiet_until = np.full((wiring.sessions, count), NEVER)
        """Until when each tag keeps quiet, by session and item, microseconds."""
        self.margin_db = np.full((wiring.sessions, count, wiring.columns), _NO_LINK_DB, dtype=np.float32)
        """Mean power above sensitivity, by session, item and column."""
        self.reflection_db = np.zeros((wiring.sessions, count, wiring.columns), dtype=np.float32)
        """What is special about each tag's reflection towards each antenna."""
        self.in_reach = np.zeros((wiring.sessions, count), dtype=np.bool_)
        """Whether any antenna of a session reaches each tag at all."""
        material_db = np.array([law.material_loss_db(product.material) for product in products])[goods.product]
        material_db[goods.product == goods.NO_PRODUCT] = law.material_loss_db(Material.TEXTILE)  # a label on cardboard
        self._tag_db = law.tag_gain_dbi - material_db
        self._own_db = np.zeros((count, wiring.antennas), dtype=np.float32)
        self._law, self._field, self._wiring, self._rng = law, field, wiring, rng

    def place(self, items: Sequence[int], x: Sequence[float], y: Sequence[float], *, carried: Sequence[bool]) -> None:
        """Put tags somewhere, in a new posture: orientation and immediate surroundings are drawn anew.

        Args:
            items: Item numbers.
            x: Metres.
            y: Metres.
            carried: Whether each is in somebody's hands.
        """
        if not items:
            return
        chosen = np.asarray(items)
        law, rng, shape = self._law, self._rng, (len(chosen), self._wiring.antennas)
        held = np.asarray(carried, dtype=np.int64)
        self.moving[chosen], self.x[chosen], self.y[chosen] = held, x, y
        own, body, reflection = rng.standard_normal((3, *shape))
        own *= law.link_spread_db
        own += self._orientation_db(chosen) + self._tag_db[chosen, None]
        own -= held[:, None] * np.maximum(0.0, law.body_loss_db * (1.0 + body))
        self._own_db[chosen] = own
        reflection *= law.backscatter_spread_db
        self.reflection_db[:, chosen] = self._wiring.by_link(reflection.astype(np.float32), missing=0.0)
        arriving = chosen[self.readable[chosen] & (self.quiet_until[0, chosen] == NEVER)]
        self.quiet_until[:, arriving] = 0
        self._reach(chosen)

    def move(self, items: Sequence[int], x: Sequence[float], y: Sequence[float]) -> None:
        """Move tags without changing their posture."""
        if not items:
            return
        chosen = np.asarray(items)
        self.x[chosen], self.y[chosen] = x, y
        self._reach(chosen)

    def remove(self, items: Sequence[int]) -> None:
        """Take tags off site."""
        self.quiet_until[:, np.asarray(items, dtype=np.int64)] = NEVER

    def _reach(self, items: npt.NDArray[np.int64]) -> None:
        """Work out how well antennas reach tags where they are now."""
        margin = self._field.gain_db[self._field.cell(self.x[items], self.y[items])] + self._own_db[items]
        margin += (self._law.tx_power_dbm - self.sensitivity_dbm[items]).astype(np.float32)[:, None]
        links = self._wiring.by_link(margin, missing=_NO_LINK_DB)
        self.margin_db[:, items] = links
        self.in_reach[:, items] = links.max(axis=2) > -REACH_DB

    def _orientation_db(self, items: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Turn each tag's dipole somewhere and return what each antenna loses by it, items by antennas."""
        axis = self._rng.standard_normal((len(items), 3))
        axis /= np.sqrt((axis * axis).sum(axis=1, keepdims=True))
        places = np.column_stack([self.x[items], self.y[items], np.full(len(items), TAG_HEIGHT_M)])
        ray = self._field.places - places[:, None, :]
        along = np.einsum("iad,id->ia", ray, axis)
        sine_squared = 1.0 - along * along / np.einsum("iad,iad->ia", ray, ray)
        floor = 10.0 ** (-self._law.orientation_floor_db / 10.0)
        return np.asarray(10.0 * np.log10(np.maximum(sine_squared, floor)))
