"""`tagtide evaluate`: our answers and the baselines' beside the truth."""

import time
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console

from deploy.commands.options import SiteFile
from deploy.printing import AnswerConsole, put, say
from devices.errors import UsageError

PIPED_WIDTH = 200
"""Columns of the tables where no terminal says how many there are."""


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("evaluate")(evaluate)


def evaluate(
    site: SiteFile,
    capture: Annotated[
        Path, typer.Option("--capture", "-c", metavar="FILE", help="Capture of the site.", show_default=False)
    ],
    truth: Annotated[
        Path,
        typer.Option(
            "--truth",
            "-t",
            metavar="FILE",
            help="Where every item was: CSV `epc_hex,zone,x,y,from_us,until_us`.",
            show_default=False,
        ),
    ],
    json: Annotated[bool, typer.Option("--json", metavar="", help="Print one JSON object instead of tables.")] = False,
    detail: Annotated[
        bool, typer.Option("--detail", metavar="", help="Print confusion and reliability tables too.")
    ] = False,
) -> None:
    """Score our item location and the baselines on the same reads against the truth.

    Baselines: EdgeX mobility profile in both configurations, strongest mean in 10 s, last read wins. The measures are
    defined in docs/evaluation.md.

    ```text
    tagtide simulate --scenario store-24 --out day
    tagtide evaluate -s day/site.toml -c day/capture.jsonl -t day/truth.csv
    ```
    """
    from analytics.evaluation import confusion_table, reliability_table, score_table
    from analytics.evaluation import evaluate as compare
    from analytics.truth import read_truth
    from deploy.capture_chunks import capture_chunks
    from devices.site import load_site

    progress = Console(stderr=True, highlight=False)
    wanted = load_site(site)
    if not truth.is_file():
        raise UsageError(f"there is no truth file {truth}", hint="`tagtide simulate` writes one: truth.csv")
    true = read_truth(truth)
    with progress.status("reading the capture") as status:
        chunks = list(capture_chunks(capture, [wanted], lambda read: status.update(f"{read:,} publications read")))
        report = compare(
            wanted, chunks, true, clock=time.perf_counter, on_progress=lambda name: status.update(f"running {name}")
        )
    if not any(chunk.batch("reads").num_rows for chunk in chunks if chunk.site == wanted.id):
        say(
            "the capture has no reads of this site: does the site file name its topics?",
            label="warning",
            style="yellow",
        )
    if json:
        put(msgspec.json.encode(report.to_json()).decode() + "\n")
        return
    console = AnswerConsole()
    if not console.is_terminal:
        console = AnswerConsole(width=PIPED_WIDTH)
    console.print(score_table(report))
    if detail:
        ours = report.scores[0].name
        console.print(confusion_table(report, ours))
        console.print(reliability_table(report, ours) or "no confidence was stated")
