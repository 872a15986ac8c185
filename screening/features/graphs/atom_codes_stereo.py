"""Codes of atoms and bonds with chirality, hybridisation, conjugation and stereo."""

from rdkit.Chem import HybridizationType, Mol
from rdkit.Chem.rdchem import Atom, Bond, BondStereo

from ..featurizers import GraphFeaturizer, Graphs, featurizers
from .codes import ATOM_SIZES, BOND_SIZES, atom_codes, bond_codes, loop_graphs

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
