"""Assays of other tables beside a config's own: read, tested compounds taken out, joined by structure.

The main table comes first in all that is joined here, its molecules and its assays. Called by `preparation`.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..config import Data
from ..config_sections import Table
from ..errors import DataError
from .assay_table import AssayTable, texts_at
from .datasets import load_dataset, reading
from .merging import merge_groups, prepare
from .skeletons import skeletons
from .sparse_cells import n_measured
from .splits import Split
from .table_source import TableSource, source_of
from .table_union import named_apart, united
from .tables import Rejected

TESTED = ("valid", "test")
"""Parts whose compounds are taken out of auxiliary tables."""


class AuxiliaryTable(NamedTuple):
    """An auxiliary table, one row per structure."""

    name: str
    """What it is called in notes, and in front of its assays where others are called like them."""
    source: TableSource
    table: AssayTable
    keys: list[str]
    """Of each molecule what the forms of a compound have in common, `compound_keys`."""
    at: np.ndarray
    """int64 [n], the place of each among the molecules that were read."""
    rejected: list[Rejected]
    n_merged: int
    """Rows that repeat the structure of another row and were merged into it."""
    n_excluded: int = 0
    """Molecules that were taken out: a form of their compound validates or tests."""
    n_shared: int = 0
    """Molecules that are in the training part of the main table too."""

    def take(self, rows: np.ndarray) -> "AuxiliaryTable":
        """The molecules at these places, or where a boolean array is true."""
        places = np.arange(len(self.table))[rows]
        keys = texts_at(self.keys, places)
        return self._replace(table=self.table.take(places), keys=keys, at=self.at[places])

    def named_rejected(self) -> list[Rejected]:
        """`rejected`, with the table's name before the reasons."""
        return [row._replace(reason=f"{self.name}: {row.reason}") for row in self.rejected]

    def about(self) -> dict[str, Any]:
        """What of it was used, as plain values."""
        return {
            "table": self.name,
            "file": self.source.name,
            "file_sha256": self.source.sha256,
            "assays": len(self.table.tasks),
            "molecules": len(self.table),
            "excluded": self.n_excluded,
            "shared": self.n_shared,
            "rejected": len(self.rejected),
            "merged": self.n_merged,
        }

    def __str__(self) -> str:
        before = len(self.table) + self.n_excluded
        return (
            f"auxiliary table {self.name}: {len(self.table.tasks):,} assays; {self.n_excluded:,} of "
            f"{before:,} molecules are taken out, as a form of their compound (same skeleton of parent) is "
            f"in the validation or test part; of the other {len(self.table):,} {self.n_shared:,} are in the "
            f"training part too; {len(self.rejected):,} rows rejected"
        )


class Joint(NamedTuple):
    """The main table and what auxiliary ones add to it: the molecules and assays of the main table first."""

    table: AssayTable
    """`rows` are record numbers in the file of each molecule's own table."""
    split: Split
    """Molecules that are in auxiliary tables alone train."""
    tables: tuple[AuxiliaryTable, ...]
    """The auxiliary tables, with `n_shared`."""
    added: tuple[np.ndarray, ...]
    """For each of them int64 [k], its molecules that became rows of `table`, in their order there."""
    origin: list[str]
    """Name of the table that each molecule is from; of one in several the first."""


def read_auxiliary(data: Data, *, workers: int | None = None) -> tuple[list[AuxiliaryTable], list[str]]:
    """The tables of `data.auxiliary`, prepared as the main one is, and notes.

    Raises
    ------
    DataError : no molecule or no label of a table can be used, or it cannot be read.
    ConfigError : a setting of it is wrong.
    """
    tables: list[AuxiliaryTable] = []
    notes: list[str] = []
    for settings, name in zip(data.auxiliary, table_names(data.auxiliary), strict=True):
        table, told = _read(settings, name, data, workers)
        tables.append(table)
        notes += [f"{name}: {note}" for note in told]
    return tables, notes


def _read(settings: Table, name: str, data: Data, workers: int | None) -> tuple[AuxiliaryTable, list[str]]:
    loaded = load_dataset(settings.source, **reading(settings))
    table, unusable, decided = prepare(
        loaded,
        standardize=data.standardize,
        duplicates=data.duplicates,
        max_atoms=data.max_atoms,
        workers=workers,
    )
    if not n_measured(table.labels).any():
        what = "no molecule of it can be used" if not len(table) else "none of its assays has a label"
        raise DataError(f"data.auxiliary, {name}: {what}. Leave it out, or say how it is read.")
    keys = compound_keys(table.canonical or [], workers=workers)
    n_merged = len(loaded) - len(table) - len(unusable)
    rejected, at = sorted([*loaded.rejected, *unusable]), np.arange(len(table))
    read = AuxiliaryTable(name, source_of(settings.source), table, keys, at, rejected, n_merged)
    return read, [*loaded.notes, *decided]


def compound_keys(canonical: Sequence[str], *, workers: int | None = None) -> list[str]:
    """The skeleton of each structure; where it has none, the structure itself."""
    keys = skeletons(canonical, are_canonical=True, workers=workers)
    return [key or text for key, text in zip(keys, canonical, strict=True)]


def without_tested(
    tables: Sequence[AuxiliaryTable], main: AssayTable, split: Split, *, workers: int | None = None
) -> list[AuxiliaryTable]:
    """The tables without the compounds of the validation and test parts of the main one, in any form."""
    tested = np.concatenate([split.rows(part) for part in TESTED])
    keys = set(compound_keys(texts_at(main.canonical or [], tested), workers=workers))
    kept = [np.array([key not in keys for key in table.keys], bool) for table in tables]
    return [
        table.take(is_kept)._replace(n_excluded=int((~is_kept).sum()))
        for table, is_kept in zip(tables, kept, strict=True)
    ]


def joint_table(
    tables: Sequence[AuxiliaryTable], main: AssayTable, name: str, split: Split, *, duplicates: str = "merge"
) -> Joint:
    """One table of all: a structure of the training part and of an auxiliary table is one molecule.

    Parameters
    ----------
    tables : `without_tested`.
    name : of the main table.
    duplicates : as in `merging.prepare`; with `keep` the rows of auxiliary tables are molecules of their own.
    """
    everything = (main, *_renamed(tables, main.tasks))
    bare = [replace(one, extra={}, rejected=[], notes=[], thresholded=None) for one in everything]
    starts = np.cumsum([0, *map(len, bare)])
    stacked = _stacked(bare)
    groups = _groups(stacked.canonical or [], len(main), split, duplicates)
    first = np.unique(groups, return_index=True)[1]
    owners = np.searchsorted(starts, first, side="right") - 1
    n_shared = [int((part < len(main)).sum()) for part in np.split(groups, starts[1:-1])[1:]]
    origins = [name, *(table.name for table in tables)]
    return Joint(
        merge_groups(stacked, groups),
        Split([*split.parts, *["train"] * (len(first) - len(main))], split.notes),
        tuple(one._replace(n_shared=shared) for one, shared in zip(tables, n_shared, strict=True)),
        tuple(first[owners == number] - starts[number] for number in range(1, len(bare))),
        [origins[owner] for owner in owners],
    )


def _stacked(tables: Sequence[AssayTable]) -> AssayTable:
    """The rows of all tables, with the record numbers that they have in their own files."""
    stacked = united(tables, [f"{number}" for number in range(len(tables))])
    canonical = [text for table in tables for text in table.canonical or []]
    return replace(stacked, canonical=canonical, rows=np.concatenate([one.rows for one in tables]), extra={})


def _groups(canonical: Sequence[str], n_main: int, split: Split, duplicates: str) -> np.ndarray:
    """int64 [n], the molecule that each row becomes; rows of the main table stay what they are."""
    if duplicates == "keep":
        return np.arange(len(canonical))
    row_of: dict[str, int] = {}
    for row in split.rows("train").tolist():
        row_of.setdefault(canonical[row], row)
    groups, n_molecules = list(range(n_main)), n_main
    for text in canonical[n_main:]:
        group = row_of.setdefault(text, n_molecules)
        n_molecules += group == n_molecules
        groups.append(group)
    return np.array(groups, np.int64)


def table_names(tables: Sequence[Table]) -> list[str]:
    """Short names of tables, all different: of the catalogue, or of files without folders and endings."""
    sources = [(one.source,) if isinstance(one.source, str) else one.source for one in tables]
    short = ["+".join(Path(source).name.partition(".")[0] or source for source in each) for each in sources]
    long = [", ".join(each) for each in sources]
    names = [long[i] if short.count(text) > 1 else text for i, text in enumerate(short)]
    earlier = [names[:i].count(text) for i, text in enumerate(names)]
    return [f"{text} ({times + 1})" if times else text for text, times in zip(names, earlier, strict=True)]


def table_name(source: str | tuple[str, ...]) -> str:
    """The short name of a table, by its source in a config."""
    return table_names([Table(source=source)])[0]


def _renamed(tables: Sequence[AuxiliaryTable], tasks: Sequence[str]) -> list[AssayTable]:
    """The tables with their names before assays that are called like one of another table."""
    return named_apart([one.table for one in tables], [one.name for one in tables], tasks)
