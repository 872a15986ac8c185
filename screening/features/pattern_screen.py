"""Which of very many SMARTS patterns a molecule may have, told without looking for any of them.

RDKit gives a hash of every atom (element, charge, hydrogens, degree, in a ring or not) and the
matrix of bond orders in one call each. What an atom or a bond may stand for in the patterns is worked out
when its like is first seen, and is a row of a table from then on.
"""

from collections.abc import Collection, Hashable, Iterable, Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from rdkit.Chem import Atom, GetAdjacencyMatrix, Mol, rdqueries
from rdkit.Chem.rdMolDescriptors import GetConnectivityInvariants

from ..runtime.ragged import firsts
from .graphs.atom_codes import AtomCodes
from .smarts_conditions import Condition, Need, Query, Truth, atom_truth, bond_truth, primitives, truth

Clause = tuple[frozenset[tuple[Need, int]], ...]
"""Terms of which one must hold; of a term, all needs."""
KINDS = "-=#:"
_KIND_OF_TWICE_ORDER = np.array([-1, -1, 0, 3, 1, -1, 2, -1])
_FOUR_BITS = 16.0 ** np.arange(len(KINDS))
_IS_LABELLED = rdqueries.IsotopeGreaterQueryAtom(0)
MOST_ROWS = 20_000  # of a table: some 40 MB


class PatternScreen:
    """The patterns of a list that a molecule may have.

    Where RDKit's hash does not tell atoms apart (isotopes) or is not known to (elements other than
    `AtomCodes.PLAIN`), the atoms of the molecule are looked at one by one. It may have all patterns where
    the matrix does not show every bond, or would be large: more than `AtomCodes.largest` atoms.

    Parameters
    ----------
    conditions : what a molecule that has the pattern must have, of each.
    """

    def __init__(self, conditions: Sequence[Condition]) -> None:
        self.n_patterns = len(conditions)
        clauses = [_clauses(each) for each in conditions]
        terms = dict.fromkeys(chain.from_iterable(chain.from_iterable(clauses)))
        features = dict.fromkeys(chain.from_iterable(terms))
        needs = dict.fromkeys(need for need, _ in features)
        self._atoms = [need for need in needs if isinstance(need[0], str)]
        bonds = [need for need in needs if not isinstance(need[0], str)]
        places = {need: place for place, need in enumerate([*self._atoms, *bonds])}
        self._column = np.array([places[need] for need, _ in features])
        self._least = np.array([least for _, least in features])
        self._terms = _Runs(terms, features)
        distinct = dict.fromkeys(chain.from_iterable(clauses))
        self._clauses = _Runs(distinct, terms)
        self._patterns = _Runs(clauses, distinct)
        self._bonds = bonds
        self._ends = list(dict.fromkeys(end for need in bonds for end in (need[0], need[2])))
        self._primitives = primitives([*self._atoms, *self._ends])
        place_of = {end: place for place, end in enumerate(self._ends)}
        self._low = np.array([place_of[need[0]] for need in bonds], np.int64)
        self._high = np.array([place_of[need[2]] for need in bonds], np.int64)
        self._forget()

    def candidates(self, mol: Mol) -> np.ndarray:
        """int64, ascending: the patterns that a molecule may have."""
        counts = self._counts(mol)
        if counts is None or not self.n_patterns:
            return np.arange(self.n_patterns)
        fulfilled = self._terms.all_of(counts[self._column] >= self._least)
        return np.flatnonzero(self._patterns.all_of(self._clauses.any_of(fulfilled)))

    def _forget(self) -> None:
        """Start with empty tables."""
        self._kind_of_atom: dict[Hashable, int] = {}
        self._atom_rows = _Table(len(self._atoms))
        self._end_rows = _Table(len(self._ends))
        self._bond_rows = _Table(len(self._bonds))

    def _counts(self, mol: Mol) -> np.ndarray | None:
        """How many atoms, and how many bonds, may be what each need asks for; None if that is not known."""
        seen = _Seen.of(mol)
        if seen is None:
            return None
        if max(len(self._kind_of_atom), len(self._bond_rows)) > MOST_ROWS:
            self._forget()
        has_isotopes = len(mol.GetAtomsMatchingQuery(_IS_LABELLED)) > 0
        atoms = None if has_isotopes else self._rows_of(mol, seen.atoms.tolist())
        if atoms is None:
            atoms = self._rows_of(mol, [exact_key(atom) for atom in mol.GetAtoms()])
        ends = np.sort(atoms[seen.ends], axis=1).tolist()
        bonds = [
            self._row_of_bond((*pair, kind)) for pair, kind in zip(ends, seen.kinds.tolist(), strict=True)
        ]
        return np.concatenate([self._atom_rows.sum(atoms), self._bond_rows.sum(bonds)])

    def _rows_of(self, mol: Mol, keys: Sequence[Hashable]) -> Any:
        """The row of each atom, int64; None where a key, a hash, is not known to tell atoms apart."""
        for place, key in enumerate(keys):
            if key not in self._kind_of_atom:
                atom = mol.GetAtomWithIdx(place)
                is_exact = isinstance(key, tuple) or atom.GetAtomicNum() in AtomCodes.PLAIN
                self._kind_of_atom[key] = self._new_atom(atom) if is_exact else -1
        rows = np.array([self._kind_of_atom[key] for key in keys], np.int64)
        return None if rows.min(initial=0) < 0 else rows

    def _new_atom(self, atom: Atom) -> int:
        truths = {primitive: atom_truth(primitive, atom) for primitive in self._primitives}
        key = (atom.IsInRing(), *truths.values())
        if key not in self._atom_rows:
            of_query: dict[Query, Truth] = {}
            for rows, queries in ((self._atom_rows, self._atoms), (self._end_rows, self._ends)):
                rows.add(key, [truth(query, truths.__getitem__, of_query)[0] for query in queries])
        return self._atom_rows[key]

    def _row_of_bond(self, key: tuple[int, int, int]) -> int:
        if key not in self._bond_rows:
            self._bond_rows.add(key, self._new_bond(*key))
        return self._bond_rows[key]

    def _new_bond(self, one: int, other: int, kind: int) -> np.ndarray:
        """Which needs a bond between atoms of two rows may fulfil, in either direction."""
        may_be_in_ring = self._atom_rows.keys[one][0] and self._atom_rows.keys[other][0]
        of_query: dict[Query, Truth] = {}
        fits = [
            truth(need[1], lambda primitive: bond_truth(primitive, KINDS[kind], may_be_in_ring), of_query)[0]
            for need in self._bonds
        ]
        one_end, other_end = self._end_rows.rows[one], self._end_rows.rows[other]
        ends = (one_end[self._low] & other_end[self._high]) | (other_end[self._low] & one_end[self._high])
        return np.array(fits, bool) & ends.astype(bool)


def exact_key(atom: Atom) -> tuple[int | bool, ...]:
    """All that `atom_truth` goes by."""
    numbers = (atom.GetAtomicNum(), atom.GetIsotope(), atom.GetFormalCharge(), atom.GetTotalNumHs(True))
    return *numbers, atom.GetDegree(), atom.GetTotalDegree(), atom.GetIsAromatic(), atom.IsInRing()


class _Seen(NamedTuple):
    """What RDKit says of a molecule."""

    atoms: np.ndarray
    """[atoms] int64: hash, and number of bonds of each kind."""
    ends: np.ndarray
    """[bonds, 2] int64"""
    kinds: np.ndarray
    """[bonds] int64, places in `KINDS`."""

    @classmethod
    def of(cls, mol: Mol) -> "_Seen | None":
        """None where the matrix does not show every bond, or would be large."""
        if mol.GetNumAtoms() > AtomCodes.largest:
            return None
        hashes = np.array(GetConnectivityInvariants(mol), np.int64)
        orders = GetAdjacencyMatrix(mol, useBO=True)
        ends = np.argwhere(orders)
        kinds = _KIND_OF_TWICE_ORDER[np.minimum(2 * orders[tuple(ends.T)], 7).astype(np.int64)]
        if len(ends) != 2 * mol.GetNumBonds() or kinds.min(initial=0) < 0:
            return None
        counts = np.bincount(ends[:, 0], _FOUR_BITS[kinds], len(hashes)).astype(np.int64)
        once = ends[:, 0] < ends[:, 1]
        return cls((hashes << 16) | counts, ends[once], kinds[once])


class _Runs:
    """Groups of items: which of them have all items that hold, or any."""

    def __init__(self, groups: Collection[Collection[Any]], items: Iterable[Any]) -> None:
        place_of = {item: place for place, item in enumerate(items)}
        self._places = np.array([place_of[item] for group in groups for item in group], np.int64)
        self._first = firsts(np.array([len(group) for group in groups], np.int64))

    def all_of(self, holds: np.ndarray) -> np.ndarray:
        """bool [groups], of bool [items]."""
        return np.logical_and.reduceat(holds[self._places], self._first)

    def any_of(self, holds: np.ndarray) -> np.ndarray:
        """bool [groups], of bool [items]."""
        return np.logical_or.reduceat(holds[self._places], self._first)


class _Table:
    """Rows of 0 and 1 that are added under a key, and sums of some of them."""

    def __init__(self, width: int) -> None:
        self.keys: list[Any] = []
        self.rows = np.zeros((64, width), np.uint16)
        self._row_of: dict[Any, int] = {}

    def __len__(self) -> int:
        return len(self.keys)

    def __contains__(self, key: Any) -> bool:
        return key in self._row_of

    def __getitem__(self, key: Any) -> int:
        return self._row_of[key]

    def add(self, key: Any, row: Any) -> None:
        """A row behind the others; twice the room where there is no more."""
        if len(self.keys) == len(self.rows):
            self.rows = np.concatenate([self.rows, np.zeros_like(self.rows)])
        self.rows[len(self.keys)] = row
        self._row_of[key] = len(self.keys)
        self.keys.append(key)

    def sum(self, rows: Any) -> np.ndarray:
        """uint16 [width], of the rows of these numbers."""
        return np.add.reduce(self.rows[np.asarray(rows, np.int64)], axis=0, dtype=np.uint16)


def _clauses(condition: Condition) -> tuple[Clause, ...]:
    """Of each clause one term must hold; choices within choices are left out."""
    terms = [(condition,), *condition.choices]
    return tuple(tuple(frozenset(each.needs.items()) for each in options) for options in terms)
