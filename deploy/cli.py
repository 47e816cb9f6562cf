"""The `tagtide` command: the composition root. Here parts meet; rules live in the packages.

Exit codes: 0 done, 1 something is wrong (the message says what and what to do), 2 a wrong command line,
130 interrupted before it was done.
"""

import errno
import sys
from typing import Annotated

import typer

from deploy.commands import (
    calibrate,
    data,
    devices,
    doctor,
    edge,
    evaluate,
    explain,
    gate,
    health,
    rebuild,
    simulate,
    stack,
)
from deploy.kernel_cache import find_kernel_cache
from deploy.logs import Log, LogFormat, log_settings
from deploy.printing import say
from devices.errors import TagtideError, UsageError
from devices.events import EventLevel

_DISK_TROUBLE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO}
"""What a write may fail of without saying where."""

app = typer.Typer(
    name="tagtide",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="markdown",
)

stack.add_to(app)
health.add_to(app)
edge.add_to(app)
data.add_to(app)
rebuild.add_to(app)
doctor.add_to(app)
evaluate.add_to(app)
calibrate.add_to(app)
explain.add_to(app)
simulate.add_to(app)
app.add_typer(devices.app, name="site")
app.add_typer(gate.app, name="gate")


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - typer's signature
    if wanted:
        from importlib.metadata import version

        say(f"tagtide {version('tagtide')}", to_stdout=True)
        raise typer.Exit


@app.callback()
def tagtide(
    version: Annotated[  # noqa: FBT002 - typer's signature; acted on by its callback
        bool, typer.Option("--version", metavar="", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """From RFID reads and shelf sensors to answers: where is this item, how sure are we, how far is the book stock from
    the truth.

    First time here? This runs a simulated store for two minutes and shows what people ask:

    ```text
    tagtide demo
    ```

    Bringing up a site of your own, from its site file to the first answer:

    ```text
    tagtide site check store.toml
    tagtide up --site store.toml --data DIR --mqtt mqtt://broker
    tagtide sql --data DIR where-is
    tagtide explain --data DIR EPC
    ```
    """  # noqa: D205 - one sentence, longer than a line


def main() -> None:
    """Run the command line; user errors become one message and an exit code, never a stack trace."""
    find_kernel_cache()
    # A site's name may hold what the terminal's encoding does not: an answer with escapes is better than none.
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # a text file, unless replaced
    try:
        app(prog_name="tagtide")
    except TagtideError as error:
        _tell(str(error), error.code, error.hint)
        sys.exit(2 if isinstance(error, UsageError) else 1)
    except OSError as error:
        if error.filename is None and error.errno not in _DISK_TROUBLE:
            raise
        place = "" if error.filename is None else f"{error.filename}: "
        _tell(f"{place}{error.strerror}", "file_failed", "check path, permissions and free space")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def _tell(message: str, code: str, hint: str | None) -> None:
    if log_settings().style is LogFormat.JSON:
        Log("tagtide").tell(code, message, level=EventLevel.ERROR, hint=hint or "")
        return
    say(f"({code}): {message}", label="error", style="red")
    if hint:
        say(hint, label="  hint:", style="yellow")


if __name__ == "__main__":
    main()
