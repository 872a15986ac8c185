"""The packed store of all molecules' features, its cache on disk, and batches gathered from it.

Whoever trains or scores comes here: `featurize` makes a `GraphStore`, `GraphStore.batch` a `GraphBatch`.
How one molecule becomes numbers is in `graphs` and `vectors`.
"""

import hashlib
import json
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from ..errors import DataError
from ..runtime import ragged
from ..runtime.files import atomic_write, half_written, sweep_old
from ..runtime.processes import map_in_processes
from .batch import GraphBatch, PackedVectors
from .featurizers import featurizers
from .packing import BLOCK, FeatureSet, Packed, Sparse, graph_featurizer, pack, vector_featurizer

__all__ = [
    "FeatureSet",
    "GraphBatch",
    "GraphStore",
    "PackedVectors",
    "VectorBlock",
    "featurize",
    "featurizers",
    "pack",
]

FORMAT = 1  # of the cache file


class VectorBlock(NamedTuple):
    """A run of columns of `GraphBatch.vectors`."""

    name: str
    """Name of the featurizer."""
    kind: str
    """counts, bits or real."""
    columns: tuple[str, ...]
    """Name of each column."""


class SparseRows(NamedTuple):
    """Counts or bits of all molecules, without the zeros."""

    first: Tensor
    """[n + 1] int64, where each row starts; the last is the end."""
    columns: Tensor
    """[all numbers] int16"""
    values: Tensor
    """[all numbers] uint8"""


@dataclass(frozen=True)
class GraphStore:
    """The features of n molecules in flat arrays; memory-mapped where they come from the cache."""

    features: FeatureSet
    reasons: list[str]
    """n texts: "" or why the molecule cannot be used; such a one has no atoms, counts 0 and reals NaN."""
    first_atom: Tensor
    """[n + 1] int64, where the atoms of each molecule start; the last is the end."""
    first_bond: Tensor
    """[n + 1] int64"""
    atoms: Tensor
    """[all atoms, A] uint8"""
    bonds: Tensor
    """[all bonds, K] uint8, every bond once"""
    ends: Tensor
    """[all bonds, 2] int16, counted within the molecule"""
    vectors: tuple[Tensor | SparseRows, ...]
    """One for each vector featurizer: SparseRows for counts and bits, float32 [n, columns] for real."""

    @classmethod
    def of(cls, features: FeatureSet, parts: Iterable[Packed]) -> "GraphStore":
        """The store of all molecules of all parts, in order."""
        packed = [pack([], features), *parts]
        reasons = [reason for part in packed for reason in part.reasons]
        graphs = [part.graphs for part in packed]
        vectors = [
            _joined_vectors([part.vectors[i] for part in packed]) for i in range(len(features.vectors))
        ]
        return cls(
            features,
            reasons,
            _offsets([each.n_atoms for each in graphs]),
            _offsets([each.n_bonds for each in graphs]),
            _joined([each.atoms for each in graphs]),
            _joined([each.bonds for each in graphs]),
            _joined([each.ends for each in graphs]),
            tuple(vectors),
        )

    def __len__(self) -> int:
        return len(self.reasons)

    @property
    def usable(self) -> np.ndarray:
        """[n] bool"""
        return np.array([not reason for reason in self.reasons], bool)

    @property
    def atom_sizes(self) -> tuple[int, ...]:
        """Number of codes of each column of `GraphBatch.atoms`; () without graphs."""
        return graph_featurizer(self.features.graph).atom_sizes if self.features.graph else ()

    @property
    def bond_sizes(self) -> tuple[int, ...]:
        """Number of codes of each column of `GraphBatch.bonds`; () without graphs."""
        return graph_featurizer(self.features.graph).bond_sizes if self.features.graph else ()

    @property
    def vector_blocks(self) -> tuple[VectorBlock, ...]:
        """The blocks of columns of `GraphBatch.vectors`, in order."""
        blocks = [vector_featurizer(name) for name in self.features.vectors]
        return tuple(VectorBlock(each.name, each.kind, each.columns) for each in blocks)

    def with_vectors(self, names: Sequence[str] | None) -> "GraphStore":
        """The same molecules with some of the vectors, in that order, nothing copied; None = with all."""
        if names is None or tuple(names) == self.features.vectors:
            return self
        places = [self.features.vectors.index(name) for name in names]
        vectors = tuple(self.vectors[place] for place in places)
        return replace(self, features=replace(self.features, vectors=tuple(names)), vectors=vectors)

    def batch(self, rows: Sequence[int] | np.ndarray | Tensor) -> GraphBatch:
        """The molecules `rows`, in that order; a row may occur more than once.

        Raises
        ------
        IndexError : a row is negative or not below n.
        """
        places = torch.as_tensor(rows, dtype=torch.int64)
        if len(places) and not 0 <= int(places.min()) <= int(places.max()) < len(self):
            raise IndexError(f"rows {places.min()} to {places.max()} of a store of {len(self)} molecules")
        atoms, n_atoms = gathered(self.first_atom, places)
        bonds, n_bonds = gathered(self.first_bond, places)
        first = torch.repeat_interleave(n_atoms.cumsum(0) - n_atoms, n_bonds)
        ends = self.ends.index_select(0, bonds).long() + first[:, None]
        codes = self.bonds.index_select(0, bonds).long()
        return GraphBatch(
            n_molecules=len(places),
            atoms=self.atoms.index_select(0, atoms).long(),
            bonds=torch.stack([codes, codes], 1).flatten(0, 1),
            source=ends.flatten(),
            target=ends.flip(1).flatten(),
            molecule=torch.repeat_interleave(n_atoms),
            columns=self._packed_vectors(places),
        )

    def to_pyg(
        self,
        labels: np.ndarray | Tensor | None = None,
        *,
        rows: Sequence[int] | np.ndarray | Tensor | None = None,
        smiles: Sequence[str] | None = None,
        ids: Sequence[str] | None = None,
        one_hot: bool = False,
        vectors: bool = False,
    ) -> Any:
        """The molecules as a `torch_geometric.data.InMemoryDataset`, one `Data` each.

        x [atoms, A] and edge_attr [2 bonds, K] are codes, as in `batch`; edge_index [2, 2 bonds]; row, the
        molecule's row here. With labels, y [1, T] float32, NaN = not measured, and mask [1, T] bool, true
        where measured: a loss has to leave the others out (`loss[mask]`). With texts, smiles and id.

        Parameters
        ----------
        labels : [n, T], of all molecules of the store; so are `smiles` and `ids`.
        rows : which molecules; None = all that can be used.
        one_hot : x and edge_attr as 0 and 1, float32, a column for every code; for networks of numbers.
        vectors : also the vector blocks, dense, [1, F]; NaN where a value is not defined.

        Raises
        ------
        ConfigError : the store has no graphs.
        ValueError : labels or texts are not as many as the molecules.

        Examples
        --------
        >>> from screening.features import FeatureSet, featurize
        >>> store = featurize(["CCO", "c1ccccc1"], FeatureSet("atom_codes"), workers=0)
        >>> store.to_pyg(np.array([[1.0, np.nan], [0.0, 1.0]]), one_hot=True)[0]
        Data(x=[3, 54], edge_index=[2, 4], edge_attr=[4, 7], row=[1], y=[1, 2], mask=[1, 2])
        """
        from .pyg import to_pyg

        return to_pyg(self, labels, rows=rows, smiles=smiles, ids=ids, one_hot=one_hot, vectors=vectors)

    def sizes(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Atoms, bonds, and counts and bits that are not 0, of each molecule of `rows`: int64 [n] each."""
        n_atoms, n_bonds, *n_counts = (
            first[rows + 1] - first[rows]
            for first in (self.first_atom, self.first_bond, *(block.first for block in self._sparse_blocks))
        )
        return n_atoms, n_bonds, sum(n_counts, torch.zeros_like(n_atoms))

    @property
    def _sparse_blocks(self) -> list[SparseRows]:
        return [block for block in self.vectors if isinstance(block, SparseRows)]

    def _packed_vectors(self, rows: Tensor) -> PackedVectors:
        widths = [len(block.columns) for block in self.vector_blocks]
        is_sparse = torch.tensor([isinstance(block, SparseRows) for block in self.vectors], dtype=torch.bool)
        starts = torch.tensor([0, *widths]).cumsum(0)[:-1][is_sparse]
        is_real = (~is_sparse).repeat_interleave(torch.tensor(widths, dtype=torch.int64))
        real = [block.index_select(0, rows) for block in self.vectors if isinstance(block, Tensor)]
        return PackedVectors(
            sum(widths),
            *_merged(self._sparse_blocks, starts, rows),
            torch.cat([torch.zeros(len(rows), 0), *real], dim=1),
            is_real.nonzero().squeeze(1),
        )


def featurize(
    smiles: Sequence[str],
    features: FeatureSet,
    *,
    workers: int | None = None,
    cache: Path | None = None,
) -> GraphStore:
    """The features of all molecules; row i of the store is `smiles[i]`.

    Parameters
    ----------
    workers : processes; None = one per processor where the work is worth it. The result is the same.
    cache : folder for the result, under a name made from the SMILES, the featurizers and their versions,
        and RDKit's version. A file that is there is memory-mapped; one that is damaged is made again.

    Raises
    ------
    DataError : the cache cannot be written.
    """
    texts = list(smiles)
    path = None if cache is None else Path(cache) / f"{_cache_key(texts, features)}.safetensors"
    stored = None if path is None else _load(path, features, len(texts))
    if stored is not None:
        return stored
    blocks = [texts[start : start + BLOCK] for start in range(0, len(texts), BLOCK)]
    parts = map_in_processes(
        partial(pack, features=features),
        blocks,
        workers=workers,
        title="computing features",
        seconds=len(texts) * features.seconds_per_molecule,
    )
    store = GraphStore.of(features, parts)
    if path is None:
        return store
    _save(store, path)
    return _load(path, features, len(texts)) or store


def gathered(first: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Places of all elements of `rows`, and the length of each row."""
    starts = first[rows]
    lengths = first[rows + 1] - starts
    return torch.from_numpy(ragged.spans(starts.numpy(), lengths.numpy())), lengths


def _merged(blocks: list[SparseRows], starts: Tensor, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Molecule, column and value of the numbers of all blocks, molecule by molecule, block by block.

    starts : [blocks] int64, the first column of each.
    """
    elements = [gathered(block.first, rows) for block in blocks]
    lengths = torch.stack([torch.zeros_like(rows), *(lengths for _, lengths in elements)], dim=1).numpy()
    firsts = ragged.firsts(lengths.ravel()).reshape(lengths.shape)
    n_all = int(lengths.sum())
    columns, values = torch.zeros(n_all, dtype=torch.int64), torch.zeros(n_all)
    for number, (block, (places, _)) in enumerate(zip(blocks, elements, strict=True)):
        here = torch.from_numpy(ragged.spans(firsts[:, number + 1], lengths[:, number + 1]))
        columns[here] = block.columns.index_select(0, places).long() + starts[number]
        values[here] = block.values.index_select(0, places).float()
    return torch.from_numpy(ragged.owners(lengths.sum(1))), columns, values


def _joined(arrays: Sequence[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.concatenate(arrays))


def _offsets(lengths: Sequence[np.ndarray]) -> Tensor:
    return torch.from_numpy(ragged.bounds(np.concatenate([np.zeros(0, np.int64), *lengths])))


def _joined_vectors(parts: list[np.ndarray | Sparse]) -> Tensor | SparseRows:
    sparse = [part for part in parts if isinstance(part, Sparse)]
    if not sparse:
        return _joined([part for part in parts if isinstance(part, np.ndarray)])
    return SparseRows(
        _offsets([part.lengths for part in sparse]),
        _joined([part.columns for part in sparse]),
        _joined([part.values for part in sparse]),
    )


def _cache_key(texts: list[str], features: FeatureSet) -> str:
    return hashlib.sha256(json.dumps([FORMAT, features.key(), texts]).encode()).hexdigest()


def _save(store: GraphStore, path: Path) -> None:
    tensors = {name: getattr(store, name) for name in _GRAPH_ARRAYS}
    for number, block in enumerate(store.vectors):
        if isinstance(block, SparseRows):
            tensors |= {f"vectors.{number}.{name}": tensor for name, tensor in block._asdict().items()}
        else:
            tensors[f"vectors.{number}"] = block
    header = {
        "reasons": {row: reason for row, reason in enumerate(store.reasons) if reason},
        "checksums": {name: _checksum(tensor) for name, tensor in tensors.items()},
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        sweep_old(path.parent, half_written(r"\w+\.safetensors"))
        with atomic_write(path) as work:
            save_file(tensors, work, {"store": json.dumps(header)})
    except (OSError, SafetensorError) as problem:
        raise DataError(
            f"{path.parent}: the cache of features cannot be written: {problem}. "
            "Make room, or name another folder (on the command line with the variable XDG_CACHE_HOME), or "
            "none to go without a cache."
        ) from problem


def _load(path: Path, features: FeatureSet, n_molecules: int) -> GraphStore | None:
    """The store in a cache file, memory-mapped; None where there is none or it is damaged."""
    try:
        with safe_open(path, "pt") as file:
            header = json.loads(file.metadata()["store"])
        tensors = load_file(path)
        if any(_checksum(tensors[name]) != checksum for name, checksum in header["checksums"].items()):
            return None
        reasons = [""] * n_molecules
        for row, reason in header["reasons"].items():
            reasons[int(row)] = reason
        vectors = [_loaded_vectors(tensors, f"vectors.{number}") for number in range(len(features.vectors))]
        arrays = {name: tensors[name] for name in _GRAPH_ARRAYS}
        return GraphStore(features, reasons, vectors=tuple(vectors), **arrays)
    except (OSError, SafetensorError, ValueError, KeyError, TypeError, IndexError):
        return None


_GRAPH_ARRAYS = ("first_atom", "first_bond", "atoms", "bonds", "ends")


def _loaded_vectors(tensors: dict[str, Tensor], name: str) -> Tensor | SparseRows:
    if name in tensors:
        return tensors[name]
    return SparseRows(*(tensors[f"{name}.{field}"] for field in SparseRows._fields))


def _checksum(tensor: Tensor) -> int:
    return zlib.crc32(tensor.contiguous().numpy().data)
