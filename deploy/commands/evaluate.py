"""`tagtide evaluate`: our answers and the baselines' beside the truth."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.console import Console

from deploy.commands.options import SiteFile
from deploy.printing import AnswerConsole, put, say

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from analytics.evaluation import DayReport
    from devices.chunk import Chunk
    from ingest.capture import CaptureProblem

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
            metavar="PATH",
            help="Folder that `tagtide simulate` wrote, or a file of where every item was: CSV "
            "`epc_hex,zone,x,y,from_us,until_us`.",
            show_default=False,
        ),
    ],
    json: Annotated[bool, typer.Option("--json", metavar="", help="Print one JSON object instead of tables.")] = False,
    detail: Annotated[
        bool, typer.Option("--detail", metavar="", help="Print confusion and reliability tables too.")
    ] = False,
    sensitivity: Annotated[
        bool,
        typer.Option(
            "--sensitivity",
            metavar="",
            help="Print what turning the site's move_sensitivity would do too; takes longer.",
        ),
    ] = False,
) -> None:
    """Score our answers against the truth, and the baselines for item location on the same reads.

    Baselines: EdgeX mobility profile in both configurations, strongest mean in 10 s, last read wins. Of a folder,
    everything that it has truth about is scored: location, passages at gates, what is in what, counting passes, on-hand
    estimates. docs/evaluation.md defines the measures.

    ```text
    tagtide simulate --scenario store-24 --out day
    tagtide evaluate -s day/site.toml -c day/capture.jsonl -t day
    ```
    """
    from analytics.evaluation import SENSITIVITIES, evaluate_day, read_day_truth
    from deploy.capture_chunks import capture_chunks
    from devices.site import load_site

    progress = Console(stderr=True, highlight=False)
    wanted = load_site(site)
    true = read_day_truth(truth)
    with progress.status("reading the capture") as status:
        seen = _Seen()
        chunks = capture_chunks(capture, [wanted], lambda read: status.update(f"{read:,} publications read"), seen.note)
        report = evaluate_day(
            wanted,
            seen.noted(chunks, wanted.id),
            true,
            sensitivities=SENSITIVITIES if sensitivity else (),
            clock=time.perf_counter,
            on_progress=lambda name: status.update(f"running {name}"),
        )
    seen.tell()
    if not report.reads:
        say(
            "the capture has no reads of this site: does the site file name its topics?",
            label="warning",
            style="yellow",
        )
    if true.stock is not None and report.stock is None:
        say(
            "no on-hand estimate could be compared: the first comes a quarter of an hour after the beginning",
            label="note",
        )
    if json:
        put(msgspec.json.encode(report.to_json()).decode() + "\n")
        return
    _print(report, sensitivity=sensitivity, detail=detail)


def _print(report: "DayReport", *, sensitivity: bool, detail: bool) -> None:
    """Print a report as tables."""
    from analytics.evaluation import confusion_table, day_tables, reliability_table, score_table, sensitivity_table

    console = AnswerConsole()
    if not console.is_terminal:
        console = AnswerConsole(width=PIPED_WIDTH)
    if report.location:
        console.print(score_table(report.location))
        if sensitivity:
            console.print(sensitivity_table(report.location))
        if detail:
            ours = report.location.scores[0].name
            console.print(confusion_table(report.location, ours))
            console.print(reliability_table(report.location, ours) or "no confidence was stated")
    for table in day_tables(report, detail=detail):
        console.print(table)


@dataclass(slots=True)
class _Seen:
    """What of the capture was left out of the comparison."""

    problems: int = 0
    first: "CaptureProblem | None" = None
    rejects: int = 0

    def note(self, problem: "CaptureProblem") -> None:
        """Count an unreadable line."""
        self.problems += 1
        self.first = self.first or problem

    def noted(self, chunks: "Iterable[Chunk]", site: str) -> "Iterator[Chunk]":
        """Hand chunks on, one at a time, and count the site's rejects in them."""
        for chunk in chunks:
            self.rejects += chunk.batch("rejects").num_rows if chunk.site == site else 0
            yield chunk

    def tell(self) -> None:
        """Say what was left out."""
        if self.first is not None:
            lines = "1 line" if self.problems == 1 else f"{self.problems:,} lines"
            where = f"line {self.first.line_number}, {self.first.reason_code}"
            text = f"{lines} of the capture could not be read, the first of them {where}"
            say(text, label="warning", style="yellow")
        if self.rejects:
            parts = "1 part" if self.rejects == 1 else f"{self.rejects:,} parts"
            text = f"{parts} of the site's publications could not be decoded: replay the capture, then ask for rejects"
            say(text, label="warning", style="yellow")
