"""All descriptors that RDKit has: accurate, and slow."""

import numpy as np
from rdkit.Chem import Mol

from ..featurizers import VectorFeaturizer, as_finite, featurizers


@featurizers.register("rdkit_descriptors")
class RdkitDescriptors(VectorFeaturizer):
    """All descriptors of `rdkit.Chem.Descriptors` (217), among them QED, BCUT2D and counts of fragments.

    The most accurate set, and slow. What RDKit cannot compute, or what
    does not fit in float32 (Ipc of large molecules), is NaN; so is everything of a molecule of more than
    `largest` atoms, since the time grows with the fourth power (1 second at 300 atoms, 30 at 750).
    """

    name = "rdkit_descriptors"
    version = 1
    rate = 160
    kind = "real"
    largest = 300

    def __init__(self) -> None:
        from rdkit.Chem import Descriptors  # half a second that the other sets do not need

        self.columns = tuple(name for name, _ in Descriptors.descList)
        self._all = Descriptors.CalcMolDescriptors

    def __call__(self, mol: Mol) -> np.ndarray:
        if mol.GetNumAtoms() > self.largest:
            return np.full(len(self.columns), np.nan, np.float32)
        values = self._all(mol, missingVal=np.nan, silent=True)
        return as_finite([values[column] for column in self.columns])
