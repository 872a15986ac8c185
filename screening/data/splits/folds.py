"""For cross-validation."""

import heapq
from typing import Literal

import numpy as np

from ..part_names import PARTS
from .contract import Molecules, register


@register("folds")
def folds_split(
    molecules: Molecules,
    generator: np.random.Generator,
    *,
    fold: int = 0,
    folds: int = 5,
    by: Literal["scaffold", "random"] = "scaffold",
) -> tuple[np.ndarray, list[str]]:
    """One of `folds` folds tests, the next one validates: over all folds every molecule is tested once.

    The folds depend on the seed, not on `fold`. With `scaffold` no Murcko scaffold is in two folds; a
    molecule without a ring has none and is a group of its own, since together they would fill a fold (23 %
    of Tox21). Groups go into the smallest fold, largest groups first.

    Parameters
    ----------
    fold : which one tests, counted from 0.
    folds : how many there are, at least 3.
    by : "scaffold", or "random" for single structures.
    """
    if folds < 3:
        raise ValueError(f"option 'folds' is {folds}; at least 3 were expected, to train, validate and test.")
    if not 0 <= fold < folds:
        raise ValueError(f"option 'fold' is {fold}; 0 to {folds - 1} was expected, of {folds} folds.")
    scaffolds = molecules.scaffolds() if by == "scaffold" else [""] * len(molecules.first)
    keys = [scaffold or f"structure {number}" for number, scaffold in enumerate(scaffolds)]
    groups = molecules.rows_by(keys)
    shuffled = generator.permutation(len(groups))
    sizes = np.array([len(group) for group in groups])[shuffled]
    smallest = [(0, number) for number in range(folds)]
    fold_of = np.empty(len(molecules.structure), dtype=np.int64)
    for place in shuffled[np.argsort(-sizes, kind="stable")].tolist():
        filled, number = heapq.heappop(smallest)
        fold_of[groups[place]] = number
        heapq.heappush(smallest, (filled + len(groups[place]), number))
    counts = np.bincount(fold_of, minlength=folds)
    notes = []
    if counts.max() > 1.5 * len(fold_of) / folds:
        notes.append(f"The folds differ in size: {', '.join(f'{n:,}' for n in counts)} molecules.")
    codes = np.zeros(len(fold_of), dtype=np.int64)
    codes[fold_of == (fold + 1) % folds] = PARTS.index("valid")
    codes[fold_of == fold] = PARTS.index("test")
    return codes, notes
