"""The molecules of a store as a data set of torch_geometric, for networks that are not ours."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ..errors import ConfigError

if TYPE_CHECKING:
    from .store import GraphBatch, GraphStore


def to_pyg(
    store: "GraphStore",
    labels: np.ndarray | Tensor | None = None,
    *,
    rows: Sequence[int] | np.ndarray | Tensor | None = None,
    smiles: Sequence[str] | None = None,
    ids: Sequence[str] | None = None,
    one_hot: bool = False,
    vectors: bool = False,
) -> Any:
    """A `torch_geometric.data.InMemoryDataset`; see `GraphStore.to_pyg`."""
    from torch_geometric.data import Data, InMemoryDataset

    if store.features.graph is None:
        raise ConfigError("The store has no graphs: featurize with one, such as FeatureSet('atom_codes').")
    if not vectors:
        store = replace(store, features=replace(store.features, vectors=()), vectors=())
    chosen = torch.as_tensor(np.flatnonzero(store.usable) if rows is None else rows, dtype=torch.int64)
    batch = store.batch(chosen)
    n_atoms, n_bonds = (first[chosen + 1] - first[chosen] for first in (store.first_atom, store.first_bond))
    x, bonds = batch.atoms, batch.bonds
    if one_hot:
        x, bonds = _one_hot(x, store.atom_sizes), _one_hot(bonds, store.bond_sizes)
    first_atom, first_edge, each = _bounds(n_atoms), _bounds(2 * n_bonds), torch.arange(len(chosen) + 1)
    columns: dict[str, tuple[Any, Tensor]] = {
        "x": (x, first_atom),
        "edge_index": (_edges(batch, first_atom), first_edge),
        "edge_attr": (bonds, first_edge),
        "row": (chosen, each),
    }
    if labels is not None:
        y = _of_every_molecule(torch.as_tensor(labels), store, "labels")[chosen].float()
        columns |= {"y": (y, each), "mask": (~y.isnan(), each)}
    for name, texts in (("smiles", smiles), ("id", ids)):
        if texts is not None:
            every = _of_every_molecule(texts, store, name)
            columns[name] = ([str(every[row]) for row in chosen.tolist()], each)
    if vectors:
        columns["vectors"] = (batch.vectors, each)
    data_set = InMemoryDataset()
    data_set.data = Data.from_dict({name: values for name, (values, _) in columns.items()})
    data_set.slices = {name: bounds for name, (_, bounds) in columns.items()}
    return data_set


def _of_every_molecule(values: Any, store: "GraphStore", name: str) -> Any:
    if len(values) != len(store):
        raise ValueError(f"{name} has {len(values)} rows: expected one for each of {len(store)} molecules.")
    return values


def _edges(batch: "GraphBatch", first_atom: Tensor) -> Tensor:
    """Ends [2, E] of the bonds in both directions, atoms counted within their molecule."""
    before = first_atom[batch.molecule[batch.source]]
    return torch.stack([batch.source - before, batch.target - before])


def _bounds(lengths: Tensor) -> Tensor:
    """Where each run begins, and the end of the last."""
    return functional.pad(lengths.cumsum(0), (1, 0))


def _one_hot(codes: Tensor, sizes: Sequence[int]) -> Tensor:
    """Codes [n, K] as 0 and 1, float32 [n, sum of sizes], one column of codes behind the other."""
    parts = [functional.one_hot(codes[:, place], size).float() for place, size in enumerate(sizes)]
    return torch.cat(parts, 1) if parts else codes.float()
