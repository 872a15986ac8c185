"""Gradients of labelled cells at a linear layer: exact, and cheap where a table has few.

A cell is a molecule and a task that has a label there. Called by last_layer.py; how a cell's gradient goes
back from the features to the layer is in path_back.py.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from .contract import Cut
from .path_back import PathBack, Pulled
from .products import at_once, gram_of, products_of, symmetric

BLOCK = 128
"""Rows of the products of pairs that are made at once; they stay in the cache."""
PADDING = 1.25
"""Tasks are multiplied together whose numbers of rows differ by at most this factor."""


@dataclass(frozen=True)
class LabelledCells:
    """The C cells of a batch, by task, and the linear layer that they are seen at.

    The gradient of cell c by the layer's weights is the sum over its rows r (one where the layer sees
    molecules, the molecule's atoms where it sees those) of D[r, c] (x) A[r], with the layer's inputs A [M, p]
    and the cell's slopes D by its outputs, [d] each.
    """

    n_tasks: int
    tasks: Tensor
    """[C] int64, ascending."""
    molecules: Tensor
    """[C] int64"""
    by_features: Tensor
    """[C, d of the features], derivative of the task's loss through this molecule."""
    path: PathBack
    inputs: Tensor
    """[M, p]"""

    @classmethod
    def of(cls, cut: Cut, path: PathBack, inputs: Tensor) -> "LabelledCells":
        """Those of one step; `inputs` are the layer's, without a graph."""
        tasks, molecules = cut.slopes.T.nonzero(as_tuple=True)
        slopes = cut.private_slopes()[molecules, tasks]
        gradients = cut.heads.cell_gradients(slopes, tasks)
        return cls(cut.heads.n_tasks, tasks, molecules, gradients, path, inputs.to(slopes.dtype))

    def gram(self) -> Tensor:
        """[T, T] float64, inner products of the gradients of the tasks, of these molecules alone.

        In the dual form (by pairs of rows) or from the gradients themselves, whichever is cheaper.
        """
        n_rows = int(self._rows_of_tasks().sum())
        (M, p), d, n_present = self.inputs.shape, self.path.width, len(self.tasks.unique())
        by_pairs = n_rows**2 * d + M**2 * p
        by_rows = n_rows * d * min(M, p) + n_present**2 * d * min(M, p)
        return self._gram_by_pairs() if by_pairs < by_rows else self._gram_by_rows()

    def rows(self) -> Tensor:
        """[T, d * p] the gradients of the tasks; 0 without a label."""
        rows = self.inputs.new_zeros(self.n_tasks, self.path.width * self.inputs.shape[1])
        present = self.tasks.unique()
        return rows.index_copy_(0, present, self._rows_of_present(present, self.inputs))

    def _gram_by_rows(self) -> Tensor:
        """From the gradients; where the layer sees M < p rows, with the R' of A' = QR for A: RR' = AA'."""
        inputs, present = self.inputs, self.tasks.unique()
        if inputs.shape[0] < inputs.shape[1]:
            inputs = torch.linalg.qr(inputs.T, mode="r").R.T
        total = inputs.new_zeros(self.n_tasks, self.n_tasks, dtype=torch.float64)
        total[present[:, None], present] = gram_of(self._rows_of_present(present, inputs))
        return total

    def _rows_of_present(self, present: Tensor, inputs: Tensor) -> Tensor:
        """[n, d * p] of the tasks with labels, int64 [n] ascending; `inputs` may stand for the layer's."""
        rows = inputs.new_empty(len(present), self.path.width, inputs.shape[1])
        for tasks, longest in self._alike(inputs.shape[1]):
            rows[torch.searchsorted(present, tasks)] = self._rows_of(tasks, longest, inputs)
        return rows.flatten(1)

    def _gram_by_pairs(self) -> Tensor:
        """sum over rows r of i and s of j of (D[r] . D[s]) (A[r] . A[s]), half of the pairs written out."""
        pulled = self.path.back(self.by_features, self.molecules)
        slopes, between = pulled.slopes, products_of(self.inputs)
        slopes, rows = slopes.to(between.dtype), pulled.rows  # float64 on a GPU
        tasks = self.tasks[pulled.cells]
        half = slopes.new_zeros(self.n_tasks, len(slopes))
        for start in range(0, len(slopes), BLOCK):
            here = slice(start, start + BLOCK)
            pairs = slopes[here] @ slopes[start:].T
            pairs *= between.index_select(0, rows[here]).index_select(1, rows[start:])
            pairs[:, :BLOCK] *= 0.5
            half[:, start:].index_add_(0, tasks[here], pairs)
        return 2 * symmetric(half.new_zeros(self.n_tasks, self.n_tasks).index_add_(1, tasks, half))

    def _rows_of_tasks(self) -> Tensor:
        """[T] int64, rows of the layer that each task has gradients at."""
        return torch.zeros(self.n_tasks, dtype=torch.int64, device=self.tasks.device).index_add(
            0, self.tasks, self.path.n_rows[self.molecules]
        )

    def _alike(self, n_inputs: int) -> Iterator[tuple[Tensor, int]]:
        """Tasks with about as many rows, int64 ascending, and the largest number among them."""
        n_rows = self._rows_of_tasks()
        classes = torch.where(n_rows > 0, n_rows.double().log().div(torch.tensor(PADDING).log()).floor(), -1)
        for number in classes.unique().tolist():
            tasks = (classes == number).nonzero().squeeze(1)
            longest = int(n_rows[tasks].max())
            numbers = longest * (self.path.width + n_inputs)
            for part in tasks.split(at_once(self.inputs, numbers // 8)) if longest else ():
                yield part, longest

    def _rows_of(self, tasks: Tensor, longest: int, inputs: Tensor) -> Tensor:
        """[n, d, p] the gradients of these tasks, with `longest` rows each after padding with zeros."""
        place = self.tasks.new_full((self.n_tasks,), -1)
        place[tasks] = torch.arange(len(tasks), device=tasks.device)
        chosen = (place[self.tasks] >= 0).nonzero().squeeze(1)
        pulled: Pulled = self.path.back(self.by_features[chosen], self.molecules[chosen])
        owner = place[self.tasks[chosen[pulled.cells]]]
        counts = owner.bincount(minlength=len(tasks))
        spot = torch.arange(len(owner), device=owner.device) - (counts.cumsum(0) - counts)[owner]
        slopes = pulled.slopes.new_zeros(len(tasks), longest, self.path.width)
        seen = inputs.new_zeros(len(tasks), longest, inputs.shape[1])
        slopes[owner, spot] = pulled.slopes
        seen[owner, spot] = inputs.index_select(0, pulled.rows)
        return slopes.transpose(1, 2) @ seen
