"""Morgan fingerprints: counts of radius 2 and 3, by element or by function, and bits."""

import numpy as np
from rdkit.Chem import Mol
from rdkit.Chem.rdFingerprintGenerator import GetMorganFeatureAtomInvGen, GetMorganGenerator

from ..featurizers import VectorFeaturizer, featurizers
from .folded_counts import FoldedCounts

ECFP_RADIUS = 2
ECFP_SIZE = 2048


@featurizers.register("ecfp_counts")
class EcfpCounts(FoldedCounts):
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

    def __init__(self) -> None:
        super().__init__(GetMorganGenerator(radius=ECFP_RADIUS, fpSize=ECFP_SIZE), "ecfp")


@featurizers.register("ecfp6_counts")
class Ecfp6Counts(FoldedCounts):
    """How often each Morgan environment of radius 3 occurs, folded to 2,048 columns, at most 255."""

    name = "ecfp6_counts"
    version = 1
    rate = 15_000
    reads_stereo = False

    def __init__(self) -> None:
        super().__init__(GetMorganGenerator(radius=3, fpSize=ECFP_SIZE), "ecfp6")


@featurizers.register("fcfp_counts")
class FcfpCounts(FoldedCounts):
    """As `ecfp_counts`, but an atom is what it can do: donor, acceptor, acid, base, aromatic, halogen.

    References
    ----------
    Rogers and Hahn, as for `ecfp_counts`: the functional-class fingerprint FCFP_4.
    """

    name = "fcfp_counts"
    version = 1
    rate = 4_000
    reads_stereo = False

    def __init__(self) -> None:
        invariants = GetMorganFeatureAtomInvGen()
        generator = GetMorganGenerator(
            radius=ECFP_RADIUS, fpSize=ECFP_SIZE, atomInvariantsGenerator=invariants
        )
        super().__init__(generator, "fcfp")


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
