"""Inner products of the gradients of tasks from different batches, for the affinities of affinity.py.

Gradients of one batch share its molecules, and with them their noise: for two tasks with labels of the same
molecules its inner product is that of the true gradients plus the covariance of the two. From different
batches it is the true one on average, which is what the step says about molecules that it has not seen.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from .step import Step

BLOCK = 48
"""Steps whose gradients are compared: those of every other one, summed, with those between, 576 pairs of
batches for the price of one."""


class Products(NamedTuple):
    """Of one block."""

    gram: Tensor
    """[T, T] float64, mean inner product of the row's gradient with the column's of another batch."""
    cosines: Tensor
    """[T, T] float64, mean of their cosines; between them, not of the means."""
    seen: Tensor
    """[T, T] bool, whether one had labels in a batch of either half, and the other in one of the other."""
    losses: Tensor
    """[T] float64, mean loss over the batches in which the task had labels."""


class AcrossBatches:
    """Sums of gradients over the steps of a block, and their products at its end.

    `size` = steps of a block, even.
    """

    taken: int
    losses: Tensor
    sums: list[tuple[Tensor, ...] | None]

    def __init__(self, size: int = BLOCK) -> None:
        self.size = size
        self._forget()

    def add(self, rows: Tensor, step: Step) -> Products | None:
        """Take the gradients [T, P] of a step; gives the products of the block that it ends."""
        half, there = self.taken % 2, step.present & rows.isfinite().all(1)
        rows = torch.where(there[:, None], rows, 0.0)
        parts = (rows, functional.normalize(rows), there.long())
        old = self.sums[half]
        self.sums[half] = parts if old is None else tuple(a + b for a, b in zip(old, parts, strict=True))
        self.losses = self.losses + torch.where(there, step.losses.double(), 0.0)
        self.taken += 1
        return self.end() if self.taken == self.size else None

    def end(self) -> Products | None:
        """The products of the steps taken since the last end; None where only one half has some."""
        (first, second), losses = self.sums, self.losses
        self._forget()
        if first is None or second is None:
            return None
        pairs = _both_ways(first[2][:, None] * second[2])
        gram, cosines = (
            _both_ways(_products(a, b)) / pairs.clamp(min=1)
            for a, b in zip(first[:2], second[:2], strict=True)
        )
        return Products(gram, cosines, pairs > 0, losses / (first[2] + second[2]).clamp(min=1))

    def _forget(self) -> None:
        self.taken, self.losses = 0, torch.zeros(())
        self.sums = [None, None]


def _products(rows: Tensor, others: Tensor) -> Tensor:
    """[T, T] float64, inner products; on a GPU in float64, because float32 may silently be TF32 there."""
    return rows.double() @ others.double().T if rows.is_cuda else (rows @ others.T).double()


def _both_ways(values: Tensor) -> Tensor:
    """The row's from the first half with the column's from the second, and the other way round, summed."""
    return values + values.T
