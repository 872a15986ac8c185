"""Smaller training parts: nested subsets of the molecules, or of the labels of one assay alone."""

from dataclasses import replace

import numpy as np

from ..data.assay_table import AssayTable
from ..data.sparse_cells import Cells, cells_of, marked_cells, measured_cells
from ..data.splits import Split
from ..data.splits.contract import molecules_of
from ..training.preparation import Prepared, targets_of

EVERY = ""
"""In place of an assay: all are thinned together."""


class TrainingOrder:
    """The molecules of the training part in an order of which the beginnings are the subsets.

    Parameters
    ----------
    by : `random`, or `scaffold`: molecules of one scaffold come one after the other, and stay together.
    seed : of the order.
    """

    def __init__(self, prepared: Prepared, *, by: str, seed: int, workers: int | None = None) -> None:
        rows = prepared.split.rows("train")
        molecules = molecules_of(prepared.table.take(rows), workers)
        keys = (
            molecules.scaffolds() if by == "scaffold" else [str(key) for key in range(len(molecules.first))]
        )
        groups = molecules.rows_by(keys)
        drawn = np.random.default_rng(seed).permutation(len(groups))
        self._groups = [rows[groups[place]] for place in drawn]

    def rows(self, share: float, of: np.ndarray | None = None) -> np.ndarray:
        """Rows of the table, ascending: whole groups from the beginning, as near to the share as they come.

        Parameters
        ----------
        of : bool, the rows of the table that count, such as those with a label in an assay; None = all.
        """
        order = np.concatenate(self._groups)
        counts = np.ones(len(order)) if of is None else of[order].astype(float)
        ends = np.cumsum([len(group) for group in self._groups])
        sums = np.cumsum(counts)[ends - 1]
        n_groups = int(np.abs(sums - share * counts.sum()).argmin()) + 1
        return np.sort(order[: ends[n_groups - 1]])


def subset(prepared: Prepared, order: TrainingOrder, share: float, assay: str = EVERY) -> Prepared:
    """What is left of a table where a share of the training part is kept.

    Parameters
    ----------
    assay : whose labels alone are thinned, while all molecules stay; EVERY = molecules are left out.
    """
    if share == 1:
        return prepared
    table, parts = prepared.table, np.array(prepared.split.parts, dtype=object)
    if assay == EVERY:
        left_out = np.setdiff1d(prepared.split.rows("train"), order.rows(share))
        parts[left_out] = ""
        split = Split(parts.tolist(), prepared.split.notes)
        return prepared._replace(split=split, targets=targets_of(table, split))
    task = table.tasks.index(assay)
    kept = np.zeros(len(table), bool)
    kept[order.rows(share, _has_label(table, task))] = True
    thinned = _without(table, task, (parts == "train") & ~kept)
    return prepared._replace(table=thinned, targets=targets_of(thinned, prepared.split))


def _has_label(table: AssayTable, task: int) -> np.ndarray:
    """bool [n], which rows have a label in an assay."""
    rows, tasks, _ = measured_cells(table.labels)
    has_label = np.zeros(len(table), bool)
    has_label[rows[tasks == task]] = True
    return has_label


def _without(table: AssayTable, task: int, hidden: np.ndarray) -> AssayTable:
    """The table without the labels of an assay in the rows where `hidden` [n] is true."""

    def shown(cells: tuple[np.ndarray, np.ndarray, np.ndarray], fill: float) -> Cells:
        rows, tasks, values = cells
        keep = (tasks != task) | ~hidden[rows]
        return cells_of(rows[keep], tasks[keep], values[keep], table.labels.shape, fill)

    censored = None if table.censored is None else shown(marked_cells(table.censored), 0)
    return replace(table, labels=shown(measured_cells(table.labels), np.nan), censored=censored)
