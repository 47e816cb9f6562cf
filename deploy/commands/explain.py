"""`tagtide explain`: why Tagtide thinks that an item is where it says."""

from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.table import Table
from rich.text import Text

from deploy.commands.options import Data
from deploy.printing import AnswerConsole, put

if TYPE_CHECKING:
    import datetime as dt

    from analytics.explain import Explanation, Stay

PIPED_WIDTH = 120
"""Columns where no terminal says how many there are."""
KIN_ZONES = 5
"""Zones in which kin are listed; the rest is summed up."""


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("explain")(explain)


def explain(
    item: Annotated[
        str,
        typer.Argument(metavar="EPC", help="EPC in hexadecimal, its URI, or GTIN.SERIAL.", show_default=False),
    ],
    data: Data,
    site: Annotated[
        str | None,
        typer.Option("--site", metavar="ID", help="Site identifier, where several have read it.", show_default=False),
    ] = None,
    json: Annotated[bool, typer.Option("--json", metavar="", help="Print one JSON object instead.")] = False,
) -> None:
    """Say where an item is, how sure that is, and what speaks for and against it. Times are UTC.

    ```text
    tagtide explain --data DIR 3034257BF7194E4000001A85
    tagtide explain --data DIR 09506000134352.6789 --json
    ```
    """
    from analytics.explain import explain as put_together

    found = put_together(data, item, site)
    if json:
        put(msgspec.json.encode(found).decode() + "\n")
        return
    console = AnswerConsole()
    if not console.is_terminal:
        console = AnswerConsole(width=PIPED_WIDTH)
    for line in _lines(found):
        console.print(line, soft_wrap=True)
    if found.by_reads_alone:
        console.print(_steps(found))
    for line in _belongs(found):
        console.print(line, soft_wrap=True)
    if found.heard_by:
        console.print(_antennas(found))
    for line in _more(found):
        console.print(line, soft_wrap=True)
    if len(found.stays) > 1:
        console.print(_history(found))


def _lines(found: "Explanation") -> list[Text]:
    name = found.epc_uri or found.epc_hex
    lines = [Text(f"{name}  ({found.epc_hex}, site {found.site})", style="bold")]
    stay = found.stay
    if stay is None:
        return [*lines, Text("It was read, and never located."), *_speaks_against(found)]
    if stay.until_time is None:
        at = "" if found.x is None or found.y is None else f", at x {found.x:.1f} m, y {found.y:.1f} m"
        around = "" if found.radius_m is None else f" within {found.radius_m:.1f} m (90 %)"
        text = f"It is in {stay.zone}{at}{around}: {_percent(stay.confidence)} sure, as of {_time(stay.as_of_time)}."
        lines += [Text(text), Text(f"There since {_time(stay.from_time)} ({_span(stay.from_time, found.now_time)}).")]
    elif stay.left_for is None:
        lines.append(Text(f"It left the site: last in {stay.zone}, until {_time(stay.until_time)}."))
    elif stay.is_taken_back:
        text = "It is not here: it is heard from beyond the site's outline, most likely a neighbour's"
        lines.append(Text(f"{text}. Until {_time(stay.until_time)} it was taken to be in {stay.zone}."))
    if found.verdict is not None:
        lines.append(Text(found.verdict))
    return [*lines, *_speaks_against(found)]


def _speaks_against(found: "Explanation") -> list[Text]:
    if not found.against:
        return [Text("Nothing speaks against it.")]
    return [Text("What speaks against it, or should be looked at:"), *(Text(f"  - {text}") for text in found.against)]


def _steps(found: "Explanation") -> Table:
    """Show how likely each zone becomes with ever more taken into account."""
    table = Table(title="What the answer rests on, step by step", title_justify="left", header_style="bold")
    table.add_column("how likely it is to be in")
    for one in found.by_reads_alone:
        table.add_column(Text(one.zone), justify="right")
    steps = (
        ("by its own reads alone", [one.probability for one in found.by_reads_alone]),
        ("and by the shelf plan", [one.with_plan for one in found.by_reads_alone]),
        ("and by where its kin are", [one.with_kin for one in found.by_reads_alone]),
    )
    for name, chances in steps:
        if chances[0] is not None:
            table.add_row(name, *("" if chance is None else _percent(chance) for chance in chances))
    if found.stay is not None:
        told = (_percent(found.stay.confidence) if one.zone == found.stay.zone else "" for one in found.by_reads_alone)
        table.add_row("as told, with what it did before", *told)
    return table


def _belongs(found: "Explanation") -> list[Text]:
    if found.gtin is None:
        return []
    if not found.shelf_zones:
        return [Text("The site file has no shelf for its GTIN: the plan says nothing of it.")]
    lines = [Text(f"Goods of its GTIN belong in {', '.join(found.shelf_zones)}, by the site file.")]
    if found.plan_followed is not None:
        kept, rest = _percent(found.plan_followed), found.off_shelf_zone
        text = f"How well the site keeps to its plan: {kept} of all goods with a shelf are in a zone of theirs"
        lines.append(Text(f"{text}, most others in {rest}."))
    return lines


def _antennas(found: "Explanation") -> Table:
    law = "physics" if found.law_version is None else f"law {found.law_version} of the site"
    table = Table(title=f"Evidence of the stay, and what {law} expects", title_justify="left", header_style="bold")
    here = found.stay.zone if found.stay else ""
    other = next((one.zone for one in found.by_reads_alone if one.zone != here), "the next zone")
    table.add_column("antenna")
    for name in ("reads", "RSSI dBm", f"expected in {here}", f"in {other}"):
        table.add_column(Text(name), justify="right")
    for one in found.heard_by:
        levels = (one.rssi_dbm, one.expected_dbm, one.elsewhere_dbm)
        table.add_row(one.antenna, f"{one.reads:.1f}", *("-" if level is None else f"{level:.1f}" for level in levels))
    return table


def _more(found: "Explanation") -> list[Text]:
    lines = []
    if found.kin:
        shown = list(found.kin.items())[:KIN_ZONES]
        rest = sum(found.kin.values()) - sum(count for _, count in shown)
        zones = ", ".join(f"{count} in {zone}" for zone, count in shown) + (f", {rest} elsewhere" if rest else "")
        lines.append(Text(f"Its kin, the other {sum(found.kin.values())} items of GTIN {found.gtin}: {zones}."))
    if found.last_read_time is not None and found.first_read_time is not None:
        limit = (
            "" if found.departed_after_s is None else f"; {found.departed_after_s:.0f} s of silence mean that it left"
        )
        lines.append(
            Text(
                f"Read {found.reads:,} times since {_time(found.first_read_time)}, last {_time(found.last_read_time)} "
                f"by {found.last_antenna} ({_span(found.last_read_time, found.now_time)} before now{limit})."
            )
        )
    if found.sold:
        lines.append(Text("Business systems say that it has left."))
    for one in found.business:
        what = "" if one["business_transaction"] is None else f", {one['business_transaction']}"
        lines.append(Text(f"{_time(one['event_time'])}  {one['event']} ({one['source']}{what})"))
    for one in found.passages:
        text = f"gate {one['gate']}: {one['direction']}, {_percent(one['confidence'])}"
        lines.append(Text(f"{_time(one['until_time'])}  {text}"))
    for one in found.inside:
        until = "now" if one["until_time"] is None else _time(one["until_time"])
        parent = one["parent_epc_uri"] or one["parent_epc_hex"]
        lines.append(Text(f"{_time(one['from_time'])} to {until}  in {parent}, {_percent(one['confidence'])}"))
    return lines


def _history(found: "Explanation") -> Table:
    table = Table(title="Where it has been", title_justify="left", header_style="bold")
    for name in ("from", "until", "zone", "sure", "then"):
        table.add_column(name, justify="right" if name == "sure" else "left")
    for stay in found.stays:
        until = "now" if stay.until_time is None else _time(stay.until_time)
        table.add_row(_time(stay.from_time), until, Text(stay.zone), _percent(stay.confidence), _then(stay))
    return table


def _then(stay: "Stay") -> str:
    if stay.until_time is None:
        return ""
    if stay.is_taken_back:
        return "was never here"
    return "left the site" if stay.left_for is None else stay.left_for


def _percent(share: float) -> str:
    return f"{share:.1%}" if share < 0.9995 else "over 99.9%"


def _time(time: "dt.datetime") -> str:
    return f"{time:%Y-%m-%d %H:%M:%S}"


def _span(start: "dt.datetime", end: "dt.datetime") -> str:
    seconds = max(0, round((end - start).total_seconds()))
    if seconds < 120:
        return f"{seconds} s"
    return f"{seconds // 60} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
