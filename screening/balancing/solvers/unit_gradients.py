"""Gradients by direction and length, shares of a whole, and the type of numbers to compute in."""

from typing import NamedTuple

import torch
from torch import Tensor

SINGLE = 128
"""From so many tasks on, what takes longest is done in float32, like the products a Gramian is made of."""


class UnitGram(NamedTuple):
    """Gradients by direction and length."""

    cosines: Tensor
    """[n, n] inner products of the unit gradients; diagonal 1, also for a gradient of length 0."""
    norms: Tensor
    """[n] lengths."""

    def per_gradient(self, coefficients: Tensor) -> Tensor:
        """Factors [n] on the gradients for factors [n] on the unit gradients; 0 where the length is 0."""
        return torch.where(self.norms > 0, coefficients / self.norms, 0.0)

    def in_order(self, order: Tensor) -> "UnitGram":
        """Those of the gradients `order` [m] int64, with cosines in `working_dtype`."""
        cosines = self.cosines.to(working_dtype(len(self.norms)))
        return UnitGram(cosines.index_select(0, order).index_select(1, order), self.norms[order])


def unit_gram(gram: Tensor) -> UnitGram:
    """Cosines and lengths of gradients with the inner products `gram` [n, n]."""
    norms = gram.diagonal().clamp(min=0).sqrt()
    inverse = torch.where(norms > 0, 1 / norms, 0.0)
    cosines = (gram * inverse[:, None] * inverse).clamp_(-1, 1)
    return UnitGram(cosines.fill_diagonal_(1), norms)


def distribute(shares: Tensor, total: float | Tensor) -> Tensor:
    """`shares` [n] times the factor above 0 that brings the sum of |shares| to `total`; all 0 stays 0."""
    size = shares.abs().sum()
    return torch.where(size > 0, shares * (total / size), 0.0)


def working_dtype(n_tasks: int) -> torch.dtype:
    """The type of numbers for the longest computations with so many tasks."""
    return torch.float32 if n_tasks >= SINGLE else torch.float64
