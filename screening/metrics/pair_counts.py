"""Of every measured cell: how many others of its assay have a value that is certainly higher or lower, and
how many of these pairs a prediction ranks right. All assays at once, in O(n log n); no loop over pairs.
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from .ranking import sort_codes

_CELLS_AT_ONCE = 2**16  # fits the processor's cache, which halves the time of one long array


class Pairs(NamedTuple):
    """Pairs that each cell is part of, all int64 [k] in the order of the cells.

    A pair is counted at both of its cells, so sums over an assay are twice its pairs.
    """

    comparable: np.ndarray
    """Pairs of which it is certain whose true value is the lower one."""
    right: np.ndarray
    """Those of them in which the prediction of the lower one is the lower one."""
    tied: np.ndarray
    """Those of them with one prediction for both."""


def count_pairs(
    bounds: np.ndarray, values: np.ndarray, censored: np.ndarray, predictions: np.ndarray
) -> Pairs:
    """Comparable pairs of each cell, and those that the predictions rank right or alike; fields of `Cells`.

    The true value of cell i is certainly below that of cell j if i is exact or an upper bound (< y), j is
    exact or a lower bound (> y), and y_i < y_j, or y_i = y_j and not both are exact: > 5 lies above 5, and
    < 5 below it. Two exact cells of equal value, > 5 and > 5, > 5 and 6, < 5 and 4 are not comparable.
    """
    task = np.repeat(np.arange(len(bounds) - 1), np.diff(bounds))
    counts = np.zeros((3, len(task)), dtype=np.int64)
    for piece in _pieces(bounds):
        counts[:, piece] = _counted(task[piece], values[piece], censored[piece], predictions[piece])
    return Pairs(*counts)


def numbered(task: np.ndarray, values: np.ndarray) -> np.ndarray:
    """int64 [k]: 0 for the least value of the first task, 1 for the next one, on through all tasks."""
    return _numbered((task.astype(np.uint64) << np.uint64(32)) | sort_codes(values)[0])


def extent(*keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the run of equal keys around each cell begins and ends, of sorted cells."""
    is_first = np.logical_or.reduce([_is_first(key) for key in keys])
    starts = np.flatnonzero(is_first)
    place = np.cumsum(is_first) - 1
    return starts[place], np.append(starts[1:], len(is_first))[place]


def _pieces(bounds: np.ndarray) -> list[slice]:
    """Whole assays, together as many cells as are worked on at once, or one longer one."""
    piece = bounds[:-1] // _CELLS_AT_ONCE
    first = np.flatnonzero(np.diff(piece, prepend=-1))
    return [slice(*bounds[list(ends)].tolist()) for ends in pairwise([*first.tolist(), len(piece)])]


def _counted(
    task: np.ndarray, values: np.ndarray, censored: np.ndarray, predictions: np.ndarray
) -> np.ndarray:
    """Comparable, right and tied pairs of each cell, int64 [3, k]."""
    task = (task - task[:1]).astype(np.uint64)
    is_low, is_high = censored <= 0, censored >= 0
    above = (censored + 1).astype(np.uint64)  # at one value: < y, then y, then > y
    level = _numbered((task << np.uint64(34)) | (sort_codes(values)[0] << np.uint64(2)) | above)
    score = numbered(task, predictions)
    # Of equal values the highest score comes first, so none of their pairs looks like a right one.
    by_value = _order(level, score.max(initial=0) - score)
    by_score = _order(score, level)
    counts = np.empty((3, len(task)), dtype=np.int64)
    for row, order, group in ((0, by_value, task), (2, by_score, score)):
        counts[row, order] = _partners(group[order], level[order], is_low[order], is_high[order])
    counts[1, by_value] = _right(task[by_value], score[by_value], is_low[by_value], is_high[by_value])
    return counts


def _numbered(keys: np.ndarray) -> np.ndarray:
    """int64 [k]: 0 for the least key, 1 for the next one, and so on."""
    order = np.argsort(keys)
    numbers = np.empty(len(keys), dtype=np.int64)
    numbers[order] = np.cumsum(_is_first(keys[order])) - 1
    return numbers


def _order(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return np.argsort((first << 32) | second)


def _is_first(keys: np.ndarray) -> np.ndarray:
    """bool [k], whether a key of sorted ones differs from the one before it."""
    is_first = np.ones(len(keys), dtype=bool)
    is_first[1:] = keys[1:] != keys[:-1]
    return is_first


def _partners(group: np.ndarray, level: np.ndarray, is_low: np.ndarray, is_high: np.ndarray) -> np.ndarray:
    """Comparable pairs within the group, of cells sorted by group and level."""
    start, end = extent(group)
    of_level, after_level = extent(level, group)
    lows, highs = _before(is_low), _before(is_high)
    below = np.where(is_high, lows[of_level] - lows[start], 0)
    return below + np.where(is_low, highs[end] - highs[after_level], 0)


def _before(flags: np.ndarray) -> np.ndarray:
    """int64 [k + 1], how many are true before each place."""
    counts = np.zeros(len(flags) + 1, dtype=np.int64)
    np.cumsum(flags, out=counts[1:])
    return counts


def _right(task: np.ndarray, score: np.ndarray, is_low: np.ndarray, is_high: np.ndarray) -> np.ndarray:
    """Pairs of a low cell and a later high cell of the task with a higher score, counted at both.

    From the highest bit of the scores down, cells are parted into those with 0 and those with 1, each half in
    the order it had: the first bit in which two cells differ says whose score is the higher one.
    """
    counts, cell = np.zeros(len(task), dtype=np.int64), np.arange(len(task))
    start, end = extent(task)
    score = score - np.minimum.reduceat(score, np.unique(start))[_before(_is_first(task))[1:] - 1]
    for bit in reversed(range(int(score.max(initial=0)).bit_length())):
        is_one = (score >> bit & 1).astype(bool)
        low_zeros, high_ones, zeros = _before(~is_one & is_low), _before(is_one & is_high), _before(~is_one)
        here = np.arange(len(task))
        below = is_high * (low_zeros[here] - low_zeros[start])
        above = is_low * (high_ones[end] - high_ones[here])
        counts[cell] += np.where(is_one, below, above)
        middle = start + zeros[end] - zeros[start]
        passed = zeros[here] - zeros[start]
        place = np.where(is_one, middle + (here - start - passed), start + passed)
        start, end = np.where(is_one, middle, start), np.where(is_one, end, middle)
        order = np.empty_like(place)
        order[place] = here
        score, is_low, is_high, cell = score[order], is_low[order], is_high[order], cell[order]
        start, end = start[order], end[order]
    return counts
