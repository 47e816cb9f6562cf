"""Running the ideal observer over the reads of a simulated day."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from simulators.config import DayConfig
from simulators.day import StoreDay
from simulators.observer import laws
from simulators.observer.cells import OUTSIDE, Cells, cut_floor
from simulators.observer.kernel import follow_item
from simulators.observer.movement import Movement, learn_movement, neighbour_share

SECOND_US = 1_000_000
ALIVE_S = 10
"""A reader of which nothing was received for longer is taken not to have asked."""
_LATE_S = 5
_FULL_SHARE = 0.9

Int64s = npt.NDArray[np.int64]
Float64s = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Precision:
    """How exactly the observer works things out."""

    cell_m: float = 1.5
    """Edge of cells, metres."""
    slots: int = 8
    """Hypotheses kept for an item."""
    miss_every_s: int = 15
    """How often attempts in vain are counted."""
    pruned: float = 1e-5
    """Probability below which a hypothesis is dropped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What the observer believes."""

    epcs: tuple[str, ...]
    """The items that it followed."""
    zones: tuple[str, ...]
    """Zones of the site; the belief has one column more, for not here."""
    start_us: int
    """When the first tick began."""
    belief: npt.NDArray[np.float32]
    """Items by ticks by zones: probabilities after each second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Site:
    """What the observer knows before the day."""

    day: StoreDay
    exact: Precision
    cells: Cells
    movement: Movement
    persistence_s: float
    margin_db: Float64s  # antennas by cells: expected margin of a tag without losses of its own
    offset_db: Float64s  # of each antenna's RSSI, as far as known
    rest: laws.ReadLaw
    carried: laws.ReadLaw
    neighbours: float


def observe(
    config: DayConfig,
    reads: pa.Table,
    epcs: Sequence[str],
    *,
    told: bool = False,
    precision: Precision | None = None,
    on_progress: Callable[[int], None] = lambda _: None,
) -> Observation:
    """Follow items through a day.

    Args:
        config: The day, whose laws are known.
        reads: Its reads with `epc_hex`, `reader`, `antenna`, `event_time`, `received_time` and `rssi_dbm`.
        epcs: Items to follow; the reads of the others show which antennas were busy or dark.
        told: Whether the site's own draws (shadowing by place, installation, RSSI offsets) are known too, as after
            a perfect survey. Those of tags and of resting places are not.
        precision: How exactly.
        on_progress: Told after each item how many are done.
    """
    exact = precision or Precision()
    day = StoreDay(config)
    site = _know(config, day, told=told, exact=exact)
    heard = _heard(day, reads)
    attempts = _attempts(config, day, heard)
    number_of = {epc: number for number, epc in enumerate(day.goods.epc_hex)}
    belief = np.zeros((len(epcs), len(attempts), len(day.site.zones) + 1), dtype=np.float32)
    order = np.argsort(heard["item"], kind="stable")
    bounds = np.searchsorted(heard["item"][order], np.arange(day.goods.count + 1))
    for place, epc in enumerate(epcs):
        item = number_of[epc]
        rows = order[bounds[item] : bounds[item + 1]]
        own = {name: column[rows] for name, column in heard.items()}
        _follow(site, item, own, attempts, belief[place])
        # That an item exists is not known before its first read, whatever was to be expected.
        first = int(heard["tick"][rows[0]]) if len(rows) else len(attempts)
        belief[place, :first] = 0.0
        belief[place, :first, -1] = 1.0
        on_progress(place + 1)
    return Observation(
        epcs=tuple(epcs), zones=tuple(zone.id for zone in day.site.zones), start_us=config.start_us, belief=belief
    )


def _know(config: DayConfig, day: StoreDay, *, told: bool, exact: Precision) -> _Site:
    cells = cut_floor(day.plan, exact.cell_m)
    movement, persistence_s = learn_movement(dataclasses.replace(config, neighbour_items=0), cells)
    field = day.radio.field
    gain_db = _over_cells(field.gain_db if told else field.expected_db, day, cells)
    radio = config.radio
    states = [
        laws.read_law(radio, laws.spread_of(radio, config.propagation, carried=carried, told=told), carried=carried)
        for carried in (False, True)
    ]
    return _Site(
        day=day,
        exact=exact,
        cells=cells,
        movement=movement,
        persistence_s=persistence_s,
        margin_db=gain_db + radio.tx_power_dbm + radio.tag_gain_dbi - radio.sensitivity_dbm,
        offset_db=day.radio.rssi_offset_db if told else np.zeros(len(gain_db)),
        rest=states[0],
        carried=states[1],
        neighbours=neighbour_share(config, day.goods),
    )


def _over_cells(gain_db: npt.NDArray[np.float32], day: StoreDay, cells: Cells) -> Float64s:
    """Return the gain at nine points of each cell, averaged, antennas by cells."""
    total = np.zeros((gain_db.shape[1], len(cells)))
    for dx in (-0.25, 0.0, 0.25):
        for dy in (-0.25, 0.0, 0.25):
            total += gain_db[day.radio.field.cell(cells.xy[:, 0] + dx, cells.xy[:, 1] + dy)].T
    return total / 9.0


def _heard(day: StoreDay, reads: pa.Table) -> dict[str, npt.NDArray[np.int64]]:
    """Turn reads to columns of numbers, in order of the tick at which they count; those that came late are left out."""
    first, numbers = 0, {}
    for reader in day.site.readers:
        for antenna in reader.antennas:
            numbers[reader.id, antenna.port] = first
            first += 1
    item_of = {epc: number for number, epc in enumerate(day.goods.epc_hex) if epc}
    item = np.array([item_of.get(epc, -1) for epc in reads["epc_hex"].to_pylist()])
    pairs = zip(reads["reader"].to_pylist(), reads["antenna"].to_pylist(), strict=True)
    number = np.array([numbers.get(pair, -1) for pair in pairs])
    event_us = reads["event_time"].cast(pa.int64()).to_numpy()
    received_us = reads["received_time"].cast(pa.int64()).to_numpy()
    rssi = pc.fill_null(reads["rssi_dbm"].cast(pa.float64()), np.nan).to_numpy()
    kept = (item >= 0) & (number >= 0) & ~np.isnan(rssi) & (received_us - event_us < _LATE_S * SECOND_US)
    order = np.flatnonzero(kept)[np.argsort(event_us[kept], kind="stable")]
    return {
        "item": item[order],
        "antenna": number[order],
        "tick": np.maximum((event_us[order] - day.config.start_us) // SECOND_US, 0),
        "rssi": np.round(rssi[order] * 100).astype(np.int64),  # hundredths of a dBm
    }


def _attempts(config: DayConfig, day: StoreDay, heard: dict[str, Int64s]) -> npt.NDArray[np.float32]:
    """Return, ticks by antennas, the attempts of a second: none of a reader that is dark, none of a full dwell."""
    wiring, radio = day.radio.wiring, config.radio
    ticks = (config.end_us - config.start_us) // SECOND_US
    usual = 1.0 / (wiring.round_dwells * radio.dwell_s)
    counts = np.zeros((ticks, wiring.antennas))
    inside = heard["tick"] < ticks
    np.add.at(counts, (heard["tick"][inside], heard["antenna"][inside]), 1.0)
    by_reader = np.stack(
        [counts[:, wiring.reader_of == reader].sum(axis=1) for reader in range(len(day.site.readers))], axis=1
    )
    ahead = np.cumsum(np.pad(by_reader, ((ALIVE_S, 0), (0, 0))), axis=0)
    alive = (ahead[ALIVE_S:] - ahead[:-ALIVE_S]) > 0  # something within the last seconds
    full = counts >= _FULL_SHARE * radio.reads_per_second * radio.dwell_s * usual
    return np.asarray(usual * alive[:, wiring.reader_of] * ~full, dtype=np.float32)


def _follow(
    site: _Site,
    item: int,
    heard: dict[str, Int64s],
    attempts: npt.NDArray[np.float32],
    belief: npt.NDArray[np.float32],
) -> None:
    day, exact, movement, cells = site.day, site.exact, site.movement, site.cells
    radio = day.config.radio
    number = int(day.goods.product[item])
    product = day.plan.products[number]
    margin_db = site.margin_db - radio.material_loss_db(product.material)
    mean = np.clip(np.round((margin_db - laws.MEANS_DB[0]) / laws.MEAN_STEP_DB), 0, len(laws.MEANS_DB) - 1)
    # What is special about reflections is all that differs in kind between rest and carried; their grids are alike.
    base_db = 2.0 * radio.sensitivity_dbm - radio.tx_power_dbm - radio.modulation_loss_db
    rssi_dbm = heard["rssi"] / 100.0 - site.offset_db[heard["antenna"]]
    half = (len(site.rest.reflection_share) - 1) / 2
    lowest = 2.0 * laws.MARGINS_DB[0] - half * laws.REFLECTION_STEP_DB
    faded = np.round((rssi_dbm - base_db - lowest - laws.FADED_DB[0]) / laws.BIN_DB).astype(np.int64)
    shown = np.clip(np.round((rssi_dbm - laws.RSSI_DBM[0]) / laws.BIN_DB), 0, len(laws.RSSI_DBM) - 1).astype(np.int64)
    kinds = (site.rest, site.carried)
    opening = (1.0 - site.neighbours) * movement.opening[number]
    outside = cells.zone == OUTSIDE
    if site.neighbours:
        opening = opening + site.neighbours * outside / outside.sum()
    session_of = day.radio.wiring.session_of
    spread = np.array([max(radio.persistence_spread, 0.02), 0.15 / np.sqrt(3.0)])  # tags; uniform from time to time
    follow_item(
        heard["tick"], heard["antenna"], faded, shown, session_of[heard["antenna"]],
        attempts, session_of,
        np.array([site.persistence_s, min(site.persistence_s, radio.persistence_moving_s)]), spread,
        np.stack([mean, mean]).astype(np.int64),
        np.stack([kind.margin_share for kind in kinds]),
        np.stack([kind.reflection_share for kind in kinds]),
        np.stack([kind.log_read for kind in kinds]),
        np.stack([kind.read for kind in kinds]),
        site.carried.mean_log_read, site.carried.mean_read,
        round(2.0 * laws.MARGIN_STEP_DB / laws.BIN_DB), round(laws.REFLECTION_STEP_DB / laws.BIN_DB),
        opening, movement.rest_to_stand, movement.rest_to_walk, movement.stand_to_walk, movement.stand_to_rest,
        movement.walk_to_stand, movement.walk_to_rest, movement.walk_to_gone,
        movement.gone_to_rest, movement.arrivals, movement.gone_to_walk, movement.entry,
        movement.near_cell, movement.near_share[number], cells.next_cell, cells.step_share, cells.zone,
        exact.slots, exact.miss_every_s, exact.pruned, belief,
    )  # fmt: skip
