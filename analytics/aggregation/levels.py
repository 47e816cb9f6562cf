"""At which level of packing an EPC stands: what may contain what, as far as the code tells."""

from enum import IntEnum
from functools import lru_cache

from devices.epc import decode_epc

_INNER_PACK_FILTER, _CASE_FILTER, _UNIT_LOAD_FILTER = 4, 2, 6
"""Filter values of an SGTIN. Source: GS1 EPC Tag Data Standard 2.3, SGTIN filter values."""


class PackingLevel(IntEnum):
    """Levels of packing. What stands higher may contain what stands lower; two of one level never do."""

    ITEM = 0
    """Anything else: trade items, and codes that say nothing of the kind."""
    INNER_PACK = 1
    """An SGTIN with the filter value "inner pack"."""
    CASE = 2
    """An SGTIN with the filter value "full case for transport"."""
    LOGISTIC_UNIT = 3
    """An SSCC: a carton or a pallet that was put together for transport."""
    CARRIER = 4
    """A GRAI or GIAI, which name pallets, roll cages and trolleys themselves, or an SGTIN "unit load"."""


@lru_cache(maxsize=65536)
def packing_level(epc_hex: str) -> PackingLevel:
    """Return the level of packing that an EPC stands at."""
    epc = decode_epc(epc_hex)
    kind = (epc.scheme or "").partition("-")[0].rstrip("+")
    if kind == "SSCC":
        return PackingLevel.LOGISTIC_UNIT
    if kind in {"GRAI", "GIAI"}:
        return PackingLevel.CARRIER
    if kind != "SGTIN":
        return PackingLevel.ITEM
    by_filter = {
        _INNER_PACK_FILTER: PackingLevel.INNER_PACK,
        _CASE_FILTER: PackingLevel.CASE,
        _UNIT_LOAD_FILTER: PackingLevel.CARRIER,
    }
    return by_filter.get(epc.filter_value or 0, PackingLevel.ITEM)
