"""A batch of molecules, ready for an encoder; `GraphStore.batch` gathers it."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor


class PackedVectors(NamedTuple):
    """Vectors of B molecules as they lie in the store: counts and bits without zeros, real values dense."""

    n_columns: int
    """F, of all blocks together."""
    molecule: Tensor
    """[n] int64, ascending: the molecule of each count or bit that is not 0."""
    column: Tensor
    """[n] int64, its column among the F."""
    value: Tensor
    """[n] float32"""
    real: Tensor
    """[B, R] float32, NaN where a value is not defined."""
    real_columns: Tensor
    """[R] int64, which of the F columns these are."""

    def dense(self) -> Tensor:
        """[B, F] float32"""
        dense = self.real.new_zeros(len(self.real), self.n_columns)
        dense[self.molecule, self.column] = self.value
        dense[:, self.real_columns] = self.real
        return dense

    def to(self, device: torch.device | str) -> "PackedVectors":
        """The same on another device."""
        return PackedVectors(self.n_columns, *(tensor.to(device) for tensor in self[1:]))


@dataclass(frozen=True)
class GraphBatch:
    """Some molecules, ready for an encoder; the bonds 2k and 2k + 1 are one bond in both directions."""

    n_molecules: int
    """B"""
    atoms: Tensor
    """[N, A] int64 codes."""
    bonds: Tensor
    """[E, K] int64 codes; the reverse of bond e is e ^ 1."""
    source: Tensor
    """[E] int64, the atom where the bond starts."""
    target: Tensor
    """[E] int64, the atom where it ends."""
    molecule: Tensor
    """[N] int64, ascending: the molecule of each atom."""
    columns: PackedVectors | Tensor
    """The vectors, as they lie in the store or as in `vectors`: an encoder takes either."""

    @cached_property
    def vectors(self) -> Tensor:
        """[B, F] float32, all vector blocks side by side; NaN where a real value is not defined."""
        return self.columns if isinstance(self.columns, Tensor) else self.columns.dense()

    def with_vectors(self, vectors: Tensor) -> "GraphBatch":
        """The same molecules with other vectors [B, F]."""
        return replace(self, columns=vectors)

    def to(self, device: torch.device | str) -> "GraphBatch":
        """The same batch on another device."""
        return GraphBatch(
            self.n_molecules,
            self.atoms.to(device),
            self.bonds.to(device),
            self.source.to(device),
            self.target.to(device),
            self.molecule.to(device),
            self.columns.to(device),
        )
