"""Structures that a network must not see before it is tested on them: those of tables, by skeleton."""

from collections.abc import Sequence
from typing import NamedTuple

from ..data.datasets import find
from ..data.skeletons import skeletons
from ..data.tables import open_table
from ..runtime.files import file_sha256


class Excluded(NamedTuple):
    """The structures of some tables."""

    tables: dict[str, int]
    """Of each table by its name: its different skeletons."""
    sums: dict[str, str]
    """SHA-256 of the file of each."""
    keys: frozenset[str]
    """Skeletons of all of them."""


def excluded(names: Sequence[str], workers: int | None) -> Excluded:
    """The structures of tables, names of the catalogue or paths; labels are not looked at.

    Raises
    ------
    ConfigError, DataError : a table is not there, or cannot be read.
    """
    tables, sums, keys = {}, {}, set[str]()
    for name in names:
        path = find(name)
        of_table = {key for key in skeletons(_structures(path), workers=workers) if key is not None}
        tables[name], sums[name] = len(of_table), file_sha256(path)
        keys |= of_table
    return Excluded(tables, sums, frozenset(keys))


def _structures(path: object) -> list[str]:
    """The different texts of structures of a file."""
    reader, texts = open_table(str(path)), dict[str, None]()
    for block in reader:
        column = block.columns[reader.smiles]
        texts |= dict.fromkeys(
            text for text, problem in zip(column, block.problems, strict=True) if not problem
        )
    return list(texts)
