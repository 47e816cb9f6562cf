"""What an EPC says about the item that carries it, remembered, since steps meet the same items again and again."""

from functools import lru_cache

from devices.epc import decode_epc
from devices.errors import EpcError


@lru_cache(maxsize=65536)
def identify(epc_hex: str) -> tuple[str | None, str | None]:
    """Return an EPC's pure-identity URI and its GTIN-14.

    An item whose code is not GS1's stays a valid item by its hexadecimal: both are `None`. Remembering is not state:
    the answer depends on the argument alone.
    """
    try:
        epc = decode_epc(epc_hex)
    except EpcError:
        return None, None
    return epc.uri, epc.gtin
