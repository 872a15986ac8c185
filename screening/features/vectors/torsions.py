"""Counts of topological torsions."""

from functools import partial

from rdkit.Chem.rdFingerprintGenerator import GetTopologicalTorsionGenerator

from ..featurizers import featurizers
from .folded_counts import FoldedCounts

TORSIONS_SIZE = 4096


@featurizers.register("torsions")
class Torsions(FoldedCounts):
    """How often each path of four atoms occurs, folded to 4,096 columns, at most 255.

    An atom is its element, its heavy neighbours and its pi electrons.

    References
    ----------
    Topological torsion. R. Nilakantan et al., J. Chem. Inf. Comput. Sci. 27, 82, 1987.
    https://doi.org/10.1021/ci00054a008
    """

    name = "torsions"
    version = 1
    rate = 20_000
    prefix = "torsion"
    generator = staticmethod(
        partial(GetTopologicalTorsionGenerator, fpSize=TORSIONS_SIZE, countSimulation=False)
    )
