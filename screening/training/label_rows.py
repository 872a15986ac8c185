"""Labels of the molecules of a table as tensors, a batch at a time where few of very many are measured."""

from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from ..data.assay_kinds import bounds_of
from ..data.sparse_cells import Cells, SparseCells, packed
from ..models.targets import Targets


class LabelRows:
    """Stands for the tensor [n, T] of labels, or [n, T, 2] of bounds, and is kept as its measured cells."""

    def __init__(self, labels: SparseCells, censored: Cells | None, targets: Targets | None) -> None:
        self._labels, self._censored, self._targets = labels, censored, targets

    def __getitem__(self, rows: Tensor) -> Tensor:
        """The labels of these molecules, [k, T] or [k, T, 2]."""
        places = rows.numpy()
        marks = None if self._censored is None else self._censored[places]
        return _tensor(self._labels[places], marks, self._targets)

    def packed(self, rows: Tensor) -> Tensor:
        """The same labels of each assay one below the other, as `sparse_cells.packed`."""
        places = rows.numpy()
        censored = self._censored
        if isinstance(censored, SparseCells):
            censored = censored.take(places)
        elif censored is not None:
            censored = censored[places]
        labels, marks = packed(self._labels.take(places), censored)
        return _tensor(labels, marks, self._targets)


Labels: TypeAlias = Tensor | LabelRows
"""Of all molecules of a table, real ones standardised: an array, or rows that are made when asked for."""


def labels_for(labels: Cells, censored: Cells | None, targets: Targets | None) -> Labels:
    """Labels as they are trained on; bounds where any is censored.

    Parameters
    ----------
    targets : the scales of the real assays; None = all are of classes.
    """
    if isinstance(labels, SparseCells):
        return LabelRows(labels, censored, targets)
    if censored is not None and not censored.any():
        censored = None
    return _tensor(labels, censored, targets)


def measured_labels(labels: Labels, rows: Tensor) -> Tensor:
    """The labels of some molecules for what only counts and averages them, assay by assay."""
    return labels.packed(rows) if isinstance(labels, LabelRows) else labels[rows]


def _tensor(labels: np.ndarray, censored: np.ndarray | None, targets: Targets | None) -> Tensor:
    labels = np.ascontiguousarray(labels)
    if targets is None:
        return torch.from_numpy(labels)
    return torch.from_numpy(targets.standardised(labels if censored is None else bounds_of(labels, censored)))
