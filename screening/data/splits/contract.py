"""What a split is: a function that says which molecule trains, validates or tests.

Copies of one structure always fall into the same part.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ...registry import Registry
from ..assay_table import AssayTable
from ..molecules import canonical_smiles, parents, scaffolds


@dataclass(frozen=True)
class Molecules:
    """What a split function works on."""

    table: AssayTable
    """The whole table."""
    structure: np.ndarray
    """int64 [n]: number of the row's structure; copies of one structure share it. Numbered by first row."""
    first: np.ndarray
    """int64 [structures]: the first row of each structure."""
    workers: int | None
    """Processes to read molecules in; None = one per processor."""

    def smiles(self) -> list[str]:
        """One SMILES per structure: the canonical one where the table has it."""
        texts = self.table.canonical or self.table.smiles
        return [texts[row] for row in self.first]

    def scaffolds(self) -> list[str]:
        """Murcko scaffold of each structure, "" where there is no ring."""
        return _scaffolds(tuple(self.smiles()), self.workers)

    def parents(self) -> list[str | None]:
        """Parent of each structure (see `molecules.parents`); None where it cannot be read."""
        return _parents(tuple(self.smiles()), self.table.canonical is not None, self.workers)

    def rows_by(self, keys: Sequence[str]) -> list[np.ndarray]:
        """Rows of the table with the same key, each ascending; `keys` has one per structure."""
        numbers: dict[str, int] = {}
        group = np.array([numbers.setdefault(key, len(numbers)) for key in keys])[self.structure]
        order = np.argsort(group, kind="stable")
        return np.split(order, np.searchsorted(group[order], np.arange(1, len(numbers))))


@dataclass(frozen=True)
class Split:
    """The part of each row of a table."""

    parts: list[str]
    """n of "train", "valid", "test", or "" (left out)."""
    notes: tuple[str, ...] = ()
    """What was decided on the way, for the user."""

    def rows(self, part: str) -> np.ndarray:
        """Rows of a part, int64, ascending."""
        return np.flatnonzero(np.array(self.parts, dtype=object) == part)


SplitFunction = Callable[..., tuple[np.ndarray, list[str]]]
"""`function(molecules, generator, *, options)` -> (part codes int [n], LEFT_OUT = -1; notes)."""

splits: Registry[SplitFunction] = Registry("split", members="screening.data.splits")
register = splits.register


def molecules_of(table: AssayTable, workers: int | None) -> Molecules:
    """The molecules of a table, copies of one structure told by their canonical SMILES."""
    texts = table.canonical
    if texts is None:
        canonical, _ = canonical_smiles(table.smiles, workers=workers)
        texts = [text or smiles for text, smiles in zip(canonical, table.smiles, strict=True)]
    numbers: dict[str, int] = {}
    structure = np.array([numbers.setdefault(text, len(numbers)) for text in texts], dtype=np.int64)
    _, first = np.unique(structure, return_index=True)
    return Molecules(table, structure, first, workers)


@functools.lru_cache(maxsize=1)
def _scaffolds(texts: tuple[str, ...], workers: int | None) -> list[str]:
    """Murcko scaffolds, kept for the next call: a scaffold split and its leakage look at the same ones."""
    return scaffolds(texts, workers=workers)


@functools.lru_cache(maxsize=1)
def _parents(texts: tuple[str, ...], are_canonical: bool, workers: int | None) -> list[str | None]:
    """Parents, kept for the next call: seeds and folds split the same molecules."""
    return parents(texts, are_canonical=are_canonical, workers=workers)
