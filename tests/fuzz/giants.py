"""Inputs that are large rather than odd: one of each, with the time and the memory that it took.

`python -m tests.fuzz --giants` prints a table; each runs in this process, smallest first, so peaks are its own.
"""

import gzip
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from analytics.pipeline import SitePipeline
from devices.errors import DecodeError
from devices.publication import LoggedPublication, Publication
from devices.site import check_text
from ingest.capture import CaptureProblem, read_capture
from ingest.json_rows import decode_rows
from ingest.mqtt_packets import PacketBuffer
from tests.fuzz import decoding, landing
from tests.fuzz.target import hold
from tests.fuzz.watching import give_back, hang_alarm, peak_mb, processor_s, reset_peak

MB = 1_000_000
LARGEST = 16 * 1024 * 1024
EPCS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a giant took."""

    name: str
    size: int
    came_of_it: str
    seconds: float
    peak_mb: float


def measured(wanted: str = "") -> Iterator[Measured]:
    """Run every giant whose name has a text in it."""
    for name, size, run in _giants():
        if wanted not in name:
            continue
        give_back()
        reset_peak()
        began = processor_s()
        with hang_alarm(900):
            came_of_it = run()
        yield Measured(name=name, size=size, came_of_it=came_of_it, seconds=processor_s() - began, peak_mb=peak_mb())


def _giants() -> Iterator[tuple[str, int, Callable[[], str]]]:
    for name, profile, payload in _payloads():
        yield f"{profile}: {name}", len(payload), lambda profile=profile, payload=payload: _decode(profile, payload)  # type: ignore[misc]
    yield (
        "capture: a line of 100 MB",
        100 * MB,
        lambda: _capture(b'{"topic":"a","payload":"' + b"x" * 100 * MB + b'"}\n'),
    )
    yield "capture: 1,000,000 unreadable lines", 8 * MB, lambda: _capture(b"rubbish\n" * MB)
    yield "capture: 1 GB of zeros, gzipped to 1 MB", MB, _bomb
    yield "mqtt: a packet of 100 MB in pieces of 64 kB", 100 * MB, _packet
    yield "kafka: a row of 100 MB", 100 * MB, lambda: _row(b'{"site":"' + b"x" * 100 * MB + b'"}')
    yield "kafka: a row nested 10,000,000 deep", 50 * MB, lambda: _row(b'{"a":' * 10 * MB)
    for name, text in _site_files():
        yield f"site: {name}", len(text), lambda text=text: _site(text)  # type: ignore[misc]
    yield f"pipeline: {EPCS:,} distinct EPCs from one reader", 60 * EPCS, _flood


def _payloads() -> Iterator[tuple[str, str, bytes]]:
    for profile in ("impinj", "zebra", "tagtide", "weight"):
        yield "100 MB of one character", profile, b"A" * (100 * MB)
    for profile in ("impinj", "zebra", "tagtide"):
        yield "16 MiB of [0,0,0...", profile, b"[" + b"0," * (LARGEST // 2 - 2) + b"0]"
        yield "16 MiB of [{},{},...", profile, b"[" + b"{}," * (LARGEST // 3 - 2) + b"{}]"
        yield "299,999 empty objects, cut off", profile, b"[" + b"{}," * 299_999
        yield "16 MiB of nested arrays", profile, b"[" * LARGEST
        yield "16 MiB of nested objects", profile, b'{"a":' * (LARGEST // 5)
        yield "a number of 16 MiB", profile, b"[" + b"9" * (LARGEST - 2) + b"]"
        yield "a text of 16 MiB", profile, b'["' + b"x" * (LARGEST - 4) + b'"]'
        yield "300,000 good events", profile, b"[" + b",".join([decoding.GOOD[profile]] * 80_000) + b"]"
    yield "300,000 reads", "tagtide", b'{"reads":[' + b",".join([b'{"epc":"AB"}'] * 300_000) + b"]}"
    sled = b'{"type":"x","data":{"tagData":[' + b",".join([b"0"] * 299_999) + b"]}}"
    yield "8,000,000 bad tags of sleds", "zebra", b"[" + b",".join([sled] * 27) + b"]"
    epcs = b",".join([b'"AB"'] * 300_000)
    texts = b'"id":"%s","zone":"%s","transaction":"%s"' % (b"i" * 200, b"z" * 200, b"t" * 200)
    yield "300,000 EPCs sold", "tagtide", b'{"type":"business","event":"sale","id":"x","epcs":[' + epcs + b"]}"
    yield (
        "300,000 EPCs, 600 bytes with each",
        "tagtide",
        b'{"type":"business","event":"sale",' + texts + b',"epcs":[' + epcs + b"]}",
    )


def _site_files() -> Iterator[tuple[str, str]]:
    head = 'schema = 1\nid = "s"\ntimezone = "UTC"\n'
    zone = '[[zone]]\nid = "z{0}"\nkind = "sales_floor"\npolygon = [[{0}, 0], [{0}.9, 0], [{0}.9, 9], [{0}, 9]]\n'
    yield "100,000 zones", head + "".join(zone.format(number) for number in range(100_000))
    yield "5,000 zones in one place", head + zone.format(1).replace("z1", "z") * 5_000
    corners = ", ".join(f"[{number % 1000}, {number // 1000}]" for number in range(400_000))
    yield (
        "a polygon of 400,000 corners that cross",
        head + f'[[zone]]\nid = "z"\nkind = "exit"\npolygon = [{corners}]\n',
    )
    shelf = '[[shelf]]\nid = "h{0}"\nzone = "nowhere{0}"\n'
    both = "".join(zone.format(number) for number in range(20_000)) + "".join(map(shelf.format, range(20_000)))
    yield "20,000 shelves in zones that are not there", head + both
    yield "100,000 unknown keys", head + "".join(f"schemaa{number} = 1\n" for number in range(100_000))
    reader = '[[reader]]\nid = "r{0}"\nprofile = "imping"\nmqtt_topic = "t"\n'
    yield "20,000 readers on one topic", head + zone.format(1) + "".join(map(reader.format, range(20_000)))
    yield "nested without end", "a = " + "[" * 1_000_000


def _decode(profile: str, payload: bytes) -> str:
    topic = landing.topic_of(profile, last="mass" if profile == "weight" else "events")
    topic = topic if landing.DIRECTORY.route(topic) else landing.topic_of(profile)
    publication = Publication(topic=topic, payload=payload, received_us=decoding.RECEIVED_US)
    (chunk,) = landing.decoded([LoggedPublication(edge_offset=1, publication=publication)])
    rejects = chunk.batch("rejects")["reason_code"].to_pylist()
    return f"{chunk.rows - len(rejects):,} rows, {len(rejects):,} rejects {' '.join(sorted(set(rejects)))}"


@contextmanager
def _file(data: bytes) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="tagtide-giant-") as folder:
        path = Path(folder) / "capture"
        path.write_bytes(data)
        yield path


def _capture(data: bytes) -> str:
    with _file(data) as path:
        codes = [entry.reason_code for entry in read_capture(path) if isinstance(entry, CaptureProblem)]
    return f"{len(codes):,} problems {' '.join(sorted(set(codes)))}"


def _bomb() -> str:
    with tempfile.TemporaryDirectory(prefix="tagtide-giant-") as folder:
        path = Path(folder) / "capture"
        with gzip.open(path, "wb", compresslevel=1) as packed:
            for _ in range(1_000):
                packed.write(bytes(MB))
        codes = [entry.reason_code for entry in read_capture(path) if isinstance(entry, CaptureProblem)]
    return f"{len(codes):,} problems {' '.join(sorted(set(codes)))}"


def _packet() -> str:
    body = b"\x00\x01a" + bytes(100 * MB - 3)
    data = b"\x30\x80\xc2\xd7\x2f" + body
    buffer, delivery = PacketBuffer(), None
    for at in range(0, len(data), 65_536):
        buffer.feed(data[at : at + 65_536])
        delivery = buffer.next_delivery()
    hold(delivery is not None, "a whole packet is not given out")
    assert delivery is not None
    return f"1 publication of {len(delivery.payload):,} bytes"


def _row(value: bytes) -> str:
    try:
        decode_rows("device_events", [value])
    except DecodeError as error:
        return f"1 reject {error.code}"
    return "1 row"


def _site(text: str) -> str:
    report = check_text(text)
    return f"{len(report.problems):,} problems, {len(report.warnings):,} warnings"


def _flood() -> str:
    """A faulty or hostile reader: every read is of another EPC, over 10 hours."""
    pipeline = SitePipeline(landing.SITE)
    rows, offset = 0, 0
    largest = 0
    for batch in range(EPCS // 10_000):
        publications = []
        for _ in range(10):
            offset += 1
            received_us = decoding.RECEIVED_US + offset * 36_000_000
            reads = b",".join(
                b'{"epc":"%024X","antenna":1,"rssi_dbm":-60,"time_us":%d}'
                % (offset * 1_000 + number, received_us - number)
                for number in range(1_000)
            )
            publication = Publication(
                topic=landing.topic_of("tagtide"),
                payload=b'{"type":"reads","reads":[' + reads + b"]}",
                received_us=received_us,
            )
            publications.append(LoggedPublication(edge_offset=offset, publication=publication))
        for chunk in landing.decoded(publications):
            rows += sum(table.num_rows for table in pipeline.process(chunk).values())
        if batch % 10 == 9:
            largest = max(largest, len(pipeline.dump()))
    return f"{rows:,} rows; state of {largest / MB:.0f} MB"
