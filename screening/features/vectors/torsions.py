"""Counts of topological torsions."""

import numpy as np
from rdkit.Chem import Mol
from rdkit.Chem.rdFingerprintGenerator import GetTopologicalTorsionGenerator

from ..featurizers import VectorFeaturizer, featurizers

TORSIONS_SIZE = 4096


@featurizers.register("torsions")
class Torsions(VectorFeaturizer):
    """How often each path of four atoms occurs, folded to 4,096 columns, at most 255.

    An atom is its element, its heavy neighbours and its pi electrons.

    References
    ----------
    Topological torsion. R. Nilakantan et al., J. Chem. Inf. Comput. Sci. 27, 82, 1987.
    https://doi.org/10.1021/ci00054a008
    """

    name = "torsions"
    version = 1
    rate = 13_000
    kind = "counts"

    def __init__(self) -> None:
        self.columns = tuple(f"torsion_{number}" for number in range(TORSIONS_SIZE))
        self._generator = GetTopologicalTorsionGenerator(fpSize=TORSIONS_SIZE, countSimulation=False)

    def __call__(self, mol: Mol) -> np.ndarray:
        return np.minimum(self._generator.GetCountFingerprintAsNumPy(mol), 255).astype(np.uint8)

    def nonzero(self, mol: Mol) -> tuple[list[int], list[int]]:
        counts = self._generator.GetCountFingerprint(mol).GetNonzeroElements()
        return list(counts), list(counts.values())
