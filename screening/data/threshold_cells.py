"""The measurements behind classes of a threshold, kept until those of a structure are merged."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .assay_kinds import Assay
from .replicates import by_assay, medians
from .sparse_cells import SparseCells
from .values import EQUAL, classes_by


@dataclass(frozen=True)
class ThresholdCells:
    """Values and relations of the cells [n, T] of thresholded assays, on their trained scale."""

    values: SparseCells
    """float64, not NaN where there is a cell, also where the threshold makes no class of it."""
    relations: SparseCells
    """int8 of the same cells, as `Numbers` has them."""

    @classmethod
    def of(
        cls,
        rows: np.ndarray,
        tasks: np.ndarray,
        values: np.ndarray,
        relations: np.ndarray,
        shape: tuple[int, int],
    ) -> "ThresholdCells | None":
        """The cells (row, task, value, relation), in any order; None = there is none."""
        if not len(rows):
            return None
        pairs = ((values.astype(np.float64), np.nan), (relations.astype(np.int8), 0))
        return cls(*(SparseCells.of(rows, tasks, each, shape, fill) for each, fill in pairs))

    def take(self, places: np.ndarray) -> "ThresholdCells":
        """The rows at these places."""
        return ThresholdCells(self.values.take(places), self.relations.take(places))

    def select(self, columns: np.ndarray) -> "ThresholdCells":
        """The columns at these places."""
        return ThresholdCells(self.values.select(columns), self.relations.select(columns))

    def cells(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Rows, tasks, values and relations of all cells: [m]."""
        return self.values.rows, self.values.tasks.astype(np.int64), self.values.values, self.relations.values


class MergedClasses(NamedTuple):
    """Classes of C cells, each of a molecule and an assay."""

    rows: np.ndarray
    """int64 [C], in the merged table."""
    tasks: np.ndarray
    """int64 [C]."""
    labels: np.ndarray
    """float32 [C], NaN = undecided."""
    contradicts: np.ndarray
    """bool [C], bounds that decide differently, and nothing exact."""
    is_split: np.ndarray
    """bool [C], exact values on both sides of the threshold."""

    def note(self, assays: Sequence[Assay]) -> list[str]:
        """How often the median decided."""
        if not self.is_split.any():
            return []
        return [
            f"{self.is_split.sum():,} classes have exact values on both sides of the threshold, of which the "
            f"median decides: {by_assay(self.is_split, assays, self.tasks)}."
        ]


def merged_classes(cells: ThresholdCells, groups: np.ndarray, assays: Sequence[Assay]) -> MergedClasses:
    """The classes of merged rows: by the median of exact values, else as the bounds decide.

    Parameters
    ----------
    groups : int [n], the merged row of each row.
    assays : the T assays, with thresholds where there are cells.
    """
    rows, tasks, values, relations = cells.cells()
    keys, of = np.unique(groups[rows] * len(assays) + tasks, return_inverse=True)
    row, task = np.divmod(keys, len(assays))
    thresholds = np.array([np.nan if one.threshold is None else one.threshold for one in assays])
    signs = np.array([1 if one.active == "above" else -1 for one in assays])
    single, exact = classes_by(values, relations, thresholds[tasks], signs[tasks]), relations == EQUAL
    middle, _, n_exact = medians(values[exact], of[exact], len(keys))
    of_median = classes_by(middle, np.zeros(len(keys), np.int8), thresholds[task], signs[task])
    (no, yes), (low, high) = (
        [np.bincount(of[among & (single == label)], minlength=len(keys)) > 0 for label in (0, 1)]
        for among in (~exact, exact)
    )
    of_bounds = np.where(yes == no, np.nan, yes)
    labels = np.where(n_exact > 0, of_median, of_bounds).astype(np.float32)
    return MergedClasses(row, task, labels, yes & no & (n_exact == 0), low & high)
