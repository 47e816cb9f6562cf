"""Promise: what the documents say is what the code does.

Elsewhere: the site file's keys (`tests/devices/site/test_documentation.py`), examples and reject codes of the dialects
(`tests/devices/test_profile_documentation.py`), examples in `--help` (`tests/deploy/test_help.py`).
"""

import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
import pytest

from analytics.query import SHARED_VIEWS, SITE_VIEWS
from analytics.questions import load_questions
from analytics.schemas import PARTITION_TIME, TABLES
from devices.observations import BusinessEventKind, DeviceEventKind
from devices.registry import PROFILES
from devices.schemas import STREAMS
from devices.site import check_text
from tests.deploy.command_line import commands, parse
from tests.shared_data import REPOSITORY

NOT_OURS = {".venv", ".git", ".cache", "node_modules", "demo-data", "build", "dist"}


@cache
def read(name: str) -> str:
    return (REPOSITORY / name).read_text(encoding="utf-8")


def pages() -> list[str]:
    """Return the path of every page in the repository."""
    found = (path.relative_to(REPOSITORY) for path in REPOSITORY.rglob("*.md"))
    return sorted(
        path.as_posix() for path in found if not any(part in NOT_OURS or part[0] == "." for part in path.parts)
    )


def blocks(page: str) -> Iterator[tuple[str, str]]:
    """Yield language and text of each fenced block of a page, with its indentation taken off."""
    for indent, language, text in re.findall(r"^( *)```([^\n]*)\n(.*?)^ *```", read(page), re.DOTALL | re.MULTILINE):
        yield language.strip(), re.sub(rf"^{indent}", "", text, flags=re.MULTILINE)


def without_blocks(page: str) -> str:
    return re.sub(r"^ *```.*?^ *```", "", read(page), flags=re.DOTALL | re.MULTILINE)


# --- tables ------------------------------------------------------------------------------------------------------

SECTIONS = {
    section.split("\n", 1)[0]: section for section in re.split(r"^## ", read("docs/tables.md"), flags=re.MULTILINE)[1:]
}


def rows(title: str) -> list[tuple[str, str, str]]:
    """Return the cells of a section's table of columns: names, type, meaning."""
    return re.findall(r"^\| (`[^|]+) \| ([^|]+) \| (.*) \|$", SECTIONS[title], re.MULTILINE)


def title_of(table: str) -> str:
    (title,) = [title for title in SECTIONS if title.startswith(f"{table} ")]
    return title


def documented(table: str) -> dict[str, str]:
    """Return the type of each column that docs/tables.md gives a table, the shared ones included."""
    found = {name: kind.strip() for cell, kind, _ in rows(title_of(table)) for name in names(cell)}
    if table not in STREAMS:
        return {"site": "string"} | found
    shared = rows("Columns that the canonical streams share")
    only = re.search(r"^Of the shared columns it has only ([^.]*)\.", SECTIONS[title_of(table)], re.MULTILINE)
    return {
        name: kind.strip() for cell, kind, _ in shared for name in names(cell) if only is None or name in names(only[1])
    } | found


def names(cell: str) -> list[str]:
    return re.findall(r"`(\w+)`", cell)


def type_name(field: pa.Field) -> str:
    kind = {"double": "float64", "bool": "boolean", "timestamp[us, tz=UTC]": "timestamp"}.get(
        str(field.type), str(field.type)
    )
    return f"{kind}, null" if field.nullable else kind


@pytest.mark.parametrize("table", TABLES)
def test_a_table_has_the_columns_that_are_documented(table: str) -> None:
    assert documented(table) == {field.name: type_name(field) for field in TABLES[table]}


def test_no_other_table_is_documented() -> None:
    titles = [title.split(" ")[0] for title in SECTIONS if "(day of" in title]
    assert titles == list(TABLES)


@pytest.mark.parametrize("table", TABLES)
def test_the_day_of_a_table_is_that_of_the_column_named(table: str) -> None:
    assert f"(day of `{PARTITION_TIME[table]}`)" in title_of(table)


@pytest.mark.parametrize(
    ("table", "kinds"), [("device_events", DeviceEventKind), ("business_events", BusinessEventKind)]
)
def test_the_kinds_of_events_are_documented(table: str, kinds: type[DeviceEventKind | BusinessEventKind]) -> None:
    (meaning,) = [meaning for cell, _, meaning in rows(title_of(table)) if cell == "`event`"]
    assert names(meaning) == [kind.value for kind in kinds]


def test_views_have_the_columns_that_are_documented() -> None:
    shown = dict(re.findall(r"`(\w+)\(([^)`]*)\)`", read("docs/tables.md")))
    assert {name: shown[name].split(", ") for name in SITE_VIEWS} == {
        name: schema.names for name, schema in SITE_VIEWS.items()
    }
    assert shown.keys() == SITE_VIEWS.keys() | SHARED_VIEWS.keys()


# --- devices and questions ---------------------------------------------------------------------------------------


def test_every_dialect_is_registered_and_has_its_page() -> None:
    folders = {path.parent.name for path in (REPOSITORY / "devices").glob("*/decoder.py")}
    assert folders == set(PROFILES)
    assert [name for name in PROFILES if not (REPOSITORY / "devices" / name / "README.md").is_file()] == []


def test_every_question_file_is_listed_with_its_question() -> None:
    files = {path.stem for path in (REPOSITORY / "analytics" / "sql").iterdir()}
    assert files == set(load_questions())
    assert all(question.title.endswith("?") for question in load_questions().values())


def test_questions_that_pages_name_exist() -> None:
    """`tagtide sql ... NAME`, in blocks and in prose: the last word that is no option is a question or SQL."""
    for page, line in command_lines():
        if line.startswith("tagtide sql ") and "--help" not in line and '"' not in line:
            words = [
                word for word in line.split() if re.fullmatch(r"[a-z]+(-[a-z]+)+|replenish|missing|misplaced", word)
            ]
            assert set(words) & set(load_questions()), f"{page}: {line}"


# --- the command line --------------------------------------------------------------------------------------------


def command_lines() -> Iterator[tuple[str, str]]:
    """Yield page and text of each line in a block that runs `tagtide`."""
    for page in pages():
        for language, text in blocks(page):
            if language in {"", "sh", "bash", "shell", "text", "console"}:
                yield from ((page, line) for line in _tagtide_lines(text))
        indented = re.findall(r"^    \S.*$", without_blocks(page), re.MULTILINE)
        yield from ((page, line) for line in _tagtide_lines("\n".join(indented)))


def _tagtide_lines(text: str) -> list[str]:
    lines = (line.strip() for line in text.replace("\\\n", " ").splitlines())
    return [line for line in lines if line.startswith("tagtide ")]


@pytest.mark.parametrize(("page", "line"), list(command_lines()))
def test_a_command_line_in_a_page_parses(page: str, line: str) -> None:
    del page
    parse(line.replace("[", "").replace("]", ""))


def test_commands_in_prose_exist_with_their_options() -> None:
    wrong = []
    for page in pages():
        for span in re.findall(r"`tagtide ([^`]+)`", without_blocks(page)):
            words = span.split()
            name = next((name for name in (" ".join(words[:2]), words[0]) if name in commands()), None)
            known = set() if name is None else {option for entry in commands()[name].params for option in entry.opts}
            options = {word.split("=")[0] for word in words if word.startswith("-")}
            if (name is None and words[0] not in {"COMMAND", "--help", "--version", "site"}) or options - known - {
                "--help"
            }:
                wrong.append(f"{page}: tagtide {span}")
    assert wrong == []


def test_the_readme_lists_every_command_and_no_other() -> None:
    (table,) = re.findall(r"^\| command \| does \|\n\|[-|]+\|\n((?:\|.*\n)+)", read("README.md"), re.MULTILINE)
    assert sorted(re.findall(r"`tagtide ([a-z ]+)`", table)) == sorted(commands())


def test_make_targets_in_pages_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", read("Makefile"), re.MULTILINE))
    named = {
        target
        for page in pages()
        for target in [
            *re.findall(r"`make ([a-z-]+)`", read(page)),
            *(found for _, text in blocks(page) for found in re.findall(r"^make ([a-z-]+)", text, re.MULTILINE)),
        ]
    }
    assert named <= targets


@pytest.mark.parametrize(
    ("file", "pattern"),
    [
        ("deploy/compose/compose.yaml", r"^ +command: (.*)$"),
        ("deploy/systemd/tagtide@.service", r"^ExecStart=\S*/tagtide (.*)$"),
    ],
)
def test_commands_in_settings_parse(file: str, pattern: str) -> None:
    found = re.findall(pattern, read(file), re.MULTILINE)
    assert found
    for arguments in found:
        parse(f"tagtide {arguments}")


# --- the README's example ----------------------------------------------------------------------------------------


def test_the_site_file_of_the_readme_loads_without_a_remark() -> None:
    (example,) = [text for language, text in blocks("README.md") if language == "toml"]
    report = check_text(example)
    assert (report.problems, report.warnings) == ((), ())


@pytest.mark.parametrize("page", pages())
def test_toml_in_a_page_is_toml(page: str) -> None:
    for language, text in blocks(page):
        if language == "toml":
            tomllib.loads(text)


# --- links -------------------------------------------------------------------------------------------------------


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives a page's headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", pages())
def test_links_lead_somewhere(page: str) -> None:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", without_blocks(page)):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = unquote(target).partition("#")
        path = (REPOSITORY / page).parent / file if file else REPOSITORY / page
        if not path.exists() or (anchor and anchor not in anchors(path)):
            broken.append(target)
    assert broken == []


@pytest.mark.parametrize("page", pages())
def test_files_that_prose_names_exist(page: str) -> None:
    """A path in backquotes that begins with one of our folders and has a suffix is a file here, or a pattern."""
    named = re.findall(
        r"`((?:devices|ingest|analytics|simulators|deploy|tests|docs)/[\w./-]+\.\w+)`", without_blocks(page)
    )
    assert [name for name in named if not (REPOSITORY / name).exists()] == []


# --- glossary ----------------------------------------------------------------------------------------------------

TERMS = re.findall(r"^\| ([^|]+) \| [^|]+ \|$", read("docs/glossary.md"), re.MULTILINE)[1:]


def test_the_glossary_is_in_order_and_has_each_term_once() -> None:
    assert [term.casefold() for term in TERMS] == sorted({term.casefold() for term in TERMS})


@cache
def everything_else() -> str:
    sources = (
        path.read_text(encoding="utf-8")
        for package in ("devices", "ingest", "analytics", "simulators", "deploy")
        for path in (REPOSITORY / package).rglob("*.py")
    )
    texts = [read(page) for page in pages() if page != "docs/glossary.md"]
    return re.sub(r"[_\s-]+", " ", " ".join([*texts, *sources])).casefold()


@pytest.mark.parametrize("term", TERMS)
def test_a_term_of_the_glossary_is_used(term: str) -> None:
    spellings = [re.sub(r"[_\s-]+", " ", spelling).casefold() for spelling in re.split(r", | \(", term.rstrip(")"))]
    assert any(re.search(rf"\b{re.escape(spelling)}", everything_else()) for spelling in spellings)


# --- decisions ---------------------------------------------------------------------------------------------------


def test_decision_records_are_numbered_without_gaps() -> None:
    records = sorted((REPOSITORY / "docs" / "adr").glob("*.md"))
    for number, record in enumerate(records, 1):
        text = record.read_text(encoding="utf-8")
        assert record.name.startswith(f"{number:04}-")
        assert text.startswith(f"# {number}. ")
        assert "\nStatus: " in text


def test_the_changelog_begins_with_this_version() -> None:
    version = tomllib.loads(read("pyproject.toml"))["project"]["version"]
    assert re.search(r"^## (\S+)", read("CHANGELOG.md"), re.MULTILINE)[1] == version  # type: ignore[index]
