"""What count fingerprints share: a generator of RDKit, its counts folded to a fixed number of columns."""

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from rdkit.Chem import Mol

from ..featurizers import VectorFeaturizer


class FoldedCounts(VectorFeaturizer):
    """Counts of a generator of `rdFingerprintGenerator`, at most 255."""

    kind = "counts"
    prefix: ClassVar[str]
    """Columns are this and a number."""
    generator: ClassVar[Callable[[], Any]]
    """Makes the generator."""

    def __init__(self) -> None:
        self._generator = type(self).generator()
        self.columns = tuple(
            f"{self.prefix}_{number}" for number in range(self._generator.GetOptions().fpSize)
        )

    def __call__(self, mol: Mol) -> np.ndarray:
        return np.minimum(self._generator.GetCountFingerprintAsNumPy(mol), 255).astype(np.uint8)

    def nonzero(self, mol: Mol) -> tuple[list[int], list[int]]:
        counts = self._generator.GetCountFingerprint(mol).GetNonzeroElements()
        return list(counts), list(counts.values())
