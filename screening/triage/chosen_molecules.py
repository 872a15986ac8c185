"""Which molecules of a file are explained, as the features of a model see them."""

from itertools import islice
from typing import NamedTuple

import torch
from rdkit.Chem import Mol
from torch import Tensor

from ..bundle.bundle import Bundle
from ..data.molecules import read_molecules
from ..data.tables import Rejected, TableReader
from ..errors import ConfigError, DataError
from ..features.store import GraphStore, featurize


class Chosen(NamedTuple):
    """The molecules to be explained."""

    ids: list[str]
    smiles: list[str]
    mols: list[Mol]
    """As the features see them."""
    store: GraphStore
    rows: Tensor
    """int64, where they are in the store."""
    rejected: list[Rejected]
    notes: list[str]
    """What was odd in the file, and whether it has more molecules than were read."""


def choose_molecules(reader: TableReader, bundle: Bundle, assay: str, limit: int) -> Chosen:
    """The first `limit` records, of top.csv of scores those of the assay; unusable ones are rejected."""
    if limit < 1:
        raise ConfigError(f"`limit` is {limit}: expected at least 1.")
    records = (
        Rejected(int(row), name or f"row {row}", text, problem)
        for block in reader
        for row, name, text, problem, best_of in zip(
            block.rows,
            block.columns[reader.id] if reader.id else [""] * len(block),
            block.columns[reader.smiles],
            block.problems,
            block.columns["assay"] if _is_best_of_assays(reader) else [assay] * len(block),
            strict=True,
        )
        if best_of == assay
    )
    taken = list(islice(records, limit))
    more = next(records, None) is not None
    texts = ["" if each.reason else each.smiles for each in taken]
    store = featurize(texts, bundle.features, workers=0)
    read = read_molecules(texts, standardize=bundle.features.standardize, max_atoms=bundle.features.max_atoms)
    mols = [None if reason else mol for (mol, _), reason in zip(read, store.reasons, strict=True)]
    rejected = [
        each._replace(reason=each.reason or reason)
        for each, reason in zip(taken, store.reasons, strict=True)
        if reason
    ]
    notes = list(reader.notes)
    if _is_best_of_assays(reader):
        notes.append(f"{reader.path} has the best of every assay: those of {assay} were explained.")
    if more:
        notes.append(f"Only the first {limit:,} molecules of {reader.path} were explained (`limit`).")
    kept = [number for number, mol in enumerate(mols) if mol is not None]
    if not kept:
        first = rejected[0].reason if rejected else _nothing(reader, assay)
        raise DataError(f"{reader.path} has no molecule that can be used. The first problem: {first}")
    return Chosen(
        [taken[number].id for number in kept],
        [taken[number].smiles for number in kept],
        [mol for mol in mols if mol is not None],
        store,
        torch.tensor(kept),
        rejected,
        notes,
    )


def _is_best_of_assays(reader: TableReader) -> bool:
    """Whether the file is top.csv of scores, where each row is among the best of the assay that it names."""
    return {"assay", "rank", "probability", "row", "file"} <= set(reader.columns)


def _nothing(reader: TableReader, assay: str) -> str:
    if _is_best_of_assays(reader):
        return f"its column 'assay' has no row of '{assay}'. Score with `top`, for this assay too."
    return "the file has no records"
