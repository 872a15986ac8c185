"""SMILES to packed features, a block at a time; runs in worker processes, so no torch here."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import chain, compress
from typing import Any, NamedTuple

import numpy as np
import rdkit
from rdkit import rdBase
from rdkit.Chem import Mol

from ..data.molecules import check_max_atoms, check_standardization, read_molecules
from ..errors import ConfigError
from ..sizes import MOST_ATOMS
from .featurizers import GraphFeaturizer, Graphs, VectorFeaturizer, empty_graphs, featurizers, joined, taken

Row = np.ndarray | tuple[Sequence[int], Sequence[int]]  # dense reals, or columns and values that are not 0
RUN = 24  # molecules that are RDKit's at the same time: so many stay in the processor's cache
BLOCK = 500  # molecules packed together
MOST_COUNTED = 32_767  # atoms of a molecule are counted in 16 bits


def graph_featurizer(name: str) -> GraphFeaturizer:
    """The graph featurizer of that name, made once per process.

    Raises
    ------
    ConfigError : there is none of that name.
    """
    if not issubclass(featurizers.get(name), GraphFeaturizer):
        raise ConfigError(f"featurizer '{name}' gives a vector, not a graph: list it under vectors.")
    return _built(name, featurizers.get(name))


def vector_featurizer(name: str) -> VectorFeaturizer:
    """The vector featurizer of that name, made once per process.

    Raises
    ------
    ConfigError : there is none of that name, or a package it needs is missing.
    """
    if not issubclass(featurizers.get(name), VectorFeaturizer):
        raise ConfigError(f"featurizer '{name}' gives a graph, not a vector: name it as the graph.")
    return _built(name, featurizers.get(name))


@cache
def _built(name: str, kind: Any) -> Any:
    """The featurizer; one that was registered anew, as in a notebook, is another `kind`."""
    return featurizers.build(name)


@dataclass(frozen=True)
class FeatureSet:
    """What is computed of every molecule; checked when made.

    Raises
    ------
    ConfigError : no features, an unknown name, one listed twice, or a missing package.
    """

    graph: str | None
    """Name of a graph featurizer; None: no graphs."""
    vectors: tuple[str, ...] = ()
    """Names of vector featurizers, joined in this order."""
    standardize: str = "none"
    """Standard form of the molecule: none, cleanup, fragment or neutral."""
    max_atoms: int = MOST_ATOMS
    """Atoms besides hydrogen that a molecule may have."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "vectors", tuple(self.vectors))
        check_standardization(self.standardize)
        check_max_atoms(self.max_atoms)
        if self.graph is not None:
            graph_featurizer(self.graph)
        for name in self.vectors:
            vector_featurizer(name)
        if len(set(self.vectors)) < len(self.vectors):
            raise ConfigError(f"A vector featurizer is listed twice: {', '.join(self.vectors)}.")
        if not self.names:
            raise ConfigError("There are no features: name a graph featurizer, vector featurizers, or both.")

    @property
    def names(self) -> tuple[str, ...]:
        """All featurizers, the graph first."""
        return (*(() if self.graph is None else (self.graph,)), *self.vectors)

    @property
    def reads_stereo(self) -> bool:
        """Whether a full reading of the SMILES is needed."""
        return self.standardize != "none" or any(featurizers.get(name).reads_stereo for name in self.names)

    @property
    def seconds_per_molecule(self) -> float:
        """Roughly, on one core, reading included."""
        return 1e-4 + sum(1 / featurizers.get(name).rate for name in self.names)

    def key(self) -> str:
        """A text that differs whenever a SMILES could have other features."""
        versions = {name: featurizers.get(name).version for name in self.names}
        record = [self.graph, self.vectors, self.standardize, versions, rdkit.__version__]
        return json.dumps(record if self.max_atoms == MOST_ATOMS else [*record, self.max_atoms])


class Sparse(NamedTuple):
    """Numbers from 1 to 255 in a matrix that is mostly 0."""

    lengths: np.ndarray
    """[molecules] int64, numbers in each row."""
    columns: np.ndarray
    """[all numbers] int16."""
    values: np.ndarray
    """[all numbers] uint8."""


class Packed(NamedTuple):
    """The features of a run of molecules; an unusable one has no atoms and a reason."""

    graphs: Graphs
    """Without atoms where no graph featurizer is named."""
    vectors: tuple[np.ndarray | Sparse, ...]
    """One for each vector featurizer: Sparse for counts and bits, float32 [molecules, columns] for real."""
    reasons: list[str]
    """"" where the molecule is usable."""

    def __len__(self) -> int:
        return len(self.reasons)


def pack(texts: Sequence[str], features: FeatureSet) -> Packed:
    """The features of a block of SMILES; each is read once."""
    read = partial(
        read_molecules,
        standardize=features.standardize,
        stereo=features.reads_stereo,
        max_atoms=features.max_atoms,
    )
    featurizer = None if features.graph is None else graph_featurizer(features.graph)
    seen: list[Any] = []
    reasons: list[str] = []
    vectors: list[list[Row]] = [[] for _ in features.vectors]
    with rdBase.BlockLogs():
        for start in range(0, len(texts), RUN):
            mols: list[Mol] = []
            for mol, unread in read(texts[start : start + RUN]):
                row, reason = ([], unread) if mol is None else _vectors_of(mol, features)
                reasons.append(reason)
                if mol is not None and not reason:
                    mols.append(mol)
                    for rows, vector in zip(vectors, row, strict=True):
                        rows.append(vector)
            if featurizer is not None:
                seen.append(featurizer.look(mols))
    usable = np.array([not reason for reason in reasons], bool)
    used = list(compress(texts, usable))
    graphs = _packed_graphs(seen, lambda number: read([used[number]])[0][0], usable, featurizer)
    packed = [
        _packed_vectors(rows, usable, vector_featurizer(name))
        for name, rows in zip(features.vectors, vectors, strict=True)
    ]
    return Packed(graphs, tuple(packed), reasons)


def pack_all(texts: Sequence[str], features: FeatureSet) -> list[Packed]:
    """`pack`, a run of molecules at a time: used and forgotten while the processor has them in its cache."""
    return [pack(texts[start : start + BLOCK], features) for start in range(0, len(texts), BLOCK)]


def _vectors_of(mol: Mol, features: FeatureSet) -> tuple[list[Row], str]:
    """One row for each vector featurizer and "", or nothing and the reason."""
    if mol.GetNumAtoms() > MOST_COUNTED:
        return [], f"the molecule has {mol.GetNumAtoms():,} atoms, more than {MOST_COUNTED:,}"
    row: list[Row] = []
    for name in features.vectors:
        featurizer = vector_featurizer(name)
        try:
            row.append(featurizer(mol) if featurizer.kind == "real" else featurizer.nonzero(mol))
        except Exception as problem:  # other people's code on other people's molecules: anything can come
            return [], f"featurizer '{name}' failed: {problem}"
    return row, ""


def _packed_graphs(
    seen: list[Any], mol_of: Callable[[int], Any], usable: np.ndarray, featurizer: GraphFeaturizer | None
) -> Graphs:
    """The graphs of all molecules; those that are not usable have no atoms."""
    if featurizer is None:
        return empty_graphs((), (), len(usable))
    graphs = featurizer.pack(seen, mol_of)
    if usable.all():
        return graphs
    n_rejected = int((~usable).sum())
    both = joined([graphs, empty_graphs(featurizer.atom_sizes, featurizer.bond_sizes, n_rejected)])
    return taken(both, np.argsort(np.concatenate([np.flatnonzero(usable), np.flatnonzero(~usable)])))


def _packed_vectors(rows: list[Row], usable: np.ndarray, featurizer: VectorFeaturizer) -> np.ndarray | Sparse:
    if featurizer.kind == "real":
        dense = np.full((len(usable), len(featurizer.columns)), np.nan, np.float32)
        if rows:
            dense[usable] = rows
        return dense
    lengths = np.zeros(len(usable), np.int64)
    lengths[usable] = [len(columns) for columns, _ in rows]
    n_all = int(lengths.sum())
    columns = np.fromiter(chain.from_iterable(columns for columns, _ in rows), np.int16, n_all)
    values = np.fromiter(chain.from_iterable(values for _, values in rows), np.int64, n_all)
    return Sparse(lengths, columns, np.minimum(values, 255).astype(np.uint8))
