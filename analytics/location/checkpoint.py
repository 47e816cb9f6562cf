"""The location state as bytes, and back: what a checkpoint keeps of it.

Numbers of zones, readers, antennas and cells mean something on their own map only: a state of another map closes what
was open on it (`map_change`) and begins anew, and what it had learnt is dropped.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from analytics.location import arrivals, learning, radio, stays, tracks
from analytics.location.carried import Carried
from analytics.location.company import Movers
from analytics.location.items import ItemTable
from analytics.location.map_change import MapMark, closing_rows, mark_of
from analytics.location.pending import PendingRows
from analytics.location.state import LocationState, initial_state
from analytics.location.strays import Strays
from analytics.steps.state_bytes import pack, unpack
from devices.site.model import Site

_VERSION = 5


def dump_state(state: LocationState) -> bytes:
    """Turn a state to bytes."""
    arrays: dict[str, npt.NDArray[Any]] = {
        "tracks": np.frombuffer(_unpadded(state.held).tobytes(), dtype=np.uint8),
        **{f"pending.{name}": column for name, column in state.pending.columns().items()},
        **state.table.columns(),
        "level_db": state.law.level_db,
        "offset_db": state.law.offset_db,
        "outside": state.law.outside.weights,
        "lessons.reads": state.lessons.reads,
        "lessons.residual_db": state.lessons.residual_db,
        "lessons.items": state.lessons.items,
        **state.clock._asdict(),
        **{f"movers.{name}": column for name, column in state.movers._asdict().items()},
    }
    marks: dict[str, int | float | str | bool | None] = {
        "map": _json(mark_of(state.places)),
        "closing": _json(state.closing),
        "law": _json([state.law.version, state.law.as_of_us]),
        "assortment": _json([state.kin.assortment.following, state.kin.assortment.away.tolist()]),
        "strays": _json([state.kin.strays.units, state.kin.strays.share.tolist()]),
        "budget": _json(state.budget.to_list()),
        "outside": _json([state.law.outside.gap_s, state.law.outside.gap_power]),
        "carried": _json([state.carried.waiting, state.carried.heard_s]),
    }
    return pack(_VERSION, marks, arrays)


def load_state(blob: bytes, site: Site) -> LocationState:
    """Turn bytes back to a state. One of another map only closes what was open on it."""
    values, arrays = unpack(_VERSION, blob)
    state = initial_state(site)
    state.closing = msgspec.json.decode(str(values["closing"]), type=list[dict[str, Any]])
    version, as_of_us = msgspec.json.decode(str(values.get("law") or "[0,0]"))
    state.law = replace(state.law, version=version, as_of_us=as_of_us)  # numbers go on where the map has changed
    mark = msgspec.json.decode(str(values["map"]), type=MapMark)
    if mark != mark_of(state.places):
        _leave_map(state, site.id, mark, arrays)
        return state
    state.table = ItemTable.restore(arrays["item_text"], arrays["item_ends"])
    state.tracks = np.frombuffer(arrays["tracks"].tobytes(), dtype=tracks.TRACK).copy()
    state.pending = PendingRows({name: arrays[f"pending.{name}"] for name in arrivals.EMPTY})
    waiting, heard_s = msgspec.json.decode(str(values.get("carried") or "[[],{}]"))
    state.carried = Carried(waiting, heard_s)
    if values.get("budget"):
        state.budget.restore(msgspec.json.decode(str(values["budget"])))
        state.policy = state.budget.policy
    state.law = replace(state.law, level_db=arrays["level_db"], offset_db=arrays["offset_db"])
    if "outside" in arrays:
        gap_s, gap_power = msgspec.json.decode(str(values["outside"]))
        beyond = radio.OutsideLaw(weights=arrays["outside"], gap_s=gap_s, gap_power=gap_power)
        state.law = replace(state.law, outside=beyond)
    state.tables = radio.tabulate(state.places, state.law)
    state.lessons = learning.Lessons(arrays["lessons.reads"], arrays["lessons.residual_db"], arrays["lessons.items"])
    state.clock = stays.Clock(*(arrays[name] for name in stays.Clock._fields))
    if "movers.item" in arrays:
        state.movers = Movers(*(arrays[f"movers.{name}"] for name in Movers._fields))
    if values.get("assortment"):
        following, away = msgspec.json.decode(str(values["assortment"]))
        state.kin.assortment.restore(following, np.array(away))
    if values.get("strays"):
        units, share = msgspec.json.decode(str(values["strays"]))
        state.kin.strays = Strays(units=units, share=np.array(share))
    state.count_kin_anew()
    return state


def _leave_map(state: LocationState, site: str, mark: MapMark, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Close what was open on another map, at the time that has passed on it."""
    table = ItemTable.restore(arrays["item_text"], arrays["item_ends"])
    old = np.frombuffer(arrays["tracks"].tobytes(), dtype=tracks.TRACK)
    epcs = [table.epc_hex(number) for number in range(len(old))]
    state.clock.tick_s[:] = arrays["tick_s"]
    state.closing += closing_rows(site, mark, epcs, old, as_of_us=state.tick_s * 1_000_000)


def _unpadded(held: npt.NDArray[np.void]) -> npt.NDArray[np.void]:
    """Return a copy whose bytes are those of its fields and zeros: what lies between fields a copy leaves open."""
    clean = np.zeros(len(held), dtype=held.dtype)
    for name in tracks.TRACK.names or ():
        clean[name] = held[name]
    return clean


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
