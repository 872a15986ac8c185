"""Scaled vectors with few numbers that are not 0, and the linear layer that looks at those alone.

Called by layers.py, which scales them, and by the encoders.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from .segment_sums import Sums


class ScaledVectors(NamedTuple):
    """What `VectorScale` makes of packed vectors: as [B, F], without the zeros of counts and bits."""

    molecule: Tensor
    """[n] int64, ascending."""
    column: Tensor
    """[n] int64, below F - R."""
    value: Tensor
    """[n]"""
    real: Tensor
    """[B, R], the last columns."""
    n_counts: int
    """F - R"""

    def dense(self) -> Tensor:
        """[B, F]"""
        counts = self.real.new_zeros(len(self.real), self.n_counts)
        counts[self.molecule, self.column] = self.value
        return torch.cat([counts, self.real], dim=1)


class VectorLinear(nn.Linear):
    """`nn.Linear` that takes `ScaledVectors` too, and then works on their numbers that are not 0 alone.

    Its weight [out, in] lies in memory input by input, and so does the gradient of it.
    """

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__(inputs, width)
        self.weight = nn.Parameter(self.weight.detach().t().contiguous().t())

    def forward(self, input: Tensor | ScaledVectors) -> Tensor:
        if isinstance(input, Tensor):
            return super().forward(input)
        weight, n_real = self.weight.t(), input.real.shape[1]
        counts, real = weight.split([input.n_counts, n_real]) if n_real else (weight, None)
        sums = Sums.weighted(input.molecule, input.column, input.value, len(input.real), input.n_counts)
        total = sums(counts) + self.bias
        return total if real is None else total + functional.linear(input.real, real.t())
