"""Parts that a table or a file gives, made whole: copies together, and a validation part if there is none."""

from typing import Literal

import numpy as np

from ..part_names import LEFT_OUT, PARTS
from .contract import Molecules

Copies = Literal["together", "held_out", "apart"]
"""What becomes of rows of one structure that are given to different parts."""

ValidBy = Literal["random", "scaffold"]
"""What is drawn for the validation part: single structures, or all those of a scaffold."""


def parts_as_given(
    codes: np.ndarray,
    share: float,
    molecules: Molecules,
    generator: np.random.Generator,
    *,
    copies: Copies = "together",
    valid_by: ValidBy = "random",
) -> tuple[np.ndarray, list[str]]:
    """The part codes with copies treated, a share of train as validation part, and notes of both."""
    treated, notes = _COPIES[copies](codes, molecules)
    codes, taken = _with_valid(treated, share, molecules, generator, valid_by)
    return codes, [*notes, *taken]


def _with_valid(
    codes: np.ndarray, share: float, molecules: Molecules, generator: np.random.Generator, by: ValidBy
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
    drawn = _DRAWN[by](trained, round(share * len(trained)), molecules, generator)
    chosen = np.zeros(len(molecules.first), dtype=bool)
    chosen[drawn] = True
    taken = np.where((codes == 0) & chosen[molecules.structure], PARTS.index("valid"), codes)
    how = "drawn at random" if by == "random" else "drawn by their scaffolds"
    return taken, [f"{len(drawn):,} structures of train, {how}, are the validation part."]


def _at_random(
    trained: np.ndarray, n: int, molecules: Molecules, generator: np.random.Generator
) -> np.ndarray:
    """`n` of the structures."""
    return generator.permutation(trained)[:n]


def _by_scaffold(
    trained: np.ndarray, n: int, molecules: Molecules, generator: np.random.Generator
) -> np.ndarray:
    """Structures of whole scaffolds in a random order, as many as fit into `n`.

    A structure without a ring is a group of its own.
    """
    texts = molecules.scaffolds()
    keys = [texts[structure] or str(structure) for structure in trained.tolist()]
    _, group = np.unique(keys, return_inverse=True)
    sizes = np.bincount(group)
    order = generator.permutation(len(sizes))
    fits = np.zeros(len(sizes), dtype=bool)
    left = n
    for place in order.tolist():
        if sizes[place] <= left:
            fits[place] = True
            left -= sizes[place]
    return trained[fits[group]]


_DRAWN = {"random": _at_random, "scaffold": _by_scaffold}


def _follow_the_first(codes: np.ndarray, molecules: Molecules) -> tuple[np.ndarray, list[str]]:
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


def _last_part_alone(codes: np.ndarray, molecules: Molecules) -> tuple[np.ndarray, list[str]]:
    """Leave out rows of structures that are also in a later part: test counts before valid and train."""
    if len(molecules.first) == len(codes):
        return codes, [_NO_COPIES]
    last = np.full(len(molecules.first), LEFT_OUT)
    np.maximum.at(last, molecules.structure, codes)
    leaks = (codes != LEFT_OUT) & (codes < last[molecules.structure])
    n_structures = len(np.unique(molecules.structure[leaks]))
    note = (
        f"{int(leaks.sum()):,} rows of {n_structures:,} structures that are held out elsewhere (in test, or "
        "in valid) were left out of the other parts."
    )
    return np.where(leaks, LEFT_OUT, codes), [note]


def _as_they_are(codes: np.ndarray, molecules: Molecules) -> tuple[np.ndarray, list[str]]:
    """Change nothing, and count the structures that are on both sides."""
    if len(molecules.first) == len(codes):
        return codes, [_NO_COPIES]
    sides = [np.unique(molecules.structure[codes == code]) for code in range(len(PARTS))]
    held_out = np.union1d(sides[1], sides[2])
    n_shared = len(np.intersect1d(sides[0], held_out))
    return codes, [
        f"{n_shared:,} structures of train are in valid or test too, with other measurements: the parts are "
        "of measurements, not of molecules (split.copies=apart)."
    ]


_NO_COPIES = (
    "No structure has two rows, so split.copies changes nothing: rows of a structure are merged into the "
    "first unless data.keep_apart names the column of the parts."
)
_COPIES = {"together": _follow_the_first, "held_out": _last_part_alone, "apart": _as_they_are}
