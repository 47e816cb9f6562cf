"""A capture gives back what was received, byte for byte, and tells of every line that it cannot read."""

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.capture_line import LineReader, format_line, parse_time_us
from devices.errors import CaptureError
from devices.publication import Publication
from devices.timestamps import TIME_US_MAX, TIME_US_MIN
from ingest.capture import CaptureProblem, CaptureWriter, read_capture

AT = 1_795_362_712_490_712  # 2026-11-22T15:51:52.490712Z


def line(**fields: object) -> bytes:
    return json.dumps(
        {"tst": "2026-11-22T15:51:52.490712Z+0000", "topic": "a/b", "qos": 1, "retain": 0} | fields
    ).encode()


def read_one(text: bytes) -> Publication | CaptureProblem:
    return LineReader().read(text, 1)


def payload_of(text: bytes) -> bytes:
    found = read_one(text)
    assert isinstance(found, Publication), found
    return found.payload


def reason_of(text: bytes) -> str:
    found = read_one(text)
    assert isinstance(found, CaptureProblem), found
    assert found.raw == text
    return found.reason_code


def test_a_line_of_mosquitto_sub_is_a_publication() -> None:
    text = (
        b'{"tst":"2026-11-22T16:51:52.490712Z+0100","topic":"impinj/r1","qos":1,"retain":1,"payloadlen":9,"mid":1,'
        b'"payload":"{\\"x\\":1.5}"}'
    )
    assert read_one(text) == Publication(topic="impinj/r1", payload=b'{"x":1.5}', received_us=AT, qos=1, retained=True)


@pytest.mark.parametrize(
    ("shown", "length", "payload"),
    [
        (b"null", 0, b""),
        (b'""', 0, b""),
        (b'"\xff\xfe{"', 3, b"\xff\xfe{"),
        (b'"\xed\xa0\x80"', 3, b"\xed\xa0\x80"),
        (b'"\\"str\\""', 5, b'"str"'),
        (b'"null"', 4, b"null"),
        (b'"\\u0001\\u001f\x7f"', 3, b"\x01\x1f\x7f"),
        (b'"\\ud83d\\ude00"', 4, "\N{GRINNING FACE}".encode()),
        (b'"\\ud800"', 3, b"\xed\xa0\x80"),
        (b'"\\udc80"', 3, b"\xed\xb2\x80"),
        (b'{"x": 1.50, "s":"\xc3\xa9"}', 21, b'{"x": 1.50, "s":"\xc3\xa9"}'),
        (b"12.5", 5, b"12.5"),
        (b"null", 4, b"null"),
    ],
)
def test_payload_bytes_are_found_again(shown: bytes, length: int, payload: bytes) -> None:
    text = b'{"tst":"2026-11-22T15:51:52Z","topic":"a","payloadlen":%d,"payload":%b}' % (length, shown)
    assert payload_of(text) == payload


def test_a_topic_that_is_not_utf8_stays_visible() -> None:
    found = read_one(b'{"tst":"2026-11-22T15:51:52Z","topic":"a/\xff","payload":"x"}')
    assert isinstance(found, Publication)
    assert found.topic == "a/\\xff"


def test_a_payload_cut_at_a_nul_byte_is_a_problem_and_not_half_a_payload() -> None:
    assert reason_of(line(payloadlen=5, payload="ab")) == "capture_payload_truncated"
    assert reason_of(line(payloadlen=4, payload="ab")) == "capture_payload_truncated"


def test_a_json_string_of_percent_capital_j_is_known_by_the_lines_before_it() -> None:
    reader = LineReader()
    reader.read(line(payloadlen=7, payload={"x": 1}), 1)
    found = reader.read(line(payloadlen=4, payload="ab"), 2)
    assert isinstance(found, Publication)
    assert found.payload == b'"ab"'


def test_a_length_counted_in_characters_is_forgiven() -> None:
    assert payload_of(line(payloadlen=2, payload="\N{DEGREE SIGN}C")) == "\N{DEGREE SIGN}C".encode()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"rubbish", "capture_line_unreadable"),
        (b"\x00" * 50, "capture_line_unreadable"),
        (b"[1,2]", "capture_line_unreadable"),
        (b'{"tst":1,"topic":"a","\\ud800":2,"payload":"x"}', "capture_line_unreadable"),
        (b'{"topic":5}', "capture_line_unreadable"),
        (b'{"payload":"x"}', "capture_line_unreadable"),
        (b"[" * 100_000, "capture_line_unreadable"),
        (b'{"topic":"a","payload":"x"}', "capture_time_unreadable"),
        (b'{"tst":"yesterday","topic":"a","payload":"x"}', "capture_time_unreadable"),
        (b'{"tst":"2026-13-41T00:00:00Z","topic":"a","payload":"x"}', "capture_time_unreadable"),
        (b'{"tst":1e300,"topic":"a","payload":"x"}', "capture_time_unreadable"),
        (b'{"tst":NaN,"topic":"a","payload":"\xff"}', "capture_time_unreadable"),
        (b'{"tst":"' + b"9" * 400 + b'","topic":"a","payload":"x"}', "capture_time_unreadable"),
        (b'{"tst":"' + b"9" * 5_000 + b'","topic":"a","payload":"x"}', "capture_time_unreadable"),
        (b'{"tst":"0001-01-01T00:00:00+2359","topic":"a","payload":"x"}', "capture_time_out_of_range"),
        (b'{"tst":-1e8,"topic":"a","payload":"x"}', "capture_time_out_of_range"),
        (b'{"tst":"2200-01-01T00:00:00Z","topic":"a","payload":"x"}', "capture_time_out_of_range"),
        (b'{"tst":1,"topic":"a","payload":null,"payloadlen":7}', "capture_payload_missing"),
        (b'{"tst":1,"topic":"a","payloadlen":7}', "capture_payload_missing"),
        (b'{"tst":1,"topic":"a","payload_base64":"?"}', "capture_base64_invalid"),
        (b'{"tst":1,"topic":"$tagtide/clock","payload":""}', "capture_topic_reserved"),
    ],
)
def test_what_cannot_be_read_says_why(text: bytes, reason: str) -> None:
    assert reason_of(text) == reason


@pytest.mark.parametrize(
    "shape",
    [
        "2026-11-22T15:51:52.490712Z+0000",
        "2026-11-22T16:51:52.490712Z+0100",
        "2026-11-22T10:21:52.490712-0530",
        "2026-11-22T16:51:52.490712+01:00",
        "2026-11-22T16:51:52.490712+01",
        "2026-11-22T15:51:52.490712Z",
        "2026-11-22 15:51:52,490712999",
        "1795362712.490712",
        1_795_362_712_490_712,
        1_795_362_712_490_712_000,
    ],
)
def test_every_shape_of_time_is_the_same_microsecond(shape: str | int) -> None:
    assert abs(parse_time_us(shape) - AT) <= (1 if isinstance(shape, str) and "T" not in shape else 0)


def test_a_clock_in_1970_is_a_time() -> None:
    assert parse_time_us("1970-01-01T00:00:07Z+0000") == 7_000_000
    assert parse_time_us(7) == 7_000_000


@given(
    topic=st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(lambda text: not text.startswith("$")),
    payload=st.one_of(st.binary(), st.text(st.characters(exclude_categories=["Cs"])).map(str.encode)),
    received_us=st.integers(TIME_US_MIN, TIME_US_MAX - 1),
    qos=st.integers(0, 2),
    retained=st.booleans(),
)
def test_writing_and_reading_invert_each_other(
    topic: str, payload: bytes, received_us: int, qos: int, *, retained: bool
) -> None:
    given_one = Publication(topic=topic, payload=payload, received_us=received_us, qos=qos, retained=retained)
    text = format_line(given_one)
    assert text.count(b"\n") == 1
    assert read_one(text[:-1]) == given_one


@given(
    st.one_of(
        st.binary(),
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
            lambda inner: (
                st.lists(inner)
                | st.dictionaries(st.sampled_from(["tst", "topic", "payload", "payloadlen", "qos"]), inner)
            ),
        ).map(lambda value: json.dumps(value).encode()),
    )
)
def test_any_line_is_a_publication_or_a_problem(text: bytes) -> None:
    found = read_one(text)
    if isinstance(found, Publication):
        found.topic.encode("utf-8")
        assert isinstance(found.payload, bytes)


def test_a_half_written_last_line_and_rubbish_cost_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    good = format_line(Publication(topic="a", payload=b"1", received_us=AT))
    path.write_bytes(b"\xef\xbb\xbf" + good + b"\r\n\n" + b"rubbish\n" + good.replace(b"\n", b"\r\n") + good[:40])
    found = list(read_capture(path))
    assert [type(entry) for entry in found] == [Publication, CaptureProblem, Publication, CaptureProblem]
    assert found[3] == CaptureProblem(line_number=6, reason_code="capture_line_incomplete", raw=good[:40])


@pytest.mark.parametrize("name", ["c.jsonl", "c.jsonl.gz"])
def test_a_file_that_was_written_is_read_again(tmp_path: Path, name: str) -> None:
    given_ones = [Publication(topic="a", payload=bytes([number % 256]), received_us=number) for number in range(300)]
    for path in (tmp_path / name, tmp_path / f"again-{name}"):
        with CaptureWriter(path) as writer:
            for publication in given_ones:
                writer.write(publication)
        assert list(read_capture(path)) == given_ones
    assert (tmp_path / name).read_bytes() == (tmp_path / f"again-{name}").read_bytes(), "the same bytes each time"


def test_a_gzip_file_that_was_cut_off_gives_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "c.gz"
    lines = b"".join(
        format_line(Publication(topic="a", payload=bytes([n % 256, 255]), received_us=n)) for n in range(5000)
    )
    path.write_bytes(gzip.compress(lines)[:-2000])
    *whole, last = read_capture(path)
    assert len(whole) > 100
    assert isinstance(last, CaptureProblem)
    assert last.reason_code == "capture_file_incomplete"


def test_a_capture_that_is_not_there_and_one_from_powershell_are_said(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="cannot open"):
        next(read_capture(tmp_path / "none"))
    (tmp_path / "p.txt").write_bytes('{"topic":"a"}'.encode("utf-16"))
    with pytest.raises(CaptureError, match="UTF-16") as caught:
        next(read_capture(tmp_path / "p.txt"))
    assert caught.value.hint is not None


def test_a_line_without_end_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.capture.LINE_BYTES_MAX", 200_000)
    path = tmp_path / "c.jsonl"
    good = format_line(Publication(topic="a", payload=b"1", received_us=AT))
    path.write_bytes(good + b"x" * 450_000 + b"\n" + good)
    found = list(read_capture(path))
    assert isinstance(found[1], CaptureProblem)
    assert found[1].reason_code == "capture_line_too_long"
    assert len(found[1].raw) < 100_000
    assert isinstance(found[2], Publication)
