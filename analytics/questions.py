"""The named questions: SQL files under `analytics/sql/`, each with its question in plain words at its top.

A file is a header and one DuckDB SELECT over the views of `analytics.query`:

```sql
-- What is in this zone now?
-- More lines that say what the answer's rows and columns mean.
-- subject: items
-- formerly: an-older-name
-- parameters:
-- $zone: zone identifier (default: all)

SELECT ...
```

The first line is the question. `-- subject:` is one of `Subject`. `-- formerly:` stands where a question once had other
names, under which it still can be asked. `-- parameters: none` stands where there are none. Every parameter has a
default, so that a question runs by its name alone; `all` is null, and anything else is given to the SQL as text, as
values from a command line are: the SQL casts them.

Averages, and sums of fractions, are rounded to six places in the SQL: DuckDB adds in any order, and the last bits of a
sum depend on it, while an answer must not.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files

from devices.errors import QuestionError

ALL = "all"
"""Default that stands for null: no restriction."""

_SUBJECT, _FORMERLY = "subject:", "formerly:"
_NAME = re.compile(r"[a-z]+(-[a-z]+)*")
_PARAMETER = re.compile(r"\$([a-z][a-z_]*): (\S.*) \(default: (\S.*)\)")
_USED = re.compile(r"\$([A-Za-z_]\w*)")
_COMMENT_OR_TEXT = re.compile(r"--[^\n]*|'(?:[^']|'')*'")


class Subject(StrEnum):
    """What a question is about, in the order in which a list has them."""

    ITEMS = "items"
    """Where things are, were, and came from."""
    PLACES = "places"
    """Tills and fitting rooms."""
    STOCK = "stock"
    """How many there are, by the book and on the shelves."""
    DELIVERIES = "deliveries"
    """What was announced and what came."""
    GATES = "gates and exits"
    """What went in and out."""
    COUNTING = "counting"
    """Counting passes."""
    DEVICES = "devices and data"
    """Readers, and what they sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A named question."""

    name: str
    """File name without `.sql`, in kebab case."""
    title: str
    """The question, one sentence."""
    description: str
    """What the rows and columns of the answer mean; may be empty."""
    subject: Subject
    """What it is about."""
    parameters: Mapping[str, str | None]
    """Defaults by parameter name; `None` is null, which means all."""
    parameter_meanings: Mapping[str, str]
    """What each parameter is, by name."""
    sql: str
    """The SELECT, without the header."""
    formerly: tuple[str, ...] = ()
    """Names that it once had, under which it still answers."""


@cache
def load_questions() -> Mapping[str, Question]:
    """Read the questions that ship with this package.

    Returns:
        Questions by name, by subject and name.

    Raises:
        QuestionError: A file breaks the format of the header; the message names file and line.
    """
    folder = files("analytics") / "sql"
    found = sorted(
        (entry.name.removesuffix(".sql"), entry.read_text(encoding="utf-8"))
        for entry in folder.iterdir()
        if entry.name.endswith(".sql")
    )
    questions = [parse_question(name, text) for name, text in found]
    return {question.name: question for question in sorted(questions, key=_place)}


def _place(question: Question) -> tuple[int, str]:
    return list(Subject).index(question.subject), question.name


def find_question(name: str) -> Question | None:
    """Return the question of a name, or one that once had it."""
    known = load_questions()
    return known.get(name) or next((question for question in known.values() if name in question.formerly), None)


def parse_question(name: str, text: str) -> Question:
    """Read one question from the text of its file.

    Args:
        name: File name without `.sql`.
        text: Content of the file.

    Raises:
        QuestionError: The file breaks the format.
    """
    if not _NAME.fullmatch(name):
        raise _broken(name, 0, "its name is not in kebab case (lower-case words joined by -)")
    lines = text.splitlines()
    header = [line[2:].strip() for line in _leading_comments(lines)]
    if not header or not header[0].endswith("?"):
        raise _broken(name, 1, "the first line is not a comment with the question, ending in ?")
    marker = next((number for number, line in enumerate(header) if line.startswith("parameters:")), None)
    if marker is None:
        raise _broken(name, len(header), "the header has no line `-- parameters:` (or `-- parameters: none`)")
    former = [line for line in header[1:marker] if line.startswith(_FORMERLY)]
    subjects = [line for line in header[1:marker] if line.startswith(_SUBJECT)]
    defaults, meanings = _parameters(name, header, marker)
    sql = "\n".join(lines[len(header) :]).strip()
    _check_sql(name, sql, defaults)
    return Question(
        name=name,
        title=header[0],
        description=" ".join(line for line in header[1:marker] if line and line not in [*former, *subjects]),
        subject=_subject(name, subjects),
        parameters=defaults,
        parameter_meanings=meanings,
        sql=sql,
        formerly=tuple(old for line in former for old in line.removeprefix(_FORMERLY).split()),
    )


def _subject(name: str, lines: list[str]) -> Subject:
    said = [line.removeprefix(_SUBJECT).strip() for line in lines]
    if len(said) != 1 or said[0] not in [subject.value for subject in Subject]:
        raise _broken(name, 0, f"the header has no line `-- subject:` with one of {', '.join(Subject)}")
    return Subject(said[0])


def _leading_comments(lines: list[str]) -> list[str]:
    end = next((number for number, line in enumerate(lines) if not line.startswith("--")), len(lines))
    return lines[:end]


def _parameters(name: str, header: list[str], marker: int) -> tuple[dict[str, str | None], dict[str, str]]:
    defaults: dict[str, str | None] = {}
    meanings: dict[str, str] = {}
    rest = header[marker].removeprefix("parameters:").strip()
    if rest not in {"", "none"} or (rest == "none") != (marker + 1 == len(header)):
        raise _broken(name, marker + 1, "write `-- parameters:` and one line for each, or `-- parameters: none`")
    for number, line in enumerate(header[marker + 1 :], marker + 2):
        matched = _PARAMETER.fullmatch(line)
        if matched is None:
            raise _broken(name, number, "a parameter is written `-- $name: what it is (default: value or all)`")
        parameter, meaning, default = matched.groups()
        if parameter in defaults:
            raise _broken(name, number, f"${parameter} is declared twice")
        defaults[parameter] = None if default == ALL else default
        meanings[parameter] = meaning
    return defaults, meanings


def _check_sql(name: str, sql: str, declared: Mapping[str, str | None]) -> None:
    bare = _COMMENT_OR_TEXT.sub("", sql)
    if not re.match(r"(SELECT|WITH)\b", bare.lstrip()) or ";" in bare:
        raise _broken(name, 0, "what follows the header is not one SELECT without a semicolon")
    used = set(_USED.findall(bare))
    if missing := used - declared.keys():
        raise _broken(name, 0, f"the SQL uses ${', $'.join(sorted(missing))}, which the header does not declare")
    if unused := declared.keys() - used:
        raise _broken(name, 0, f"the header declares ${', $'.join(sorted(unused))}, which the SQL does not use")


def _broken(name: str, line: int, what: str) -> QuestionError:
    place = f"analytics/sql/{name}.sql" + (f", line {line}" if line else "")
    return QuestionError(f"{place}: {what}", code="question_file_invalid")
