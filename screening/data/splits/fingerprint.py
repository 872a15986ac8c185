"""Into parts that are unlike each other."""

import numpy as np

from .by_deepchem import split_by_deepchem
from .contract import Molecules, register
from .fractions import EIGHT_TO_ONE, Fractions

FINGERPRINT_LIMIT = 30_000
"""DeepChem's fingerprint split compares every pair: 4 s at 4,000 molecules, minutes here."""


@register("fingerprint")
def fingerprint_split(
    molecules: Molecules, generator: np.random.Generator, *, fractions: Fractions = EIGHT_TO_ONE
) -> tuple[np.ndarray, list[str]]:
    """Parts as unlike each other as can be in ECFP4; DeepChem's FingerprintSplitter, a hard test.

    Time grows with the square of the number of molecules: at most FINGERPRINT_LIMIT. The seed plays no part.

    Parameters
    ----------
    fractions : shares of train, valid and test, each above 0, together 1.
    """
    return split_by_deepchem("fingerprint", molecules, fractions, FINGERPRINT_LIMIT)
