"""Promise: imports point one way, as docs say: devices <- ingest, analytics, simulators <- deploy.

Imports are read from the source, those inside functions and under TYPE_CHECKING too.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent

MAY_IMPORT: dict[str, set[str]] = {
    "devices": set(),
    "ingest": {"devices"},
    "analytics": {"devices"},
    "simulators": {"devices"},
    "deploy": {"devices", "ingest", "analytics", "simulators"},
    "tests": {"devices", "ingest", "analytics", "simulators", "deploy"},
}
"""For each package of ours, which others it may import."""

SIMULATING = {
    "deploy/commands/simulate.py",
    "deploy/demo.py",
    "deploy/demo_answers.py",
}
"""The production modules that run a simulator: what a store runs imports none."""

NAMELESS = {"utils", "util", "common", "helpers", "helper", "manager", "managers", "misc", "lib"}
"""If a function has no home, its concept has no name."""


def modules(package: str) -> list[Path]:
    return sorted((REPOSITORY / package).rglob("*.py"))


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line and name of every module that a file imports; relative imports stay within their package."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"), str(path))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.lineno, node.module
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in {
            "importlib.import_module",
            "import_module",
            "__import__",
        }:
            pytest.fail(f"{path}:{node.lineno} imports by name: this test cannot see what")


def named(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix()


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_imports_point_one_way(package: str) -> None:
    allowed = MAY_IMPORT[package] | {package}
    wrong = [
        f"{named(path)}:{line} imports {module}"
        for path in modules(package)
        for line, module in imports(path)
        if module.split(".")[0] in MAY_IMPORT and module.split(".")[0] not in allowed
    ]
    assert wrong == []


def test_only_demo_and_simulate_import_the_simulator() -> None:
    using = {
        named(path) for path in modules("deploy") for _, module in imports(path) if module.split(".")[0] == "simulators"
    }
    assert using <= SIMULATING


def test_every_package_is_known_here() -> None:
    """A new top-level package has to say what it may import."""
    packages = {path.parent.name for path in REPOSITORY.glob("*/__init__.py")}
    assert packages == set(MAY_IMPORT)


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_nothing_is_called_by_a_name_that_says_nothing(package: str) -> None:
    names = [named(path) for path in modules(package)]
    assert [name for name in names if NAMELESS & set(name.removesuffix(".py").split("/"))] == []


def test_packages_have_no_logic_in_their_init() -> None:
    """They export names."""
    allowed = (ast.Import, ast.ImportFrom, ast.Expr, ast.Assign, ast.AnnAssign)
    wrong = [
        f"{named(path)}:{node.lineno}"
        for package in MAY_IMPORT
        for path in modules(package)
        if path.name == "__init__.py"
        for node in ast.parse(path.read_text("utf-8")).body
        if not isinstance(node, allowed)
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import ingest.edge_log as log", ["ingest.edge_log"]),
        ("def f():\n    from simulators import day", ["simulators"]),
        ("if TYPE_CHECKING:\n    import deploy, os", ["deploy", "os"]),
        ("from . import sibling", []),
        ("# import ingest\n'import ingest'", []),
    ],
)
def test_the_reader_of_imports(tmp_path: Path, source: str, found: list[str]) -> None:
    path = tmp_path / "module.py"
    path.write_text(source)
    assert [module for _, module in imports(path)] == found
