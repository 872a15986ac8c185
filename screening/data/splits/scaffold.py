"""By Murcko scaffolds."""

import numpy as np

from ..part_names import PARTS
from .contract import Molecules, register
from .fractions import EIGHT_TO_ONE, Fractions, checked_fractions


@register("scaffold")
def scaffold_split(
    molecules: Molecules,
    generator: np.random.Generator,
    *,
    fractions: Fractions = EIGHT_TO_ONE,
    balanced: bool = False,
) -> tuple[np.ndarray, list[str]]:
    """No Murcko scaffold in two parts; molecules without a ring count as one scaffold.

    Largest scaffolds first, so the test part has the rare ones; the seed plays no part. It equals DeepChem
    2.8's ScaffoldSplitter on the same molecules. With `balanced` the order is random, but scaffolds that
    would fill half of valid or test go first, as in chemprop's `scaffold_balanced`.

    Parameters
    ----------
    fractions : shares of train, valid and test, each above 0, together 1.
    balanced : a random order in place of the largest first.

    References
    ----------
    Bemis, Murcko, J. Med. Chem. 39 (1996) 2887; DeepChem `deepchem/splits/splitters.py` (MIT); chemprop
    `chemprop/data/scaffold.py` of version 1 (MIT).
    """
    shares = checked_fractions(fractions)
    n = len(molecules.structure)
    groups = molecules.rows_by(molecules.scaffolds())
    valid_limit = (fractions[0] + fractions[1]) * n
    if balanced:
        large = np.array([len(group) > n * min(shares[1:]) / 2 for group in groups])
        shuffled = generator.permutation(len(groups))
        order = shuffled[np.argsort(~large[shuffled], kind="stable")].tolist()
    else:
        order = sorted(range(len(groups)), key=lambda i: (len(groups[i]), groups[i][0]), reverse=True)
    codes = np.empty(n, dtype=np.int64)
    filled = np.zeros(len(PARTS), dtype=np.int64)
    for group in (groups[i] for i in order):
        if filled[0] + len(group) <= fractions[0] * n:
            part = 0
        elif filled[0] + filled[1] + len(group) <= valid_limit:
            part = 1
        else:
            part = 2
        codes[group] = part
        filled[part] += len(group)
    return codes, []
