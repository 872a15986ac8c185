"""Rows of CSV, TSV, SMILES, SDF and Parquet files as a stream of blocks of text; knows nothing of labels.

A file that cannot be read is a DataError; a record that cannot be used carries its problem along.
Everything stays text as written: an identifier 0012 remains 0012.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from ..errors import DataError, listed
from ..registry import did_you_mean
from .formats.opening import BROKEN, TooLongError, is_stream
from .formats.reading import open_format
from .formats.records import Format, Wanted, column_key, is_structure_name
from .formats.sdf import is_molblock, molblock_of, smiles_of_molblock

ID_NAMES = (  # in order of preference
    *("id", "compound_id", "mol_id", "molecule_id", "molecule_chembl_id", "chembl_id"),
    *("name", "compound_name", "sid", "cid"),
)
VENDOR_IDS = (  # what vendors and databases call it, as `_bare` writes it
    *("idnumber", "catalogid", "catalogueid", "catalognumber", "cataloguenumber", "catno", "vendorid"),
    *("supplierid", "productid", "sampleid", "compoundnumber", "structureid", "substanceid", "zincid"),
    *("molportid", "emoleculesid", "enamineid", "chembridgeid", "drugbankid", "databaseid", "hmdbid"),
    *("chebiid", "lmid", "pubchemcompoundcid", "pubchemcid", "pubchemsubstanceid", "pubchemsid"),
    *("dsstoxsubstanceid", "registrynumber", "regno", "casnumber", "casrn", "nsc"),
)

IN_MEMORY = "table in memory"
"""What stands for the path of a table that was never in a file: in messages, configs and run folders."""

FIELDS = 2**24  # held at a time: 128 MB of references
_ABOUT = {"state", "status", "valid", "validity", "length", "len", "count", "n", "hash", "id", "is", "flag"}
_NUMBERED = re.compile(r" \(\d+\)$")


class Rejected(NamedTuple):
    """A molecule that cannot be used, and why."""

    row: int
    """Record number in the file, from 1."""
    id: str
    """Identifier as written, "" where there is none."""
    smiles: str
    """Structure as written, "" where there is none."""
    reason: str
    """What is wrong with the record or the structure."""


@dataclass(frozen=True)
class Block:
    """Consecutive records of a table."""

    rows: np.ndarray
    """int64 [n], record numbers from 1; header, blank and comment lines do not count."""
    columns: dict[str, list[str]]
    """Column name to n texts, "" where empty; no columns where the block was not wanted."""
    problems: list[str]
    """n texts: "" or why the record cannot be used; its fields are then a guess."""

    def __len__(self) -> int:
        return len(self.rows)

    def head(self, n: int) -> "Block":
        """The first `n` records."""
        return Block(
            self.rows[:n], {name: texts[:n] for name, texts in self.columns.items()}, self.problems[:n]
        )


def open_table(
    path: str | Path, *, smiles: str | None = None, id: str | None = None, block_size: int | None = None
) -> "TableReader":
    """A reader of the file, or of standard input for the path "-".

    Format, gzip, encoding (UTF-8, UTF-16 with its mark, single bytes of Latin-1), separator and line
    ends are found from the content; the suffix decides where the content does not.

    Parameters
    ----------
    smiles, id : columns of the structures and the identifiers; None = found by name.
    block_size : records of a block; None = 8,192, or fewer where there are thousands of columns.

    Raises
    ------
    DataError : no such file, empty, no table, or the structure column is missing or ambiguous.
    """
    return TableReader(str(path), smiles, id, block_size, partial(open_format, str(path), smiles))


def open_frame(frame: Any, *, smiles: str | None = None, id: str | None = None) -> "TableReader":
    """The same of a table of pandas, Arrow or Polars in memory; messages call it `IN_MEMORY`.

    Raises
    ------
    TypeError : something else than a table.
    """
    from pandas import DataFrame

    from .formats.frames import Frame, pandas_of

    given, frame = frame, pandas_of(frame)
    if not isinstance(frame, DataFrame):
        raise TypeError(
            f"The table is of type {type(given).__name__}: expected a DataFrame, or a table of Arrow or "
            "Polars. A file is read by read_assays(path), or trained with data=path."
        )
    return TableReader(IN_MEMORY, smiles, id, None, partial(Frame, frame))


class TableReader:
    """Iterates over the blocks of one table; a file can be read again, a stream only once."""

    path: str
    """The path as given."""
    is_stream: bool
    """Whether it can be read only once: standard input, or a pipe."""
    columns: tuple[str, ...]
    """Columns in their order; one without a name is called unnamed_N, a second 'x' is 'x (2)'."""
    repeated: frozenset[str]
    """Those of `columns` that share their name with another one in the file."""
    smiles: str
    """Name of the structure column."""
    id: str | None
    """Name of the identifier column, None where there is none."""
    metadata: Mapping[bytes, bytes]
    """What a Parquet file says of itself; of others nothing."""

    def __init__(
        self,
        path: str,
        smiles: str | None,
        id: str | None,
        block_size: int | None,
        opening: Callable[[], Format],
    ) -> None:
        self.path = path
        self.is_stream = is_stream(path)
        self._opening = opening
        self._oddities: dict[str, tuple[int, int]] = {}
        source = self._open()
        self._format: Format | None = source
        self._reading: Format | None = source
        self.metadata = dict(source.metadata)
        names = [name.strip() for name in source.names]
        self.columns = _unique(name or f"unnamed_{i + 1}" for i, name in enumerate(names))
        self._block_size = block_size or min(8192, max(FIELDS // max(len(names), 1), 1))
        counts = Counter(filter(None, names))
        self.repeated = frozenset(
            column for column, name in zip(self.columns, names, strict=True) if counts[name] > 1
        )
        self.smiles = self._structure_column(smiles, source)
        self.id = self._id_column(id, source)
        self._without_id = source.without_id if self.id is None else ""

    def __iter__(self) -> Iterator[Block]:
        return self.blocks()

    def blocks(self, is_wanted: Wanted = lambda number: True) -> Iterator[Block]:
        """All blocks; those whose number (from 0) is not wanted are not parsed, they have rows alone."""
        source, self._format = self._format, None
        if source is None and self.is_stream:
            raise ValueError(f"{self.path} can be read only once: it is standard input or a pipe")
        source = self._reading = source or self._open()
        self._oddities.clear()
        done = 0
        try:
            for texts, problems in source.parts(self._block_size, self._note, is_wanted):
                yield self._block(done, texts, problems)
                done += len(problems)
        except BROKEN as problem:
            raise self._broken(problem, f"in the block that begins with record {done + 1}") from problem
        finally:
            source.stream.close()

    def close(self) -> None:
        """Close the file until it is read, so that this can be pickled; a stream stays open."""
        if self._format is not None and not self.is_stream:
            self._format.stream.close()
            self._format = self._reading = None

    @property
    def share(self) -> float | None:
        """How much of the file has been read, 0 to 1; None = unknown."""
        return None if self._reading is None else self._reading.share()

    def columns_with(self, what: Literal["numbers", "texts"]) -> frozenset[str]:
        """Columns in which numbers as such, or texts beside them, were read so far: see `Format`."""
        places = frozenset() if self._reading is None else getattr(self._reading, what)
        return frozenset(self.columns[place] for place in places)

    @property
    def notes(self) -> list[str]:
        """What was odd in the records read so far, a sentence for each kind."""
        return [f"{self.path}: {self._without_id}."] * bool(self._without_id) + [
            f"{self.path}, {f'record {first}' if first else 'header'}"
            f"{f' and {n - 1} more' if n > 1 else ''}: {what}."
            for what, (n, first) in self._oddities.items()
        ]

    def _note(self, what: str, row: int) -> None:
        n, first = self._oddities.get(what, (0, row))
        self._oddities[what] = n + 1, first

    def _block(self, done: int, texts: list[list[str]], problems: list[str]) -> Block:
        rows = np.arange(done + 1, done + 1 + len(problems))
        if not texts:
            return Block(rows, {}, problems)
        columns = dict(zip(self.columns, texts, strict=True))
        structures = columns[self.smiles]
        for i, structure in enumerate(structures):
            if not problems[i] and ("\n" in structure or "\r" in structure or "M  END" in structure):
                structures[i], problems[i] = _one_line(structure)
        return Block(rows, columns, problems)

    def _open(self) -> Format:
        try:
            return self._opening()
        except BROKEN as problem:
            raise self._broken(problem, "at its beginning") from problem
        except OSError as problem:
            raise DataError(f"{self.path} cannot be read: {problem.strerror}. Check the path.") from problem

    def _broken(self, problem: Exception, where: str) -> DataError:
        if isinstance(problem, UnicodeError):
            what = f"the text is not the UTF-16 that its first bytes promise ({problem}). Save it as UTF-8."
        elif isinstance(problem, TooLongError):
            what = (
                f"{problem}, unpacked. This is no table or list of molecules, or its line ends were lost: "
                "look at its beginning, and write it again."
            )
        else:
            what = f"the compressed data is broken or cut off ({problem}). Fetch or pack the file again."
        return DataError(f"{self.path}, {where}: {what}")

    def _structure_column(self, given: str | None, source: Format) -> str:
        if given is not None:
            return self._known(given, "smiles", source)
        if source.smiles is not None:
            return self.columns[source.smiles]
        if source.header_seems is not None:
            raise self._header_below(*source.header_seems)
        candidates = [name for name in self.columns if "smiles" in column_key(name)]
        candidates = candidates or [name for name in self.columns if is_structure_name(name)]
        if len(candidates) > 1:  # that one of REINVENT's files is no structure can be told from its name
            plain = [name for name in candidates if not _ABOUT & set(column_key(name).split("_"))]
            candidates = plain or candidates
        if len(candidates) > 1:
            first = f"'{candidates[0]} (1)'" if candidates[0] in self.repeated else candidates[0]
            raise DataError(
                f"{self.path}: the columns {listed(candidates)} could all hold the structures. "
                f"Say which one does, for example data.smiles={first}, or --smiles {first} where a command "
                "has that option."
            )
        if not candidates:
            raise DataError(
                f"{self.path}: no column of SMILES; the first line was read as the columns "
                f"{listed(self.columns)}. Name the column of structures 'smiles', or say which one it is "
                "(data.smiles: NAME); a file without a header line needs one."
            )
        return candidates[0]

    def _header_below(self, line: int, names: list[str]) -> DataError:
        return DataError(
            f"{self.path}: the first line ({listed(self.columns, 5)}) is no header with SMILES; the header "
            f"seems to be line {line} ({listed(names, 10)}). Delete the lines above it."
        )

    def _id_column(self, given: str | None, source: Format) -> str | None:
        if given is not None:
            return self._known(given, "id", source)
        default = None if source.id is None else self.columns[source.id]
        if default is not None and source.is_id_telling and not source.aliases:
            return default
        columns = [name for name in reversed(self.columns) if name != self.smiles]
        others = [name for name in columns if source.is_id_telling or name != default]
        names = {column_key(name): name for name in others}
        bare = {_bare(name): name for name in others}
        usual = [names[name] for name in ID_NAMES if name in names]
        usual += [bare[name] for name in VENDOR_IDS if name in bare]
        return next(iter(usual), default)

    def _known(self, name: str, setting: str, source: Format) -> str:
        first = name.removesuffix(" (1)")
        if first in self.repeated and first != name:
            return first
        if name in self.repeated and not _NUMBERED.search(name):
            names = [name, *(column for column in self.repeated if column.startswith(f"{name} ("))]
            raise DataError(
                f"{self.path}: '{name}' (data.{setting}) shares its name with another column. Rename one, or "
                f"say '{name} (1)' for the first and '{name} (2)' for the second of the {len(names)}."
            )
        if name in self.columns:
            return name
        if name in source.aliases:
            return self.columns[source.aliases[name]]
        if source.header_seems is not None:
            raise self._header_below(*source.header_seems)
        raise DataError(
            f"{self.path} has no column '{name}' (data.{setting}). {did_you_mean(name, self.columns)}"
        )


def _one_line(structure: str) -> tuple[str, str]:
    """SMILES and problem of a structure of several lines: a MOL block, as chemistry extensions write it."""
    if is_molblock(structure):
        return smiles_of_molblock(molblock_of(structure))
    has_break = "\n" in structure or "\r" in structure
    return structure, "line break in the structure: is a quotation mark missing?" * has_break


def _bare(name: str) -> str:
    """The column name without case and without all that is neither letter nor digit."""
    return re.sub(r"[\W_]+", "", name.casefold())


def _unique(names: Iterable[str]) -> tuple[str, ...]:
    unique: dict[str, None] = {}
    times: Counter[str] = Counter()
    for name in names:
        free = name
        while free in unique:
            times[name] += 1
            free = f"{name} ({times[name] + 1})"
        unique[free] = None
    return tuple(unique)
