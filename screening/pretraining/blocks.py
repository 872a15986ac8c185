"""The molecules of a sample as features, a block at a time; every block is kept in the cache.

A block that was worked out once is read back, memory-mapped: after a stop, in the next epoch, and in the next
pre-training with the same molecules and featurizers.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from ..data.skeletons import skeletons
from ..errors import DataError
from ..features.store import FeatureSet, GraphStore, featurize
from ..runtime.files import atomic_write
from ..runtime.progress import progress

BLOCK = 8192
"""Molecules of a block: features of so many are worked out again after a stop."""


class Blocks:
    """The features of all molecules, and which of them are used.

    Parameters
    ----------
    texts : structures, in random order: a block of them is a random sample.
    features : all that is computed; `view` gives some of it.
    cache : folder for the blocks.
    workers : processes that featurise.
    """

    def __init__(self, texts: Sequence[str], features: FeatureSet, cache: Path, workers: int | None) -> None:
        self.features, self.cache, self.workers = features, cache, workers
        self.texts = [list(texts[start : start + BLOCK]) for start in range(0, len(texts), BLOCK)]
        self.stores: list[GraphStore] = []
        with progress("features of the library", len(texts)) as advance:
            for block in self.texts:
                self.stores.append(featurize(block, features, workers=workers, cache=cache / "features"))
                advance(len(block))
        self.used = [torch.from_numpy(store.usable) for store in self.stores]
        self.reasons = Counter(reason for store in self.stores for reason in store.reasons if reason)

    def __len__(self) -> int:
        return len(self.stores)

    @property
    def n_used(self) -> int:
        """Molecules that are used."""
        return int(sum(int(used.sum()) for used in self.used))

    def leave_out(self, keys: frozenset[str]) -> int:
        """Use no molecule with one of these skeletons; gives back how many there were."""
        before = self.n_used
        for number, texts in enumerate(self.texts):

            def is_other(texts: list[str] = texts) -> Tensor:
                of_texts = skeletons(texts, workers=self.workers)
                return torch.tensor([key not in keys for key in of_texts])

            self.used[number] &= self.kept("other", number, sorted(keys), is_other)
        return before - self.n_used

    def kept(self, what: str, number: int, of: object, work_out: Callable[[], Tensor]) -> Tensor:
        """Numbers about the molecules of a block, worked out once.

        Parameters
        ----------
        what, of : what they are and depend on, beside the molecules; plain values.
        """
        words = [what, self.texts[number], self.features.key(), of]
        total = hashlib.sha256(json.dumps(words).encode()).hexdigest()
        path = self.cache / "pretraining" / f"{what}-{total}.safetensors"
        try:
            values = load_file(path)["values"]
            if len(values) == len(self.texts[number]):
                return values
        except (OSError, SafetensorError, KeyError):
            pass  # not there, or damaged: it is worked out
        values = work_out()
        _keep(values, path)
        return values


def _keep(values: Tensor, path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as work:
            save_file({"values": values.contiguous()}, work)
    except (OSError, SafetensorError) as problem:
        raise DataError(
            f"{path.parent}: the cache cannot be written: {problem}. Make room, or name another folder with "
            "the variable XDG_CACHE_HOME."
        ) from problem


def view(store: GraphStore, features: FeatureSet) -> GraphStore:
    """The store with some of its features alone, without a copy; they must be among those it has."""
    places = [store.features.vectors.index(name) for name in features.vectors]
    return replace(store, features=features, vectors=tuple(store.vectors[place] for place in places))


def shuffled(rows: Tensor | np.ndarray) -> Tensor:
    """The rows in an order drawn from torch's generator."""
    rows = torch.as_tensor(rows)
    return rows[torch.randperm(len(rows))]
