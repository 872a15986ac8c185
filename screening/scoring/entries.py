"""Molecules as people hold them in Python, for `Scorer.score`: texts, RDKit molecules, columns, gaps.

An entry that is no structure is data: it is rejected with a reason. What cannot be meant is a wrong call.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import pandas as pd
from rdkit.Chem import Mol

from ..data.formats.frames import pandas_of, with_index
from ..data.formats.records import column_key, is_structure_name
from ..data.molecules import smiles_of
from ..errors import DataError, listed
from ..registry import did_you_mean

TAKEN = "a SMILES, an RDKit molecule, or a list, array, column or other iterable of them"


class Entries(NamedTuple):
    """n molecules, or what stands in their place."""

    shown: list[Any]
    """What the result shows: SMILES, None for a missing entry, else the entry."""
    structures: list[str]
    """What is to be read, "" for what has a problem."""
    problems: list[str]
    """"" or why the entry is no structure."""
    rows: pd.Index | None
    """Of the pandas column they come from."""


def read_entries(molecules: Any, column: str | None = None) -> Entries:
    """The entries of anything that holds molecules; an iterable is gone through once.

    Parameters
    ----------
    molecules : a SMILES or an RDKit molecule (one entry); a list, array, pandas or Arrow column, generator
        or other iterable of them; a DataFrame or table with a column of them.
    column : of a DataFrame or table, or a level of its index; None = found by its name.

    Raises
    ------
    DataError : a DataFrame without a column of structures, or with several.
    TypeError : something that cannot hold molecules, or bytes.
    """
    rows = None
    molecules = pandas_of(molecules)
    if isinstance(molecules, pd.DataFrame):
        rows, molecules = molecules.index, _structures(molecules, column)
    elif column is not None:
        raise TypeError(f"column is {column!r}, but there is no table to take it from.")
    elif isinstance(molecules, pd.Series):
        rows = molecules.index
    triples = [_entry(entry, place) for place, entry in enumerate(_all_of(molecules))]
    shown, structures, problems = (
        (list(texts) for texts in zip(*triples, strict=True)) if triples else ([], [], [])
    )
    return Entries(shown, structures, problems, rows)


def _all_of(molecules: Any) -> Iterable[Any]:
    if isinstance(molecules, str | Mol):
        return [molecules]
    if isinstance(molecules, bytes | bytearray | memoryview):
        raise TypeError(f"The molecules are {type(molecules).__name__}: expected {TAKEN}. Decode it first.")
    if isinstance(molecules, Mapping):
        raise TypeError(
            f"The molecules are a {type(molecules).__name__}: say whether they are its keys() or values()."
        )
    if getattr(molecules, "ndim", 1) != 1:
        raise TypeError(
            f"The molecules are an array of shape {molecules.shape}: expected one dimension (array[:, 0])."
        )
    if hasattr(molecules, "to_pylist"):  # Arrow
        return list(molecules.to_pylist())
    if not isinstance(molecules, Iterable):
        raise TypeError(f"The molecules are of type {type(molecules).__name__}: expected {TAKEN}.")
    return molecules


def _entry(entry: Any, place: int) -> tuple[Any, str, str]:
    """What is shown, what is read, and what is wrong."""
    if isinstance(entry, str):
        return str(entry), str(entry), ""
    if isinstance(entry, Mol):
        return _written(entry)
    if pd.api.types.is_scalar(entry) and pd.isna(entry):
        return None, "", f"the SMILES is missing ({entry})"
    if pd.api.types.is_scalar(entry) and not isinstance(entry, bytes):
        return entry, "", f"not a SMILES but the {type(entry).__name__} {entry}"
    advice = " Decode it first, as with entry.decode()." if isinstance(entry, bytes) else ""
    raise TypeError(
        f"Molecule {place} is of type {type(entry).__name__}: expected a SMILES or an RDKit molecule.{advice}"
    )


def _written(mol: Mol) -> tuple[str, str, str]:
    """As `_entry`, of a molecule object."""
    smiles, reason = smiles_of(mol)
    return smiles, smiles, reason


def _structures(frame: pd.DataFrame, given: str | None) -> pd.Series:
    """The column of structures, or the level of the index that has its name where no column has."""
    table, names = frame, _candidates(list(frame.columns), given)
    if not names:
        table = with_index(frame)
        names = _candidates(list(table.columns), given)
    if not names and given is None and len(frame.columns) == 1:
        return frame.iloc[:, 0]
    if not names:
        raise DataError(_no_structures(list(map(str, table.columns)), given))
    if len(names) > 1:
        raise DataError(
            f"The columns {listed(map(str, names), 10)} could all hold the structures. Say which: "
            f"column={names[0]!r}."
        )
    return table[names[0]]


def _candidates(names: list[Any], given: str | None) -> list[Any]:
    """The names that go by that of the structures."""
    if given is not None:
        return [name for name in names if name == given]
    texts = [name for name in names if isinstance(name, str)]
    return [name for name in texts if "smiles" in column_key(name)] or list(filter(is_structure_name, texts))


def _no_structures(names: list[str], given: str | None) -> str:
    if given is not None:
        return f"The table has no column '{given}'. {did_you_mean(given, names)}"
    columns = listed(names, 10) or "none"
    return f"The table has no column of structures: its columns are {columns}. Say which: column=NAME."
