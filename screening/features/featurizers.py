"""What featurizers are: one molecule to small integer codes of its atoms and bonds, or to a vector.

The members are in `graphs` and `vectors`. No torch here and there: featurizers run in worker processes.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
from rdkit.Chem import Mol

from ..registry import Registry
from ..runtime.ragged import firsts, spans

READING_RATE = 18_000
"""SMILES of Tox21 that RDKit reads in a second on one core; all rates were measured beside it."""


class Graphs(NamedTuple):
    """One or many molecules as codes in flat arrays; every bond once.

    A batch (`store.GraphBatch`) has every bond in both directions.
    """

    n_atoms: np.ndarray
    """[molecules] int64."""
    n_bonds: np.ndarray
    """[molecules] int64."""
    atoms: np.ndarray
    """[all atoms, A] uint8; column c is below the featurizer's atom_sizes[c]."""
    bonds: np.ndarray
    """[all bonds, K] uint8; column c is below the featurizer's bond_sizes[c]."""
    ends: np.ndarray
    """[all bonds, 2] int16, atoms of the bond counted within its molecule, the lower first; ascending."""


class Featurizer(ABC):
    """What graph and vector featurizers have in common."""

    name: ClassVar[str]
    version: ClassVar[int]
    """Goes up whenever a molecule gets other features; part of every cache key and bundle."""
    rate: ClassVar[int]
    """Molecules per second and core, without reading the SMILES, roughly; decides whether processes pay."""
    reads_stereo: ClassVar[bool] = True
    """Looks at chirality, bond stereo, conjugation or hybridisation, so needs a full reading."""


class GraphFeaturizer(Featurizer):
    """Molecules to `Graphs`."""

    atom_sizes: ClassVar[tuple[int, ...]]
    """Number of codes of each atom column."""
    bond_sizes: ClassVar[tuple[int, ...]]
    """Number of codes of each bond column."""

    @abstractmethod
    def __call__(self, mol: Mol) -> Graphs:
        """The graph of one molecule."""

    def look(self, mols: Sequence[Mol]) -> Any:
        """What `pack` is to know of a few molecules: taken while the processor has them in its cache."""
        return joined([empty_graphs(self.atom_sizes, self.bond_sizes), *map(self, mols)])

    def pack(self, seen: Sequence[Any], mol_of: Callable[[int], Mol]) -> Graphs:
        """The graphs of many molecules: equal to calling one by one, but may be faster.

        Parameters
        ----------
        seen : results of `look`, in order.
        mol_of : the molecule of a number, counted over all of `seen`, once more.
        """
        return joined([empty_graphs(self.atom_sizes, self.bond_sizes), *seen])


class VectorFeaturizer(Featurizer):
    """Molecule to a vector of fixed length."""

    kind: ClassVar[Literal["counts", "bits", "real"]]
    """counts: 0 to 255; bits: 0 or 1; both are stored sparse. real: float32, NaN where undefined."""
    columns: tuple[str, ...]
    """Name of each number."""

    @abstractmethod
    def __call__(self, mol: Mol) -> np.ndarray:
        """[len(columns)], uint8 for counts and bits, float32 for real."""

    def nonzero(self, mol: Mol) -> tuple[Sequence[int], Sequence[int]]:
        """Of counts and bits: the columns that are not 0 and their values, which may exceed 255."""
        vector = self(mol)
        columns = np.flatnonzero(vector)
        return columns.tolist(), vector[columns].tolist()


def as_finite(values: Any) -> np.ndarray:
    """float32, with NaN for what is not finite or does not fit."""
    with np.errstate(over="ignore", invalid="ignore"):
        numbers = np.asarray(values, np.float64).astype(np.float32)
    numbers[~np.isfinite(numbers)] = np.nan
    return numbers


featurizers: Registry[Any] = Registry(
    "featurizer", members=("screening.features.graphs", "screening.features.vectors")
)
register = featurizers.register


def empty_graphs(atom_sizes: Sequence[int], bond_sizes: Sequence[int], n_molecules: int = 0) -> Graphs:
    """`n_molecules` molecules without atoms."""
    none = np.zeros(n_molecules, np.int64)
    return as_graphs(
        none, none, np.zeros((0, len(atom_sizes))), np.zeros((0, len(bond_sizes))), np.zeros((0, 2))
    )


def joined(parts: Sequence[Graphs]) -> Graphs:
    """All molecules of all parts, in order."""
    return Graphs(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def taken(graphs: Graphs, order: np.ndarray) -> Graphs:
    """The molecules `order` of `graphs`, in that order."""
    first_atom, first_bond = firsts(graphs.n_atoms), firsts(graphs.n_bonds)
    atoms = spans(first_atom[order], graphs.n_atoms[order])
    bonds = spans(first_bond[order], graphs.n_bonds[order])
    return Graphs(
        graphs.n_atoms[order],
        graphs.n_bonds[order],
        graphs.atoms[atoms],
        graphs.bonds[bonds],
        graphs.ends[bonds],
    )


def as_graphs(n_atoms: Any, n_bonds: Any, atoms: Any, bonds: Any, ends: Any) -> Graphs:
    """The arrays in the types of `Graphs`."""
    return Graphs(
        np.asarray(n_atoms, np.int64),
        np.asarray(n_bonds, np.int64),
        np.asarray(atoms, np.uint8),
        np.asarray(bonds, np.uint8),
        np.asarray(ends, np.int16),
    )
