"""Shares of the parts, and whole numbers of molecules from them."""

from collections.abc import Sequence

import numpy as np

Fractions = tuple[float, float, float]
"""Shares of train, valid and test: each above 0, together 1."""

EIGHT_TO_ONE = (0.8, 0.1, 0.1)
"""As in MoleculeNet, OGB and MUBen."""


def checked_fractions(fractions: Sequence[float]) -> np.ndarray:
    if min(fractions) <= 0 or abs(sum(fractions) - 1) > 1e-6:
        raise ValueError(
            f"option 'fractions' is {list(fractions)}; three shares above 0 that add up to 1 were expected "
            "(train, valid, test)."
        )
    return np.array(fractions, dtype=float)


def part_sizes(n: int, fractions: Sequence[float]) -> np.ndarray:
    """Whole numbers that add up to n, nearest to the fractions, none 0 if n allows."""
    exact = checked_fractions(fractions) * n
    sizes = np.floor(exact + 1e-9).astype(int)
    sizes[np.argsort(sizes - exact, kind="stable")[: n - sizes.sum()]] += 1
    while n >= len(sizes) and sizes.min() == 0:
        sizes[sizes.argmin()] += 1
        sizes[sizes.argmax()] -= 1
    return sizes
