"""What a daemon says when it starts: what runs, what it found, from where it goes on."""

import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from deploy.logs import Log
from deploy.printing import counted
from devices.site.model import Site
from ingest.edge_log import EdgeLog
from ingest.limits import EdgeLogLimits

if TYPE_CHECKING:
    from analytics.runner import Runner  # numba behind it: loaded where jobs run


def tell_versions(log: Log) -> None:
    """Say which Tagtide this is, and below it."""
    ours, python = version("tagtide"), platform.python_version()
    text = f"Tagtide {ours}, Python {python}, {platform.platform()}"
    log.tell("versions", text, version=ours, python=python)


def tell_sites(log: Log, sites: Sequence[Site], files: Sequence[Path]) -> None:
    """Say what the site files hold."""
    for site, file in zip(sites, files, strict=True):
        antennas = sum(len(reader.antennas) for reader in site.readers)
        readers = f"{counted(len(site.readers), 'reader')} with {counted(antennas, 'antenna')}"
        shelves = counted(len(site.shelves), "shelf", "shelves")
        text = f"site {site.id} ({file}): {counted(len(site.zones), 'zone')}, {readers}, {shelves}"
        log.tell("site_loaded", text, site=site.id, readers=len(site.readers), antennas=antennas)


def tell_edge_log(log: Log, edge: EdgeLog, limits: EdgeLogLimits) -> None:
    """Say what the edge log holds, within which bounds, and where its consumers stand."""
    kept, last, stored = edge.count_after(0), edge.last_offset, edge.stored_bytes
    waiting = ", ".join(f"{name} has {edge.count_after(offset):,} to go" for name, offset in edge.cursors().items())
    text = (
        f"edge log {edge.path}: {kept:,} publications up to offset {last}, {stored / 2**20:,.1f} MiB of at most "
        f"{limits.stored_bytes_max / 2**20:,.0f}; {waiting or 'nobody has read it yet'}"
    )
    log.tell("edge_log_opened", text, edge_id=edge.edge_id, edge_offset=last, stored_bytes=stored)


def tell_subscriptions(log: Log, topic_filters: Sequence[str], payload_bytes_max: int) -> None:
    """Say what is asked of the broker."""
    filters = ", ".join(topic_filters)
    text = f"subscribes to {filters}; takes publications of at most {payload_bytes_max / 2**20:g} MiB whole"
    log.tell("bridge_subscribes", text, filters=filters, payload_bytes_max=payload_bytes_max)


def tell_journal(log: Log, runner: "Runner") -> None:
    """Say from which checkpoint the jobs go on, and what they repeat first."""
    found = runner.remembered()
    if found is None:
        log.tell("jobs_from_beginning", "no checkpoint yet: from the oldest record that is kept")
        return
    epoch, planned = found
    text = f"checkpoint of epoch {epoch:,} found; {planned:,} planned since are repeated first"
    log.tell("jobs_from_checkpoint", text, epoch=epoch, planned=planned)
