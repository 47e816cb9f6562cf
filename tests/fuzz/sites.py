"""Site files: a wrong one says everything that is wrong, on lines of its own; a right one carries a pipeline."""

import random
import re

from analytics.pipeline import SitePipeline
from devices.directory import TopicDirectory
from devices.site import check_site, check_sites, check_text
from tests.fuzz import hostile, seeds
from tests.fuzz.mutation import Mutator
from tests.fuzz.scratch import Scratch
from tests.fuzz.target import Outcome, hold

_BETWEEN = b"\n-----geojson-----\n"
_GEOJSON = (
    b'{"type":"FeatureCollection","features":[{"type":"Feature","properties":{"id":"floor"},"geometry":'
    b'{"type":"Polygon","coordinates":[[[0,0],[8,0],[8,6],[0,6],[0,0]]]}}]}'
)
_TOML_VALUES = [
    b"nan", b"inf", b"-inf", b"1e400", b"-0.0", b"9223372036854775808", b"0x7fffffff", b"1979-05-27T07:32:00Z", b"true",
    b'""', b'" "', b'"\\u0000"', b'"a/+/b"', b'"#"', b'"$SYS/x"', b'"' + b"t" * 70_000 + b'"', b"[]", b"{}", b"[[]]",
    b"[[nan, 0], [1, 1], [2, 0]]", b"[[0, 0], [4, 4], [4, 0], [0, 4]]", b"[[0, 0], [0, 0], [0, 0]]",
    b"[[1e7, 0], [2, 2], [3, 3]]",
    b"[[0, 0], [8, 0], [8, 6], [0, 6], [0, 0], [0, 0]]", b"[[0, 0, 0], [1, 1, 1]]", b"[1, 2, 3]", b"'''\n\n'''",
    b"[" + b"[0, 0], [1e-300, 1e-300], " * 40 + b"]", b'"floor"', b'"weight"', b'"r1"', b'"t/1"', b'["a", "a", 3]',
]  # fmt: skip
_VALUE = re.compile(rb"=[^\n]*")
_HEADERS = [
    b"[[zone]]",
    b"[[reader]]",
    b"[[reader.antenna]]",
    b"[reader]",
    b"[[shelf]]",
    b"[[feed]]",
    b"[[gate]]",
    b"[[wall]]",
    b"[geo]",
]


class SiteTarget:
    """The site file and the GeoJSON beside it."""

    name = "site"
    reads = "site files and the outlines beside them, then a pipeline for those that load"

    def __init__(self) -> None:
        self._scratch = Scratch()
        self._bytes = Mutator([text for text in seeds.site_files() if check_text(text.decode()).ok])
        self._geojson = Mutator([_GEOJSON])
        self._loaded = self._checked = 0

    def make(self, rng: random.Random) -> bytes:
        """Return a site file, and behind a mark a GeoJSON file."""
        geojson = self._geojson(rng) if rng.random() < 0.3 else _GEOJSON
        kind = rng.randrange(10)
        text = rng.choice(self._bytes.samples)
        if kind < 2:
            text = self._bytes.mutated_bytes(rng, text)
        else:
            for _ in range(rng.choice([1, 1, 2, 5])):
                text = _changed(rng, text)
        if geojson is not _GEOJSON or kind == 9:
            text = b'geojson = "plan.geojson"\n' + text
        return text + _BETWEEN + geojson

    def check(self, data: bytes) -> Outcome:
        """Check the file; load what is good."""
        text, _, geojson = data.partition(_BETWEEN)
        folder = self._scratch.path
        path = folder / "site.toml"
        path.write_bytes(text)
        (folder / "plan.geojson").write_bytes(geojson)
        report = check_site(path)
        hold(report.ok == (report.site is not None), "a site with problems, or none without")
        for line in (*report.problems, *report.warnings):
            hold(line.isprintable(), f"not one line of text: {line!a}")
            hold(": " in line and len(line) < 2_000, f"no place, or far too long: {line[:300]!a}")
        self._checked += 1
        if self._checked % 10 == 1:
            (folder / "other.toml").write_bytes(seeds.site_files()[0])
            hold(len(check_sites([path, folder / "other.toml"])) == 2, "a file is left out of the report")
        if report.site is None:
            return Outcome(rejects=["problems"])
        TopicDirectory.of([report.site])
        self._loaded += 1
        if self._loaded % 8 == 1:  # a map of the store takes 20 ms and more
            SitePipeline(report.site).load(SitePipeline(report.site).dump())
        return Outcome(rows=1, rejects=["warnings"] if report.warnings else [])

    def settle(self) -> None:
        """Nothing is about several files."""


def _changed(rng: random.Random, text: bytes) -> bytes:
    """Change a value, or leave out, double or exchange lines."""
    kind = rng.randrange(8)
    if kind < 4:
        found = list(_VALUE.finditer(text))
        if found:
            one = rng.choice(found)
            value = rng.choice(_TOML_VALUES) if rng.random() < 0.8 else hostile.value(rng)
            return text[: one.start()] + b"= " + value + text[one.end() :]
    lines = text.split(b"\n")
    at, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    if kind == 4:
        del lines[at]
    elif kind == 5:
        lines[other:other] = lines[at : at + rng.choice([1, 6, 12])]
    elif kind == 6:
        lines[at] = rng.choice(_HEADERS)
    else:
        lines[at], lines[other] = lines[other], lines[at]
    return b"\n".join(lines)
