"""Several measurements of one molecule in one assay as one value, and how far they lie apart.

Values are on the trained scale. What is merged is decided elsewhere; here are numbers and groups alone.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..errors import listed
from .assay_kinds import Assay

FAR = 1.0
"""Range of a molecule's exact values, in log units, that is counted as wide."""


class Combined(NamedTuple):
    """One value per group of measurements, and how they agree."""

    values: np.ndarray
    """float64 [G], NaN = not measured, or bounds without an exact value that are of both directions."""
    censored: np.ndarray
    """int8 [G]: 1 = the true value is above, -1 = below, 0 = as it is."""
    ranges: np.ndarray
    """float64 [G], largest less smallest exact value; NaN where there are not two."""
    n_replaced: np.ndarray
    """int [G], censored measurements beside exact ones, which stand for them."""
    is_outside: np.ndarray
    """bool [G], the exact value lies outside of a bound beside it."""
    is_between: np.ndarray
    """bool [G], bounds of both directions and nothing exact: missing."""


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
    middle, ranges, n_exact = medians(values[exact], groups[exact], n_groups)
    lower, upper = np.full(n_groups, -np.inf), np.full(n_groups, np.inf)
    np.maximum.at(lower, groups[relations > 0], values[relations > 0])
    np.minimum.at(upper, groups[relations < 0], values[relations < 0])
    has_exact, has_lower, has_upper = n_exact > 0, np.isfinite(lower), np.isfinite(upper)
    both = ~has_exact & has_lower & has_upper
    bound = np.where(has_lower, lower, np.where(has_upper, upper, np.nan))
    censored = np.where(has_exact | both, 0, has_lower.astype(np.int8) - has_upper.astype(np.int8))
    return Combined(
        values=np.where(has_exact, middle, np.where(both, np.nan, bound)),
        censored=censored.astype(np.int8),
        ranges=ranges,
        n_replaced=np.bincount(groups[~exact], minlength=n_groups) * has_exact,
        is_outside=has_exact & ((middle < lower) | (middle > upper)),
        is_between=both,
    )


def medians(
    values: np.ndarray, groups: np.ndarray, n_groups: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Median and range of each group's values, NaN where there are no value and no two, and counts: [G]."""
    counts = np.bincount(groups, minlength=n_groups)
    sorted_values = values[np.lexsort((values, groups))]
    filled = np.flatnonzero(counts)
    first = (np.cumsum(counts) - counts)[filled]
    n = counts[filled]
    middle, ranges = np.full((2, n_groups), np.nan)
    middle[filled] = (sorted_values[first + (n - 1) // 2] + sorted_values[first + n // 2]) / 2
    ranges[filled] = np.where(n > 1, sorted_values[first + n - 1] - sorted_values[first], np.nan)
    return middle, ranges, counts


def replicate_notes(combined: Combined, assays: Sequence[Assay], tasks: np.ndarray) -> list[str]:
    """What was merged of real assays: how far replicates lie apart, and what bounds beside them did.

    Parameters
    ----------
    tasks : int [G], the place in `assays` of each group's; groups of classes are not looked at.
    """
    is_real = np.array([assay.is_real for assay in assays], bool)[tasks]
    repeated = is_real & ~np.isnan(combined.ranges)
    notes = []
    if repeated.any():
        notes.append(
            f"{repeated.sum():,} real values are medians of several exact ones: "
            f"{by_assay(repeated, assays, tasks)}."
        )
    repeated &= _are_logarithmic(assays)[tasks]
    if repeated.any():
        half, most = np.quantile(combined.ranges[repeated], [0.5, 0.9])
        far = by_assay(repeated & (combined.ranges > FAR), assays, tasks)
        notes.append(
            f"{repeated.sum():,} of them are in log units: their exact values range over {half:.2g} in the "
            f"middle, over at most {most:.2g} for nine in ten"
            + (f", and over more than {FAR:g} in {far}." if far else ".")
        )
    for what, at in (
        ("censored measurements gave way to exact ones", combined.n_replaced * is_real),
        ("exact values lie outside of a bound (> or <) of the same molecule", combined.is_outside & is_real),
        (
            "values have bounds in both directions and none exact, and are missing",
            combined.is_between & is_real,
        ),
    ):
        if at.any():
            notes.append(f"{at.sum():,} {what}: {by_assay(at, assays, tasks)}.")
    return notes


def _are_logarithmic(assays: Sequence[Assay]) -> np.ndarray:
    """Whose scale is in log units, as far as it says so: bool [T]; values without unit and transform too."""
    scales = ("log10", "neg_log10_molar")
    are_so = [each.transform in scales or (each.transform, each.unit) == ("none", "") for each in assays]
    return np.array(are_so, dtype=bool)


def by_assay(counts: np.ndarray, assays: Sequence[Assay], tasks: np.ndarray) -> str:
    """The sums of some assays, the largest first."""
    sums = np.bincount(tasks, counts, minlength=len(assays)).astype(int)
    order = [place for place in np.argsort(-sums, kind="stable").tolist() if sums[place]]
    return listed((f"'{assays[place].name}' {sums[place]:,}" for place in order), 5, mark="")
