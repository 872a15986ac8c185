"""Labels of a table that is kept as its measured cells, an assay at a time: what baselines are fitted on."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...data.sparse_cells import Cells, SparseCells, packed, take_rows
from ...runtime.ragged import bounds


class Columns:
    """An array [n, T] of which single columns are asked for: `columns[rows, task]`."""

    def __init__(self, cells: SparseCells) -> None:
        self.shape = cells.shape
        order = np.argsort(cells.tasks, kind="stable")
        self._rows, self._values = cells.rows[order], cells.values[order]
        self._first = bounds(np.bincount(cells.tasks, minlength=cells.n_tasks))
        self._fill = cells.fill

    def __getitem__(self, at: tuple[Any, int]) -> Tensor:
        rows, task = at
        mine = slice(self._first[task], self._first[task + 1])
        column = np.full(self.shape[0], self._fill, self._values.dtype)
        column[self._rows[mine]] = self._values[mine]
        return torch.from_numpy(column)[rows]


def columns_of(cells: Cells | Tensor, rows: Tensor) -> Tensor | Columns:
    """The rows of an array, or of measured cells."""
    if isinstance(cells, SparseCells):
        return Columns(take_rows(cells, rows.numpy()))
    taken: Tensor = cells[rows]
    return taken


def labels_below(labels: Cells | Tensor, rows: Tensor) -> Tensor:
    """The labels of each assay in a column, in any order, of some rows: [m, T], NaN between or below."""
    if isinstance(labels, SparseCells):
        return torch.from_numpy(packed(take_rows(labels, rows.numpy()))[0])
    taken: Tensor = labels[rows]
    return taken
