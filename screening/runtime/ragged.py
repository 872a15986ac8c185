"""Ragged arrays: n rows of unequal lengths laid end to end, as one array and where each row lies in it.

The atoms of molecules, the bits of fingerprints and the knots of curves are kept so: without padding, and
without a loop over rows.
"""

import numpy as np


def firsts(lengths: np.ndarray) -> np.ndarray:
    """int64 [n], where each row begins.

    >>> firsts(np.array([2, 0, 3])).tolist()
    [0, 2, 2]
    """
    return np.cumsum(lengths) - lengths


def bounds(lengths: np.ndarray) -> np.ndarray:
    """int64 [n + 1], where each row begins, and where the last one ends.

    >>> bounds(np.array([2, 0, 3])).tolist()
    [0, 2, 2, 5]
    """
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])


def owners(lengths: np.ndarray) -> np.ndarray:
    """int64 [all], the row of each element.

    >>> owners(np.array([2, 0, 3])).tolist()
    [0, 0, 2, 2, 2]
    """
    return np.repeat(np.arange(len(lengths)), lengths)


def spans(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """int64, start, start + 1, ... of each span, one after the other: the places of the elements of rows.

    >>> spans(np.array([10, 3]), np.array([2, 3])).tolist()
    [10, 11, 3, 4, 5]
    """
    return np.arange(lengths.sum()) + np.repeat(starts - firsts(lengths), lengths)


def are_bounds(values: np.ndarray, n_elements: int) -> bool:
    """Whether these can be the `bounds` of rows with so many elements in all.

    >>> are_bounds(np.array([0, 2, 2, 5]), 5), are_bounds(np.array([0, 3, 2, 5]), 5)
    (True, False)
    """
    fits = values.ndim == 1 and values.dtype.kind == "i" and len(values) > 0
    return fits and values[0] == 0 and values[-1] == n_elements and bool((np.diff(values) >= 0).all())
