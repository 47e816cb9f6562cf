"""Site files: reading, checking and reporting everything that is wrong with one, or with several, at once.

`load_site` is for those who want the site, `check_site` for those who want the report. Both read the same way:
TOML to tables, tables to a draft (`draft`), checks across the draft (`check`), places derived (`geometry`).
"""

import tomllib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from devices.errors import SiteFileError
from devices.site.calibration import CalibrationFile, read_calibration
from devices.site.check import check_draft, shared_across
from devices.site.draft import Outlines, draft_site
from devices.site.gate_model import GateModelFile, read_gate_model
from devices.site.geojson import read_outlines
from devices.site.geometry import SiteGeometry
from devices.site.model import Site
from devices.site.table import Findings

SITE_FILE_BYTES_MAX = 8 * 1024 * 1024
"""Ten thousand zones, readers and shelves are some 4 MB of TOML; more is not a site file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteReport:
    """Everything that a check found in one site file."""

    name: str
    """File name, as it was given."""
    site: Site | None
    """The site; `None` where there are problems."""
    problems: tuple[str, ...]
    """What has to be mended, one line each: place, what is wrong, the mend."""
    warnings: tuple[str, ...]
    """What is strange but works, one line each."""

    @property
    def ok(self) -> bool:
        """Whether the file can be used."""
        return not self.problems


def load_site(path: Path | str, *, profiles: Collection[str] | None = None) -> Site:
    """Read a site file.

    Args:
        path: TOML file.
        profiles: Names of the dialects that exist; those of `devices.registry` where absent.

    Returns:
        The site, each antenna in its zone; what is strange but works is in `warnings`.

    Raises:
        SiteFileError: The file cannot be read or has problems; it carries all of them.
    """
    return _site_of(check_site(path, profiles=profiles))


def load_sites(paths: Sequence[Path | str], *, profiles: Collection[str] | None = None) -> tuple[Site, ...]:
    """Read several site files and check that they do not claim the same identifier or MQTT topic.

    Args:
        paths: TOML files.
        profiles: As for `load_site`.

    Raises:
        SiteFileError: Any of them has problems; it carries those of all files, each with its file's name.
    """
    reports = check_sites(paths, profiles=profiles)
    problems = [f"{report.name}: {problem}" for report in reports for problem in report.problems]
    if len(reports) == 1:
        return (_site_of(reports[0]),)
    if problems:
        raise SiteFileError(" ".join(report.name for report in reports if report.problems), problems)
    return tuple(report.site for report in reports if report.site is not None)


def parse_site(text: str, name: str = "site file", *, profiles: Collection[str] | None = None) -> Site:
    """Read a site from the text of a site file; a GeoJSON file beside it is looked for in the current folder.

    Raises:
        SiteFileError: The text has problems; it carries all of them, under `name`.
    """
    return _site_of(check_text(text, name, profiles=profiles))


def check_site(path: Path | str, *, profiles: Collection[str] | None = None) -> SiteReport:
    """Check a site file and report everything that is wrong with it; never raises for what is in the file."""
    report, _ = _read(Path(path), profiles)
    return report


def check_sites(paths: Sequence[Path | str], *, profiles: Collection[str] | None = None) -> tuple[SiteReport, ...]:
    """Check several site files, each alone and all against each other."""
    read = [_read(Path(path), profiles) for path in paths]
    drafts = [(report.name, draft) for report, draft in read if draft is not None]
    shared = shared_across(drafts)
    return tuple(_with_problems(report, shared) for report, _ in read)


def check_text(
    text: str, name: str = "site file", *, beside: Path | None = None, profiles: Collection[str] | None = None
) -> SiteReport:
    """Check the text of a site file.

    Args:
        text: TOML.
        name: How the report names it.
        beside: Folder in which a GeoJSON file that it names is looked for.
        profiles: As for `load_site`.
    """
    report, _ = _check(text, name, beside or Path(), profiles)
    return report


def _read(path: Path, profiles: Collection[str] | None) -> tuple[SiteReport, Site | None]:
    name = str(path)
    try:
        if path.stat().st_size > SITE_FILE_BYTES_MAX:
            return _failed(name, f"is larger than {SITE_FILE_BYTES_MAX} bytes: is it a site file?"), None
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return _failed(name, f"byte {error.start + 1} is not UTF-8: save the file as UTF-8"), None
    except OSError as error:
        return _failed(name, f"cannot be read ({error.strerror}): give the path of a site file"), None
    return _check(text, name, path.parent, profiles)


def _check(text: str, name: str, beside: Path, profiles: Collection[str] | None) -> tuple[SiteReport, Site | None]:
    try:
        raw: dict[str, Any] = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError also for integers beyond Python's digit limit
        return _failed(name, f"is not TOML: {str(error) or 'nested too deeply'}"), None
    findings = Findings()

    def outlines_of(geojson: str) -> Outlines:
        return read_outlines(beside / geojson, findings)

    def model_of(name: str) -> GateModelFile | str:
        return read_gate_model(beside / name)

    def calibration_of(name: str) -> CalibrationFile | str:
        return read_calibration(beside / name)

    draft = draft_site(raw, findings, outlines_of, model_of, calibration_of)
    check_draft(draft, findings, _profile_names() if profiles is None else profiles)
    findings.close()
    site = None
    if not findings.problems:
        site = replace(_placed(draft), warnings=tuple(findings.warnings))
    report = SiteReport(name=name, site=site, problems=tuple(findings.problems), warnings=tuple(findings.warnings))
    return report, draft


def _placed(site: Site) -> Site:
    """Give every antenna the zone that its reads speak for, where there is one."""
    geometry = SiteGeometry(site)
    readers = tuple(
        replace(
            reader,
            antennas=tuple(replace(antenna, zone=geometry.antenna_zone(antenna)) for antenna in reader.antennas),
        )
        for reader in site.readers
    )
    return replace(site, readers=readers)


def _profile_names() -> Collection[str]:
    from devices.registry import PROFILES  # the decoders import this package's model

    return PROFILES.keys()


def _site_of(report: SiteReport) -> Site:
    if report.site is None:
        raise SiteFileError(report.name, list(report.problems))
    return report.site


def _failed(name: str, problem: str) -> SiteReport:
    return SiteReport(name=name, site=None, problems=(f"file: {problem}",), warnings=())


def _with_problems(report: SiteReport, shared: Sequence[str]) -> SiteReport:
    prefix = f"{report.name}: "
    own = tuple(problem.removeprefix(prefix) for problem in shared if problem.startswith(prefix))
    if not own:
        return report
    return replace(report, site=None, problems=(*report.problems, *own))
