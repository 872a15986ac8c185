"""Sums of chosen rows of a matrix: atoms over neighbours, molecules over atoms, vectors over codes or counts.

Forward, backward and batched backward are all `embedding_bag` over sorted indices, without atomic additions
on a GPU. Used by the encoders.
"""

from typing import Any, NamedTuple, Self

import torch
from torch import Tensor
from torch.nn import functional


class Sums(NamedTuple):
    """Which rows are added up to which, and how often: a sparse matrix, kept with its transpose.

    Examples
    --------
    >>> sums = Sums.of(torch.tensor([0, 0, 2]), torch.tensor([1, 1, 0]), 3, 2)
    >>> sums(torch.tensor([[1.0], [10.0]])).flatten().tolist()
    [20.0, 0.0, 1.0]
    """

    rows: Tensor
    """[n] int64, rows to add, one target after the other."""
    starts: Tensor
    """[targets] int64, where the rows of each target begin."""
    back_rows: Tensor
    """[n] int64, targets of each row, one row after the other; empty without derivatives (`no_grad`)."""
    back_starts: Tensor
    """[rows] int64"""
    weights: Tensor | None = None
    """[n] float32, of each of the rows to add; None = all 1."""
    back_weights: Tensor | None = None
    """[n]"""

    @classmethod
    def of(cls, targets: Tensor, rows: Tensor, n_targets: int, n_rows: int) -> "Sums | ScatteredSums":
        """Row `rows[i]` is added to target `targets[i]`, for all i; both int64 [n]."""
        if torch.compiler.is_exporting():
            return ScatteredSums(targets, rows, n_targets, n_rows)
        forward = _sorted(rows, targets, n_targets)
        if not torch.is_grad_enabled():  # scoring: sorting the way back would take a tenth of its time
            return cls.ordered(*forward)
        return cls(*forward, *_sorted(targets, rows, n_rows))

    @classmethod
    def weighted(cls, targets: Tensor, rows: Tensor, weights: Tensor, n_targets: int, n_rows: int) -> Self:
        """`weights[i]` times row `rows[i]` is added to target `targets[i]`; not for an export."""
        order, starts = _order(targets, n_targets)
        forward = (rows, weights) if order is None else (rows[order], weights[order])
        if not torch.is_grad_enabled():
            return cls.ordered(forward[0], starts)._replace(weights=forward[1])
        back_order, back_starts = _order(rows, n_rows)
        back = (targets, weights) if back_order is None else (targets[back_order], weights[back_order])
        return cls(forward[0], starts, back[0], back_starts, forward[1], back[1])

    @classmethod
    def ordered(cls, rows: Tensor, starts: Tensor) -> Self:
        """From what is in order already; without derivatives."""
        return cls(rows, starts, rows.new_empty(0), rows.new_empty(0))

    def __call__(self, values: Tensor) -> Tensor:
        """Sums [targets, d] of values [rows, d]; differentiable any number of times, also batched."""
        if not torch.is_grad_enabled():  # autograd's way costs more than small sums
            return _bags(values, self.rows, self.starts, self.weights)
        return _Sum.apply(values, *self)

    def transposed(self) -> "Sums":
        """The other way round: what each target gives back to its rows."""
        return Sums(self.back_rows, self.back_starts, self.rows, self.starts, self.back_weights, self.weights)


class ScatteredSums(NamedTuple):
    """The same for exported networks (export.py): slower, with operations that ONNX knows, no derivatives."""

    targets: Tensor
    rows: Tensor
    n_targets: int
    n_rows: int

    def __call__(self, values: Tensor) -> Tensor:
        total = values.new_zeros(self.n_targets, values.shape[1])
        return total.index_add(0, self.targets, values[self.rows])

    def transposed(self) -> "ScatteredSums":
        return ScatteredSums(self.rows, self.targets, self.n_rows, self.n_targets)


AnySums = Sums | ScatteredSums


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(
        values: Tensor,
        rows: Tensor,
        starts: Tensor,
        back_rows: Tensor,
        back_starts: Tensor,
        weights: Tensor | None,
        back_weights: Tensor | None,
    ) -> Tensor:
        return _bags(values, rows, starts, weights)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor | None, ...], output: Tensor) -> None:
        ctx.save_for_backward(*inputs[1:])

    @staticmethod
    def backward(ctx: Any, slopes: Tensor) -> tuple[Tensor | None, ...]:
        return (Sums(*ctx.saved_tensors).transposed()(slopes), *[None] * 6)

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], values: Tensor, *sums: Any) -> tuple[Tensor, int]:
        """All samples as one tall matrix: sample k has its rows and targets k times further down."""
        copies = torch.arange(info.batch_size, device=values.device).unsqueeze(1)
        rows, starts, back_rows, back_starts, *weights = sums
        tall = Sums(
            (rows + copies * len(back_starts)).flatten(),
            (starts + copies * len(rows)).flatten(),
            (back_rows + copies * len(starts)).flatten(),
            (back_starts + copies * len(rows)).flatten(),
            *(None if each is None else each.repeat(info.batch_size) for each in weights),
        )
        total = tall(values.movedim(in_dims[0] or 0, 0).flatten(0, 1))
        return total.unflatten(0, (info.batch_size, len(starts))), 0


def _bags(values: Tensor, rows: Tensor, starts: Tensor, weights: Tensor | None) -> Tensor:
    weights = None if weights is None else weights.to(values.dtype)
    return functional.embedding_bag(rows, values, starts, mode="sum", per_sample_weights=weights)


def _sorted(values: Tensor, keys: Tensor, n_keys: int) -> tuple[Tensor, Tensor]:
    """The values one key after the other, and where those of each key begin."""
    order, starts = _order(keys, n_keys)
    return (values if order is None else values[order]), starts


def _order(keys: Tensor, n_keys: int) -> tuple[Tensor | None, Tensor]:
    """In which order keys come one after the other (None: they do), and where each begins then."""
    counts = torch.bincount(keys, minlength=n_keys)
    starts = counts.cumsum(0) - counts
    if keys.device.type == "cpu" and bool((keys[1:] >= keys[:-1]).all()):  # most are; cheaper than sorting
        return None, starts
    short = keys.short() if n_keys < 2**15 else keys  # 16 bits are sorted in half the time
    return short.argsort(stable=True), starts
