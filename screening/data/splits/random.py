"""At random."""

import numpy as np

from ..part_names import PARTS
from .contract import Molecules, register
from .fractions import EIGHT_TO_ONE, Fractions, part_sizes


@register("random")
def random_split(
    molecules: Molecules, generator: np.random.Generator, *, fractions: Fractions = EIGHT_TO_ONE
) -> tuple[np.ndarray, list[str]]:
    """Structures in a random order, cut at the fractions.

    Parameters
    ----------
    fractions : shares of train, valid and test, each above 0, together 1.
    """
    n = len(molecules.first)
    codes = np.repeat(np.arange(len(PARTS)), part_sizes(n, fractions))
    return generator.permutation(codes)[molecules.structure], []
