"""A compound library: one or many files as one stream of numbered blocks, in an order that never changes.

Reading a file is the business of `tables`; scoring the blocks that of `scoring`.
"""

import glob
import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .errors import ConfigError, DataError
from .formats import CSV_SUFFIXES, SDF_SUFFIXES, SMI_SUFFIXES
from .tables import Block, TableReader, file_sha256, open_table

SUFFIXES = (*CSV_SUFFIXES, *SMI_SUFFIXES, *SDF_SUFFIXES, ".parquet", ".pq")
"""Files of a folder that are read, also with `.gz` behind."""


class Piece(NamedTuple):
    """A block of n records with its place in the library."""

    number: int
    """From 0, over all files and all shards."""
    file: str
    """Name of its file."""
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
    """The blocks `index - 1`, `index - 1 + of`, ... of a library."""

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
            raise ConfigError(f"--shard is '{text}': expected I/N with I from 1 to N, such as 1/8.")
        return cls(int(index), int(of))


@dataclass(frozen=True)
class Library:
    """What `open_library` found."""

    names: tuple[str, ...]
    """Name of each file as it appears beside its rows."""
    readers: tuple[TableReader, ...]
    extra: tuple[str, ...]
    """Columns besides structure and identifier, of all files together, in order of appearance."""
    limit: int | None
    """Most records to read, None = all."""
    remarks: tuple[str, ...]
    """Files of the folders that were left out."""

    def pieces(self, wanted: Callable[[int], bool] = lambda number: True) -> Iterator[Piece]:
        """All blocks whose number is wanted, in order; they do not run over the end of a file.

        Raises
        ------
        DataError : a file is damaged; the pieces before the damage come first.
        """
        numbers, left = count(), self.limit
        for name, reader, before, weight in zip(self.names, self.readers, *self._weights(), strict=True):
            for block in reader:
                if left is not None:
                    block = block.head(left)
                    left -= len(block)
                number = next(numbers)
                if wanted(number):
                    share = reader.share
                    done = None if share is None else before + weight * share
                    yield self._piece(number, name, reader, block, done)
                if left == 0:
                    return

    def _piece(self, number: int, name: str, reader: TableReader, block: Block, share: float | None) -> Piece:
        columns = dict(block.columns)
        smiles = columns.pop(reader.smiles)
        ids = columns.pop(reader.id) if reader.id else [str(row) for row in block.rows]
        return Piece(number, name, block.rows, ids, smiles, columns, block.problems, share)

    @property
    def is_stream(self) -> bool:
        """Whether standard input is part of it."""
        return any(reader.path == "-" for reader in self.readers)

    def sums(self) -> dict[str, str | None]:
        """SHA-256 of each file, None for standard input."""
        return {
            name: None if reader.path == "-" else file_sha256(reader.path)
            for name, reader in zip(self.names, self.readers, strict=True)
        }

    def notes(self) -> list[str]:
        """What was odd in what was read, a sentence each."""
        return [*self.remarks, *(note for reader in self.readers for note in reader.notes)]

    def _weights(self) -> tuple[list[float], list[float]]:
        """Share of the library before each file, and of the file, by size on disk."""
        sizes = [0 if reader.path == "-" else os.path.getsize(reader.path) for reader in self.readers]
        total = max(sum(sizes), 1)
        before = [sum(sizes[:place]) / total for place in range(len(sizes))]
        return before, [size / total for size in sizes]


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
    paths = [os.path.normpath(path) for source in sources for path in _expanded(str(source), remarks)]
    if len(set(paths)) < len(paths):
        twice = Counter(paths).most_common(1)[0][0]
        raise DataError(
            f"{printable(twice)} is given twice: its molecules would be scored twice. Give it once."
        )
    readers = []
    for path in paths:
        readers.append(open_table(path, smiles=smiles, id=id, block_size=block_size))
        readers[-1].close()
    extra = dict.fromkeys(
        name for reader in readers for name in reader.columns if name not in (reader.smiles, reader.id)
    )
    return Library(tuple(_names(paths)), tuple(readers), tuple(extra), limit, tuple(remarks))


def printable(name: str) -> str:
    """The file name with U+FFFD for bytes that are not UTF-8."""
    return os.fsencode(name).decode("utf-8", "replace")


def _names(paths: list[str]) -> list[str]:
    """The last part of each path, or the whole path where last parts repeat."""
    lasts = [Path(path).name if path != "-" else path for path in paths]
    return [printable(name) for name in (lasts if len(set(lasts)) == len(lasts) else paths)]


def _expanded(source: str, remarks: list[str]) -> list[str]:
    if source == "-" or os.path.isfile(source):
        return [source]
    if os.path.isdir(source):
        return _folder(source, remarks)
    found = sorted(path for path in glob.glob(source, recursive=True) if os.path.isfile(path))
    if not found and glob.has_magic(source):
        raise DataError(f"{printable(source)}: no file matches this pattern. Check the path.")
    return found or [source]


def _folder(folder: str, remarks: list[str]) -> list[str]:
    files = sorted(
        os.path.join(place, name)
        for place, _, names in os.walk(folder)
        for name in names
        if not name.startswith(".")
    )
    found = [path for path in files if path.lower().removesuffix(".gz").endswith(SUFFIXES)]
    if not found:
        raise DataError(
            f"{printable(folder)} has no file of molecules. Expected files that end in "
            f"{', '.join(SUFFIXES)}, perhaps with .gz behind."
        )
    if len(found) < len(files):
        others = [printable(path) for path in files if path not in set(found)]
        more = f" and {len(others) - 1} more" if len(others) > 1 else ""
        remarks.append(f"{printable(folder)}: {others[0]}{more} left out, not files of molecules.")
    return found
