"""The `tagtide` command: the composition root. Here parts meet; rules live in the packages.

Exit codes: 0 done, 1 something is wrong (the message says what and what to do), 2 a wrong command line,
130 interrupted.
"""

import os
import sys

import typer
from rich.console import Console

from deploy.commands import data, devices, edge, evaluate, simulate, stack
from devices.errors import TagtideError, UsageError

app = typer.Typer(
    name="tagtide",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="markdown",
    help="""From RFID reads and shelf sensors to answers: where is this item, how sure are we, how far is the book
stock from the truth.

**First time here?** `tagtide demo` runs a simulated store for two minutes and shows what people ask.

**Bringing up a site:** write a site file, `tagtide site check F`, then
`tagtide up --site F --data DIR --mqtt mqtt://broker`, then `tagtide sql --data DIR where-is`.
""",
)

stack.add_to(app)
edge.add_to(app)
data.add_to(app)
evaluate.add_to(app)
simulate.add_to(app)
app.add_typer(devices.app, name="site")


def main() -> None:
    """Run the command line; user errors become one message and an exit code, never a stack trace."""
    errors = Console(stderr=True, highlight=False)
    try:
        app()
    except TagtideError as error:
        errors.print(f"[red]error[/red] ({error.code}): ", end="")
        errors.print(str(error), markup=False)
        if error.hint:
            errors.print("  hint: ", end="", style="yellow")
            errors.print(error.hint, markup=False)
        sys.exit(2 if isinstance(error, UsageError) else 1)
    except BrokenPipeError:
        # The reader of our output (`| head`) has gone; that is no error of ours.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
