"""What count fingerprints share: a generator of RDKit, its counts folded to a fixed number of columns."""

from typing import Any

import numpy as np
from rdkit.Chem import Mol

from ..featurizers import VectorFeaturizer


class FoldedCounts(VectorFeaturizer):
    """Counts of a generator of `rdFingerprintGenerator`, at most 255; columns are `prefix` and a number."""

    kind = "counts"

    def __init__(self, generator: Any, prefix: str) -> None:
        self.columns = tuple(f"{prefix}_{number}" for number in range(generator.GetOptions().fpSize))
        self._generator = generator

    def __call__(self, mol: Mol) -> np.ndarray:
        return np.minimum(self._generator.GetCountFingerprintAsNumPy(mol), 255).astype(np.uint8)

    def nonzero(self, mol: Mol) -> tuple[list[int], list[int]]:
        counts = self._generator.GetCountFingerprint(mol).GetNonzeroElements()
        return list(counts), list(counts.values())
