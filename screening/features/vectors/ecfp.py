"""Morgan fingerprints of radius 2: counts and bits."""

import numpy as np
from rdkit.Chem import Mol
from rdkit.Chem.rdFingerprintGenerator import GetMorganGenerator

from ..featurizers import VectorFeaturizer, featurizers

ECFP_RADIUS = 2
ECFP_SIZE = 2048


@featurizers.register("ecfp_counts")
class EcfpCounts(VectorFeaturizer):
    """How often each Morgan environment of radius 2 occurs, folded to 2,048 columns, at most 255.

    References
    ----------
    Extended-Connectivity Fingerprints. D. Rogers, M. Hahn, J. Chem. Inf. Model. 50, 742, 2010.
    https://doi.org/10.1021/ci100050t
    """

    name = "ecfp_counts"
    version = 1
    rate = 25_000
    reads_stereo = False
    kind = "counts"

    def __init__(self) -> None:
        self.columns = tuple(f"ecfp_{number}" for number in range(ECFP_SIZE))
        self._generator = GetMorganGenerator(radius=ECFP_RADIUS, fpSize=ECFP_SIZE)

    def __call__(self, mol: Mol) -> np.ndarray:
        return np.minimum(self._generator.GetCountFingerprintAsNumPy(mol), 255).astype(np.uint8)

    def nonzero(self, mol: Mol) -> tuple[list[int], list[int]]:
        counts = self._generator.GetCountFingerprint(mol).GetNonzeroElements()
        return list(counts), list(counts.values())


@featurizers.register("ecfp_bits")
class EcfpBits(VectorFeaturizer):
    """Which Morgan environments of radius 2 occur, folded to 2,048 columns."""

    name = "ecfp_bits"
    version = 1
    rate = 25_000
    reads_stereo = False
    kind = "bits"

    def __init__(self) -> None:
        self._counts = EcfpCounts()
        self.columns = self._counts.columns

    def __call__(self, mol: Mol) -> np.ndarray:
        return np.minimum(self._counts(mol), 1)

    def nonzero(self, mol: Mol) -> tuple[list[int], list[int]]:
        columns, _ = self._counts.nonzero(mol)
        return columns, [1] * len(columns)
