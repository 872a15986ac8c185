"""Inner products of gradients, and how much to compute at once."""

import torch
from torch import Tensor

NUMBERS_AT_ONCE = {"cpu": 2**21, "cuda": 2**26}
"""Largest intermediate array: 8 MiB in float32 stays in the cache of a CPU, where more is not faster."""


def at_once(like: Tensor, numbers: int) -> int:
    """How many arrays of so many numbers to make at once."""
    return max(1, NUMBERS_AT_ONCE["cuda" if like.is_cuda else "cpu"] // max(1, numbers))


def gram_of(rows: Tensor) -> Tensor:
    """Inner products [T, T] of rows [T, P] in float64."""
    return symmetric(products_of(rows))


def products_of(rows: Tensor) -> Tensor:
    """Inner products [T, T] of rows [T, P], symmetric but for rounding.

    On a GPU the products themselves are float64, because float32 ones may silently be TF32 (10 bits).
    On a CPU float32 is exact to 1e-7 of the norms and twice as fast.
    """
    if rows.is_cuda:
        parts = [part.double() @ part.double().T for part in rows.split(2**20, dim=1)]
        return torch.stack(parts).sum(0) if parts else rows.new_zeros(len(rows), len(rows)).double()
    return rows @ rows.T


def symmetric(products: Tensor) -> Tensor:
    """The symmetric part, float64."""
    return (products + products.T).double().mul_(0.5)
