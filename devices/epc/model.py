"""`Epc`: what an EPC's bits say, and the texts in which the standards write it."""

from urllib.parse import quote, unquote

import msgspec

from devices.epc.keys import BY_NAME, NO_EXTENSION, GS1Key

DIGITAL_LINK_STEM = "https://id.gs1.org"
"""Host of canonical GS1 Digital Link URIs."""

# TDS Annex A: of the characters that GS1 allows in a serial number, these are escaped in an EPC URI. `#` is only
# allowed in component and part identifiers.
_ESCAPES = str.maketrans({character: f"%{ord(character):02X}" for character in '"%&/<>?#'})


class Epc(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An EPC, decoded as far as the standard goes.

    Every tag is a valid item by its `hex`. Where the bits are no GS1 EPC that this package decodes, `scheme` and
    all that depends on it are `None`, and `problem` says why.
    """

    hex: str
    """EPC memory content, upper-case hexadecimal, as given: padding included."""
    scheme: str | None = None
    """Scheme as the standard writes it, such as `SGTIN-96` or `DSGTIN+`."""
    uri: str | None = None
    """Pure identity. `urn:epc:id:...` for schemes with a company prefix length; those of TDS 2 have none, for
    them the canonical GS1 Digital Link URI, without the date that a DSGTIN+ carries beside the identity."""
    gtin: str | None = None
    """GTIN-14 with check digit, where the scheme identifies a trade item."""
    serial: str | None = None
    """Serial number or extension, where the scheme has one apart from the reference."""
    gs1_key: str | None = None
    """Value of the GS1 key as its application identifier carries it, check digit included: GTIN-14, SSCC-18,
    GLN-13; for GRAI, GDTI and SGCN with the serial number behind it."""
    filter_value: int | None = None
    """Filter value, 0 to 7; `None` where the scheme has none."""
    date_ai: str | None = None
    """Application identifier of a DSGTIN+'s date: 11 production, 13 packaging, 15 best before, 16 sell by,
    17 expiration, 7006 first freeze, 7007 harvest."""
    date: str | None = None
    """Date of a DSGTIN+ as YYMMDD; day 00 means that the day is not given."""
    problem: str | None = None
    """Code of the reason why this is not a GS1 EPC that could be decoded; `None` where it is one."""

    @property
    def tag_uri(self) -> str | None:
        """EPC tag URI `urn:epc:tag:...`, which says scheme and filter value too; `None` for TDS 2 schemes."""
        if self.scheme is None or self.uri is None or not self.uri.startswith("urn:epc:id:"):
            return None
        fields = self.uri.split(":", 4)[4]
        prefix = "" if self.filter_value is None else f"{self.filter_value}."
        return f"urn:epc:tag:{self.scheme.lower()}:{prefix}{fields}"

    @property
    def element_string(self) -> str | None:
        """GS1 element string, such as `(01)09506000134352(21)6789`."""
        parts = self._element_parts()
        return "".join(f"({ai}){value}" for ai, value in parts) if parts else None

    @property
    def digital_link(self) -> str | None:
        """GS1 Digital Link URI with everything that the EPC says, the date of a DSGTIN+ included."""
        parts = self._element_parts()
        if not parts:
            return None
        path = [(ai, value) for ai, value in parts if ai != self.date_ai]
        return digital_link(path) + ("" if self.date_ai is None else f"?{self.date_ai}={self.date}")

    def _element_parts(self) -> list[tuple[str, str]]:
        if self.scheme is None or self.gs1_key is None:
            return []
        key = BY_NAME[self.scheme.partition("-")[0].rstrip("+")]
        parts = identity_parts(key, self.gs1_key, self.serial)
        if self.date_ai is not None and self.date is not None:
            parts.append((self.date_ai, self.date))
        return parts


def identity_parts(key: GS1Key, value: str, serial: str | None) -> list[tuple[str, str]]:
    """Return the application identifiers, with their values, that make up an identity."""
    if key.ai is None:
        return []
    parts = [(key.ai, value)]
    # A GLN without extension is written without one, though its EPC carries "0".
    if key.serial_ai is not None and serial is not None and (key.serial_ai, serial) != ("254", NO_EXTENSION):
        parts.append((key.serial_ai, serial))
    return parts


def digital_link(path: list[tuple[str, str]]) -> str:
    """Write the canonical Digital Link URI of application identifiers and values."""
    return DIGITAL_LINK_STEM + "".join(f"/{ai}/{quote(value, safe='')}" for ai, value in path)


def escape_urn(text: str) -> str:
    """Escape a serial number or reference for an EPC URI.

    Source:
        GS1 EPC Tag Data Standard 2.3, Annex A.
    """
    return text.translate(_ESCAPES)


def unescape_urn(text: str) -> str:
    """Undo `escape_urn`."""
    return unquote(text)
