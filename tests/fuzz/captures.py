"""Captures: every line is a publication or a problem, and none changes another."""

import gzip
import io
import random
import zlib

import msgspec

from devices.capture_line import format_line
from devices.errors import CaptureError
from devices.publication import Publication
from devices.timestamps import TIME_US_MAX, TIME_US_MIN
from ingest.capture import CaptureProblem, open_capture, read_capture, read_stream
from tests.fuzz import hostile, rejections, seeds
from tests.fuzz.decoding import LOOK_CLOSER_EVERY
from tests.fuzz.mutation import Mutator
from tests.fuzz.scratch import Scratch
from tests.fuzz.target import Outcome, hold

_TIMES = [
    b'"2026-11-22T16:51:52.490712Z+0100"', b'"2026-11-22T15:51:52Z"', b"1795361731.485691", b"1795361731485", b"1e300",
    b"-1e17", b'"0001-01-01T00:00:00+23:59"', b'"9999-12-31T23:59:59-2359"', b"null", b"true", b'"now"', b"1e11", b"-5",
    b'"1e16"', b"9000000000000000000", b"99999999999999999999", b'"-9e18"', b"0", b'"2026-11-22 15:51:52,5"', b"[1]",
]  # fmt: skip
_LONG = b'"' + b"t" * 70_000 + b'"'
_PAYLOADS = [b'"{\\"x\\":1}"', b"null", b"1.5", b'{"x":1.50}', b'"\\u0000"', b'"\xff"', b'"\\ud800"', b'""', b'"12.3"']


class CaptureTarget:
    """The capture reader, plain and gzipped."""

    name = "capture"
    reads = "captures, line by line, as `mosquitto_sub -F %j` and `tagtide capture` write them"

    def __init__(self) -> None:
        payloads = seeds.all_payloads()
        lines = [
            format_line(Publication(topic=f"a/{number}", payload=payload, received_us=1_795_361_731_485_691 + number))
            for number, payload in enumerate(payloads)
        ]
        self._lines = lines
        self._mutate = Mutator([line.rstrip() for line in lines])
        self._scratch = Scratch()

    def make(self, rng: random.Random) -> bytes:
        """Return some lines, good and bad; now and then gzipped, and spoilt again."""
        lines = [self._line(rng) for _ in range(rng.choice([1, 1, 2, 5]))]
        data = rng.choice([b"\n", b"\n", b"\n", b"\r\n", b"\n\n", b""]).join(lines) + rng.choice([b"\n", b""])
        if rng.random() < 0.05:
            packed = bytearray(gzip.compress(data, 1, mtime=0))
            if rng.random() < 0.7:
                packed = bytearray(self._mutate.mutated_bytes(rng, bytes(packed)))
            return bytes(packed)
        return rng.choice([b"\xef\xbb\xbf", b"\xff\xfe"]) + data if rng.random() < 0.02 else data

    def check(self, data: bytes) -> Outcome:
        """Read the capture from a file, and its lines again beside good ones."""
        path = self._scratch.path / "capture.jsonl"
        path.write_bytes(data)
        try:
            open_capture(path).close()
        except CaptureError as error:
            hold(error.hint, "no hint")
            return Outcome(rejects=[error.code])
        found = list(read_capture(path))
        look_closer = zlib.crc32(data) % LOOK_CLOSER_EVERY == 0
        if look_closer:
            hold(found == list(read_capture(path)), "the same capture reads differently the second time")
        outcome = Outcome()
        for entry in found:
            if isinstance(entry, CaptureProblem):
                hold(
                    rejections.is_explained(entry.reason_code), f"docs/rejects.md does not explain {entry.reason_code}"
                )
                outcome.rejects.append(entry.reason_code)
            else:
                outcome.rows += 1
                _check_publication(entry)
        if look_closer and data and not data.startswith((b"\x1f\x8b", b"\xef\xbb\xbf")):
            self._check_neighbours(data, found)
        return outcome

    def settle(self) -> None:
        """Nothing is about several captures."""

    def _line(self, rng: random.Random) -> bytes:
        kind = rng.randrange(10)
        if kind < 2:
            return rng.choice(self._lines).rstrip()
        if kind < 5:
            payload = rng.choice(_PAYLOADS) if rng.random() < 0.7 else hostile.value(rng)
            long = _LONG if rng.random() < 0.02 else b'"t"'
            topic = rng.choice([b'"a/b"', b'"$tagtide/clock"', b'"\\u0000"', b'""', b'"\xff"', long])
            length = rng.choice([b"", b"", b',"payloadlen":%d' % rng.randrange(20), b',"payloadlen":1e9'])
            return b'{"tst":%s,"topic":%s,"qos":%d%s,"payload":%s}' % (
                rng.choice(_TIMES),
                topic,
                rng.randrange(-1, 4),
                length,
                payload,
            )
        return self._mutate(rng)

    def _check_neighbours(self, data: bytes, found: list[Publication | CaptureProblem]) -> None:
        good = self._lines[0]
        end = b"" if data.endswith(b"\n") else b"\n"
        between = list(read_stream(io.BytesIO(good + data + end + good)))
        wanted = next(read_stream(io.BytesIO(good)))
        hold(between[0] == wanted, "lines change the one before them")
        hold(between[-1] == wanted, "lines change the one behind them")
        inner = [entry for entry in between[1:-1] if isinstance(entry, Publication)]
        hold(inner == [entry for entry in found if isinstance(entry, Publication)], "a good line before changes lines")


def _check_publication(entry: Publication) -> None:
    hold(TIME_US_MIN <= entry.received_us < TIME_US_MAX, f"received {entry.received_us} us after 1970")
    hold(entry.qos in (0, 1, 2), f"qos is {entry.qos}")
    hold(not entry.topic.startswith("$tagtide/"), "a line speaks on a topic of our own records")
    entry.topic.encode()
    (again,) = read_stream(io.BytesIO(format_line(entry)))
    hold(again == msgspec.structs.replace(entry, retained=entry.retained), f"{entry} is written as {again}")
