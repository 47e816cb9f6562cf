"""Captures: files of publications, one JSON object a line, plain or gzipped.

Reading is tolerant: whatever stands on a line comes out as a publication or as a problem with its reason, in the
order of the file, and nothing ends the reading early but the end of the file. `devices.capture_line` owns what a
line says, `ingest.recording` writes captures from a broker, and `ingest.replay` sends them through the pipeline.
"""

import gzip
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self, cast

from devices.capture_line import CaptureProblem, LineReader, format_line
from devices.errors import CaptureError
from devices.publication import Publication

__all__ = ["LINE_BYTES_MAX", "CaptureProblem", "CaptureWriter", "open_capture", "read_capture"]

LINE_BYTES_MAX = 64 * 2**20
"""Longest line that is read. The largest MQTT payload, 256 MB, is never seen on a reader; 64 MiB hold a payload of
10 MB even with every byte escaped to six."""

_PROBLEM_BYTES_KEPT = 64 * 2**10  # of a line that is too long, this much is kept to look at
_GZIP_MAGIC = b"\x1f\x8b"
_UTF8_MARK = b"\xef\xbb\xbf"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


def read_capture(path: Path | str) -> Iterator[Publication | CaptureProblem]:
    """Yield what a capture holds, line by line, in the order of the file; empty lines are passed over.

    Raises:
        CaptureError: The file cannot be opened, or is UTF-16 text.
    """
    with open_capture(Path(path)) as stream:
        yield from read_stream(stream)


def read_stream(stream: BinaryIO) -> Iterator[Publication | CaptureProblem]:
    """Yield what an open, unpacked capture holds."""
    reader = LineReader()
    for line_number, line, reason_code in _lines(stream):
        if reason_code is not None:
            yield CaptureProblem(line_number=line_number, reason_code=reason_code, raw=line)
        elif text := line.strip(b" \t\r\n"):
            found = reader.read(text, line_number)
            if isinstance(found, CaptureProblem) and not line.endswith(b"\n"):
                yield CaptureProblem(line_number=line_number, reason_code="capture_line_incomplete", raw=text)
            else:
                yield found


def open_capture(path: Path) -> BinaryIO:
    """Open a capture for reading, unpacking gzip by its content rather than its name.

    Raises:
        CaptureError: The file cannot be opened, or is UTF-16 text.
    """
    try:
        stream = path.open("rb", buffering=2**20)
    except OSError as cause:
        raise CaptureError(f"cannot open the capture {path}: {cause.strerror}", hint="check the path") from cause
    head = stream.read(3)
    stream.seek(0)
    if head[:2] in _UTF16_MARKS:
        stream.close()
        raise CaptureError(
            f"{path} is UTF-16 text, as Windows PowerShell's `>` writes it",
            hint=f"iconv -f UTF-16 -t UTF-8 {path} > converted.jsonl",
        )
    if head[:2] == _GZIP_MAGIC:
        stream.close()
        return cast("BinaryIO", gzip.open(path, "rb"))
    if head == _UTF8_MARK:
        stream.seek(3)
    return stream


def _lines(stream: BinaryIO) -> Iterator[tuple[int, bytes, str | None]]:
    """Yield line number, line and, where it could not be read whole, the reason code."""
    line_number = 0
    while True:
        line_number += 1
        try:
            line = stream.readline(LINE_BYTES_MAX)
            if not line:
                return
            if len(line) == LINE_BYTES_MAX and not line.endswith(b"\n"):
                _skip_line(stream)
                yield line_number, line[:_PROBLEM_BYTES_KEPT], "capture_line_too_long"
                continue
        except EOFError:  # a gzip file that was cut off
            yield line_number, b"", "capture_file_incomplete"
            return
        except (gzip.BadGzipFile, zlib.error):
            yield line_number, b"", "capture_file_damaged"
            return
        yield line_number, line, None


def _skip_line(stream: BinaryIO) -> None:
    while (part := stream.readline(LINE_BYTES_MAX)) and not part.endswith(b"\n"):
        pass


class CaptureWriter:
    """Writes a capture; gzipped where the name ends in `.gz`. Use it as a context manager."""

    def __init__(self, path: Path | str) -> None:
        """Create the file, in the place of one that stands there.

        Raises:
            CaptureError: The file cannot be created.
        """
        self.path = Path(path)
        """The file."""
        self.publications = 0
        """How many were written."""
        try:
            self._file = self.path.open("wb", buffering=2**20)
        except OSError as cause:
            raise CaptureError(f"cannot write the capture {path}: {cause.strerror}", hint="check the path") from cause
        # No name and no time in the gzip header: the same publications give the same bytes.
        self._packer = (
            gzip.GzipFile(filename="", mode="wb", fileobj=self._file, mtime=0, compresslevel=6)
            if self.path.suffix == ".gz"
            else None
        )

    def write(self, publication: Publication) -> None:
        """Add one publication."""
        (self._packer or self._file).write(format_line(publication))
        self.publications += 1

    def flush(self) -> None:
        """Put everything written so far on the disk."""
        if self._packer is not None:
            self._packer.flush()
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Finish the file."""
        if self._packer is not None:
            self._packer.close()
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
