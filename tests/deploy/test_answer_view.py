"""Promise: an answer is readable on a terminal of any width, and one line a row in a pipe."""

import io

import pyarrow as pa
import pytest
from rich.console import Console

from deploy import answer_view
from deploy.answer_view import print_answer

NARROW = pa.table({"zone": ["floor.a", "back"], "items": [12, 3]})
WIDE = pa.table({f"column_{number}": ["x" * 30] * 2 for number in range(6)})


def shown(answer: pa.Table, *, width: int = 80, terminal: bool = True, title: str | None = None) -> list[str]:
    sink = io.StringIO()
    console = Console(file=sink, width=width, force_terminal=terminal, color_system=None, highlight=False)
    print_answer(console, answer, title=title)
    assert console.width == width, "the caller's console is as it was"
    return sink.getvalue().splitlines()


def test_a_table_where_it_fits() -> None:
    lines = shown(NARROW)
    assert "zone" in lines[1]
    assert lines[3].split() == ["│", "floor.a", "│", "12", "│"]
    assert len(lines) == 2 + 4


def test_blocks_where_it_does_not() -> None:
    lines = shown(WIDE)
    assert lines[0].startswith("row 1 ")
    assert lines[1] == "column_0  " + "x" * 30
    assert max(map(len, lines)) <= 80
    assert len(lines) == 2 * 7


@pytest.mark.parametrize("width", [4 + 7 + 3 + 5, 4 + 7 + 3 + 4])
def test_the_border_between_the_two(width: int) -> None:
    """The table takes 19 columns: border, padding, 7 for floor.a, 5 for items."""
    assert shown(NARROW, width=width)[0].startswith("row" if width < 19 else "┏")


def test_one_column_is_always_a_table_and_folds() -> None:
    lines = shown(pa.table({"text": ["word " * 40]}), width=40)
    assert lines[0].startswith("┏")
    assert max(map(len, lines)) <= 40


def test_a_pipe_gets_a_line_a_row() -> None:
    lines = shown(WIDE, width=20, terminal=False)
    assert len(lines) == 2 + 4
    assert all(line.count("x" * 30) == 6 for line in lines[3:5])


def test_characters_of_double_width_are_measured() -> None:
    lines = shown(pa.table({"name": ["日本" * 10, "x"], "n": [1, 2]}), width=20, terminal=False)
    assert len(lines) == 2 + 4


def test_square_brackets_are_text() -> None:
    lines = shown(pa.table({"list[1]": ["[red]x[/red]"], "[bold]": [1]}))
    assert "list[1]" in lines[1]
    assert "[bold]" in lines[1]
    assert "[red]x[/red]" in lines[3]


def test_nothing_says_so() -> None:
    assert shown(NARROW.slice(0, 0)) == ["no rows"]
    assert shown(pa.table({})) == ["no rows"]


def test_a_title_stands_above() -> None:
    assert shown(NARROW, title="what [is] there")[0] == "what [is] there"


def test_a_table_for_people_ends_somewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer_view, "ROWS_MAX", 2)
    assert "rows more" not in shown(NARROW)[-1]
    lines = shown(pa.table({"n": range(1_002)}))
    assert len(lines) == 2 + 4 + 1
    assert lines[-1] == "and 1,000 rows more: --format csv prints all"
