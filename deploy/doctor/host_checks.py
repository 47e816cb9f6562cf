"""The machine itself: its clock, the disk under the data directory, permissions, limits."""

import ctypes
import os
import resource
import shutil
import stat
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from deploy.doctor.findings import Finding, ok, problem, unknown, warning
from ingest.limits import EdgeLogLimits

_SYNCS = 20
_SYNC_BYTES = 4096
_SYNC_MS_SLOW = 50.0  # one commit of the edge log is one fsync; slower than this, PUBACKs take visibly long
_SYNC_MS_UNREAL = 0.02  # no disk is that fast: the write did not leave the cache
_FREE_BYTES_MIN = 2**30
_OPEN_FILES_MIN = 1024
_VOLATILE = {"tmpfs", "ramfs"}
_REMOTE = {"nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "fuse.glusterfs", "ceph"}
_CLOCK_UNSYNCHRONISED = 5  # TIME_ERROR of adjtimex(2)
_TIMEX_BYTES = 512  # struct timex is 208 bytes on 64-bit Linux
_GIB = 2**30


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskFacts:
    """The disk that a data directory is, or will be, on."""

    path: Path
    """The directory, or its nearest parent that exists."""
    filesystem: str
    """Type of its file system; empty where it could not be told."""
    total_bytes: int
    """Size of the disk."""
    free_bytes: int
    """What a process without privileges may still write."""
    sync_ms_median: float | None
    """Median time of writing 4 KiB and fsync, milliseconds; `None` where it may not be written to."""
    writable: bool
    """Whether this user may write there."""
    open_to_others: bool
    """Whether every user of the machine may write there."""


def disk_facts(data: Path) -> DiskFacts:
    """Measure the disk under a data directory; leaves nothing behind."""
    place = data.absolute()
    while not place.exists():
        place = place.parent
    usage = shutil.disk_usage(place)
    sync_ms = _sync_ms(place)
    return DiskFacts(
        path=place,
        filesystem=_filesystem(place),
        total_bytes=usage.total,
        free_bytes=usage.free,
        sync_ms_median=sync_ms,
        writable=sync_ms is not None,
        open_to_others=data.exists() and bool(data.stat().st_mode & stat.S_IWOTH),
    )


def of_disk(facts: DiskFacts, limits: EdgeLogLimits) -> list[Finding]:
    """Judge a disk."""
    if not facts.writable:
        return [
            problem(
                "host.permissions",
                f"{facts.path} may not be written to by {_user()}",
                "run as the user who owns it, or change its owner",
            )
        ]
    findings = [ok("host.permissions", f"{facts.path} can be written to by {_user()}")]
    if facts.open_to_others:
        findings.append(
            warning(
                "host.permissions",
                f"every user of this machine may write to {facts.path}",
                f"chmod o-w {facts.path}",
            )
        )
    return [*findings, _of_filesystem(facts), _of_space(facts, limits), _of_sync(facts)]


def clock_state() -> int | None:
    """Ask the kernel for the state of its clock (adjtimex(2)); `None` where it cannot be asked."""
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        buffer = ctypes.create_string_buffer(_TIMEX_BYTES)  # modes = 0: nothing is set
        state = int(libc.adjtimex(buffer))
    except (OSError, AttributeError):
        return None
    return state if state >= 0 else None


def of_clock(state: int | None) -> Finding:
    """Judge the machine's clock by what the kernel says of it."""
    if state is None:
        return unknown("host.clock", "the kernel does not say whether its clock is synchronised")
    if state == _CLOCK_UNSYNCHRONISED:
        return warning(
            "host.clock",
            "the kernel's clock is not synchronised",
            "run chrony or systemd-timesyncd: receive times are this machine's, and readers' clocks are corrected by"
            " them",
        )
    return ok("host.clock", "the kernel's clock is synchronised")


def of_open_files(limit: int | None = None) -> Finding:
    """Judge how many files a process may have open."""
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0] if limit is None else limit
    if soft != resource.RLIM_INFINITY and soft < _OPEN_FILES_MIN:
        return warning(
            "host.open_files", f"a process may open {soft} files", f"raise it to {_OPEN_FILES_MIN}: ulimit -n"
        )
    return ok("host.open_files", "enough files may be open")


def _of_filesystem(facts: DiskFacts) -> Finding:
    if facts.filesystem in _VOLATILE:
        return problem(
            "host.filesystem",
            f"{facts.path} is on {facts.filesystem}, which is memory",
            "put the data directory on a disk: what is acknowledged must outlive a power cut",
        )
    if facts.filesystem in _REMOTE:
        return problem(
            "host.filesystem",
            f"{facts.path} is on {facts.filesystem}, over the network",
            "put the data directory on a local disk: SQLite's locks and fsync cannot be trusted over the network",
        )
    return ok("host.filesystem", f"{facts.path} is on {facts.filesystem or 'a file system of unknown type'}")


def _of_space(facts: DiskFacts, limits: EdgeLogLimits) -> Finding:
    free = f"{facts.free_bytes / _GIB:.1f} GiB free"
    if facts.free_bytes < _FREE_BYTES_MIN:
        return problem("host.disk_free", free, "free at least 1 GiB: with a full disk the bridge stops acknowledging")
    if facts.free_bytes < limits.stored_bytes_max:
        return warning(
            "host.disk_free",
            f"{free}, less than the {limits.stored_bytes_max / _GIB:.0f} GiB that the edge log may take",
            "free more, or give the edge log a smaller bound, so that its bound is met before the disk is full",
        )
    return ok("host.disk_free", free)


def _of_sync(facts: DiskFacts) -> Finding:
    sync_ms = facts.sync_ms_median
    if sync_ms is None:
        return unknown("host.disk_sync", "the disk's fsync could not be measured")
    measured = f"4 KiB and fsync take {sync_ms:.2f} ms (median of {_SYNCS})"
    if sync_ms > _SYNC_MS_SLOW:
        return warning(
            "host.disk_sync",
            measured,
            "every commit of the edge log is one of these: use an SSD, or look for what else writes",
        )
    if sync_ms < _SYNC_MS_UNREAL and facts.filesystem not in _VOLATILE:
        return warning(
            "host.disk_sync",
            f"{measured}, which no disk can do",
            "a cache answers for it: what was acknowledged may not outlive a power cut; check write cache and mount"
            " options",
        )
    return ok("host.disk_sync", measured)


def _sync_ms(place: Path) -> float | None:
    times = []
    try:
        with tempfile.TemporaryFile(dir=place) as file:
            for _ in range(_SYNCS):
                began = time.perf_counter()
                file.write(b"\0" * _SYNC_BYTES)
                file.flush()
                os.fsync(file.fileno())
                times.append((time.perf_counter() - began) * 1000)
    except OSError:
        return None
    return statistics.median(times)


def _filesystem(place: Path) -> str:
    try:
        mounts = Path("/proc/self/mounts").read_text(errors="replace").splitlines()
    except OSError:
        return ""
    best, kind = "", ""
    for line in mounts:
        fields = line.split(" ")
        point = fields[1].replace("\\040", " ")
        if (place == Path(point) or Path(point) in place.parents) and len(point) >= len(best):
            best, kind = point, fields[2]
    return kind


def _user() -> str:
    return f"uid {os.geteuid()}"
