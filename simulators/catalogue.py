"""What the simulated store sells: a small catalogue of GTINs with names, masses and how their tags behave.

GTINs lie under company prefix 9506000, which GS1 keeps for examples. Names are invented.
"""

from dataclasses import dataclass
from enum import StrEnum

from devices.epc import check_digit

COMPANY_PREFIX = "9506000"
"""GS1 company prefix of every GTIN here."""


class Material(StrEnum):
    """What a tag is fixed to, as far as radio is concerned."""

    TEXTILE = "textile"
    LEATHER = "leather"
    METAL = "metal"
    LIQUID = "liquid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """A trade item."""

    gtin: str
    """GTIN-14."""
    name: str
    """Name for people."""
    unit_grams: float
    """Mass of one unit, grams."""
    material: Material
    """What its tag is fixed to."""
    tagged: bool
    """Whether units carry RFID tags."""
    fitted: bool
    """Whether shoppers try it on."""
    department: str
    """Which part of the sales floor it belongs to."""


# name, grams, material, tagged, fitted, department
_ROWS: tuple[tuple[str, float, Material, bool, bool, str], ...] = (
    ("Slim jeans, indigo", 610, Material.TEXTILE, True, True, "denim"),
    ("Straight jeans, black", 640, Material.TEXTILE, True, True, "denim"),
    ("Denim jacket", 820, Material.TEXTILE, True, True, "denim"),
    ("Crew-neck T-shirt, white", 160, Material.TEXTILE, True, True, "basics"),
    ("Crew-neck T-shirt, navy", 165, Material.TEXTILE, True, True, "basics"),
    ("Boxer shorts, three pack", 210, Material.TEXTILE, True, False, "basics"),
    ("Oxford shirt, blue", 290, Material.TEXTILE, True, True, "men"),
    ("Merino jumper, grey", 330, Material.TEXTILE, True, True, "men"),
    ("Chinos, sand", 480, Material.TEXTILE, True, True, "men"),
    ("Wrap dress, green", 340, Material.TEXTILE, True, True, "women"),
    ("Linen blouse", 220, Material.TEXTILE, True, True, "women"),
    ("Pleated skirt", 310, Material.TEXTILE, True, True, "women"),
    ("Rain jacket, yellow", 540, Material.TEXTILE, True, True, "outdoor"),
    ("Fleece, red", 420, Material.TEXTILE, True, True, "outdoor"),
    ("Down vest", 380, Material.TEXTILE, True, True, "outdoor"),
    ("Children's hoodie", 280, Material.TEXTILE, True, True, "kids"),
    ("Children's leggings", 130, Material.TEXTILE, True, False, "kids"),
    ("Dungarees", 350, Material.TEXTILE, True, True, "kids"),
    ("Trainers, white", 760, Material.LEATHER, True, True, "shoes"),
    ("Ankle boots", 980, Material.LEATHER, True, True, "shoes"),
    ("Sandals", 420, Material.LEATHER, True, True, "shoes"),
    ("Leather belt", 190, Material.METAL, True, False, "accessories"),
    ("Steel water bottle", 370, Material.METAL, True, False, "accessories"),
    ("Eau de toilette, 50 ml", 185, Material.LIQUID, True, False, "accessories"),
    ("Wool scarf", 140, Material.TEXTILE, True, False, "accessories"),
    ("Enamel mug", 340, Material.METAL, False, False, "accessories"),
    ("Scented candle", 460, Material.LIQUID, False, False, "accessories"),
    ("Ankle socks, pair", 55, Material.TEXTILE, False, False, "basics"),
    ("Notebook, ruled", 240, Material.TEXTILE, False, False, "kids"),
    ("Shoe cream", 95, Material.LIQUID, False, False, "shoes"),
)

_FIRST_ITEM_REFERENCE = 20_100


def _gtin(number: int) -> str:
    body = f"0{COMPANY_PREFIX}{_FIRST_ITEM_REFERENCE + 7 * number:05d}"
    return body + check_digit(body)


CATALOGUE: tuple[Product, ...] = tuple(
    Product(
        gtin=_gtin(number),
        name=name,
        unit_grams=grams,
        material=material,
        tagged=tagged,
        fitted=fitted,
        department=department,
    )
    for number, (name, grams, material, tagged, fitted, department) in enumerate(_ROWS)
)
"""Every product. A product's index here is its number in columnar code."""
