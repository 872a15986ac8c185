"""Morgan fingerprints: counts of radius 2 and 3, by element, by function or with chirality, and bits."""

from functools import partial

import numpy as np
from rdkit.Chem import Mol
from rdkit.Chem.rdFingerprintGenerator import GetMorganFeatureAtomInvGen, GetMorganGenerator

from ..featurizers import VectorFeaturizer, featurizers
from .folded_counts import FoldedCounts

ECFP_RADIUS = 2
ECFP_SIZE = 2048
morgan = partial(GetMorganGenerator, radius=ECFP_RADIUS, fpSize=ECFP_SIZE)


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
    rate = 34_000
    reads_stereo = False
    prefix = "ecfp"
    generator = staticmethod(morgan)


@featurizers.register("ecfp6_counts")
class Ecfp6Counts(FoldedCounts):
    """How often each Morgan environment of radius 3 occurs, folded to 2,048 columns, at most 255."""

    name = "ecfp6_counts"
    version = 1
    rate = 30_000
    reads_stereo = False
    prefix = "ecfp6"
    generator = staticmethod(partial(morgan, radius=3))


@featurizers.register("fcfp_counts")
class FcfpCounts(FoldedCounts):
    """As `ecfp_counts`, but an atom is what it can do: donor, acceptor, acid, base, aromatic, halogen.

    References
    ----------
    Rogers and Hahn, as for `ecfp_counts`: the functional-class fingerprint FCFP_4.
    """

    name = "fcfp_counts"
    version = 1
    rate = 9_000
    reads_stereo = False
    prefix = "fcfp"
    generator = staticmethod(partial(morgan, atomInvariantsGenerator=GetMorganFeatureAtomInvGen()))


@featurizers.register("ecfp_chiral_counts")
class EcfpChiralCounts(FoldedCounts):
    """As `ecfp_counts`, but stereoisomers differ: by R and S of atoms, and by E and Z of double bonds."""

    name = "ecfp_chiral_counts"
    version = 1
    rate = 34_000
    prefix = "ecfp_chiral"
    generator = staticmethod(partial(morgan, includeChirality=True))


@featurizers.register("ecfp_bits")
class EcfpBits(VectorFeaturizer):
    """Which Morgan environments of radius 2 occur, folded to 2,048 columns."""

    name = "ecfp_bits"
    version = 1
    rate = 34_000
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
