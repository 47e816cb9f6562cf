"""What can be asked of a simulated day, and the named scenarios."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from devices.errors import UsageError
from simulators.cartons import PackingHabits
from simulators.faults import Fault
from simulators.propagation import PropagationLaw
from simulators.radio_law import RadioLaw
from simulators.shape import PlanShape
from simulators.shoppers import ShopperHabits
from simulators.staff import StaffHabits

SLICE_US = 10_000_000
"""Virtual time that is worked on at once, microseconds: a day is streamed in slices of this length."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DayConfig:
    """A day to simulate. The same configuration gives the same publications, byte for byte."""

    scenario: str = "demo"
    """Name, for people."""
    seed: int = 1
    """Seed of every random draw."""
    site_id: str = "store-demo"
    """Identifier of the site."""
    name: str = "Demo store"
    """Name of the site."""
    timezone: str = "Europe/Berlin"
    """IANA time zone of the site."""
    start: datetime = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
    """When the day starts."""
    hours: float = 10.0
    """How long it lasts."""
    items: int = 1500
    """Units in the store at opening."""
    zones: int = 13
    """Touching zones."""
    width_m: float = 30.0
    """Metres from wall to wall."""
    depth_m: float = 20.0
    """Metres from the exit to the back wall."""
    antennas: int = 24
    """Ceiling antennas, four to a reader."""
    mean_read_interval_s: float = 45.0
    """Mean seconds between two reads of one tag at rest, by any antenna."""
    deliveries: int = 3
    """Deliveries of the day."""
    delivered_share: float = 0.16
    """Units of all deliveries together, as a share of `items`."""
    transfers: int = 1
    """Transfers of an armful to another store."""
    handheld_passes: int = 0
    """Counting passes with a handheld reader: half an hour apart, from the middle of the day on."""
    neighbour_items: int = 0
    """Units of a neighbouring shop, which are never on site; `shape` says how deep that shop is."""
    dead_tag_share: float = 0.008
    """Share of tagged goods whose tag is dead or torn off."""
    shape: PlanShape = field(default_factory=PlanShape)
    """What is unusual about the store."""
    shoppers: ShopperHabits = field(default_factory=ShopperHabits)
    """How shoppers behave."""
    staff: StaffHabits = field(default_factory=StaffHabits)
    """How staff work."""
    packing: PackingHabits = field(default_factory=PackingHabits)
    """How deliveries are packed."""
    radio: RadioLaw = field(default_factory=RadioLaw)
    """Laws of tags and readers."""
    propagation: PropagationLaw = field(default_factory=PropagationLaw)
    """Laws of propagation."""
    faults: tuple[Fault, ...] = ()
    """Faults that are switched on."""

    def __post_init__(self) -> None:
        if self.start.tzinfo is None:
            raise UsageError("the start of a day needs a time zone", hint="write 2026-03-02T08:00:00Z")
        if self.hours <= 0 or self.items < 1:
            raise UsageError("a day needs some hours and some items")
        if self.neighbour_items and self.shape.neighbour_m <= 0.3:
            raise UsageError("a neighbour's goods need a neighbouring shop", hint="set shape.neighbour_m")
        dwell_us, window_us = round(self.radio.dwell_s * 1e6), round(self.radio.window_s * 1e6)
        if dwell_us <= 0 or window_us % dwell_us or SLICE_US % window_us:
            raise UsageError("a window must hold whole dwells, and ten seconds whole windows")

    @property
    def start_us(self) -> int:
        """Start in microseconds since the epoch."""
        return round(self.start.timestamp()) * 1_000_000

    @property
    def end_us(self) -> int:
        """End in microseconds since the epoch: whole slices of ten seconds after the start."""
        return self.start_us + max(1, round(self.hours * 3.6e9 / SLICE_US)) * SLICE_US


_EVALUATION = DayConfig(
    hours=1.0,
    items=800,
    deliveries=1,
    transfers=0,
    shoppers=ShopperHabits(per_hour=60.0),
    radio=RadioLaw(dwell_s=0.25, reads_per_second=400.0, sessions=4),
)

PRESETS: Mapping[str, DayConfig] = {
    "demo": DayConfig(radio=RadioLaw(window_s=2.0)),
    "counting": DayConfig(
        scenario="counting",
        site_id="store-counting",
        name="Store that counts",
        hours=2.75,
        handheld_passes=3,
        radio=RadioLaw(window_s=2.0),
    ),
    "store-24": dataclasses.replace(
        _EVALUATION, scenario="store-24", site_id="store-24", antennas=24, mean_read_interval_s=4.0
    ),
    "store-48": dataclasses.replace(
        _EVALUATION, scenario="store-48", site_id="store-48", antennas=48, mean_read_interval_s=2.0
    ),
    "cartons": dataclasses.replace(
        _EVALUATION,
        scenario="cartons",
        site_id="store-cartons",
        antennas=24,
        mean_read_interval_s=4.0,
        deliveries=3,
        delivered_share=0.45,
        packing=PackingHabits(carton_units=12),
    ),
    "tiny": DayConfig(
        scenario="tiny",
        site_id="store-tiny",
        name="Tiny store",
        hours=1 / 6,
        items=60,
        zones=10,
        width_m=18.0,
        depth_m=15.0,
        antennas=12,
        mean_read_interval_s=8.0,
        deliveries=1,
        transfers=0,
        shoppers=ShopperHabits(per_hour=150.0, shelves_mean=3.0, returns_per_hour=12.0),
    ),
}
"""Named scenarios."""


def preset(name: str, **changes: Any) -> DayConfig:
    """Return a named scenario with some settings changed.

    Raises:
        UsageError: There is no such scenario or setting.
    """
    if name not in PRESETS:
        raise UsageError(f'unknown scenario "{name}"', hint=f"use one of {', '.join(PRESETS)}")
    known = {entry.name for entry in dataclasses.fields(DayConfig)}
    for key in changes:
        if key not in known:
            raise UsageError(f'a day has no setting "{key}"', hint=f"it has {', '.join(sorted(known))}")
    return dataclasses.replace(PRESETS[name], **changes)
