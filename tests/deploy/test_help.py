"""Promise: `--help` of every command names all that it takes, fits a terminal, and shows an example that works."""

import re
import subprocess
import sys

import pytest

from tests.deploy.command_line import commands, parse, tagtide
from tests.integration.processes import run

EXAMPLES = re.compile(r"```text\n(.*?)```", re.DOTALL)
NAMES = sorted(commands())


def examples(help_text: str) -> list[str]:
    return [line.strip() for block in EXAMPLES.findall(help_text) for line in block.strip().splitlines()]


def test_there_are_the_commands_that_must_exist() -> None:
    required = {
        "demo",
        "up",
        "bridge",
        "jobs",
        "simulate",
        "capture",
        "replay",
        "sql",
        "tail",
        "evaluate",
        "site check",
    }
    assert required <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_help_names_every_option_and_argument(name: str) -> None:
    ended = tagtide(*name.split(), "--help")
    assert (ended.code, ended.err) == (0, "")
    for parameter in commands()[name].params:
        shown = [*parameter.opts, *parameter.secondary_opts] if parameter.param_type_name == "option" else []
        assert all(option in ended.out for option in [*shown, parameter.metavar or ""]), parameter.name


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize("name", ["", *NAMES])
def test_help_fits_the_terminal(name: str, columns: int) -> None:
    for line in tagtide(*name.split(), "--help", columns=columns).out.splitlines():
        assert len(line) <= columns


@pytest.mark.parametrize("name", NAMES)
def test_help_shows_examples_that_parse(name: str) -> None:
    shown = examples(commands()[name].help)
    assert any(line.startswith(f"tagtide {name} ") for line in shown)
    out = tagtide(*name.split(), "--help").out
    for line in shown:
        parse(line)
        assert f"  {line} " in out, "it does not fit into one line of a terminal"


def test_the_first_page_leads_to_the_first_answer() -> None:
    page = tagtide("--help").out
    for line in ("tagtide demo", "tagtide site check store.toml", "tagtide sql --data DIR where-is"):
        assert line in page
        parse(line)
    assert all(f" {name.split()[0]} " in page for name in NAMES)


def test_no_command_is_a_wrong_command_line_that_shows_help() -> None:
    ended = tagtide()
    assert ended.code == 2
    assert "Commands" in ended.out + ended.err


@pytest.mark.slow
def test_help_does_not_wait_for_libraries_that_compute() -> None:
    heavy = ["numba", "duckdb", "deltalake", "confluent_kafka", "scipy"]
    script = f"import sys, deploy.cli; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.slow
def test_as_a_process() -> None:
    assert re.fullmatch(r"tagtide \d+\.\d+\.\d+\n", run("--version"))
    assert "Usage: tagtide sql" in run("sql", "--help")
    assert "No such option" in run("sql", "--nonsense", expect=2)
