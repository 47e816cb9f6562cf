"""Promise: a capture read for evaluation gives the rows that a replay of it would land, in the same order."""

from pathlib import Path

import pytest

from deploy import capture_chunks as module
from deploy.capture_chunks import capture_chunks
from devices.errors import CaptureError
from devices.site import load_site
from tests.deploy.command_line import tagtide
from tests.deploy.scene import START_US, line, write_capture


def test_reads_come_in_order_with_an_end_of_time(tmp_path: Path, site_file: Path) -> None:
    capture = write_capture(tmp_path / "c.jsonl", 7)
    chunks = list(capture_chunks(capture, [load_site(site_file)]))
    assert [chunk.site for chunk in chunks] == ["store-7"]
    assert chunks[0].batch("reads")["edge_offset"].to_pylist() == list(range(1, 8))
    (mark,) = chunks[0].clock
    assert mark.received_us == START_US + 6_000_000


@pytest.mark.parametrize("at_once", [1, 2, 3, 6, 7])
def test_how_many_are_decoded_at_once_changes_nothing(
    tmp_path: Path, site_file: Path, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    capture = write_capture(tmp_path / "c.jsonl", 6)
    whole = [
        row for chunk in capture_chunks(capture, [load_site(site_file)]) for row in chunk.batch("reads").to_pylist()
    ]
    monkeypatch.setattr(module, "CHUNK_PUBLICATIONS", at_once)
    seen: list[int] = []
    chunks = list(capture_chunks(capture, [load_site(site_file)], seen.append))
    assert [row for chunk in chunks for row in chunk.batch("reads").to_pylist()] == whole
    assert seen == list(range(at_once, 7, at_once))
    assert sum(len(chunk.clock) for chunk in chunks) == 1


def test_unreadable_lines_are_told(tmp_path: Path, site_file: Path) -> None:
    capture = tmp_path / "c.jsonl"
    capture.write_text(f"{line(0)}\nrubbish\n\n{line(1)}\n{line(2)[:-20]}")
    problems: list[tuple[int, str]] = []
    (chunk,) = capture_chunks(
        capture,
        [load_site(site_file)],
        on_problem=lambda found: problems.append((found.line_number, found.reason_code)),
    )
    assert chunk.batch("reads").num_rows == 2
    assert chunk.batch("rejects").num_rows == 0
    assert problems == [(2, "capture_line_unreadable"), (5, "capture_line_incomplete")]


def test_topics_of_other_sites_have_no_site(tmp_path: Path, site_file: Path) -> None:
    capture = tmp_path / "c.jsonl"
    capture.write_text(f"{line(0)}\n{line(1).replace('store-7/r1', 'elsewhere')}\n")
    chunks = {chunk.site: chunk for chunk in capture_chunks(capture, [load_site(site_file)])}
    assert chunks["store-7"].batch("reads").num_rows == 1
    assert chunks[None].batch("rejects")["reason_code"].to_pylist() == ["topic_unknown"]


def test_a_missing_capture_is_an_error(tmp_path: Path, site_file: Path) -> None:
    with pytest.raises(CaptureError, match=r"none\.jsonl"):
        list(capture_chunks(tmp_path / "none.jsonl", [load_site(site_file)]))


def test_evaluate_says_what_it_left_out(tmp_path: Path, site_file: Path) -> None:
    capture, truth = tmp_path / "c.jsonl", tmp_path / "truth.csv"
    capture.write_text("rubbish\n" + "".join(f"{line(number)}\n" for number in range(30)))
    capture.write_text(capture.read_text().replace('\\"epc\\"', '\\"no_epc\\"', 1) + line(30)[:-20])
    truth.write_text(f"epc_hex,zone,x,y,from_us,until_us\n30{0:022X},floor,1,1,{START_US},{START_US + 30_000_000}\n")
    ended = tagtide("evaluate", "--site", site_file, "--capture", capture, "--truth", truth)
    assert ended.code == 0, ended.err
    assert "2 lines of the capture could not be read, the first of them line 1, capture_line_unreadable" in ended.err
    assert "1 part of the site's publications could not be decoded" in ended.err
