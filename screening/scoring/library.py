"""A compound library: one or many files as one stream of numbered blocks, in an order that never changes.

A block is known by its file and its place in it, so each file can be read without those before it.
Reading a file is the business of `tables`; scoring the blocks that of `scoring`.
"""

import glob
import hashlib
import os
import sys
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from heapq import heapreplace
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from ..data.formats.opening import STANDARD_INPUT, is_stream
from ..data.formats.reading import CSV_SUFFIXES, SDF_SUFFIXES, SMI_SUFFIXES
from ..data.tables import Block, TableReader, open_table
from ..errors import ConfigError, DataError, listed
from .sources import Source

SUFFIXES = (*CSV_SUFFIXES, *SMI_SUFFIXES, *SDF_SUFFIXES, ".parquet", ".pq")
"""Files of a folder that are read, also with `.gz` behind."""

BLOCKS = 10**6
"""Most blocks of a file, and most files: block b of file f has the number f * BLOCKS + b, both from 0."""


T = TypeVar("T")


class Piece(NamedTuple):
    """A block of n records with its place in the library."""

    number: int
    """Of file and block in the file, see `BLOCKS`."""
    file: str
    """Name of its file."""
    source: str | None
    """SHA-256 of the file, None for standard input."""
    is_last: bool
    """Whether no records of the file follow, or none that the library's limit leaves."""
    rows: np.ndarray
    """int64 [n], record numbers in the file, from 1."""
    ids: list[str]
    """n names; the record numbers where the file has none."""
    smiles: list[str]
    """n structures as written."""
    extra: dict[str, list[str]]
    """Those of the library's extra columns that this file has, n texts each."""
    problems: list[str]
    """n texts: "" or why the record cannot be used as a record."""
    share: float | None
    """How much of the library has been read when the block ends, 0 to 1; None = unknown."""

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def structures(self) -> list[str]:
        """What is to be featurised: "" for a record that cannot be used as a record."""
        return ["" if problem else text for text, problem in zip(self.smiles, self.problems, strict=True)]

    def digest(self) -> str:
        """SHA-256 of all that was read."""
        total = hashlib.sha256(self.file.encode())
        for texts in (self.ids, self.smiles, self.problems, *self.extra.values()):
            total.update("\x1f".join(texts).encode("utf-8", "surrogatepass") + b"\x1e")
        return total.hexdigest()


@dataclass(frozen=True)
class Shard:
    """One of `of` jobs that share a library."""

    index: int
    """From 1 to `of`."""
    of: int

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """From "3/8".

        Raises
        ------
        ConfigError : not of that form, or out of range.
        """
        index, _, of = text.partition("/")
        if not (index.isdecimal() and of.isdecimal() and 1 <= int(index) <= int(of)):
            raise ConfigError(f"`shard` is '{text}': expected I/N with I from 1 to N, such as 1/8.")
        return cls(int(index), int(of))


@dataclass(frozen=True)
class Portion:
    """The blocks of a library that one job makes: all blocks of some files, or every n-th of all files."""

    files: tuple[int, ...]
    """Ascending."""
    every: int = 1
    """Those blocks for which file + block, divided by this, leave `rest`."""
    rest: int = 0

    def has(self, number: int) -> bool:
        """Whether the block of this number is one of them."""
        file, block = divmod(number, BLOCKS)
        place = bisect_left(self.files, file)
        return self.files[place : place + 1] == (file,) and (file + block) % self.every == self.rest


@dataclass(frozen=True)
class Library:
    """What `open_library` found, or some of its files."""

    names: tuple[str, ...]
    """Name of each file as it appears beside its rows."""
    readers: tuple[TableReader, ...]
    sources: tuple[Source, ...]
    """What the files were before their headers were read."""
    extra: tuple[str, ...]
    """Columns besides structure and identifier, of all files together, in order of appearance."""
    limit: int | None
    """Most records to read, None = all."""
    remarks: tuple[str, ...]
    """Files of the folders that were left out."""
    numbers: tuple[int, ...]
    """Place of each file in the whole library, from 0, ascending."""

    def pieces(self, is_wanted: Callable[[int], bool] = lambda number: True) -> Iterator[Piece]:
        """All blocks whose number is wanted, in order; they do not run over the end of a file.

        Raises
        ------
        DataError : a file is damaged, or changed since the library was opened; the pieces before come first.
        """
        left = sys.maxsize if self.limit is None else self.limit
        for place, (before, weight) in enumerate(zip(*self._weights(), strict=True)):
            if left <= 0:
                return
            source, read = self.sources[place].sum(), 0
            for number, block, share, is_last in self._unchanged(place, self._blocks(place, is_wanted, left)):
                read += len(block)
                if block.columns:
                    done = None if share is None else before + weight * share
                    yield self._piece(number, place, block, source, is_last, done)
            left -= read

    def _unchanged(self, place: int, blocks: Iterator[T]) -> Iterator[T]:
        """The blocks of a file as long as it is the file whose sum they carry; then why it is not."""
        check = self.sources[place].check
        try:
            for block in blocks:
                check()
                yield block
        except DataError:
            check()
            raise
        check()

    def _blocks(
        self, place: int, is_wanted: Callable[[int], bool], left: int
    ) -> Iterator[tuple[int, Block, float | None, bool]]:
        """Blocks of a file up to `left` records: number, block, share read, and whether it is the last."""
        reader, first = self.readers[place], self.numbers[place] * BLOCKS
        before: tuple[int, Block, float | None] | None = None
        try:
            for number, block in enumerate(reader.blocks(lambda block: is_wanted(first + block)), first):
                if number == first + BLOCKS:
                    raise DataError(f"{self.names[place]} has more than {BLOCKS:,} blocks. Cut it in files.")
                if before is not None:
                    yield *before, False
                before = number, block.head(left), reader.share
                left -= len(block)
                if left <= 0:
                    break
        except DataError:
            if before is not None:
                yield *before, False
            raise
        if before is not None:
            yield *before, True

    def _piece(
        self, number: int, place: int, block: Block, source: str | None, is_last: bool, share: float | None
    ) -> Piece:
        columns, reader, name = dict(block.columns), self.readers[place], self.names[place]
        smiles = columns.pop(reader.smiles)
        ids = columns.pop(reader.id) if reader.id else [str(row) for row in block.rows]
        return Piece(number, name, source, is_last, block.rows, ids, smiles, columns, block.problems, share)

    def subset(self, numbers: Iterable[int]) -> "Library":
        """The files of these numbers; a limit then counts the records of these alone."""
        places = [bisect_left(self.numbers, number) for number in sorted(numbers)]
        return replace(
            self,
            names=tuple(self.names[place] for place in places),
            readers=tuple(self.readers[place] for place in places),
            sources=tuple(self.sources[place] for place in places),
            numbers=tuple(self.numbers[place] for place in places),
        )

    def portion(self, shard: Shard | None) -> Portion:
        """What a shard makes; a function of the shard and of the files' sizes on disk alone.

        Whole files where there is one for each shard, the largest first to whoever has least. Else, and
        where records are counted from the beginning, every n-th block: then all shards read all files.
        """
        if shard is None:
            return Portion(self.numbers)
        if len(self.numbers) < shard.of or self.is_in_order:
            return Portion(self.numbers, shard.of, shard.index - 1)
        loads, mine = [(0, index) for index in range(1, shard.of + 1)], []
        files = zip(self.numbers, (source.size for source in self.sources), strict=True)
        for number, size in sorted(files, key=lambda file: (-file[1], file[0])):
            load, index = loads[0]
            heapreplace(loads, (load + size, index))
            if index == shard.index:
                mine.append(number)
        return Portion(tuple(sorted(mine)))

    @property
    def is_stream(self) -> bool:
        """Whether standard input or a pipe is part of it."""
        return any(reader.is_stream for reader in self.readers)

    @property
    def is_in_order(self) -> bool:
        """Whether it can only be read from the beginning: standard input, or a limit."""
        return self.is_stream or self.limit is not None

    def sizes(self) -> dict[str, int | None]:
        """Bytes of each file on disk, None for standard input and pipes."""
        return {
            name: None if reader.is_stream else source.size
            for name, reader, source in zip(self.names, self.readers, self.sources, strict=True)
        }

    def sums(self) -> dict[int, str | None]:
        """SHA-256 of each file by its number, None for standard input and pipes; four files at a time.

        Raises
        ------
        DataError : a file changed since the library was opened.
        """
        with ThreadPoolExecutor(4) as threads:
            return dict(zip(self.numbers, threads.map(Source.sum, self.sources), strict=True))

    def changed(self, sums: Mapping[int, str | None]) -> "Library":
        """The files whose SHA-256 is not that in `sums` any more; four files at a time."""
        with ThreadPoolExecutor(4) as threads:
            now = dict(zip(self.numbers, threads.map(Source.sum_now, self.sources), strict=True))
        return self.subset(number for number in sums if now[number] != sums[number])

    def notes(self) -> list[str]:
        """What was odd in what was read, a sentence each."""
        return [*self.remarks, *(note for reader in self.readers for note in reader.notes)]

    def _weights(self) -> tuple[list[float], list[float]]:
        """Share of these files before each file, and of the file, by size on disk."""
        sizes = [source.size for source in self.sources]
        total = max(sum(sizes), 1)
        before = list(accumulate(sizes, initial=0))[:-1]
        return [size / total for size in before], [size / total for size in sizes]


def open_library(
    sources: Sequence[str | Path],
    *,
    smiles: str | None = None,
    id: str | None = None,
    block_size: int = 4096,
    limit: int | None = None,
) -> Library:
    """The files of a library with their columns; nothing but headers is read.

    Parameters
    ----------
    sources : files, patterns such as `lib/*.smi.gz` (`**` for subfolders), folders, or "-" for standard
        input, in this order. The files of a pattern or folder (with its subfolders) are sorted by path.
    smiles, id : columns of structures and identifiers, the same in all files; None = found by name.
    limit : most records to read.

    Raises
    ------
    DataError : nothing there, a file given twice, or one that `tables.open_table` refuses.
    """
    remarks: list[str] = []
    paths = [_plain(path) for source in sources for path in _expanded(str(source), remarks)]
    if len(set(paths)) < len(paths):
        twice = Counter(paths).most_common(1)[0][0]
        raise DataError(
            f"{printable(twice)} is given twice: its molecules would be scored twice. Give it once."
        )
    if len(paths) > BLOCKS:
        raise DataError(f"The library has {len(paths):,} files: expected at most {BLOCKS:,}. Join some.")
    readers, origins = [], []
    for path in paths:
        origins.append(Source(path))
        readers.append(open_table(path, smiles=smiles, id=id, block_size=block_size))
        readers[-1].close()
    extra = dict.fromkeys(
        name for reader in readers for name in reader.columns if name not in (reader.smiles, reader.id)
    )
    numbers = tuple(range(len(paths)))
    names, files = tuple(_names(paths)), (tuple(readers), tuple(origins))
    return Library(names, *files, tuple(extra), limit, tuple(remarks), numbers)


def printable(name: str) -> str:
    """The file name with U+FFFD for bytes that are not UTF-8."""
    return os.fsencode(name).decode("utf-8", "replace")


def _plain(path: str) -> str:
    """The shortest form of the path; "-" for every name of standard input, unless a file is behind it."""
    path = os.path.normpath(path)
    return "-" if path in STANDARD_INPUT and is_stream(path) else path


def _names(paths: list[str]) -> list[str]:
    """The last part of each path, or the whole path where last parts repeat; <(...) is pipe-1, pipe-2 ..."""
    pipes = [path for path in paths if path.startswith(("/dev/fd/", "/proc/")) and is_stream(path)]
    lasts = [f"pipe-{pipes.index(path) + 1}" if path in pipes else Path(path).name for path in paths]
    return [printable(name) for name in (lasts if len(set(lasts)) == len(lasts) else paths)]


def _expanded(source: str, remarks: list[str]) -> list[str]:
    if source == "-" or os.path.isfile(source):
        return [source]
    if os.path.isdir(source):
        return _folder(source, remarks)
    paths = sorted(path for path in glob.glob(source, recursive=True) if os.path.isfile(path))
    if not paths and glob.has_magic(source):
        raise DataError(f"{printable(source)}: no file matches this pattern. Check the path.")
    return paths or [source]


def _folder(folder: str, remarks: list[str]) -> list[str]:
    files = sorted(
        os.path.join(place, name)
        for place, _, names in os.walk(folder)
        for name in names
        if not name.startswith(".")
    )
    of_molecules = [path for path in files if path.lower().removesuffix(".gz").endswith(SUFFIXES)]
    if not of_molecules:
        raise DataError(
            f"{printable(folder)} has no file of molecules. Expected files that end in "
            f"{', '.join(SUFFIXES)}, perhaps with .gz behind."
        )
    if len(of_molecules) < len(files):
        others = [printable(path) for path in files if path not in set(of_molecules)]
        remarks.append(f"{printable(folder)}: {listed(others, 1, mark='')} left out, not files of molecules.")
    return of_molecules
