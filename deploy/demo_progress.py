"""The demo's progress: a few figures, redrawn in place on a terminal, a line now and then elsewhere."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

LINE_INTERVAL_S = 10.0
"""How often a line is written where nothing can be redrawn."""


@dataclass(slots=True, kw_only=True)
class Figures:
    """What is shown."""

    start_us: int
    """Start of the day."""
    end_us: int
    """End of the day."""
    now_us: int = 0
    """Virtual time."""
    publications: int = 0
    """Publications stored in the edge log."""
    reads: int = 0
    """Reads landed in the lake."""
    rejects: int = 0
    """Rejects landed in the lake."""
    items_on_site: int = 0
    """Items that are truly there and can be read."""
    items_located: int = 0
    """Of these, located anywhere."""
    items_right: int = 0
    """Of these, located in the zone where they truly are."""
    accuracy: float | None = None
    """Inventory accuracy of the book, as estimated."""
    accuracy_true: float | None = None
    """Inventory accuracy of the book, in truth."""


class ProgressView:
    """Shows figures while they change."""

    def __init__(self, console: Console, figures: Figures) -> None:
        self._console = console
        self._figures = figures
        self._began = time.monotonic()
        self._line_at = self._began
        self._live = Live(self._drawn(), console=console, refresh_per_second=4) if console.is_terminal else None

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def update(self) -> None:
        """Show the figures as they are now."""
        if self._live is not None:
            self._live.update(self._drawn())
        elif time.monotonic() >= self._line_at:
            self._line_at = time.monotonic() + LINE_INTERVAL_S
            self._console.print("  ".join(f"{name} {value}" for name, value in self._rows()), soft_wrap=True)

    def _drawn(self) -> Table:
        table = Table.grid(padding=(0, 2))
        done = max(0, self._figures.now_us - self._figures.start_us)
        bar = ProgressBar(total=self._figures.end_us - self._figures.start_us, completed=done, width=60)
        table.add_row("[dim]day[/dim]", bar)
        for name, value in self._rows():
            table.add_row(f"[dim]{name}[/dim]", value)
        return table

    def _rows(self) -> list[tuple[str, str]]:
        figures = self._figures
        ran_s = max(0.001, time.monotonic() - self._began)
        now = datetime.fromtimestamp(max(figures.now_us, figures.start_us) / 1e6, UTC)
        located = "-"
        if figures.items_on_site:
            located = (
                f"{figures.items_located:,} of {figures.items_on_site:,}, "
                f"{figures.items_right / max(1, figures.items_located):.1%} of them in the right zone"
            )
        return [
            ("store time", f"{now:%H:%M:%S} UTC"),
            ("publications", f"{figures.publications:,} ({figures.publications / ran_s:,.0f}/s)"),
            ("reads landed", f"{figures.reads:,} ({figures.reads / ran_s:,.0f}/s), {figures.rejects:,} rejects"),
            ("items located", located),
            ("book accuracy", f"estimated {_percent(figures.accuracy)}, in truth {_percent(figures.accuracy_true)}"),
        ]


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"
