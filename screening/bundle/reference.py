"""The baseline of attributions: the mean training molecule, fitted in training and kept in the bundle."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import BundleError
from ..features.store import FeatureSet, GraphStore, VectorBlock, featurize
from ..models.layers import CodeEmbedding, VectorScale
from ..models.network import inputs_of

SAMPLE = 5000
"""Training molecules that are looked at, at most: the means move by less than 2 % of a deviation."""
_AT_ONCE = 1024


@dataclass(frozen=True)
class Reference:
    """Means over training molecules of what a network sees."""

    atoms: np.ndarray
    """float64, share of the training atoms that have each code: 1 in all for every column of
    `GraphBatch.atoms`, one column behind the other. All 0: no atom at all."""
    bonds: np.ndarray
    """float64, likewise of the bonds."""
    vectors: np.ndarray
    """float64 [F], mean of log(1 + count) for counts and bits; 0 for real values, whose scale begins at the
    training mean."""

    n_tasks = None
    """A reference knows of no assays."""

    @classmethod
    def fit(cls, store: GraphStore, rows: np.ndarray) -> "Reference":
        """The means of the molecules `rows`, or of some of them, the same ones every time."""
        sample = np.unique(_spread(len(rows)))
        atoms, bonds = np.zeros(sum(store.atom_sizes)), np.zeros(sum(store.bond_sizes))
        vectors = np.zeros(sum(len(block.columns) for block in store.vector_blocks))
        real = _is_real(store.vector_blocks)
        for part in torch.from_numpy(np.asarray(rows)[sample]).split(_AT_ONCE):
            batch = store.batch(part)
            atoms += _counted(batch.atoms, store.atom_sizes)
            bonds += _counted(batch.bonds, store.bond_sizes)
            vectors += np.where(real, 0.0, torch.log1p(batch.vectors).sum(0).double().numpy())
        return cls(
            _shares(atoms, store.atom_sizes), _shares(bonds, store.bond_sizes), vectors / max(len(sample), 1)
        )

    @classmethod
    def of_structures(cls, smiles: Sequence[str], features: FeatureSet) -> "Reference":
        """The same out of SMILES; descriptors, whose mean is known, are not computed."""
        whole = GraphStore.of(features, [])
        blocks = whole.vector_blocks
        cheap = tuple(block.name for block in blocks if block.kind != "real")
        sample = [smiles[row] for row in _spread(len(smiles))]
        store = featurize(sample, FeatureSet(features.graph, cheap, features.standardize), workers=0)
        fitted = cls.fit(store, np.flatnonzero(store.usable))
        vectors = np.zeros(sum(len(block.columns) for block in blocks))
        vectors[~_is_real(blocks)] = fitted.vectors
        return cls(fitted.atoms, fitted.bonds, vectors)

    @classmethod
    def nothing(cls, store: GraphStore) -> "Reference":
        """No codes and no counts: a molecule without inputs."""
        n_columns = sum(len(block.columns) for block in store.vector_blocks)
        return cls(np.zeros(sum(store.atom_sizes)), np.zeros(sum(store.bond_sizes)), np.zeros(n_columns))

    def seen_by(self, vectors: Sequence[str] | None, store: GraphStore) -> "Reference":
        """What a network sees of it that sees some of the vectors of a store; None = all."""
        if vectors is None:
            return self
        return replace(self, vectors=self.vectors[inputs_of(store).columns_of(vectors)])

    def fits(self, store: GraphStore) -> bool:
        """Whether it is about these features."""
        there = len(self.atoms), len(self.bonds), len(self.vectors)
        here = Reference.nothing(store)
        return there == (len(here.atoms), len(here.bonds), len(here.vectors))

    def of(self, module: nn.Module, store: GraphStore) -> Tensor:
        """What a module that makes inputs (`CodeEmbedding`, `VectorScale`) gives of it, [width]."""
        if isinstance(module, VectorScale):
            order = torch.cat([module.counts, module.reals])
            return torch.from_numpy(self.vectors).to(order.device)[order].float()
        if not isinstance(module, CodeEmbedding):
            raise TypeError(f"{type(module).__name__} makes no inputs.")
        is_of_atoms = module.sizes == tuple(store.atom_sizes)
        shares = torch.from_numpy(self.atoms if is_of_atoms else self.bonds)
        return shares.to(module.weight) @ module.weight

    def state(self) -> dict[str, np.ndarray]:
        """All of it as arrays, for a file; `restore` reads them."""
        return {"atoms": self.atoms, "bonds": self.bonds, "vectors": self.vectors}

    @classmethod
    def restore(cls, state: dict[str, np.ndarray]) -> "Reference":
        """The reference of which `state` was taken; BundleError where it is not one."""
        arrays = [state.get(name) for name in ("atoms", "bonds", "vectors")]
        if not all(each is not None and each.ndim == 1 and each.dtype == np.float64 for each in arrays):
            raise BundleError("The mean training molecule cannot be read: expected three rows of numbers.")
        if not all(np.isfinite(each).all() and (each >= 0).all() for each in arrays if each is not None):
            raise BundleError("The mean training molecule has numbers below 0 or none. Train again.")
        return cls(state["atoms"], state["bonds"], state["vectors"])


def _spread(n: int) -> np.ndarray:
    """Places of at most `SAMPLE` of n molecules, evenly spread."""
    return np.linspace(0, n - 1, min(n, SAMPLE)).astype(np.int64)


def _is_real(blocks: Sequence[VectorBlock]) -> np.ndarray:
    return np.array([block.kind == "real" for block in blocks for _ in block.columns], bool)


def _counted(codes: Tensor, sizes: Sequence[int]) -> np.ndarray:
    """How often each code occurs in each column, one column behind the other."""
    counts = [torch.bincount(codes[:, place], minlength=size) for place, size in enumerate(sizes)]
    return torch.cat(counts).double().numpy() if counts else np.zeros(0)


def _shares(counts: np.ndarray, sizes: Sequence[int]) -> np.ndarray:
    ends = np.cumsum(sizes)
    parts = [counts[end - size : end] for size, end in zip(sizes, ends, strict=True)]
    return np.concatenate([np.zeros(0), *(part / max(part.sum(), 1) for part in parts)])
