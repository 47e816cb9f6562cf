"""What the demo shows in the end: the questions that people ask, answered, with the truth beside them."""

from pathlib import Path

import duckdb
import pyarrow as pa
from rich.console import Console

from analytics.accuracy import unit_accuracy
from analytics.query import ask, connect
from deploy.answer_view import print_answer
from simulators.day import StoreDay

ITEMS_SHOWN = 10


def print_answers(console: Console, data: Path, site_file: Path, day: StoreDay) -> None:
    """Print inventory accuracy, ten items, what to replenish, which reader misbehaves, and how to go on."""
    connection = connect(data)
    _print_accuracy(console, connection, day)
    _print_items(console, connection, day)
    _print_replenishment(console, connection)
    _print_readers(console, connection)
    _print_next(console, data, site_file)


def _print_accuracy(console: Console, connection: duckdb.DuckDBPyConnection, day: StoreDay) -> None:
    console.rule("How far is the book stock from the truth?", align="left")
    rows = ask(
        connection,
        """SELECT gtin, as_of_time, book_quantity AS book, on_hand, on_hand_low, on_hand_high, accuracy
        FROM inventory WHERE zone IS NULL QUALIFY as_of_time = max(as_of_time) OVER () ORDER BY gtin NULLS FIRST""",
    ).to_pylist()
    if not rows:
        console.print("the day was too short for an inventory: it is taken every 15 minutes")
        return
    at_us = min(round(rows[0]["as_of_time"].timestamp() * 1e6), day.now_us)
    truth, book = day.truth_counts(at_us), day.book(at_us)
    estimated = [row for row in rows if row["gtin"] is not None and row["gtin"] in truth]
    names = {product.gtin: product.name for product in day.plan.products}
    held = sum(row["on_hand_low"] <= truth[row["gtin"]] <= row["on_hand_high"] for row in estimated)
    whole = next((row["accuracy"] for row in rows if row["gtin"] is None), None)
    tagged = {row["gtin"] for row in estimated}
    true_accuracy = unit_accuracy(
        {gtin: units for gtin, units in book.items() if gtin in tagged},
        {gtin: float(units) for gtin, units in truth.items() if gtin in tagged},
    )
    console.print(
        f"at {rows[0]['as_of_time']:%H:%M} UTC: inventory accuracy [bold]{_percent(whole)}[/bold] estimated, "
        f"[bold]{_percent(true_accuracy)}[/bold] in truth; the 90 % interval of on-hand holds the truth for "
        f"{held} of {len(estimated)} GTINs"
    )
    worst = sorted(estimated, key=lambda row: -abs((row["book"] or 0) - row["on_hand"]))[:8]
    shown = [
        {
            "gtin": row["gtin"],
            "product": names[row["gtin"]],
            "book": row["book"],
            "on hand, estimated": f"{row['on_hand']:.0f} ({row['on_hand_low']:.0f} to {row['on_hand_high']:.0f})",
            "in truth": truth[row["gtin"]],
        }
        for row in worst
    ]
    print_answer(console, pa.Table.from_pylist(shown), title="the books that are furthest off")


def _print_items(console: Console, connection: duckdb.DuckDBPyConnection, day: StoreDay) -> None:
    console.rule("Where is this item, and how sure are we?", align="left")
    rows = ask(
        connection,
        """SELECT epc_hex, gtin, zone, from_time AS since, confidence FROM locations
        WHERE until_time IS NULL ORDER BY hash(epc_hex)""",
    )
    rows = rows.slice(0, ITEMS_SHOWN).to_pylist()
    names = {product.gtin: product.name for product in day.plan.products}
    truth = day.truth_locations(day.now_us)
    shown = [
        {
            "epc": row["epc_hex"],
            "product": names.get(row["gtin"], ""),
            "zone": row["zone"],
            "since": f"{row['since']:%H:%M:%S}",
            "confidence": f"{row['confidence']:.0%}",
            "in truth": truth.get(row["epc_hex"], "gone"),
        }
        for row in rows
    ]
    print_answer(console, pa.Table.from_pylist(shown), title="ten items, picked blindly")


def _print_replenishment(console: Console, connection: duckdb.DuckDBPyConnection) -> None:
    console.rule("What to replenish now?", align="left")
    columns = ["shelf", "gtin", "units_on_shelf", "minimum_units", "units_in_back", "units_to_bring", "counted_by"]
    print_answer(console, ask(connection, "replenish").slice(0, ITEMS_SHOWN).select(columns))


def _print_readers(console: Console, connection: duckdb.DuckDBPyConnection) -> None:
    console.rule("Which reader misbehaves?", align="left")
    columns = ["reader", "profile", "state", "reads_total", "reads_late", "silences", "reports_lost"]
    print_answer(console, ask(connection, "reader-health").select(columns))
    told = ask(
        connection,
        """SELECT source AS reader, event, count(*) AS times, sum("count")::BIGINT AS lost, min(event_time) AS first
        FROM device_events WHERE event IN ('silent', 'resumed', 'gap', 'clock', 'overflow', 'lost')
        GROUP BY ALL ORDER BY source, event""",
    )
    print_answer(console, told, title="what was noticed over the day")


def _print_next(console: Console, data: Path, site_file: Path) -> None:
    console.rule("Go on from here", align="left")
    for text in (
        "tagtide questions",
        f"tagtide sql --data {data} where-is",
        f"tagtide sql --data {data} zone-contents --param zone=fitting_room",
        f"tagtide sql --data {data} rejects-by-reason",
        f'tagtide sql --data {data} "SELECT reader, antenna, count(*) FROM reads GROUP BY ALL ORDER BY ALL"',  # noqa: S608 - a command to copy
        f"tagtide site check {site_file}",
    ):
        console.print(f"  {text}", markup=False, soft_wrap=True)
    console.print(f"the data stays in {data}; README.md says how to connect real readers")


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"
