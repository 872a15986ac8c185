"""The fast graph featurizer: codes of atoms and bonds out of a table, not atom by atom.

What an atom's codes are is in `codes`; `packing` hands over molecules a few at a time.
"""

from collections.abc import Callable, Sequence
from itertools import chain, compress
from typing import NamedTuple

import numpy as np
from rdkit import Chem
from rdkit.Chem import Mol, rdqueries
from rdkit.Chem.rdchem import Atom
from rdkit.Chem.rdMolDescriptors import GetConnectivityInvariants

from ...runtime.ragged import firsts, owners
from ..featurizers import GraphFeaturizer, Graphs, as_graphs, featurizers, joined, taken
from .codes import AROMATIC, ATOM_SIZES, BOND_SIZES, BONDS, OTHER, atom_codes, bond_codes, loop_graphs


class _Seen(NamedTuple):
    """What RDKit says of some molecules in one call each; nothing of those that are not plain."""

    is_plain: np.ndarray
    """[molecules] bool: no radical, not too large."""
    n_atoms: np.ndarray
    """[plain molecules] int64"""
    n_bonds: np.ndarray
    """[plain molecules] int64"""
    hashes: np.ndarray
    """[atoms] int64: element, charge, hydrogens, degree, isotope and in a ring or not, of each atom."""
    places: np.ndarray
    """[bonds in both directions] int64, ascending: where the matrices of all molecules are not 0."""
    orders: np.ndarray
    """[bonds in both directions] float64, their orders."""


@featurizers.register("atom_codes")
class AtomCodes(GraphFeaturizer):
    """Element, degree, charge, hydrogens, aromatic, in ring, radicals; of bonds type and in ring.

    Calling it loops over the atoms with RDKit's accessors and is exact by definition. `look` and `pack`
    give the same several times faster, from one C++ call for a hash of each atom (element, charge,
    hydrogens, degree, isotope, in ring) and one for the matrix of bond orders. Hash and number of bonds of
    each order are looked up in a table that is filled through the accessors when they are first seen.

    `pack` loops where that is not known to be exact: radicals (no part of the hash); more than
    `largest` atoms (the matrix is dense); elements other than `PLAIN`, whose hashes are not proved to
    be distinct (tested) and which may have bonds of no order; bonds that the matrix hides
    in one direction (dative) or both (unspecified), or that are aromatic outside a ring.
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

    def __call__(self, mol: Mol) -> Graphs:
        return loop_graphs(self, mol, atom_codes, bond_codes)

    def look(self, mols: Sequence[Mol]) -> _Seen:
        is_plain = [
            mol.GetNumAtoms() <= self.largest and not len(mol.GetAtomsMatchingQuery(_HAS_RADICAL))
            for mol in mols
        ]
        plain = list(compress(mols, is_plain))
        hashes = list(map(GetConnectivityInvariants, plain))
        matrices = [Chem.GetAdjacencyMatrix(mol, useBO=True).ravel() for mol in plain]
        orders = np.concatenate([np.zeros(0), *matrices])
        places = np.flatnonzero(orders != 0)
        n_atoms = np.array([len(each) for each in hashes], np.int64)
        return _Seen(
            np.array(is_plain, bool),
            n_atoms,
            np.array([mol.GetNumBonds() for mol in plain], np.int64),
            np.fromiter(chain.from_iterable(hashes), np.int64, n_atoms.sum()),
            places,
            orders[places],
        )

    def pack(self, seen: Sequence[_Seen], mol_of: Callable[[int], Mol]) -> Graphs:
        is_plain = np.concatenate([np.zeros(0, bool), *(block.is_plain for block in seen)])
        rows = np.flatnonzero(is_plain)
        coded, exact = self._looked_up(seen, lambda number: mol_of(int(rows[number])))
        loop_rows = np.setdiff1d(np.arange(len(is_plain)), rows[exact])
        if not len(loop_rows):
            return coded
        coded = taken(coded, np.flatnonzero(exact))
        both = joined([coded, *(self(mol_of(row)) for row in loop_rows.tolist())])
        return taken(both, np.argsort(np.concatenate([rows[exact], loop_rows])))

    def _looked_up(self, seen: Sequence[_Seen], mol_of: Callable[[int], Mol]) -> tuple[Graphs, np.ndarray]:
        """The graphs of the plain molecules, and for each of them whether its graph is exact."""
        none = np.zeros(0, np.int64)
        n_atoms = np.concatenate([none, *(block.n_atoms for block in seen)])
        n_bonds = np.concatenate([none, *(block.n_bonds for block in seen)])
        hashes = np.concatenate([none, *(block.hashes for block in seen)])
        molecule, first_atom = owners(n_atoms), firsts(n_atoms)
        begin, end, kinds = _bonded_pairs(seen, n_atoms)
        counts = np.bincount(begin, _FOUR_BITS[kinds], len(hashes)).astype(np.int64)
        rows = self._rows((hashes << 20) | counts, molecule, first_atom, mol_of)
        n_pairs = np.bincount(molecule[begin], minlength=len(n_atoms))

        once = begin < end
        begin, end, kinds = begin[once], end[once], kinds[once]
        in_ring, unsure = _in_ring(self._codes[rows, 5] == 1, begin, end, molecule, first_atom)
        exact = n_pairs == 2 * n_bonds
        exact[molecule[~self._plain[rows]]] = False
        exact[molecule[begin[unsure | ((kinds == AROMATIC) & ~in_ring)]]] = False
        n_bonds = np.bincount(molecule[begin], minlength=len(n_atoms))
        ends = np.stack([begin, end], 1) - first_atom[molecule[begin]][:, None]
        bonds = np.stack([kinds, in_ring], 1)
        return as_graphs(n_atoms, n_bonds, self._codes[rows], bonds, ends), exact

    def _rows(
        self,
        keys: np.ndarray,
        molecule: np.ndarray,
        first_atom: np.ndarray,
        mol_of: Callable[[int], Mol],
    ) -> np.ndarray:
        """The row of the table for each atom; rows for new keys are added, from their first atom."""
        distinct, first, which = np.unique(keys, return_index=True, return_inverse=True)
        keys_of_first = zip(distinct.tolist(), first, strict=True)
        new = [(key, atom) for key, atom in keys_of_first if key not in self._row_of]
        if new:
            owners = [int(molecule[atom]) for _, atom in new]
            mols = {owner: mol_of(owner) for owner in dict.fromkeys(owners)}  # held: an atom is a view of it
            atoms = [
                mols[owner].GetAtomWithIdx(int(atom - first_atom[owner]))
                for owner, (_, atom) in zip(owners, new, strict=True)
            ]
            codes = np.array([atom_codes(atom) for atom in atoms], np.uint8)
            self._codes = np.concatenate([self._codes, codes])
            self._plain = np.append(self._plain, [self._is_plain(atom) for atom in atoms])
            for key, _ in new:
                self._row_of[key] = len(self._row_of)
        return np.array([self._row_of[key] for key in distinct.tolist()], np.int64)[which]

    def _is_plain(self, atom: Atom) -> bool:
        return atom.GetAtomicNum() in self.PLAIN and all(b.GetBondType() in BONDS for b in atom.GetBonds())


_HAS_RADICAL = rdqueries.NumRadicalElectronsGreaterQueryAtom(0)
_FOUR_BITS = 16.0 ** np.arange(OTHER + 1)  # for each kind of bond
_KIND_OF_TWICE_ORDER = np.array([OTHER, OTHER, 0, AROMATIC, 1, OTHER, 2, *[OTHER] * 9])


def _bonded_pairs(seen: Sequence[_Seen], n_atoms: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Both directions of all bonds, ascending: begin and end counted over all molecules, kind."""
    sizes = [int((block.n_atoms**2).sum()) for block in seen]  # of the matrices
    before = np.cumsum([0, *sizes])
    none = np.zeros(0, np.int64)
    place = np.concatenate([none, *(block.places + left for block, left in zip(seen, before, strict=False))])
    orders = np.concatenate([np.zeros(0), *(block.orders for block in seen)])
    width = np.repeat(n_atoms, n_atoms)  # of the line of each atom
    first = firsts(width)
    begin = np.searchsorted(first, place, side="right") - 1
    end = place - first[begin] + np.repeat(firsts(n_atoms), n_atoms)[begin]
    return begin, end, _KIND_OF_TWICE_ORDER[np.minimum((2 * orders).astype(np.int64), 15)]


def _in_ring(
    ring_atom: np.ndarray, begin: np.ndarray, end: np.ndarray, molecule: np.ndarray, first_atom: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Whether each bond is in a ring, and whether that is not sure, bool; begin < end.

    A ring atom has at least two ring bonds, all to ring atoms: with two such neighbours both are. Only
    molecules with a bond between two atoms that have more (fused rings, or rings joined by a bond) are
    looked at more closely.
    """
    in_ring = ring_atom[begin] & ring_atom[end]
    n_neighbours = np.bincount(begin[in_ring], minlength=len(ring_atom))
    n_neighbours += np.bincount(end[in_ring], minlength=len(ring_atom))
    unclear = in_ring & (n_neighbours[begin] > 2) & (n_neighbours[end] > 2)
    is_close = np.zeros(len(first_atom), bool)
    is_close[molecule[begin[unclear]]] = True
    close = np.flatnonzero(in_ring & is_close[molecule[begin]])
    level = np.arange(len(ring_atom)) - first_atom[molecule]
    in_ring[close], unsure = in_cycle(begin[close], end[close], level)
    all_unsure = np.zeros(len(begin), bool)
    all_unsure[close] = unsure
    return in_ring, all_unsure


def in_cycle(begin: np.ndarray, end: np.ndarray, level: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Whether each edge lies on a cycle of its graph, and whether it shows that its graph is not known.

    The end of an edge has a higher level than its begin; nodes of one graph have different levels.
    Each edge outside a spanning forest gets a random label, each in it the exclusive or of the labels of
    those whose cycle it is on: 0 means there is none. The forest has one edge down from every node that has
    any, which spans a graph numbered as a SMILES is written; an edge between two trees tells of another.

    References
    ----------
    Fast computation of small cuts via cycle space sampling. D. Pritchard, R. Thurimella, ACM Trans.
    Algorithms 7, 46, 2011, section 2. https://arxiv.org/abs/cs/0702113
    """
    tree = np.arange(len(level))
    tree[end] = begin  # the last edge down of every node
    parent = tree.copy()
    while not np.array_equal(tree, further := tree[tree]):
        tree = further
    in_tree = parent[end] == begin
    labels = np.random.default_rng(0).integers(1, 2**63, (~in_tree).sum())
    total = np.zeros(len(level), np.int64)
    np.bitwise_xor.at(total, begin[~in_tree], labels)
    np.bitwise_xor.at(total, end[~in_tree], labels)
    nodes = end[in_tree]
    nodes = nodes[np.argsort(level[nodes].astype(np.int16), kind="stable")]  # few bits: sorted by counting
    bounds = np.cumsum(np.bincount(level[nodes])).tolist()
    for first, end_of_level in zip(bounds[-2::-1], bounds[:0:-1], strict=True):
        of_level = nodes[first:end_of_level]
        total[parent[of_level]] ^= total[of_level]  # one node of each graph: no parent twice
    return ~in_tree | (total[end] != 0), tree[begin] != tree[end]
