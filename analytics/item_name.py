"""Which item somebody means: by EPC in hexadecimal, by its URI or Digital Link, or by GTIN and serial number."""

import re

import duckdb

from analytics.steps.identity import identify
from devices.epc import decode_epc
from devices.errors import EpcError, QuestionError
from devices.site.table import did_you_mean

_HEX = re.compile(r"[0-9A-Fa-f]{2,}")
_GTIN_SERIAL = re.compile(r"\(?(?:01\))?(\d{8}|\d{12,14})(?:\(21\)|[.,/: ])(.+)")
NEAREST = 3
"""Items that a message names where the one that is meant was never read."""


def find_item(lake: duckdb.DuckDBPyConnection, wanted: str, site: str | None = None) -> tuple[str, str]:
    """Return site and EPC (hexadecimal) of an item that was read or located.

    Args:
        lake: From `connect`.
        wanted: EPC in hexadecimal, its URI, or GTIN and serial number: `09506000134352.6789`, `(01)...(21)...`.
        site: Site identifier; where it is not given, the site that read or located the item last.

    Raises:
        QuestionError: No such item was ever read there, or the GTIN comes without a serial number.
    """
    text = wanted.strip().strip('"').strip()
    by_gtin = _GTIN_SERIAL.fullmatch(text)
    if (_HEX.fullmatch(text) and not text.isdigit()) or (text.isdigit() and len(text) in {24, 32}):
        epc = text.upper()
    elif by_gtin is not None:
        epc = _by_gtin(lake, by_gtin[1].zfill(14), by_gtin[2].strip(), site)
    elif text.isdigit() and len(text) in {8, 12, 13, 14}:
        raise QuestionError(
            f"{text} is a GTIN, and many items have it",
            hint=f"add the serial number, {text}.SERIAL; or ask for all: tagtide sql where-is --param epc={text}",
            code="item_ambiguous",
        )
    else:
        epc = _by_uri(lake, text, site)
    return _seen(lake, epc, site) or _never_read(lake, epc, site)


_ITEMS = """
    SELECT DISTINCT epc_hex FROM (SELECT site, epc_hex FROM locations UNION ALL SELECT site, epc_hex FROM reads)
    WHERE $site::VARCHAR IS NULL OR site = $site::VARCHAR
"""


def _by_gtin(lake: duckdb.DuckDBPyConnection, gtin: str, serial: str, site: str | None) -> str:
    serials: list[str] = []
    for (epc,) in lake.execute(_ITEMS + " ORDER BY epc_hex", {"site": site}).fetchall():
        if identify(epc)[1] != gtin:
            continue
        try:
            found = decode_epc(epc).serial or ""
        except EpcError:
            continue
        if found == serial:
            return str(epc)
        serials.append(found)
    near = did_you_mean(serial, serials) or (f"; {len(serials)} others of this GTIN were" if serials else "")
    raise QuestionError(
        f"no item with GTIN {gtin} and serial number {serial} was ever read{near}",
        hint=f"tagtide sql where-is --param epc={gtin} lists those of the GTIN",
        code="item_never_read",
    )


def _by_uri(lake: duckdb.DuckDBPyConnection, uri: str, site: str | None) -> str:
    names = {}
    for (epc,) in lake.execute(_ITEMS, {"site": site}).fetchall():
        name = identify(epc)[0]
        if name is not None:
            names[name.lower()] = str(epc)
    if uri.lower() in names:
        return names[uri.lower()]
    raise QuestionError(
        f'no item "{uri}" was ever read{did_you_mean(uri.lower(), names)}',
        hint="give an EPC in hexadecimal, its URI, or GTIN.SERIAL",
        code="item_never_read",
    )


def _seen(lake: duckdb.DuckDBPyConnection, epc: str, site: str | None) -> tuple[str, str] | None:
    found = lake.execute(
        """
        SELECT site
        FROM (
            SELECT site, as_of_time AS time FROM locations WHERE epc_hex = $epc
            UNION ALL SELECT site, event_time FROM reads WHERE epc_hex = $epc
        )
        WHERE $site::VARCHAR IS NULL OR site = $site::VARCHAR
        ORDER BY time DESC, site
        LIMIT 1
        """,
        {"epc": epc, "site": site},
    ).fetchall()
    return (str(found[0][0]), epc) if found else None


def _never_read(lake: duckdb.DuckDBPyConnection, epc: str, site: str | None) -> tuple[str, str]:
    nearest = lake.execute(
        f"SELECT epc_hex FROM ({_ITEMS}) ORDER BY levenshtein(epc_hex, $epc), epc_hex LIMIT {NEAREST}",  # noqa: S608 - our own text
        {"epc": epc, "site": site},
    ).fetchall()
    where = "" if site is None else f" in {site}"
    near = f"; nearest: {', '.join(row[0] for row in nearest)}" if nearest else ""
    raise QuestionError(
        f"item {epc} was never read{where}{near}",
        hint="`tagtide sql where-is` lists what was; a part of an EPC will do there: --param epc=...",
        code="item_never_read",
    )
