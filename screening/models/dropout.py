"""Dropout and noise that are the same however many processes share a batch.

Every process draws for the whole batch, from the same seed, and takes what falls on its own molecules; one
process alone draws just so. Drawing is a small part of a step, so that it is done everywhere costs little.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

Rows = Literal["molecules", "atoms", "bonds", "counts"]
"""What the rows of a matrix stand for; bonds are in both directions, counts those that are not 0."""


class Share(NamedTuple):
    """Which rows of a whole batch those of this process are."""

    molecules: Tensor
    """[B of this process] int64, ascending."""
    atoms: Tensor
    bonds: Tensor
    counts: Tensor
    n_molecules: int
    """B of the whole batch."""
    n_atoms: int
    n_bonds: int
    n_counts: int

    @classmethod
    def of(cls, mine: Tensor, n_atoms: Tensor, n_bonds: Tensor, n_counts: Tensor) -> "Share":
        """The share of the molecules `mine` (ascending) in a batch with atoms, bonds and counts [B] each.

        Examples
        --------
        >>> atoms, bonds, counts = torch.tensor([[2, 1, 3], [1, 0, 2], [1, 2, 1]])
        >>> share = Share.of(torch.tensor([0, 2]), atoms, bonds, counts)
        >>> share.atoms.tolist(), share.bonds.tolist(), share.counts.tolist()
        ([0, 1, 3, 4, 5], [0, 1, 2, 3, 4, 5], [0, 3])
        """
        is_mine = torch.zeros(len(n_atoms), dtype=torch.bool)
        is_mine[mine] = True
        lengths = n_atoms, 2 * n_bonds, n_counts
        atoms, bonds, counts = (is_mine.repeat_interleave(each).nonzero().squeeze(1) for each in lengths)
        totals = (int(each.sum()) for each in lengths)
        return cls(mine, atoms, bonds, counts, len(n_atoms), *totals)

    def to(self, device: torch.device) -> "Share":
        """The same on another device."""
        return self._replace(
            molecules=self.molecules.to(device),
            atoms=self.atoms.to(device),
            bonds=self.bonds.to(device),
            counts=self.counts.to(device),
        )


SATURATED = -1.7580993408473766
"""SELU of minus infinity."""
_share: ContextVar[Share | None] = ContextVar("share", default=None)


@contextmanager
def drawing_for(share: Share | None) -> Iterator[None]:
    """Inside, random numbers are those of the share in its batch; None = the batch is whole."""
    token = _share.set(share)
    try:
        yield
    finally:
        _share.reset(token)


class Dropout(nn.Module):
    """`nn.Dropout` whose mask depends on the batch, not on its share."""

    def __init__(self, rate: float, of: Rows = "molecules") -> None:
        super().__init__()
        self.rate, self.of = rate, of

    def extra_repr(self) -> str:
        return f"{self.rate}, of={self.of!r}"

    def forward(self, values: Tensor) -> Tensor:
        return dropout(values, self.rate, self.training, self.of)


def dropout(values: Tensor, rate: float, training: bool, of: Rows = "molecules") -> Tensor:
    """As `functional.dropout`; `values` has a row for each molecule, atom, bond or count."""
    share = _share.get()
    if share is None or not training or not rate:
        return functional.dropout(values, rate, training)
    rows, total = _rows(share, of)
    drawn = functional.dropout(values.new_ones(total, *values.shape[1:]), rate, True)
    return values * drawn[rows]


def alpha_dropout(values: Tensor, rate: float, training: bool) -> Tensor:
    """As `functional.alpha_dropout`, of values [B, ...] of molecules: mean and variance stay as they are.

    References
    ----------
    Self-normalizing neural networks. G. Klambauer et al., NeurIPS 2017, section "alpha dropout".
    https://arxiv.org/abs/1706.02515
    """
    if not training or not rate:
        return values
    is_kept = dropout(torch.ones_like(values), rate, training) > 0
    gain = ((1 - rate) * (1 + rate * SATURATED**2)) ** -0.5
    return gain * (torch.where(is_kept, values, SATURATED) - rate * SATURATED)


def noise_like(values: Tensor) -> Tensor:
    """As `torch.randn_like`, of values [B, ...] of molecules."""
    share = _share.get()
    if share is None:
        return torch.randn_like(values)
    shape = (share.n_molecules, *values.shape[1:])
    return torch.randn(shape, dtype=values.dtype, device=values.device)[share.molecules]


def chances(n: int, n_molecules: int, device: torch.device) -> Tensor:
    """[n, B, 1], uniform from 0 to 1, for B molecules."""
    share = _share.get()
    if share is None:
        return torch.rand(n, n_molecules, 1, device=device)
    return torch.rand(n, share.n_molecules, 1, device=device)[:, share.molecules]


def _rows(share: Share, of: Rows) -> tuple[Tensor, int]:
    return getattr(share, of), getattr(share, f"n_{of}")
