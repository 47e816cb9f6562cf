"""Answers on a terminal: a table where it fits, one block a row where it does not."""

import pyarrow as pa
from rich.console import Console
from rich.table import Table
from rich.text import Text

from analytics.answers import to_text_rows

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
    rows = list(to_text_rows(answer))
    if not rows:
        console.print("no rows", style="dim")
        return
    widths = [
        max(len(name), *(len(row[index]) for row in rows)) + _COLUMN_PADDING
        for index, name in enumerate(answer.column_names)
    ]
    if not console.is_terminal:
        # Into a file or a pipe every row is one line, however wide.
        console = Console(file=console.file, width=sum(widths) + _COLUMN_PADDING, highlight=False)
    elif sum(widths) + 1 > console.width and answer.num_columns > 1:
        _print_blocks(console, answer.column_names, rows)
        return
    table = Table(header_style="bold")
    for field in answer.schema:
        numeric = pa.types.is_integer(field.type) or pa.types.is_floating(field.type) or pa.types.is_decimal(field.type)
        table.add_column(field.name, justify="right" if numeric else "left", overflow="fold")
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
