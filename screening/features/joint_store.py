"""Molecules of several stores in one."""

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from torch import Tensor

from .store import GraphStore, SparseRows, gathered


def joint_store(pieces: Sequence[tuple[GraphStore, np.ndarray]]) -> GraphStore:
    """The molecules at some places of each store, one after the other; all of the same features.

    Raises
    ------
    ValueError : stores of different features, or none.
    """
    if len({store.features.key() for store, _ in pieces}) != 1:
        raise ValueError("the stores are not of the same features")
    stores = [store for store, _ in pieces]
    places = [torch.as_tensor(rows, dtype=torch.int64) for _, rows in pieces]
    pairs = list(zip(stores, places, strict=True))
    each_vector = zip(*(store.vectors for store in stores), strict=True)
    atoms = [gathered(store.first_atom, rows) for store, rows in pairs]
    bonds = [gathered(store.first_bond, rows) for store, rows in pairs]
    return GraphStore(
        stores[0].features,
        [store.reasons[row] for store, rows in pairs for row in rows.tolist()],
        _first(atoms),
        _first(bonds),
        _cells([store.atoms for store in stores], atoms),
        _cells([store.bonds for store in stores], bonds),
        _cells([store.ends for store in stores], bonds),
        tuple(_vectors(list(blocks), places) for blocks in each_vector),
    )


def _vectors(blocks: list[Tensor | SparseRows], places: list[Tensor]) -> Tensor | SparseRows:
    if isinstance(blocks[0], Tensor):
        return torch.cat([cast(Tensor, block)[rows] for block, rows in zip(blocks, places, strict=True)])
    sparse = [cast(SparseRows, block) for block in blocks]
    taken = [gathered(block.first, rows) for block, rows in zip(sparse, places, strict=True)]
    columns, values = ([getattr(block, name) for block in sparse] for name in ("columns", "values"))
    return SparseRows(_first(taken), _cells(columns, taken), _cells(values, taken))


def _cells(arrays: Sequence[Tensor], taken: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    return torch.cat([array[at] for array, (at, _) in zip(arrays, taken, strict=True)])


def _first(taken: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """Where the rows that were taken begin, and where the last ends."""
    ends = torch.cat([lengths for _, lengths in taken]).cumsum(0)
    return torch.cat([ends.new_zeros(1), ends])
