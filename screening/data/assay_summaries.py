"""Assays of a table in numbers: values and bounds of real ones, and molecules that assays share."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..runtime.ragged import firsts
from .assay_kinds import Assay
from .assay_table import AssayTable
from .sparse_cells import ROWS, SparseCells, cells_at, measured_cells


class RealSummary(NamedTuple):
    """The values of a real assay, in the user's unit."""

    assay: Assay
    n_values: int
    n_censored: int
    lowest: float
    """Bounds count as values; NaN where there is none."""
    middle: float
    highest: float
    replicates: float
    """Median range of molecules measured exactly several times, on the trained scale; NaN = there is none."""

    @property
    def share_censored(self) -> float:
        """Of the values, 0 where there is none."""
        return self.n_censored / max(self.n_values, 1)


def real_summaries(table: AssayTable, ranges: Sequence[float]) -> list[RealSummary]:
    """A summary of each real assay, in the order of the table.

    Parameters
    ----------
    ranges : T median ranges of replicates, NaN where there is none.
    """
    rows, tasks, values = measured_cells(table.labels)
    marks = np.zeros(len(rows), np.int8)
    if table.censored is not None:
        marks = cells_at(table.censored, rows, tasks)
    counts = np.bincount(tasks, minlength=len(table.tasks))
    n_censored = np.bincount(tasks, marks != 0, minlength=len(table.tasks)).astype(int)
    by_task = values[np.lexsort((values, tasks))].astype(np.float64)
    starts = firsts(counts)
    return [
        RealSummary(
            assay,
            int(counts[task]),
            int(n_censored[task]),
            *_three(by_task[starts[task] : starts[task] + counts[task]], assay),
            float(ranges[task]),
        )
        for task, assay in enumerate(table.assays)
        if assay.is_real
    ]


def _three(ordered: np.ndarray, assay: Assay) -> tuple[float, float, float]:
    """Lowest, middle and highest value in the user's unit."""
    if not len(ordered):
        return np.nan, np.nan, np.nan
    ends = np.sort(assay.in_unit(ordered[[0, -1]]))
    return float(ends[0]), float(assay.in_unit(np.median(ordered, keepdims=True))[0]), float(ends[1])


class Overlap(NamedTuple):
    """Molecules that pairs of assays have in common."""

    n_pairs: int
    n_blind: int
    """Pairs without a common molecule."""
    middle: float
    """Median of the common molecules of a pair."""
    most: int
    """Those of the pair that has most."""
    pair: tuple[str, str]
    """Its assays."""

    def __str__(self) -> str:
        return (
            f"molecules that two assays share: {self.middle:,.0f} for the middle of {self.n_pairs:,} pairs, "
            f"{self.most:,} for '{self.pair[0]}' and '{self.pair[1]}'; {self.n_blind:,} pairs share none"
        )


def overlap_of(table: AssayTable) -> Overlap | None:
    """What the assays of a table share; None of fewer than two."""
    if len(table.tasks) < 2:
        return None
    shared = _shared(table)
    first, second = np.triu_indices(len(table.tasks), 1)
    pairs = shared[first, second]
    best = int(np.argmax(pairs))
    a, b = int(first[best]), int(second[best])
    n_blind = int((pairs == 0).sum())
    return Overlap(
        len(pairs), n_blind, float(np.median(pairs)), int(shared[a, b]), (table.tasks[a], table.tasks[b])
    )


def _shared(table: AssayTable) -> np.ndarray:
    """Molecules that each two assays have in common: [T, T]."""
    if isinstance(table.labels, SparseCells):
        from scipy.sparse import csr_array

        rows, tasks, _ = measured_cells(table.labels)
        present = csr_array((np.ones(len(rows), np.int32), (rows, tasks)), shape=table.labels.shape)
        return np.asarray((present.T @ present).todense())
    shared = np.zeros((len(table.tasks),) * 2, np.int64)
    for start in range(0, len(table), ROWS):
        part = (~np.isnan(table.labels[start : start + ROWS])).astype(np.float32)
        shared += (part.T @ part).astype(np.int64)
    return shared


def median_ranges(ranges: np.ndarray, tasks: np.ndarray, n_tasks: int) -> np.ndarray:
    """Median of each task's ranges, NaN where it has none: [T].

    Parameters
    ----------
    ranges, tasks : [G], as `merging` gives them; a range may be NaN.
    """
    there = ~np.isnan(ranges)
    ordered = np.lexsort((ranges[there], tasks[there]))
    values, counts = ranges[there][ordered], np.bincount(tasks[there], minlength=n_tasks)
    starts, filled = firsts(counts), counts > 0
    middles = np.full(n_tasks, np.nan)
    low, high = starts + (counts - 1) // 2, starts + counts // 2
    middles[filled] = (values[low[filled]] + values[high[filled]]) / 2
    return middles
