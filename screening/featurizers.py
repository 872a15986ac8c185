"""Graph featurizers: one molecule to small integer codes of its atoms and bonds.

Also the registry of all featurizers and what each must offer; those that give vectors are in
`descriptors`. No torch here and there: featurizers run in worker processes.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import chain
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
from rdkit import Chem
from rdkit.Chem import BondType, HybridizationType, Mol, rdqueries
from rdkit.Chem.rdchem import Atom, Bond, BondStereo
from rdkit.Chem.rdMolDescriptors import GetConnectivityInvariants

from .registry import Registry

# Elements with a code of their own: hydrogen and those in seven or more molecules of ToxCast.
ELEMENTS = (1, 5, 6, 7, 8, 9, 11, 13, 14, 15, 16, 17, 19, 20, 24, 26, 27, 30, 33, 34, 35, 50, 53, 80, 83)
CHARGES = (-2, -1, 0, 1, 2, 3)
ATOM_SIZES = (len(ELEMENTS) + 1, 8, len(CHARGES) + 1, 6, 2, 2, 3)
BOND_SIZES = (5, 2)
_ELEMENT = {number: code for code, number in enumerate(ELEMENTS)}
_CHARGE = {charge: code for code, charge in enumerate(CHARGES)}
_BOND = {BondType.SINGLE: 0, BondType.DOUBLE: 1, BondType.TRIPLE: 2, BondType.AROMATIC: 3}
_AROMATIC, _OTHER = 3, 4
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

    def pack(self, mols: Sequence[Mol]) -> Graphs:
        """The graphs of many molecules: equal to calling one by one, but may be faster."""
        return joined([empty_graphs(self.atom_sizes, self.bond_sizes), *(self(mol) for mol in mols)])


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
    return _graphs(
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
    first_atom, first_bond = _firsts(graphs.n_atoms), _firsts(graphs.n_bonds)
    atoms = spans(first_atom[order], graphs.n_atoms[order])
    bonds = spans(first_bond[order], graphs.n_bonds[order])
    return Graphs(
        graphs.n_atoms[order],
        graphs.n_bonds[order],
        graphs.atoms[atoms],
        graphs.bonds[bonds],
        graphs.ends[bonds],
    )


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
    return [_BOND.get(bond.GetBondType(), _OTHER), int(bond.IsInRing())]


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
        return _loop(self, mol, self._atom, self._bond)

    @staticmethod
    def _atom(atom: Atom) -> list[int]:
        hybridization = _HYBRIDIZATION.get(atom.GetHybridization(), len(_HYBRIDIZATION))
        return [*atom_codes(atom), _chirality(atom), hybridization]

    @staticmethod
    def _bond(bond: Bond) -> list[int]:
        stereo = _BOND_STEREO.get(bond.GetStereo(), len(_BOND_STEREO))
        return [*bond_codes(bond), int(bond.GetIsConjugated()), stereo]


@featurizers.register("atom_codes")
class AtomCodes(GraphFeaturizer):
    """Element, degree, charge, hydrogens, aromatic, in ring, radicals; of bonds type and in ring.

    Calling it loops over the atoms with RDKit's accessors and is exact by definition. `pack` gives the
    same several times faster, from one C++ call for a hash of each atom (element, charge, hydrogens,
    degree, isotope, in ring) and one for the matrix of bond orders. Hash and number of bonds of each
    order are looked up in a table that is filled through the accessors when they are first seen.

    `pack` loops where that is not known to be exact: radicals (no part of the hash); more than
    `largest` atoms (the matrix is dense); elements other than `PLAIN`, whose hashes are not proved to
    be distinct (`tests/test_graphs.py`) and which may have bonds of no order; bonds that the matrix
    hides (dative, unspecified) or that are aromatic outside a ring.
    """

    name = "atom_codes"
    version = 1
    rate = 25_000
    reads_stereo = False
    atom_sizes = ATOM_SIZES
    bond_sizes = BOND_SIZES

    PLAIN = frozenset((1, 5, 6, 7, 8, 9, 14, 15, 16, 17, 34, 35, 53))
    largest = 200

    def __init__(self) -> None:
        self._row_of: dict[int, int] = {}
        self._codes = np.zeros((0, len(ATOM_SIZES)), np.uint8)
        self._plain = np.zeros(0, bool)
        self._hypervalent = np.zeros(0, bool)

    def __call__(self, mol: Mol) -> Graphs:
        return _loop(self, mol, atom_codes, bond_codes)

    def pack(self, mols: Sequence[Mol]) -> Graphs:
        plain = [
            mol.GetNumAtoms() <= self.largest and not len(mol.GetAtomsMatchingQuery(_HAS_RADICAL))
            for mol in mols
        ]
        coded, exact = self._looked_up([mol for mol, is_plain in zip(mols, plain, strict=True) if is_plain])
        rows = np.flatnonzero(plain)
        loop_rows = np.setdiff1d(np.arange(len(mols)), rows[exact])
        if not len(loop_rows):
            return coded
        coded = taken(coded, np.flatnonzero(exact))
        both = joined([coded, *(self(mols[row]) for row in loop_rows)])
        return taken(both, np.argsort(np.concatenate([rows[exact], loop_rows])))

    def _looked_up(self, mols: list[Mol]) -> tuple[Graphs, np.ndarray]:
        """The graphs by table, and for each molecule whether its graph is exact, bool [molecules]."""
        n_atoms = np.fromiter((mol.GetNumAtoms() for mol in mols), np.int64, len(mols))
        n_all = int(n_atoms.sum())
        hashes = np.fromiter(chain.from_iterable(map(GetConnectivityInvariants, mols)), np.int64, n_all)
        molecule = np.repeat(np.arange(len(mols)), n_atoms)
        first_atom = _firsts(n_atoms)
        begin, end, orders = _bonded_pairs(mols, n_atoms)
        kinds = _KIND_OF_TWICE_ORDER[np.minimum((2 * orders).astype(np.int64), 15)]
        counts = np.bincount(begin, 16.0**kinds, n_all).astype(np.int64)  # four bits for each kind
        rows = self._rows((hashes << 20) | counts, molecule, first_atom, mols)

        once = begin < end
        begin, end, kinds = begin[once], end[once], kinds[once]
        in_ring = _in_ring(mols, self._codes[rows, 5] == 1, begin, end, molecule, first_atom)
        n_bonds = np.bincount(molecule[begin], minlength=len(mols)) if n_all else n_atoms
        exact = n_bonds == np.fromiter((mol.GetNumBonds() for mol in mols), np.int64, len(mols))
        exact[molecule[~self._plain[rows]]] = False
        exact[molecule[begin[(kinds == _AROMATIC) & ~in_ring]]] = False
        for number in np.unique(molecule[self._hypervalent[rows]]):
            exact[number] &= not mols[number].HasSubstructMatch(_DATIVE)
        ends = np.stack([begin, end], 1) - first_atom[molecule[begin]][:, None]
        bonds = np.stack([kinds, in_ring], 1)
        return _graphs(n_atoms, n_bonds, self._codes[rows], bonds, ends), exact

    def _rows(
        self, keys: np.ndarray, molecule: np.ndarray, first_atom: np.ndarray, mols: list[Mol]
    ) -> np.ndarray:
        """The row of the table for each atom; rows for new keys are added, from their first atom."""
        distinct, first, which = np.unique(keys, return_index=True, return_inverse=True)
        keys_of_first = zip(distinct.tolist(), first, strict=True)
        new = [(key, atom) for key, atom in keys_of_first if key not in self._row_of]
        if new:
            owners = [int(molecule[atom]) for _, atom in new]
            atoms = [
                mols[owner].GetAtomWithIdx(int(atom - first_atom[owner]))
                for owner, (_, atom) in zip(owners, new, strict=True)
            ]
            codes = np.array([atom_codes(atom) for atom in atoms], np.uint8)
            self._codes = np.concatenate([self._codes, codes])
            self._plain = np.append(self._plain, [self._is_plain(atom) for atom in atoms])
            self._hypervalent = np.append(self._hypervalent, [_is_hypervalent(atom) for atom in atoms])
            for key, _ in new:
                self._row_of[key] = len(self._row_of)
        return np.array([self._row_of[key] for key in distinct.tolist()], np.int64)[which]

    def _is_plain(self, atom: Atom) -> bool:
        return atom.GetAtomicNum() in self.PLAIN and all(b.GetBondType() in _BOND for b in atom.GetBonds())


_HAS_RADICAL = rdqueries.NumRadicalElectronsGreaterQueryAtom(0)
_DATIVE = Chem.MolFromSmarts("*->*")
_KIND_OF_TWICE_ORDER = np.array([_OTHER, _OTHER, 0, _AROMATIC, 1, _OTHER, 2, *[_OTHER] * 9])


def _is_hypervalent(atom: Atom) -> bool:
    """Could be a donor of two dative bonds, which look like two single bonds of a higher valence.

    One dative bond changes the parity of the valence, so such an atom has a key of its own; and boron,
    carbon, nitrogen, oxygen, fluorine and silicon have no second valence to be mistaken for.
    """
    default = Chem.GetPeriodicTable().GetDefaultValence(atom.GetAtomicNum())
    return atom.GetAtomicNum() in (15, 16, 17, 34, 35, 53) and atom.GetTotalValence() > default


def _bonded_pairs(mols: list[Mol], n_atoms: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Both directions of all bonds, ascending: begin and end counted over all molecules, order."""
    matrices = [Chem.GetAdjacencyMatrix(mol, useBO=True).ravel() for mol in mols]
    flat = np.concatenate([np.zeros(0), *matrices])
    place = np.flatnonzero(flat)
    width = np.repeat(n_atoms, n_atoms)
    begin = np.repeat(np.arange(len(width)), width)[place]
    end = place - _firsts(width)[begin] + np.repeat(_firsts(n_atoms), n_atoms)[begin]
    return begin, end, flat[place]


def _in_ring(
    mols: list[Mol],
    ring_atom: np.ndarray,
    begin: np.ndarray,
    end: np.ndarray,
    molecule: np.ndarray,
    first_atom: np.ndarray,
) -> np.ndarray:
    """Whether each bond is in a ring, bool; asks RDKit only where the ring atoms do not say so.

    A ring atom has at least two ring bonds, all to ring atoms: with two such neighbours both are.
    """
    in_ring = ring_atom[begin] & ring_atom[end]
    n_neighbours = np.bincount(begin[in_ring], minlength=len(ring_atom))
    n_neighbours += np.bincount(end[in_ring], minlength=len(ring_atom))
    unclear = np.flatnonzero(in_ring & (n_neighbours[begin] > 2) & (n_neighbours[end] > 2))
    owners = molecule[begin[unclear]]
    first = first_atom[owners]
    pairs = zip(
        owners.tolist(), (begin[unclear] - first).tolist(), (end[unclear] - first).tolist(), strict=True
    )
    in_ring[unclear] = [mols[owner].GetRingInfo().AreAtomsInSameRing(a, b) for owner, a, b in pairs]
    return in_ring


def _loop(featurizer: GraphFeaturizer, mol: Mol, atom: Any, bond: Any) -> Graphs:
    atoms = [atom(a) for a in mol.GetAtoms()]
    bonds = sorted([*sorted((b.GetBeginAtomIdx(), b.GetEndAtomIdx())), *bond(b)] for b in mol.GetBonds())
    table = np.array(bonds, np.int64).reshape(len(bonds), 2 + len(featurizer.bond_sizes))
    return _graphs([len(atoms)], [len(bonds)], atoms, table[:, 2:], table[:, :2])


def _graphs(n_atoms: Any, n_bonds: Any, atoms: Any, bonds: Any, ends: Any) -> Graphs:
    return Graphs(
        np.asarray(n_atoms, np.int64),
        np.asarray(n_bonds, np.int64),
        np.asarray(atoms, np.uint8),
        np.asarray(bonds, np.uint8),
        np.asarray(ends, np.int16),
    )


def _firsts(lengths: np.ndarray) -> np.ndarray:
    return np.cumsum(lengths) - lengths


def _chirality(atom: Atom) -> int:
    if not atom.GetChiralTag():
        return 0
    label = atom.GetProp("_CIPCode") if atom.HasProp("_CIPCode") else ""
    return {"R": 1, "S": 2}.get(label, 3)
