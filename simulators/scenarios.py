"""Named scenarios with truth, in two disjoint sets: those that estimators are tuned on and those they are judged on.

Seeds 101 to 119 are for tuning, 201 to 219 for judging, and no scenario of one set has the configuration of the
other's. Stores and hard cases are in both sets, with other seeds, people, goods, shadows and faults. Physics that a
model does not assume differs in kind: who tunes on one family of fading is judged on others.
"""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from devices.errors import UsageError
from simulators.catalogue import Material
from simulators.config import PRESETS, DayConfig
from simulators.fading import FadingLaw
from simulators.faults import ClockSkew, DarkReader, Duplicate, Fault, LateReplay
from simulators.propagation import AntennaPattern
from simulators.shape import AntennaPlan


class ScenarioSet(StrEnum):
    """What a scenario may be used for."""

    TUNING = "tuning"
    """To develop and tune estimators on."""
    JUDGING = "judging"
    """To measure them, and for nothing else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A day with a purpose."""

    name: str
    """Name, unique within its set."""
    set: ScenarioSet
    """What it may be used for."""
    about: str
    """What it tries."""
    config: DayConfig
    """The day."""

    @property
    def label(self) -> str:
        """Name with its set: `judging/store-24`."""
        return f"{self.set}/{self.name}"


_Changes = Mapping[str, Any]


def _store(preset: str, hours: float = 0.5, **changes: Any) -> DayConfig:
    """Return an evaluation store; `radio`, `propagation`, `shoppers`, `staff` and `shape` name what changes in them."""
    base = PRESETS[preset]
    parts = {
        part: dataclasses.replace(getattr(base, part), **changes.pop(part))
        for part in ("radio", "propagation", "shoppers", "staff", "shape")
        if part in changes
    }
    return dataclasses.replace(base, hours=hours, **parts, **changes)


# As hard as stores that others have measured the baselines on: antennas reach less far, so that fewer hear an item
# and a single read says less; what surrounds a tag matters more; people stop for a shorter time.
_HARD_24: dict[str, Any] = {"radio": {"sensitivity_dbm": -12.0, "link_spread_db": 3.5}}
_HARD_48: dict[str, Any] = {
    "radio": {"sensitivity_dbm": -12.0, "link_spread_db": 4.0, "backscatter_spread_db": 9.0},
    "propagation": {"shadow_db": 4.0},
}
_BUSY = {"per_hour": 120.0, "browse_s": 12.0}


def _faults_of(set_: ScenarioSet) -> dict[str, tuple[Fault, ...]]:
    """Return the faults of the scenarios about faults: other readers at other times in each set."""
    if set_ is ScenarioSet.TUNING:
        return {
            "dark-reader": (DarkReader(reader="r3", from_s=500, until_s=1000),),
            "skewed-reader": (ClockSkew(reader="r2", seconds=3.0),),
            "replayed-reads": (
                LateReplay(reader="r4", from_s=400, until_s=700),
                Duplicate(share=0.02, delay_s=5.0),
            ),
        }
    return {
        "dark-reader": (
            DarkReader(reader="r4", from_s=300, until_s=900),
            DarkReader(reader="r2", from_s=1000, until_s=1200),
        ),
        "skewed-reader": (ClockSkew(reader="r4", seconds=-3.0), ClockSkew(reader="r1", seconds=3.0, from_s=600)),
        "replayed-reads": (
            LateReplay(reader="r3", from_s=600, until_s=1000),
            Duplicate(share=0.05, delay_s=3.0),
        ),
    }


_ABOUT_FAULTS = {
    "dark-reader": "a reader of which nothing arrives for minutes",
    "skewed-reader": "a reader whose clock is 3 s off",
    "replayed-reads": "a reader that sends minutes of kept reads late, and publications that arrive twice",
}


def _everywhere(set_: ScenarioSet) -> dict[str, tuple[str, DayConfig]]:
    """Return what is in both sets: description and configuration without a seed, by name."""
    metal = (Material.METAL, Material.LIQUID, Material.TEXTILE)
    cases = {
        "store-24": ("24 antennas, each item read once in 4 s", _store("store-24")),
        "store-48": ("48 antennas, each item read once in 2 s", _store("store-48")),
        "store-1s": ("48 antennas, each item read about once a second", _store("store-48", mean_read_interval_s=1.0)),
        "hard-24": ("24 antennas of short reach, short stops", _store("store-24", shoppers=_BUSY, **_HARD_24)),
        "hard-48": ("48 antennas, strong shadowing, short stops", _store("store-48", shoppers=_BUSY, **_HARD_48)),
        "sparse": ("the demo's store: each item read once in 45 s", _store("demo", hours=1.0)),
        "twins": (
            "antennas in pairs either side of zone borders, shelves between them: equally strong",
            _store("store-24", shape={"antennas": AntennaPlan.BORDERS, "border_shelves": True}),
        ),
        "border": (
            "every shelf a quarter of a metre from a border",
            _store("store-24", shape={"border_shelves": True}),
        ),
        "dense-wall": (
            "5,000 tags, most of them on one wall and in one room, starving each other's reads",
            _store("store-24", 0.25, items=5000, delivered_share=0.02, shape={"wall_share": 0.6}),
        ),
        "metal-liquid": (
            "two goods in three on metal or liquid",
            _store(
                "store-24",
                shape={"materials": metal},
                radio={"metal_loss_db": 7.0, "liquid_loss_db": 6.0, "link_spread_db": 4.0},
            ),
        ),
        "armful": (
            "shoppers who carry ten items",
            _store("store-24", shoppers={"armful_share": 0.6, "per_hour": 30.0, "second_unit_share": 0.0}),
        ),
        "trolley": (
            "trolleys of thirty items from shelf to shelf",
            _store("store-24", staff={"trolleys": 2}, radio={"body_loss_db": 4.0}),
        ),
        "neighbour": (
            "a neighbouring shop behind a thin wall, whose 200 items are read here",
            _store("store-24", neighbour_items=200, shape={"neighbour_m": 2.5}),
        ),
    }
    faulty = {
        name: (_ABOUT_FAULTS[name], _store("store-24", faults=faults)) for name, faults in _faults_of(set_).items()
    }
    return cases | faulty


def _tuning_physics() -> dict[str, tuple[str, DayConfig]]:
    return {
        "exponent-2.6": ("path loss exponent 2.6", _store("store-24", propagation={"exponent": 2.6})),
        "log-normal": ("log-normal fading", _store("store-24", radio={"fading": FadingLaw.LOG_NORMAL})),
        "patch": ("patch antennas", _store("store-24", propagation={"pattern": AntennaPattern.PATCH})),
        "gen2-s1": (
            "session 1: one session, tags forget within seconds whatever power they get",
            _store("store-24", radio={"sessions": 1, "persistence_spread": 0.4, "persistence_moving_s": 2.0}),
        ),
    }


def _judging_physics() -> dict[str, tuple[str, DayConfig]]:
    return {
        "exponent-1.8": ("path loss exponent 1.8", _store("store-24", propagation={"exponent": 1.8})),
        "exponent-3.0": ("path loss exponent 3.0", _store("store-24", propagation={"exponent": 3.0})),
        "rayleigh": ("Rayleigh fading", _store("store-24", radio={"fading": FadingLaw.RAYLEIGH})),
        "nakagami": ("Nakagami fading", _store("store-24", radio={"fading": FadingLaw.NAKAGAMI})),
        "omni": ("omnidirectional antennas", _store("store-24", propagation={"pattern": AntennaPattern.OMNI})),
        "steered": ("beam-steered arrays, one a reader", _store("store-24", shape={"antennas": AntennaPlan.STEERED})),
        "weak-readers": ("27 dBm, where the site file says 30", _store("store-24", radio={"tx_power_dbm": 27.0})),
        "gen2-s2": (
            "session 2: a tag at rest keeps quiet for minutes, a carried one forgets",
            _store(
                "store-24",
                mean_read_interval_s=90.0,
                radio={"sessions": 1, "persistence_spread": 0.4, "persistence_moving_s": 3.0},
            ),
        ),
        "multiplexed": (
            "readers that stay on each antenna for two seconds",
            _store("store-24", radio={"dwell_s": 2.0, "window_s": 2.0, "sessions": 2}),
        ),
    }


_SETS: dict[ScenarioSet, tuple[int, Callable[[], dict[str, tuple[str, DayConfig]]]]] = {
    ScenarioSet.TUNING: (100, _tuning_physics),
    ScenarioSet.JUDGING: (200, _judging_physics),
}
_STORES = ("store-24", "store-48", "store-1s")


def _build(set_: ScenarioSet) -> dict[str, Scenario]:
    """Seed scenarios: 1 to 3 for the plain stores, 10 to 19 in turn for the others, above the set's hundred."""
    hundred, physics = _SETS[set_]
    found = {}
    for number, (name, (about, config)) in enumerate((_everywhere(set_) | physics()).items()):
        seed = hundred + (1 + _STORES.index(name) if name in _STORES else 10 + (number - len(_STORES)) % 10)
        # Twenty minutes are enough to judge by, where reads are not rare.
        hours = min(config.hours, 1 / 3) if set_ is ScenarioSet.JUDGING and name != "sparse" else config.hours
        day = dataclasses.replace(config, scenario=name, seed=seed, hours=hours)
        found[name] = Scenario(name=name, set=set_, about=about, config=day)
    return found


SCENARIOS: Mapping[ScenarioSet, Mapping[str, Scenario]] = {set_: _build(set_) for set_ in ScenarioSet}
"""Every scenario, by set and name."""


def scenario_config(name: str, **changes: Any) -> DayConfig:
    """Return the day of a preset, or of a scenario by its label such as `tuning/hard-24`, with some settings changed.

    Raises:
        UsageError: There is no such scenario.
    """
    set_name, _, own_name = name.rpartition("/")
    if not set_name and name in PRESETS:
        return dataclasses.replace(PRESETS[name], **changes)
    labels = {scenario.label: scenario for by_name in SCENARIOS.values() for scenario in by_name.values()}
    if name not in labels:
        close = [label for label in labels if own_name and label.endswith(f"/{own_name}")]
        known = close or [*PRESETS, *labels]
        raise UsageError(f'unknown scenario "{name}"', hint=f"use one of {', '.join(known)}")
    return dataclasses.replace(labels[name].config, **changes)
