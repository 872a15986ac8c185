"""The codes of one atom and one bond, by RDKit's accessors: the definition that faster ways must meet."""

from typing import Any

import numpy as np
from rdkit.Chem import BondType, Mol
from rdkit.Chem.rdchem import Atom, Bond

from ..featurizers import GraphFeaturizer, Graphs, as_graphs

# Elements with a code of their own: hydrogen and those in seven or more molecules of ToxCast.
ELEMENTS = (1, 5, 6, 7, 8, 9, 11, 13, 14, 15, 16, 17, 19, 20, 24, 26, 27, 30, 33, 34, 35, 50, 53, 80, 83)
CHARGES = (-2, -1, 0, 1, 2, 3)
ATOM_SIZES = (len(ELEMENTS) + 1, 8, len(CHARGES) + 1, 6, 2, 2, 3)
BOND_SIZES = (5, 2)
_ELEMENT = {number: code for code, number in enumerate(ELEMENTS)}
_CHARGE = {charge: code for code, charge in enumerate(CHARGES)}
BONDS = {BondType.SINGLE: 0, BondType.DOUBLE: 1, BondType.TRIPLE: 2, BondType.AROMATIC: 3}
AROMATIC, OTHER = 3, 4


def loop_graphs(featurizer: GraphFeaturizer, mol: Mol, atom: Any, bond: Any) -> Graphs:
    """The graph of a molecule from the functions that give the codes of an atom and of a bond."""
    atoms = [atom(a) for a in mol.GetAtoms()]
    bonds = sorted([*sorted((b.GetBeginAtomIdx(), b.GetEndAtomIdx())), *bond(b)] for b in mol.GetBonds())
    table = np.array(bonds, np.int64).reshape(len(bonds), 2 + len(featurizer.bond_sizes))
    return as_graphs([len(atoms)], [len(bonds)], atoms, table[:, 2:], table[:, :2])


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
