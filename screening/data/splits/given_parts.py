"""Parts that a table or a file gives, made whole: copies together, and a validation part if there is none."""

import numpy as np

from ..part_names import LEFT_OUT, PARTS
from .contract import Molecules


def parts_as_given(
    codes: np.ndarray, share: float, molecules: Molecules, generator: np.random.Generator
) -> tuple[np.ndarray, list[str]]:
    """The part codes with copies together, a share of train as validation part, and notes of both."""
    together, moved = _copies_follow_the_first(codes, molecules)
    codes, taken = _with_valid(together, share, molecules, generator)
    return codes, [*moved, *taken]


def _with_valid(
    codes: np.ndarray, share: float, molecules: Molecules, generator: np.random.Generator
) -> tuple[np.ndarray, list[str]]:
    """A random share of the training structures as the validation part, where there is none."""
    if not 0 <= share < 1:
        raise ValueError(
            f"option 'valid_from_train' is {share}; a share of 0 or more and below 1 was expected."
        )
    if not share:
        return codes, []
    if (codes == PARTS.index("valid")).any():
        raise ValueError("option 'valid_from_train' is given, and there is a validation part. Leave it out.")
    trained = np.unique(molecules.structure[codes == 0])
    n_valid = round(share * len(trained))
    chosen = np.zeros(len(molecules.first), dtype=bool)
    chosen[generator.permutation(trained)[:n_valid]] = True
    taken = np.where((codes == 0) & chosen[molecules.structure], PARTS.index("valid"), codes)
    return taken, [f"{n_valid:,} structures of train, drawn at random, are the validation part."]


def _copies_follow_the_first(codes: np.ndarray, molecules: Molecules) -> tuple[np.ndarray, list[str]]:
    """Put all copies of a structure that are in some part into the part of the first such copy."""
    inside = np.flatnonzero(codes != LEFT_OUT)
    structures, first = np.unique(molecules.structure[inside], return_index=True)
    part = np.full(len(molecules.first), LEFT_OUT)
    part[structures] = codes[inside[first]]
    together = np.where(codes == LEFT_OUT, LEFT_OUT, part[molecules.structure])
    moved = int((together != codes).sum())
    if not moved:
        return codes, []
    return together, [
        f"{moved:,} copies of structures in another part were moved to the part of the first copy."
    ]
