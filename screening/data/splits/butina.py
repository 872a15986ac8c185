"""By clusters of similar molecules."""

import numpy as np

from .by_deepchem import split_by_deepchem
from .contract import Molecules, register
from .fractions import EIGHT_TO_ONE, Fractions

BUTINA_LIMIT = 8_000
"""DeepChem's Butina keeps every pair's distance as a Python number: 90 bytes a pair measured, 3 GB here."""


@register("butina")
def butina_split(
    molecules: Molecules,
    generator: np.random.Generator,
    *,
    fractions: Fractions = EIGHT_TO_ONE,
    cutoff: float = 0.6,
) -> tuple[np.ndarray, list[str]]:
    """No Butina cluster in two parts, the largest clusters in train; DeepChem's ButinaSplitter.

    Time and memory grow with the square of the number of molecules: at most BUTINA_LIMIT. The seed plays no
    part.

    Parameters
    ----------
    fractions : shares of train, valid and test, each above 0, together 1.
    cutoff : molecules are neighbours up to this Tanimoto distance (ECFP4, 1,024 bits).
    """
    if not 0 < cutoff < 1:
        raise ValueError(f"option 'cutoff' is {cutoff}; a Tanimoto distance between 0 and 1 was expected.")
    return split_by_deepchem("butina", molecules, fractions, BUTINA_LIMIT, cutoff=cutoff)
