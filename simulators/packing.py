"""What is packed in what: EPCs of cartons and pallets, and the truth about their contents."""

from dataclasses import dataclass

from devices.epc import check_digit, encode_grai96, encode_sscc96
from simulators.catalogue import COMPANY_PREFIX

PALLET_UNITS = 60
"""Units on one pallet."""
_ASSET_TYPE = "00042"


@dataclass(slots=True)
class Containment:
    """One thing in another."""

    parent: int
    """Item number of the carton or pallet."""
    child: int
    """Item number of what is in it."""
    from_us: int
    """Since when."""
    until_us: int | None = None
    """Until when; `None` while it lasts."""


class PackingLog:
    """What is in what, and what was."""

    def __init__(self) -> None:
        self.containments: list[Containment] = []
        """All of them, in order of their beginning."""
        self._open: dict[int, list[Containment]] = {}

    def put(self, child: int, parents: list[int], at_us: int) -> None:
        """Note that a thing is in some others from now on."""
        for parent in parents:
            contained = Containment(parent, child, at_us)
            self.containments.append(contained)
            self._open.setdefault(child, []).append(contained)

    def take_out(self, child: int, parent: int, at_us: int) -> None:
        """Note that a thing is in another no longer."""
        for contained in self._open.get(child, []):
            if contained.parent == parent and contained.until_us is None:
                contained.until_us = at_us


def packaging_epcs(units: int, carton_units: int, delivery: int) -> tuple[list[str], list[str]]:
    """Return the EPCs of the cartons and of the pallets that a delivery comes on."""
    cartons = [
        encode_sscc96(number + check_digit(number), len(COMPANY_PREFIX))
        for number in (f"0{COMPANY_PREFIX}{delivery:03d}{place:06d}" for place in range(-(-units // carton_units)))
    ]
    asset = f"0{COMPANY_PREFIX}{_ASSET_TYPE}"
    pallets = [
        encode_grai96(asset + check_digit(asset), 100 * delivery + place, len(COMPANY_PREFIX))
        for place in range(1 + units // PALLET_UNITS)
    ]
    return cartons, pallets
