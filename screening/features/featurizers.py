"""Graph featurizers: one molecule to small integer codes of its atoms and bonds.

Also the registry of all featurizers and what each must offer; those that give vectors are in
`descriptors`. No torch here and there: featurizers run in worker processes.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
from rdkit.Chem import BondType, HybridizationType, Mol
from rdkit.Chem.rdchem import Atom, Bond, BondStereo

from ..registry import Registry

# Elements with a code of their own: hydrogen and those in seven or more molecules of ToxCast.
ELEMENTS = (1, 5, 6, 7, 8, 9, 11, 13, 14, 15, 16, 17, 19, 20, 24, 26, 27, 30, 33, 34, 35, 50, 53, 80, 83)
CHARGES = (-2, -1, 0, 1, 2, 3)
ATOM_SIZES = (len(ELEMENTS) + 1, 8, len(CHARGES) + 1, 6, 2, 2, 3)
BOND_SIZES = (5, 2)
_ELEMENT = {number: code for code, number in enumerate(ELEMENTS)}
_CHARGE = {charge: code for code, charge in enumerate(CHARGES)}
BONDS = {BondType.SINGLE: 0, BondType.DOUBLE: 1, BondType.TRIPLE: 2, BondType.AROMATIC: 3}
AROMATIC, OTHER = 3, 4
_HYBRIDIZATION = {
    HybridizationType.S: 0,
    HybridizationType.SP: 1,
    HybridizationType.SP2: 2,
    HybridizationType.SP3: 3,
    HybridizationType.SP3D: 4,
    HybridizationType.SP3D2: 5,
}
_BOND_STEREO = {
    BondStereo.STEREONONE: 0,
    BondStereo.STEREOANY: 1,
    BondStereo.STEREOZ: 2,
    BondStereo.STEREOE: 3,
}


class Graphs(NamedTuple):
    """One or many molecules as codes in flat arrays; every bond once.

    A batch (`graphs.GraphBatch`) has every bond in both directions.
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


featurizers: Registry[Any] = Registry("featurizer")


def empty_graphs(atom_sizes: Sequence[int], bond_sizes: Sequence[int], n_molecules: int = 0) -> Graphs:
    """`n_molecules` molecules without atoms."""
    none = np.zeros(n_molecules, np.int64)
    return as_graphs(
        none, none, np.zeros((0, len(atom_sizes))), np.zeros((0, len(bond_sizes))), np.zeros((0, 2))
    )


def joined(parts: Sequence[Graphs]) -> Graphs:
    """All molecules of all parts, in order."""
    return Graphs(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def spans(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """start, start + 1, ... of every span, one after the other.

    >>> spans(np.array([10, 3]), np.array([2, 3])).tolist()
    [10, 11, 3, 4, 5]
    """
    before = np.cumsum(lengths) - lengths
    return np.arange(lengths.sum()) + np.repeat(starts - before, lengths)


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


def loop_graphs(featurizer: GraphFeaturizer, mol: Mol, atom: Any, bond: Any) -> Graphs:
    """The graph of a molecule from the functions that give the codes of an atom and of a bond."""
    atoms = [atom(a) for a in mol.GetAtoms()]
    bonds = sorted([*sorted((b.GetBeginAtomIdx(), b.GetEndAtomIdx())), *bond(b)] for b in mol.GetBonds())
    table = np.array(bonds, np.int64).reshape(len(bonds), 2 + len(featurizer.bond_sizes))
    return as_graphs([len(atoms)], [len(bonds)], atoms, table[:, 2:], table[:, :2])


def as_graphs(n_atoms: Any, n_bonds: Any, atoms: Any, bonds: Any, ends: Any) -> Graphs:
    """The arrays in the types of `Graphs`."""
    return Graphs(
        np.asarray(n_atoms, np.int64),
        np.asarray(n_bonds, np.int64),
        np.asarray(atoms, np.uint8),
        np.asarray(bonds, np.uint8),
        np.asarray(ends, np.int16),
    )


def firsts(lengths: np.ndarray) -> np.ndarray:
    """Where each of some spans begins that lie one after the other."""
    return np.cumsum(lengths) - lengths


def atom_codes(atom: Atom) -> list[int]:
    """Element, degree, charge, hydrogens, aromatic, in ring, radical electrons, by RDKit's accessors."""
    return [
        _ELEMENT.get(atom.GetAtomicNum(), len(ELEMENTS)),
        min(atom.GetDegree(), ATOM_SIZES[1] - 1),
        _CHARGE.get(atom.GetFormalCharge(), len(CHARGES)),
        min(atom.GetTotalNumHs(), ATOM_SIZES[3] - 1),
        int(atom.GetIsAromatic()),
        int(atom.IsInRing()),
        min(atom.GetNumRadicalElectrons(), ATOM_SIZES[6] - 1),
    ]


def bond_codes(bond: Bond) -> list[int]:
    """Type, in ring."""
    return [BONDS.get(bond.GetBondType(), OTHER), int(bond.IsInRing())]


@featurizers.register("atom_codes_stereo")
class AtomCodesStereo(GraphFeaturizer):
    """The columns of `atom_codes`, then chirality and hybridisation; of bonds conjugation and stereo too.

    Chirality is none, R, S or other (a marked centre without a label): unlike the clockwise marks of a
    SMILES, R and S do not depend on the order of the atoms.
    """

    name = "atom_codes_stereo"
    version = 1
    rate = 5_000
    atom_sizes = (*ATOM_SIZES, 4, len(_HYBRIDIZATION) + 1)
    bond_sizes = (*BOND_SIZES, 2, len(_BOND_STEREO) + 1)

    def __call__(self, mol: Mol) -> Graphs:
        return loop_graphs(self, mol, self._atom, self._bond)

    @staticmethod
    def _atom(atom: Atom) -> list[int]:
        hybridization = _HYBRIDIZATION.get(atom.GetHybridization(), len(_HYBRIDIZATION))
        return [*atom_codes(atom), _chirality(atom), hybridization]

    @staticmethod
    def _bond(bond: Bond) -> list[int]:
        stereo = _BOND_STEREO.get(bond.GetStereo(), len(_BOND_STEREO))
        return [*bond_codes(bond), int(bond.GetIsConjugated()), stereo]


def _chirality(atom: Atom) -> int:
    if not atom.GetChiralTag():
        return 0
    label = atom.GetProp("_CIPCode") if atom.HasProp("_CIPCode") else ""
    return {"R": 1, "S": 2}.get(label, 3)
