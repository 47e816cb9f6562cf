"""`tagtide calibrate`: what tags at known places say about a site's radio, as a file that the site file names."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import typer
from rich.console import Console
from rich.table import Table

from deploy.commands.options import SiteFile
from deploy.printing import AnswerConsole, say
from devices.errors import UsageError

if TYPE_CHECKING:
    from analytics.survey.fit import CalibrationReport
    from devices.site.model import Site
    from ingest.capture import CaptureProblem

PIPED_WIDTH = 120
"""Columns of the table where no terminal says how many there are."""


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("calibrate")(calibrate)


def calibrate(
    site: SiteFile,
    survey: Annotated[
        Path,
        typer.Option(
            "--survey", metavar="FILE", help="Tags at known places: CSV `epc,x,y[,from,until]`.", show_default=False
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FILE", help="Calibration to write (TOML).", show_default=False)
    ],
    capture: Annotated[
        Path | None, typer.Option("--capture", "-c", metavar="FILE", help="Capture of the site.", show_default=False)
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", "-d", metavar="DIR", help="Or the lake that its reads are in.", show_default=False),
    ] = None,
    picture: Annotated[
        Path | None,
        typer.Option("--picture", metavar="FILE", help="Draw the maps of all antennas too (SVG).", show_default=False),
    ] = None,
) -> None:
    """Learn a site's radio from tags at known places: reference tags that stay, or a survey with a few dozen tags.

    Put tags of the kind that the goods carry where goods are, note where, and let the readers run for some minutes.
    Then name the file that this writes in the site file (`calibration = "..."`): locations start from it instead of
    from physics. docs/calibration.md says what to expect.

    ```text
    tagtide calibrate -s store.toml -c day.jsonl --survey tags.csv -o cal.toml
    ```
    """
    from analytics.location.places import map_site
    from analytics.survey.file import read_survey
    from analytics.survey.fit import Survey
    from analytics.survey.fit import calibrate as fit
    from analytics.survey.levels import SurveyLevels
    from devices.site import load_site
    from devices.site.calibration import calibration_text

    if (capture is None) == (data is None):
        raise UsageError("name either a capture or a lake", hint="--capture FILE, or --data DIR")
    wanted = load_site(site)
    tags = read_survey(survey)
    levels = SurveyLevels(map_site(wanted), tags)
    with Console(stderr=True, highlight=False).status("reading"):
        for reads in _captured(capture, wanted) if capture is not None else _landed(data or Path(), wanted.id):
            levels.add(reads)
    places = "1 place" if len(tags) == 1 else f"{len(tags)} places"
    made = f"tags at {places} ({survey.name}), heard in {(capture or data or Path()).name}"
    xy = np.array([(tag.x, tag.y) for tag in tags])
    with Console(stderr=True, highlight=False).status("fitting"):
        report = fit(wanted, Survey(xy=xy, level_dbm=levels.level_dbm, awake=levels.awake), made)
    out.write_text(calibration_text(report.calibration), encoding="utf-8")
    if picture is not None:
        from deploy.calibration_picture import draw

        picture.write_text(draw(wanted, report), encoding="utf-8")
    _print(report, len(tags))
    if wanted.calibration is None:
        say(f'write calibration = "{out.name}" into {site}, where the file lies beside it', label="next:")


def _captured(capture: Path, site: "Site") -> Iterator[pa.Table]:
    """Yield the reads of a capture, repeats dropped and clocks corrected."""
    from analytics.pipeline import SitePipeline
    from deploy.capture_chunks import capture_chunks

    problems: list[CaptureProblem] = []
    pipeline = SitePipeline(site, steps=[])
    for chunk in capture_chunks(capture, [site], on_problem=problems.append):
        if chunk.site == site.id and "reads" in (landed := pipeline.process(chunk)):
            yield landed["reads"]
    if problems:
        say(f"{len(problems):,} lines of the capture could not be read", label="warning", style="yellow")


def _landed(data: Path, site: str) -> Iterator[pa.Table]:
    from analytics.query import ask, connect

    columns = "reader, antenna, epc_hex, rssi_dbm, event_time"
    quoted = site.replace("'", "''")
    yield ask(connect(data), f"SELECT {columns} FROM reads WHERE site = '{quoted}'")  # noqa: S608 - quoted above


def _print(report: "CalibrationReport", tags: int) -> None:
    calibration = report.calibration
    console = AnswerConsole()
    if not console.is_terminal:
        console = AnswerConsole(width=PIPED_WIDTH)
    table = Table(title=f"{calibration.site}: {calibration.levels} levels of {calibration.tags} tags, of {tags}")
    for name in (
        "antenna",
        "tags heard",
        "offset dB",
        "map dB, from",
        "to",
        "map's range m",
        "left, before dB",
        "after",
    ):
        table.add_column(name, justify="left" if name == "antenna" else "right")
    residual = dict(enumerate(report.residual_db))
    for one in calibration.antenna:
        number = report.numbers[one.reader, one.port]
        values = [value for row in one.residual_db for value in row]
        table.add_row(
            f"{one.reader}:{one.port}",
            str(one.tags),
            f"{one.offset_db:+.1f}",
            f"{min(values):+.1f}",
            f"{max(values):+.1f}",
            f"{one.range_m:.1f}" if one.range_m else "no map",
            f"{_rms(residual[number]):.1f}",
            f"{_rms(report.left_db[number]):.1f}",
        )
    console.print(table)
    console.print(f"path-loss exponent {calibration.exponent:.2f} (before: {calibration.exponent_prior:.2f})")
    console.print(
        f"levels about the law: {calibration.spread_before_db:.1f} dB, about a survey of the other tags: "
        f"{calibration.spread_after_db:.1f} dB"
    )
    console.print(
        f"a tag located by its levels alone, mean error: {calibration.error_before_m:.2f} m by physics, "
        f"{calibration.error_after_m:.2f} m by a survey of the other tags"
    )
    if calibration.error_after_m >= calibration.error_before_m:
        say(
            "this survey locates its own tags no better than physics does: more tags, or none",
            label="warning",
            style="yellow",
        )


def _rms(values: npt.NDArray[np.float64]) -> float:
    heard = values[np.isfinite(values)]
    return float(np.sqrt(np.mean(heard**2))) if len(heard) else 0.0
