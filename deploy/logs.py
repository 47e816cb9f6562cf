"""Logs: one line for each event on standard error, as text for people or as JSON for what collects logs.

Components tell events (`devices.events`) and know nothing of this. A line has a time, a component, a level, the event's
stable code, its sentence and its particulars; never a payload, a password or a token.

The same event of a component is written at most `BURST` times a minute: a broker that refuses a thousand times an hour
must not fill a disk. The next line that is written says how many were left out.
"""

import logging
import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

import msgspec

from devices.events import Event, EventLevel

BURST = 20
"""Lines of one code and component in a minute; a bridge that loses its broker every second writes 60."""

WINDOW_S = 60.0

_LEVELS = {
    EventLevel.DEBUG: logging.DEBUG,
    EventLevel.INFO: logging.INFO,
    EventLevel.WARNING: logging.WARNING,
    EventLevel.ERROR: logging.ERROR,
}
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_ROOT = logging.getLogger("tagtide")


class LogFormat(StrEnum):
    """How lines are written."""

    TEXT = "text"
    """For people: time, component, sentence."""
    JSON = "json"
    """For machines: one object a line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings:
    """What is written, and how."""

    style: LogFormat = LogFormat.TEXT
    """How."""
    level: EventLevel = EventLevel.INFO
    """From which level on."""

    def arguments(self) -> list[str]:
        """Return the command line options by which a child does the same."""
        return ["--log-format", self.style.value, "--log-level", self.level.value]


class Log:
    """Takes a component's events."""

    def __init__(self, component: str, *, site: str | None = None) -> None:
        """Name who speaks.

        Args:
            component: Which of our processes.
            site: Its site, where it has exactly one; in every line of JSON.
        """
        self._component = component
        self._site = site

    def __call__(self, event: Event) -> None:
        """Write an event."""
        fields = {**({} if self._site is None else {"site": self._site}), **event.fields}
        extra = {"component": self._component, "code": event.code, "fields": fields}
        _ROOT.log(_LEVELS[event.level], "%s", event.text, extra=extra)

    def tell(self, code: str, text: str, *, level: EventLevel = EventLevel.INFO, **fields: str | float) -> None:
        """Write something."""
        self(Event(level=level, code=code, text=text, fields=fields))


def set_up_logs(settings: LogSettings | None = None, *, monotonic: Callable[[], float] = time.monotonic) -> None:
    """Write to standard error from now on, in this way and no other."""
    settings = settings or LogSettings()
    handler = _StandardError(settings)
    handler.setFormatter(_JsonLine() if settings.style is LogFormat.JSON else _TextLine())
    handler.addFilter(_Repeats(monotonic))
    _ROOT.handlers[:] = [handler]
    _ROOT.setLevel(_LEVELS[settings.level])
    _ROOT.propagate = False


def log_settings() -> LogSettings:
    """Return how this process writes: a child does the same, and what else is said to standard error should too."""
    return next((handler.settings for handler in _ROOT.handlers if isinstance(handler, _StandardError)), LogSettings())


class _StandardError(logging.Handler):
    def __init__(self, settings: LogSettings) -> None:
        super().__init__()
        self.settings = settings

    def emit(self, record: logging.LogRecord) -> None:
        # One write a line, to what is standard error now: the children of `tagtide up` share this file.
        sys.stderr.write(self.format(record) + "\n")
        sys.stderr.flush()


class _Repeats(logging.Filter):
    """Lets a bounded number of lines of one code through in a minute."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        super().__init__()
        self._monotonic = monotonic
        self._windows: dict[tuple[str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        now = self._monotonic()
        key = (getattr(record, "component", ""), getattr(record, "code", ""))
        since, count = self._windows.get(key, (now, 0))
        if now - since >= WINDOW_S:
            since, left_out, count = now, max(0, count - BURST), 0
        else:
            left_out = 0
        self._windows[key] = (since, count + 1)
        record.left_out = left_out
        return count < BURST


class _TextLine(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        stamp = datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        component, code = getattr(record, "component", "tagtide"), getattr(record, "code", record.name)
        kind = f"{record.levelname.lower()} ({code}): " if record.levelno >= logging.WARNING else ""
        left_out = getattr(record, "left_out", 0)
        more = f" ({left_out} more like this in the last minute)" if left_out else ""
        return f"{stamp} {component:<7} {kind}{_one_line(record.getMessage())}{more}"


def _one_line(text: str) -> str:
    """Escape what would end the line or move a terminal's cursor: topics are their publishers' choice."""
    return _CONTROLS.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


class _JsonLine(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "component": getattr(record, "component", "tagtide"),
            "event": getattr(record, "code", record.name),
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if getattr(record, "left_out", 0):
            line["left_out"] = record.left_out  # type: ignore[attr-defined]  # set by the filter
        return msgspec.json.encode(line).decode("utf-8", "backslashreplace")
