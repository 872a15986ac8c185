"""A bundle in memory: what a block of molecules becomes, as a table or as a part file.

Streams, folders and restarts are in `scoring`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import torch

from .bundle import Bundle
from .errors import ConfigError
from .graphs import GraphStore, featurize, pack
from .libraries import Piece
from .parts import OURS, PartFolder, Tally
from .registry import did_you_mean

DTYPES = {"float32": np.float32, "float16": np.float16}


class Scorer:
    """A bundle in memory, ready to score.

    Parameters
    ----------
    assays : those wanted, in this order; None = all.

    Raises
    ------
    ConfigError : the bundle has no assay of a name in `assays`.
    """

    def __init__(self, bundle: Bundle, *, device: str = "auto", assays: Sequence[str] | None = None) -> None:
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        self.bundle = bundle.to(device)
        self.tasks = bundle.tasks if assays is None else _chosen(assays, bundle.tasks)
        self._columns = [bundle.tasks.index(task) for task in self.tasks]

    @classmethod
    def load(cls, path: str | Path, *, device: str = "auto", assays: Sequence[str] | None = None) -> "Scorer":
        """From a run folder or a bundle folder; BundleError if there is none or it is damaged."""
        return cls(Bundle.load(Path(path)), device=device, assays=assays)

    def score(self, smiles: Sequence[str]) -> pd.DataFrame:
        """One row per SMILES, in order: smiles, status (`ok` or `rejected`), reason, probability per assay.

        A molecule that cannot be used has no probabilities (NaN) and a reason.
        """
        store = featurize(list(smiles), self.bundle.features, workers=0)
        frame = pd.DataFrame(self.columns_of(store))
        frame.insert(0, "smiles", list(smiles))
        frame.insert(1, "status", ["rejected" if reason else "ok" for reason in store.reasons])
        frame.insert(2, "reason", store.reasons)
        return frame

    def columns_of(self, store: GraphStore) -> dict[str, np.ndarray]:
        """All result columns of n molecules, [n] each; NaN where the molecule is not usable.

        What a score says besides the probabilities (float32, one column per assay) is added here.
        """
        return dict(zip(self.tasks, self.probabilities(store).T, strict=True))

    def probabilities(self, store: GraphStore) -> np.ndarray:
        """Probabilities [n, T] float32; NaN rows where the molecule is not usable."""
        scores = np.full((len(store), len(self.tasks)), np.nan, np.float32)
        rows = torch.from_numpy(np.flatnonzero(store.usable))
        scores[rows.numpy()] = self.bundle.predict(store, rows).probabilities[:, self._columns]
        return scores


def _chosen(assays: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    for name in assays:
        if name not in known:
            raise ConfigError(f"The model has no assay '{name}'. {did_you_mean(name, known)}")
    return tuple(dict.fromkeys(assays))


@dataclass(frozen=True)
class Recipe:
    """How a block becomes a part: all that decides the bytes of a part besides the library."""

    run: Path
    """Run folder or bundle folder."""
    assays: tuple[str, ...] | None = None
    """Assays wanted, None = all."""
    threshold: float | None = None
    """Scored molecules below it in every assay are left out."""
    dtype: str = "float32"
    """float32 or float16: the result columns in the parts."""
    device: str = "auto"


class PartMaker:
    """The work on a piece of a library: `prepare` computes features, `finish` scores and writes the part."""

    def __init__(self, recipe: Recipe, extra: tuple[str, ...], folder: PartFolder) -> None:
        self.recipe, self.extra, self.folder = recipe, extra, folder
        self.scorer = Scorer.load(recipe.run, device=recipe.device, assays=recipe.assays)
        self.prepare: Callable[[list[str]], Any] = partial(pack, features=self.scorer.bundle.features)
        taken = {*OURS, *self.scorer.columns_of(GraphStore.of(self.scorer.bundle.features, []))}
        self._titles = {name: f"input:{name}" if name in taken else name for name in extra}

    def finish(self, piece: Piece, prepared: Any) -> Tally:
        """The counts of the part, which is then in the folder."""
        store = GraphStore.of(self.scorer.bundle.features, [prepared])
        reasons = [problem or reason for problem, reason in zip(piece.problems, store.reasons, strict=True)]
        usable = np.array([not reason for reason in reasons], bool)
        results = {name: self._stored(column) for name, column in self.scorer.columns_of(store).items()}
        table = self._table(piece, reasons, usable, results)
        below = self._below(usable, results)
        if below.any():
            table = table.filter(pa.array(~below))
        counts = pd.Series(reasons).value_counts(sort=False).to_dict()
        tally = Tally(piece.number, piece.digest(), counts, int(below.sum()))
        self.folder.write(table, tally)
        return tally

    def _stored(self, column: np.ndarray) -> np.ndarray:
        return column.astype(DTYPES[self.recipe.dtype]) if column.dtype == np.float32 else column

    def _below(self, usable: np.ndarray, results: Mapping[str, np.ndarray]) -> np.ndarray:
        """[n] bool: scored, but left out."""
        if self.recipe.threshold is None:
            return np.zeros(len(usable), bool)
        reached = [results[task] >= self.recipe.threshold for task in self.scorer.tasks]
        return usable & ~np.any(reached, axis=0)

    def _table(
        self, piece: Piece, reasons: list[str], usable: np.ndarray, results: Mapping[str, np.ndarray]
    ) -> pa.Table:
        n = len(piece)
        columns = {
            "row": pa.array(piece.rows, pa.int64()),
            "file": pa.array([piece.file] * n, pa.string()),
            "id": pa.array(piece.ids, pa.string()),
            "smiles": pa.array(piece.smiles, pa.string()),
            "status": pa.array(np.where(usable, "ok", "rejected"), pa.string()),
            "reason": pa.array(reasons, pa.string()),
        }
        for name in self.extra:
            texts = piece.extra.get(name)
            columns[self._titles[name]] = (
                pa.nulls(n, pa.string()) if texts is None else pa.array(texts, pa.string())
            )
        return pa.table(columns | {name: pa.array(column, mask=~usable) for name, column in results.items()})
