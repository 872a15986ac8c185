"""Several measurements of one molecule in one assay as one value, and how far they lie apart.

Values are on the trained scale. What is merged is decided elsewhere; here are numbers and groups alone.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

FAR = 1.0
"""Range of a molecule's exact values, on the trained scale, that is counted as wide: a log unit."""


class Combined(NamedTuple):
    """One value per group."""

    values: np.ndarray
    """float64 [G], NaN = not measured, or bounds without an exact value that are of both directions."""
    censored: np.ndarray
    """int8 [G]: 1 = the true value is above, -1 = below, 0 = as it is."""
    spread: "Spread"


@dataclass(frozen=True)
class Spread:
    """How the measurements of one assay agree; sums of disjoint groups."""

    ranges: np.ndarray
    """float64 [r], largest less smallest exact value of the groups with two or more, in no order."""
    n_replaced: int = 0
    """Censored measurements that an exact one of the same group stands for."""
    n_outside: int = 0
    """Groups whose exact value lies outside of a bound of theirs."""
    n_both: int = 0
    """Groups without an exact value and with bounds in both directions, which were taken as missing."""

    @property
    def n_repeated(self) -> int:
        """Groups with two or more exact values."""
        return len(self.ranges)

    @property
    def n_far(self) -> int:
        """Those whose exact values range over more than FAR."""
        return int((self.ranges > FAR).sum())


def combine(values: np.ndarray, relations: np.ndarray, groups: np.ndarray, n_groups: int) -> Combined:
    """One value per group of measurements, whatever their order.

    The median of the exact values. Censored ones count only where a group has none that is exact; then the
    tightest bound does: the highest of "above", the lowest of "below". Bounds in both directions and nothing
    exact are a missing value. A median of medians is not the median: combine measurements, once.

    Parameters
    ----------
    values : [k], NaN = not measured.
    relations : int8 [k], above 0 = the true value is above, below 0 = below, 0 = exact.
    groups : int [k], group of each measurement, from 0.
    n_groups : how many there are; those without a measurement become NaN.

    Examples
    --------
    >>> values, relations = np.array([5.0, 7.0, 4.0, 3.0, 6.0]), np.array([0, 0, 1, 1, 1])
    >>> combine(values, relations, np.array([0, 0, 0, 1, 1]), 3)[:2]
    (array([ 6.,  6., nan]), array([0, 1, 0], dtype=int8))
    """
    measured = ~np.isnan(values)
    values, relations, groups = values[measured].astype(np.float64), relations[measured], groups[measured]
    exact = relations == 0
    middle, ranges, n_exact = _medians(values[exact], groups[exact], n_groups)
    lower, upper = np.full(n_groups, -np.inf), np.full(n_groups, np.inf)
    np.maximum.at(lower, groups[relations > 0], values[relations > 0])
    np.minimum.at(upper, groups[relations < 0], values[relations < 0])
    has_exact, has_lower, has_upper = n_exact > 0, np.isfinite(lower), np.isfinite(upper)
    both = ~has_exact & has_lower & has_upper
    bound = np.where(has_lower, lower, np.where(has_upper, upper, np.nan))
    censored = np.where(has_exact | both, 0, has_lower.astype(np.int8) - has_upper.astype(np.int8))
    spread = Spread(
        ranges=ranges,
        n_replaced=int((~exact & has_exact[groups]).sum()),
        n_outside=int((has_exact & ((middle < lower) | (middle > upper))).sum()),
        n_both=int(both.sum()),
    )
    return Combined(
        np.where(has_exact, middle, np.where(both, np.nan, bound)), censored.astype(np.int8), spread
    )


def _medians(
    values: np.ndarray, groups: np.ndarray, n_groups: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Median [G] (NaN where there is no value), ranges [r] of groups of several values, and counts [G]."""
    counts = np.bincount(groups, minlength=n_groups)
    sorted_values = values[np.lexsort((values, groups))]
    filled = np.flatnonzero(counts)
    first = (np.cumsum(counts) - counts)[filled]
    n = counts[filled]
    middle = np.full(n_groups, np.nan)
    middle[filled] = (sorted_values[first + (n - 1) // 2] + sorted_values[first + n // 2]) / 2
    ranges = sorted_values[first + n - 1] - sorted_values[first]
    return middle, ranges[n > 1], counts
