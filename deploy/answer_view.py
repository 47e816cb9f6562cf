"""Answers on a terminal: a table where it fits, one block a row where it does not."""

import pyarrow as pa
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from analytics.answers import to_text_rows

ROWS_MAX = 10_000
"""A table for people ends here: nobody reads on, and rich takes a millisecond a row. CSV and JSON have all rows."""

_COLUMN_PADDING = 3
"""Cells that rich spends on a column beside its content: two spaces and a line."""


def print_answer(console: Console, answer: pa.Table, *, title: str | None = None) -> None:
    """Print an answer for people.

    Args:
        console: Where to.
        answer: Rows and columns.
        title: Printed above it.
    """
    if title:
        console.print(title, style="bold", markup=False)
    rows = list(to_text_rows(answer.slice(0, ROWS_MAX)))
    if not rows:
        console.print("no rows", style="dim")
        return
    widths = [
        max(cell_len(name), *(_width(row[index]) for row in rows)) + _COLUMN_PADDING
        for index, name in enumerate(answer.column_names)
    ]
    terminal_width = console.width
    if not console.is_terminal:
        # Into a file or a pipe every row is one line, however wide.
        console.width = sum(widths) + 1
    if sum(widths) + 1 > console.width and answer.num_columns > 1:
        _print_blocks(console, answer.column_names, rows)
    else:
        _print_table(console, answer.schema, rows)
    console.width = terminal_width
    if answer.num_rows > ROWS_MAX:
        console.print(f"and {answer.num_rows - ROWS_MAX:,} rows more: --format csv prints all", style="dim")


def _width(cell: str) -> int:
    return max(cell_len(line) for line in cell.split("\n"))


def _print_table(console: Console, schema: pa.Schema, rows: list[list[str]]) -> None:
    table = Table(header_style="bold")
    for field in schema:
        numeric = pa.types.is_integer(field.type) or pa.types.is_floating(field.type) or pa.types.is_decimal(field.type)
        # The name is a Text: a column may well be called count_star() or list[1].
        table.add_column(Text(field.name), justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    console.print(table)


def _print_blocks(console: Console, names: list[str], rows: list[list[str]]) -> None:
    for number, row in enumerate(rows, 1):
        console.rule(f"row {number}", align="left", style="dim")
        grid = Table.grid(padding=(0, 2))
        for name, cell in zip(names, row, strict=True):
            grid.add_row(Text(name, style="bold"), Text(cell))
        console.print(grid)
