"""Counts of atom pairs at their distance."""

from functools import partial

from rdkit.Chem.rdFingerprintGenerator import GetAtomPairGenerator

from ..featurizers import featurizers
from .folded_counts import FoldedCounts

ATOM_PAIRS_SIZE = 4096


@featurizers.register("atom_pairs")
class AtomPairs(FoldedCounts):
    """How often each pair of atoms occurs at each distance, folded to 4,096 columns, at most 255.

    An atom is its element, its heavy neighbours and its pi electrons; distances are 1 to 30 bonds. The time
    grows with the third power of the atoms: 1.4 seconds for a molecule of 1,000.

    References
    ----------
    R. Carhart, D. Smith, R. Venkataraghavan, J. Chem. Inf. Comput. Sci. 25, 64, 1985.
    https://doi.org/10.1021/ci00046a002
    """

    name = "atom_pairs"
    version = 1
    rate = 17_000
    prefix = "pair"
    generator = staticmethod(partial(GetAtomPairGenerator, fpSize=ATOM_PAIRS_SIZE, countSimulation=False))
