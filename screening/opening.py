"""Open a file as bytes, packed or not, and its text as lines; what the lines mean is not known here."""

import csv
import gzip
import io
import os
import re
import shutil
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator
from typing import Any

BROKEN = (EOFError, zlib.error, gzip.BadGzipFile, UnicodeError)
"""What reading raises when compressed data or encoded text turns out to be damaged."""

NUL_REPLACED = "NUL bytes were replaced by the character U+FFFD"

Note = Callable[[str, int], None]
"""`note(what, row)`: something about a record (0 = the header) that the user should know."""

_NOT_UTF8 = re.compile("[\udc80-\udcff]")  # how Python's "surrogateescape" marks such bytes


class _StandardInput(io.RawIOBase):
    """Standard input that stays open when its reader is closed."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        standard_input: Any = sys.stdin.buffer
        data = standard_input.read1(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def open_bytes(path: str) -> Any:
    """The bytes of the file, unpacked; the stream has `peek`."""
    stream: Any = io.BufferedReader(_StandardInput()) if path == "-" else open(path, "rb")  # noqa: SIM115
    if stream.peek(2)[:2] != b"\x1f\x8b":
        return stream
    if path == "-":
        return gzip.GzipFile(fileobj=stream)
    stream.close()
    return gzip.GzipFile(path)


def share_of(stream: Any) -> Callable[[], float | None]:
    """Place in the file as it lies on disk (packed or not) by its size."""
    file: Any = stream.fileobj if isinstance(stream, gzip.GzipFile) else stream.raw
    size = max(os.fstat(file.fileno()).st_size, 1)
    return lambda: None if file.closed else min(file.tell() / size, 1.0)


def seekable(stream: Any) -> Any:
    """The stream itself if it is a plain file, else its content in a temporary file."""
    if isinstance(getattr(stream, "raw", None), io.FileIO) and stream.seekable():
        return stream
    copy = tempfile.TemporaryFile()  # noqa: SIM115
    shutil.copyfileobj(stream, copy)
    stream.close()
    copy.seek(0)
    return copy


def as_text(stream: Any, head: bytes) -> io.TextIOWrapper:
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return io.TextIOWrapper(stream, encoding="utf-16", newline="")
    return io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="")


class Lines:
    """The lines of a text with their ends; bytes that are not UTF-8 as Latin-1, NUL as U+FFFD."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self.text = text
        self.number = 0  # of the last line, from 1
        self.limit = sys.maxsize  # the last line number that may be read
        self.odd: list[str] = []  # about the lines since the last report

    def __iter__(self) -> "Lines":
        return self

    def __next__(self) -> str:
        line = next(self.text)
        self.number += 1
        if self.number > self.limit:
            raise csv.Error("unexpected end of data")  # as at the end of a file
        return line if line.isascii() and "\0" not in line else self._mended(line)

    def quickly(self) -> Iterator[str]:
        """The same lines, for those who only count; nothing is reported of them."""
        for line in self.text:
            self.number += 1
            yield line if line.isascii() else self._mended(line)

    def _mended(self, line: str) -> str:
        if not line.isascii() and _NOT_UTF8.search(line):
            line = _NOT_UTF8.sub(lambda byte: chr(ord(byte[0]) - 0xDC00), line)
            self.odd.append("bytes that are not UTF-8 were read as Latin-1")
        if "\0" in line:
            line = line.replace("\0", "\ufffd")
            self.odd.append(NUL_REPLACED)
        return line

    def report(self, row: int, note: Note) -> None:
        """Tell `note` what was odd in the lines of this record."""
        for what in dict.fromkeys(self.odd):
            note(what, row)
        self.odd.clear()
