"""Open a file as bytes, packed or not, and its text as lines; what the lines mean is not known here.

Nothing is read whole: a line, and a block of records, have a limit, so that memory stays the same whatever
a small packed file unpacks to. What can be read only once (standard input, pipes) is told apart here too.
"""

import atexit
import csv
import gzip
import io
import os
import re
import select
import shutil
import stat
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from ...errors import DataError

LINE_LIMIT = 64 * 2**20
"""Bytes of a line, unpacked, a field of a table, or a record of an SDF: 64 MB."""
BLOCK_LIMIT = 2**30
"""Bytes of the records that are held at a time: 1 GB."""
COLUMN_LIMIT = 10**6
"""Columns of a table."""
CHUNK = 2**17  # bytes read at a time
PATIENCE = 10.0  # seconds that a pipe without a writer is waited for
STANDARD_INPUT = ("/dev/stdin", "/dev/fd/0", "/proc/self/fd/0")


class TooLongError(ValueError):
    """A line, a field or a record is longer than its limit."""


BROKEN = (EOFError, zlib.error, gzip.BadGzipFile, UnicodeError, TooLongError)
"""What reading raises when compressed data or encoded text turns out to be damaged, or is no text."""

NUL_REPLACED = "NUL bytes were replaced by the character U+FFFD"
FORMULA = 'cells written as ="text" (for Excel) were read as their text'

Note = Callable[[str, int], None]
"""`note(what, row)`: something about a record (0 = the header) that the user should know."""

_NOT_UTF8 = re.compile("[\udc80-\udcff]")  # how Python's "surrogateescape" marks such bytes
_MOL_LINE = re.compile(r" *-?\d+\.\d+ +-?\d+\.\d+ | *\d+ *\d+ +\d+|M  |[AVGS]  ")


# --- what can be read only once -----------------------------------------------------------------------


def is_stream(path: str) -> bool:
    """Whether it can be read only once: "-" (standard input), a pipe such as <(zcat x), a terminal."""
    if path == "-":
        return True
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    is_console = stat.S_ISCHR(mode) and path in STANDARD_INPUT
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or is_console


def lasting(path: str | Path) -> Path:
    """The path itself, or that of a copy of what can be read only once, kept until this process ends."""
    path = str(path)
    if not is_stream(path):
        return Path(path)
    is_input = path in ("-", *STANDARD_INPUT)
    key = id(sys.stdin) if is_input else os.stat(path).st_ino
    if key not in _COPIES:
        folder = tempfile.mkdtemp(prefix="screening-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        copy = Path(folder) / ("standard-input" if is_input else "pipe")
        with open_once(path) as stream, open(copy, "wb") as file:
            shutil.copyfileobj(stream, file)
        _COPIES[key] = copy
    return _COPIES[key]


_COPIES: dict[int, Path] = {}


def open_once(path: str) -> io.BufferedReader:
    """The bytes as they lie on disk or come through the pipe.

    Raises
    ------
    DataError : nobody writes into the pipe, or standard input is closed.
    """
    if path == "-" or (path in STANDARD_INPUT and is_stream(path)):
        if sys.stdin is None:
            raise DataError("Standard input is closed: name a file, or send one with '<' or through a pipe.")
        return io.BufferedReader(_StandardInput())
    if is_stream(path):
        return io.BufferedReader(_Pipe(path))
    return open(path, "rb")


class _StandardInput(io.RawIOBase):
    """Standard input that stays open when its reader is closed."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        standard_input: Any = sys.stdin.buffer
        data = standard_input.read1(len(buffer))
        buffer[: len(data)] = data
        return len(data)


class _Pipe(io.FileIO):
    """A pipe that is opened without waiting for ever: opening one that nobody writes to would never end."""

    start = b""
    """What came while we looked for the writer."""

    def __init__(self, path: str) -> None:
        super().__init__(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
        poll = select.poll()
        poll.register(self, select.POLLIN)
        end = time.monotonic() + PATIENCE
        while not poll.poll(50) and self._is_deserted():
            if time.monotonic() > end:
                self.close()
                raise DataError(
                    f"{path} is a pipe, and no program has opened it for writing for {PATIENCE:.0f} seconds. "
                    "Start that program first, or give a file, or '-' for standard input."
                )
        os.set_blocking(self.fileno(), True)

    def _is_deserted(self) -> bool:
        """Whether no program has the pipe open for writing: reading then ends instead of waiting."""
        try:
            self.start = os.read(self.fileno(), 1)
        except BlockingIOError:
            return False
        return not self.start

    def readinto(self, buffer: Any) -> int | None:
        if self.start:
            buffer[:1], self.start = self.start, b""
            return 1
        return super().readinto(buffer)


# --- bytes --------------------------------------------------------------------------------------------


class Bounded(io.RawIOBase):
    """Unpacked bytes within limits: so many without a line end, and so many for a block of records."""

    def __init__(self, stream: Any, file: io.BufferedReader) -> None:
        self.stream, self.file = stream, file
        self.closes: tuple[Any, ...] = (stream, file)
        self.reset()

    def reset(self) -> None:
        """Count from here on."""
        self.without_end = self.of_block = 0
        self.block_limit = BLOCK_LIMIT
        self.what = "the records of a block"

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self.file.seekable()

    def seek(self, place: int, whence: int = 0) -> int:
        self.without_end = self.of_block = 0
        return int(self.stream.seek(place, whence))

    def tell(self) -> int:
        return int(self.stream.tell())

    def readinto(self, buffer: Any) -> int:
        data = self.stream.read1(len(buffer))
        buffer[: len(data)] = data
        end = data.rfind(b"\n")
        end = data.rfind(b"\r") if end < 0 else end
        self.without_end = len(data) - end - 1 if end >= 0 else self.without_end + len(data)
        self.of_block += len(data)
        if self.without_end > LINE_LIMIT:
            raise TooLongError(f"a line has more than {in_mb(LINE_LIMIT)}")
        if self.of_block > self.block_limit:
            raise TooLongError(f"{self.what} with more than {in_mb(self.block_limit)}")
        return len(data)

    def close(self) -> None:
        if not self.closed:
            for stream in self.closes:
                stream.close()
        super().close()


def in_mb(n_bytes: int) -> str:
    """
    >>> in_mb(2**26), in_mb(2**30)
    ('64 MB', '1,024 MB')
    """
    return f"{n_bytes / 2**20:,.0f} MB"


def open_bytes(path: str) -> io.BufferedReader:
    """The bytes of the file, unpacked and within limits; the stream has `peek`."""
    file = open_once(path)
    is_packed = file.peek(2)[:2] == b"\x1f\x8b"
    return io.BufferedReader(Bounded(gzip.GzipFile(fileobj=file) if is_packed else file, file), CHUNK)


def bounds_of(stream: Any) -> Bounded:
    """The limits of a stream that `open_bytes` gave."""
    raw: Bounded = stream.raw
    return raw


def share_of(stream: io.BufferedReader) -> Callable[[], float | None]:
    """Place in the file as it lies on disk (packed or not) by its size."""
    file = bounds_of(stream).file
    size = max(os.fstat(file.fileno()).st_size, 1)
    return lambda: None if file.closed else min(file.tell() / size, 1.0)


def seekable(stream: io.BufferedReader) -> Any:
    """The plain file behind the stream, or its content in a temporary file.

    Raises
    ------
    TooLongError : it unpacks to so much more than it takes packed that it cannot be what it seems.
    """
    bounds = bounds_of(stream)
    if bounds.stream is bounds.file and bounds.file.seekable():
        bounds.closes = ()  # the file lives on without its limits
        bounds.file.seek(0)
        return bounds.file
    copy = tempfile.TemporaryFile()  # noqa: SIM115
    n_bytes = 0
    while data := stream.read1():
        bounds.without_end = bounds.of_block = 0
        n_bytes += len(data)
        if bounds.stream is not bounds.file and n_bytes > LINE_LIMIT + 100 * bounds.file.tell():
            raise TooLongError("it unpacks to more than 100 times its size, which no Parquet file does")
        copy.write(data)
    stream.close()
    copy.seek(0)
    return copy


def rewindable(stream: io.BufferedReader) -> io.BufferedReader:
    """The stream itself where it can be read again from its beginning, else one that keeps what it gives."""
    return stream if stream.seekable() else io.BufferedReader(_Kept(stream), CHUNK)


class _Kept(Bounded):
    """Bytes that are written to a temporary file while they are read, and come from there again."""

    def __init__(self, stream: io.BufferedReader) -> None:
        super().__init__(stream, bounds_of(stream).file)
        self.copy: Any = tempfile.TemporaryFile()  # noqa: SIM115
        self.closes = (stream, self.copy)

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        n = super().readinto(buffer)
        if self.stream is not self.copy:
            bounds_of(self.stream).of_block = 0  # counted here
            self.copy.write(buffer[:n])
        return n

    def tell(self) -> int:
        return int(self.copy.tell())

    def seek(self, place: int, whence: int = 0) -> int:
        self.stream = self.copy
        return super().seek(place, whence)


# --- lines --------------------------------------------------------------------------------------------


def as_text(stream: io.BufferedReader, head: bytes) -> io.TextIOWrapper:
    """The text in the encoding that its first bytes promise."""
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return io.TextIOWrapper(stream, encoding="utf-16", newline="")
    return io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="")


class Lines:
    """The lines of a text with their ends; bytes that are not UTF-8 as Latin-1, NUL as U+FFFD."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self.text = text
        self.bounds = bounds_of(text.buffer)
        self.raw: Iterator[str] = text
        self.number = 0  # of the last line, from 1
        self.limit = sys.maxsize  # the last line number that may be read
        self.odd: list[str] = []  # about the lines since the last report
        self.has_formula = False  # whether one of these lines has a cell like ="text"

    def __iter__(self) -> "Lines":
        return self

    def __next__(self) -> str:
        line = next(self.raw)
        self.number += 1
        if self.number > self.limit:
            self._go_on_within_a_molecule(line)
        if line.isascii() and "\0" not in line and '="' not in line:
            return line
        return self._mended(line)

    def plain(self) -> Iterator[str]:
        """The same lines for those who do not count them; faster."""
        for line in self.raw:
            yield line if line.isascii() and "\0" not in line else self._mended(line)

    def quickly(self) -> Iterator[str]:
        """The same lines, for those who only count; nothing is reported of them."""
        for line in self.raw:
            yield line if line.isascii() else self._mended(line)

    def ahead(self, n: int) -> list[str]:
        """The next lines, at most n, which will come again; nothing is reported of them.

        A fault among them comes again too, behind the lines before it.
        """
        lines: list[str] = []
        rest = self.raw
        try:
            while len(lines) < n and sum(map(len, lines[-1:])) < CHUNK:
                lines.append(next(self.raw))
        except StopIteration:
            pass
        except BROKEN as problem:
            rest = _failing(problem)
        self.raw = chain(lines, rest)
        return lines

    def _go_on_within_a_molecule(self, line: str) -> None:
        """A quoted MOL block has more lines than any other field."""
        if not _MOL_LINE.match(line):
            raise csv.Error("unexpected end of data")  # as at the end of a file
        self.limit = self.number + 100 * line.startswith("M  END")

    def _mended(self, line: str) -> str:
        self.has_formula = self.has_formula or '="' in line
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
        self.has_formula = False


def _failing(problem: Exception) -> Iterator[str]:
    raise problem
    yield ""
