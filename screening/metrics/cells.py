"""The measured cells of real assays, one after the other: what the metrics of values are computed from."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from ..errors import DataError
from .pair_counts import Pairs, count_pairs
from .sums import spread_between


class Packing(NamedTuple):
    """Whose the measured cells are in arrays [m, T] of which a row is no molecule.

    Tables of which few cells are measured come so: those of each assay one below the other.
    """

    molecule: np.ndarray
    """int64 [m, T], the molecule of each cell, rising down a column; not read where nothing was measured."""
    n: int
    """Molecules."""

    def take(self, at: slice | np.ndarray) -> "Packing":
        """Of a part of the tasks."""
        return Packing(self.molecule[:, at], self.n)


def molecules_of(labels: np.ndarray, packing: Packing | None = None) -> np.ndarray:
    """int64 [k], the molecules of the measured cells of labels [n, T], by task; rows without a packing."""
    task, row = np.nonzero(~np.isnan(labels.T))
    return row if packing is None else packing.molecule[row, task]


@dataclass(frozen=True)
class Cells:
    """The k measured cells of T assays, by assay and within one in the order of the molecules."""

    values: np.ndarray
    """float64 [k], the value, or the bound where it is censored."""
    predictions: np.ndarray
    """float64 [k], on the scale of the values."""
    censored: np.ndarray
    """int8 [k]: 1 = the true value is above the bound, -1 = below, 0 = exact."""
    molecule: np.ndarray
    """int64 [k], row of the table, or what a `Packing` says."""
    bounds: np.ndarray
    """int64 [T + 1]: assay t has the cells bounds[t] to bounds[t + 1]."""

    @cached_property
    def task(self) -> np.ndarray:
        """int64 [k], ascending."""
        return np.repeat(np.arange(len(self.bounds) - 1), self.counts)

    @cached_property
    def counts(self) -> np.ndarray:
        """int64 [T], cells per assay."""
        return np.diff(self.bounds)

    @cached_property
    def residuals(self) -> np.ndarray:
        """float64 [k], prediction minus value or bound."""
        return self.predictions - self.values

    @cached_property
    def varies(self) -> np.ndarray:
        """bool [T], whether the assay has two different values."""
        return spread_between(self.values, self.bounds) > 0

    @cached_property
    def predictions_vary(self) -> np.ndarray:
        """bool [T], whether the assay has two different predictions."""
        return spread_between(self.predictions, self.bounds) > 0

    @cached_property
    def pairs(self) -> Pairs:
        """Comparable pairs of each cell, and how they are ranked."""
        return count_pairs(self.bounds, self.values, self.censored, self.predictions)

    @cached_property
    def exact(self) -> "Cells":
        """The cells that are not censored."""
        is_exact = self.censored == 0
        if is_exact.all():
            return self
        bounds = np.concatenate([[0], np.cumsum(is_exact)])[self.bounds]
        return Cells(
            self.values[is_exact],
            self.predictions[is_exact],
            self.censored[is_exact],
            self.molecule[is_exact],
            bounds,
        )


def cells_of(
    labels: np.ndarray,
    predictions: np.ndarray,
    censored: np.ndarray | None = None,
    tasks: Sequence[str] | None = None,
) -> Cells:
    """The measured cells of a table.

    Parameters
    ----------
    labels : [n, T] values or bounds, NaN = not measured.
    predictions : [n, T], not read where nothing was measured.
    censored : int8 [n, T] as in `Cells`; None = all are exact.
    tasks : T names for messages.

    Raises
    ------
    DataError : a label is infinite, or the prediction of a measured molecule is NaN or infinite.
    ValueError : the shapes do not fit.
    """
    labels, predictions = np.asarray(labels), np.asarray(predictions)
    if labels.ndim != 2 or labels.shape != predictions.shape:
        raise ValueError(f"labels {labels.shape} and scores {predictions.shape}: expected the same [n, T].")
    if censored is not None and np.shape(censored) != labels.shape:
        raise ValueError(
            f"censored {np.shape(censored)} and labels {labels.shape}: expected the same [n, T]."
        )
    molecule, task = np.divmod(np.flatnonzero(~np.isnan(labels)), max(1, labels.shape[1]))
    by_task = np.argsort(task, kind="stable")  # sorting the few cells is faster than turning the table
    molecule, task = molecule[by_task], task[by_task]
    values = labels[molecule, task].astype(np.float64)
    scores = predictions[molecule, task].astype(np.float64)
    for what, numbers in (("label", values), ("score", scores)):
        wrong = np.flatnonzero(~np.isfinite(numbers))
        if wrong.size:
            name = tasks[task[wrong[0]]] if tasks is not None else f"task {task[wrong[0]]}"
            raise DataError(
                f"Assay '{name}', row {molecule[wrong[0]]} (counted from 0): {what} {numbers[wrong[0]]} is "
                f"not a finite number ({wrong.size} such {what}s in all). Correct the table, or take these "
                "rows out."
            )
    signs = np.zeros(len(task), np.int8) if censored is None else np.asarray(censored)[molecule, task]
    bounds = np.searchsorted(task, np.arange(labels.shape[1] + 1))
    return Cells(values, scores, signs.astype(np.int8), molecule, bounds)
