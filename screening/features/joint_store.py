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
    first, places = pieces[0][0], [torch.as_tensor(rows, dtype=torch.int64) for _, rows in pieces]
    stores = [store for store, _ in pieces]
    atoms = [gathered(store.first_atom, rows) for store, rows in zip(stores, places, strict=True)]
    bonds = [gathered(store.first_bond, rows) for store, rows in zip(stores, places, strict=True)]
    return GraphStore(
        first.features,
        [store.reasons[row] for store, rows in zip(stores, places, strict=True) for row in rows.tolist()],
        _first([lengths for _, lengths in atoms]),
        _first([lengths for _, lengths in bonds]),
        torch.cat([store.atoms[at] for store, (at, _) in zip(stores, atoms, strict=True)]),
        torch.cat([store.bonds[at] for store, (at, _) in zip(stores, bonds, strict=True)]),
        torch.cat([store.ends[at] for store, (at, _) in zip(stores, bonds, strict=True)]),
        tuple(
            _vectors([store.vectors[number] for store in stores], places)
            for number in range(len(first.vectors))
        ),
    )


def _vectors(blocks: list[Tensor | SparseRows], places: list[Tensor]) -> Tensor | SparseRows:
    if isinstance(blocks[0], Tensor):
        return torch.cat([cast(Tensor, block)[rows] for block, rows in zip(blocks, places, strict=True)])
    sparse = [cast(SparseRows, block) for block in blocks]
    taken = [gathered(block.first, rows) for block, rows in zip(sparse, places, strict=True)]
    return SparseRows(
        _first([lengths for _, lengths in taken]),
        torch.cat([block.columns[at] for block, (at, _) in zip(sparse, taken, strict=True)]),
        torch.cat([block.values[at] for block, (at, _) in zip(sparse, taken, strict=True)]),
    )


def _first(lengths: Sequence[Tensor]) -> Tensor:
    """Where rows of these lengths begin, and where the last ends."""
    ends = torch.cat(list(lengths)).cumsum(0)
    return torch.cat([ends.new_zeros(1), ends])
