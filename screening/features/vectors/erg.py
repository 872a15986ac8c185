"""The extended reduced graph: pharmacophore points at their distances."""

import numpy as np
from rdkit.Chem import Mol
from rdkit.Chem.rdReducedGraphs import GetErGFingerprint

from ..featurizers import VectorFeaturizer, as_finite, featurizers

ERG_SIZE = 315


@featurizers.register("erg")
class Erg(VectorFeaturizer):
    """How often each pair of pharmacophore points occurs at each distance in the reduced graph, fuzzy.

    315 columns: points are donors, acceptors, positive, negative, hydrophobic and aromatic ones, distances
    are 1 to 15, and 0.3 is added at those beside. All are NaN for a molecule of more than `largest` atoms,
    since the time grows with the third power (0.4 seconds at 500 atoms, 5 at 1,000).

    References
    ----------
    ErG: 2D pharmacophore descriptions for scaffold hopping. N. Stiefl et al., J. Chem. Inf. Model. 46, 208,
    2006. https://doi.org/10.1021/ci050457y
    """

    name = "erg"
    version = 1
    rate = 7_000
    kind = "real"
    largest = 500
    columns = tuple(f"erg_{number}" for number in range(ERG_SIZE))

    def __call__(self, mol: Mol) -> np.ndarray:
        if mol.GetNumAtoms() > self.largest:
            return np.full(ERG_SIZE, np.nan, np.float32)
        return as_finite(GetErGFingerprint(mol))
