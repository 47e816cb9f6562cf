"""Options that bound an edge log and how it drains, for every command that runs a bridge or a forwarder.

`ingest.limits` and `ingest.drain_pace` have what each of them does.
"""

from typing import Annotated

import typer

from devices.documents import PAYLOAD_BYTES_MAX
from ingest.limits import EdgeLogLimits

_GIB = 2**30
_DEFAULT = EdgeLogLimits()

EdgeLogGib = Annotated[
    float,
    typer.Option(
        "--edge-log-gib",
        min=0.001,
        metavar="GIB",
        rich_help_panel="Bounds of the edge log",
        help="Most that the edge log may hold, GiB. At this bound, as at the next two, the bridge stops acknowledging, "
        "so that the broker holds what comes; nothing is dropped.",
    ),
]
BacklogDays = Annotated[
    float,
    typer.Option(
        "--backlog-days",
        min=0.001,
        metavar="DAYS",
        rich_help_panel="Bounds of the edge log",
        help="How far back what the jobs or Kafka still need may go.",
    ),
]
PayloadMib = Annotated[
    float,
    typer.Option(
        "--payload-mib",
        min=0.001,
        max=256,
        metavar="MIB",
        rich_help_panel="Bounds of the edge log",
        help="Largest payload that is kept whole. Of a larger one the beginning is kept, as a reject.",
    ),
]
DiskFreeGib = Annotated[
    float,
    typer.Option(
        "--disk-free-gib",
        min=0.0,
        metavar="GIB",
        rich_help_panel="Bounds of the edge log",
        help="Room to keep on the edge log's disk, for the jobs.",
    ),
]
EdgeLogHours = Annotated[
    float,
    typer.Option(
        "--edge-log-hours",
        min=0.0,
        metavar="HOURS",
        rich_help_panel="Bounds of the edge log",
        help="How long publications are kept when everything is done with them: as far back as the lake can be "
        "rebuilt from here.",
    ),
]
DrainMbS = Annotated[
    float,
    typer.Option(
        "--drain-mb-s",
        min=0.0,
        metavar="MB_S",
        help="How fast a backlog goes to Kafka when that is back, MB of payload a second on top of what comes in; 0 "
        "for as fast as it goes.",
    ),
]

DEFAULT_DRAIN_MB_S = 4.0
DEFAULT_EDGE_LOG_GIB = _DEFAULT.stored_bytes_max / _GIB
DEFAULT_BACKLOG_DAYS = _DEFAULT.backlog_age_s_max / 86400
DEFAULT_DISK_FREE_GIB = _DEFAULT.disk_free_bytes_min / _GIB
DEFAULT_PAYLOAD_MIB = PAYLOAD_BYTES_MAX / 2**20
DEFAULT_EDGE_LOG_HOURS = _DEFAULT.kept_age_s / 3600


def limits_of(edge_log_gib: float, backlog_days: float, disk_free_gib: float, edge_log_hours: float) -> EdgeLogLimits:
    """Return the limits that a command line gives."""
    return EdgeLogLimits(
        stored_bytes_max=round(edge_log_gib * _GIB),
        backlog_age_s_max=round(backlog_days * 86400),
        disk_free_bytes_min=round(disk_free_gib * _GIB),
        kept_age_s=round(edge_log_hours * 3600),
    )


def arguments_of(limits: EdgeLogLimits) -> list[str]:
    """Return the options that give these limits, for the command line of a bridge that another command starts."""
    return [
        *("--edge-log-gib", repr(limits.stored_bytes_max / _GIB)),
        *("--backlog-days", repr(limits.backlog_age_s_max / 86400)),
        *("--disk-free-gib", repr(limits.disk_free_bytes_min / _GIB)),
        *("--edge-log-hours", repr(limits.kept_age_s / 3600)),
    ]


def drain_bytes_per_s(drain_mb_s: float) -> float | None:
    """Return the pace of a drain that a command line gives; `None` for no bound."""
    return drain_mb_s * 1e6 or None
