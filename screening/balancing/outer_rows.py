"""Gradients of the tasks at the features, as the outer products they are, and not written out."""

from dataclasses import dataclass

import torch
from torch import Tensor

NUMBERS_AT_ONCE = 2**21
"""Largest part of the gradients that is written out for a moment."""


@dataclass(frozen=True)
class OuterRows:
    """T gradients of B * d numbers each: task t at molecule b has `slopes[b, t]` times `weight[t]`."""

    slopes: Tensor
    """[B, T] derivative of each task's loss by its logit; by its k private units, [B, T, k]."""
    weight: Tensor
    """[T, d], or [T, d, k]."""

    def take(self, tasks: Tensor) -> "OuterRows":
        """Those of some tasks."""
        return OuterRows(self.slopes[:, tasks], self.weight[tasks])

    def weighted(self, weights: Tensor) -> "OuterRows":
        """Each times its weight [T]."""
        weights = weights.to(self.slopes.dtype)
        return OuterRows(self.slopes * (weights if self.slopes.ndim == 2 else weights[:, None]), self.weight)

    def is_finite(self) -> Tensor:
        """[T] bool"""
        return (self.slopes.transpose(0, 1).flatten(1).sum(1) + self.weight.flatten(1).sum(1)).isfinite()

    def sums(self) -> tuple[Tensor, Tensor]:
        """Sum over the tasks and sum of the absolute values [B * d]: RW and |R||W| with one unit per task."""
        if self.slopes.ndim == 2:
            return (self.slopes @ self.weight).flatten(), (self.slopes.abs() @ self.weight.abs()).flatten()
        total = torch.einsum("btk,tdk->bd", self.slopes, self.weight)
        at_once = max(1, NUMBERS_AT_ONCE // max(1, self.weight[..., 0].numel()))
        sizes = [
            torch.einsum("btk,tdk->btd", part, self.weight).abs_().sum(1)
            for part in self.slopes.split(at_once)
        ]
        return total.flatten(), torch.cat(sizes).flatten()
