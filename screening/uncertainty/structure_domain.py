"""Applicability domain by structure: Tanimoto similarity (ECFP4) to the nearest training molecule.

A model knows the chemistry it was trained on; `Domain` finds the nearest training molecule, or the nearest
known active of an assay, and says which molecules are farther out than validation molecules were.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
from scipy.sparse import csr_matrix

from ..data.assay_kinds import Assay, are_real
from ..errors import BundleError
from ..features.packing import FeatureSet
from ..features.store import GraphStore, SparseRows, featurize
from ..runtime import ragged
from ..sizes import LARGEST

PERCENTILE = 5.0
"""Of validation molecules that count as outside."""
SOURCES = ("ecfp_counts", "ecfp_bits")
"""Featurizers whose columns that are not 0 are the bits of ECFP4."""

COLUMNS = 256
"""Assays whose labels are looked at as an array at a time."""
GOOD, FEWEST = 0.1, 10
"""Share of the measured molecules that count as good in a real assay, and how many at least."""

_BITS = 2048
_AT_ONCE = (512, 1024)  # molecules and references: 1 MB of shared bits, 4 MB of references


class Fingerprints(NamedTuple):
    """The bits of n molecules that are on, of 2,048; none for a molecule that cannot be used."""

    first: np.ndarray
    """int64 [n + 1], where the bits of each molecule start; the last is the end."""
    columns: np.ndarray
    """int16 [all bits that are on]"""

    @property
    def sizes(self) -> np.ndarray:
        """int64 [n], bits that are on."""
        return np.diff(self.first)

    def take(self, rows: np.ndarray) -> "Fingerprints":
        """The molecules `rows`, in that order."""
        sizes = self.sizes[rows]
        columns = self.columns[ragged.spans(self.first[rows], sizes)]
        return Fingerprints(ragged.bounds(sizes), columns)


class Nearest(NamedTuple):
    """For each molecule the most similar of the references, the first of them where several are."""

    similarity: np.ndarray
    """float32 [n], Tanimoto similarity of ECFP4, 0 to 1; 0 where there is no reference."""
    row: np.ndarray
    """int64 [n], which one it is; -1 where there is none."""


def with_fingerprints(features: FeatureSet) -> FeatureSet:
    """The same features with ECFP at the end, unless they have it."""
    if set(SOURCES) & set(features.vectors):
        return features
    return replace(features, vectors=(*features.vectors, "ecfp_bits"))


def fingerprints_of(store: GraphStore) -> Fingerprints:
    """The fingerprints of a store whose features are `with_fingerprints`."""
    places = [number for number, name in enumerate(store.features.vectors) if name in SOURCES]
    if not places:
        raise ValueError(f"features {store.features.names} have no ECFP: featurise with_fingerprints.")
    block = cast(SparseRows, store.vectors[places[0]])
    return Fingerprints(block.first.numpy(), block.columns.numpy())


def fingerprints(
    smiles: Sequence[str],
    *,
    standardize: str = "none",
    workers: int | None = None,
    cache: Path | None = None,
) -> Fingerprints:
    """The fingerprints of SMILES; one that cannot be read has no bits.

    They were accepted before, so any size that can be allowed is.
    """
    features = FeatureSet(None, ("ecfp_bits",), standardize, LARGEST)
    return fingerprints_of(featurize(smiles, features, workers=workers, cache=cache))


def nearest(molecules: Fingerprints, references: Fingerprints) -> Nearest:
    """The nearest of the `references` for each of `molecules`, by looking at all of them.

    Shared bits of a block of molecules and a block of references are the product of a sparse matrix (some
    45 bits per molecule are on) and a dense one: sums of a few rows of small whole numbers.
    """
    n = len(molecules.sizes)
    best, row = np.full(n, -1, np.float32), np.full(n, -1)
    for left in range(0, len(references.sizes), _AT_ONCE[1]):
        block = references.take(np.arange(left, min(left + _AT_ONCE[1], len(references.sizes))))
        dense = np.ascontiguousarray(_matrix(block).toarray().T)
        for top in range(0, n, _AT_ONCE[0]):
            part = np.arange(top, min(top + _AT_ONCE[0], n))
            similarity = _similarity(molecules.take(part), block, dense)
            at = similarity.argmax(axis=1)
            highest = similarity[np.arange(len(at)), at]
            better = highest > best[part]
            best[part[better]], row[part[better]] = highest[better], left + at[better]
    return Nearest(np.maximum(best, 0), row)


class Structures(NamedTuple):
    """What the n training molecules are and where they are active."""

    ids: tuple[str, ...]
    """n identifiers."""
    smiles: tuple[str, ...]
    """n structures as the table has them."""
    active_rows: np.ndarray
    """int64, places of the actives of each assay among the n; of a real assay those of good molecules."""
    active_bounds: np.ndarray
    """int64 [T + 1]: assay t has active_rows[active_bounds[t] : active_bounds[t + 1]]."""
    active_values: np.ndarray | None = None
    """float32, labels of `active_rows`: values on the scale of training; None = all are 1."""


@dataclass(frozen=True)
class Domain:
    """The training molecules of a model, and how far from them validation molecules were."""

    training: Fingerprints
    """Training molecules, in the order of the table."""
    threshold: float
    """Similarity from which a molecule is inside."""
    standardize: str
    """Preparation of structures before fingerprinting, as in training."""
    structures: Structures | None = None
    """Names, structures and actives of the training molecules, where they are kept."""

    @classmethod
    def fit(
        cls,
        training: Fingerprints,
        validation: Fingerprints,
        *,
        standardize: str = "none",
        percentile: float = PERCENTILE,
    ) -> "Domain":
        """The domain outside which are `percentile` % of the validation molecules.

        With a split by scaffold these are themselves new chemistry, so its domain is wider than that of
        a random split: it says where the evaluation still speaks, not where the model is good.

        Raises
        ------
        ValueError : no molecule to measure the distance from, or to.
        """
        if not len(training.sizes) or not len(validation.sizes):
            raise ValueError("A domain needs training and validation molecules.")
        threshold = np.percentile(nearest(validation, training).similarity, percentile)
        return cls(training, float(threshold), standardize)

    @property
    def n_tasks(self) -> int | None:
        """T; None where no structures are kept."""
        return None if self.structures is None else len(self.structures.active_bounds) - 1

    def keeping(
        self,
        ids: Sequence[str],
        smiles: Sequence[str],
        labels: np.ndarray,
        assays: Sequence[Assay] = (),
        censored: np.ndarray | None = None,
    ) -> "Domain":
        """The same domain with `structures`.

        Parameters
        ----------
        labels, censored : [n, T] of the training molecules, as in `AssayTable`. Actives are those of label 1,
            and of a real assay its best tenth (see `best_tenth`).
        assays : T; () = all are of two classes.
        """
        parts = []
        for start in range(0, labels.shape[1], COLUMNS):
            at = slice(start, start + COLUMNS)
            marks = None if censored is None else censored[:, at]
            parts.append(_actives(labels[:, at], assays[at], marks))
        counts, rows, values = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        kept = values if any(assay.is_real for assay in assays) else None
        return replace(
            self, structures=Structures(tuple(ids), tuple(smiles), rows, ragged.bounds(counts), kept)
        )

    def nearest(self, molecules: Fingerprints) -> Nearest:
        """The nearest training molecule of each."""
        return nearest(molecules, self.training)

    def is_inside(self, similarity: np.ndarray) -> np.ndarray:
        """bool [n], whether molecules of that similarity to the training part are in the domain."""
        return similarity >= self.threshold

    def nearest_active(self, molecules: Fingerprints, task: int) -> Nearest:
        """The nearest training molecule that is active, or good, in an assay; `row` counts all of them.

        Raises
        ------
        ValueError : the structures were not kept.
        """
        if self.structures is None:
            raise ValueError("This domain keeps no structures: train with domain.structures=true.")
        bounds = self.structures.active_bounds
        rows = self.structures.active_rows[bounds[task] : bounds[task + 1]]
        neighbours = nearest(molecules, self.training.take(rows))
        return Nearest(neighbours.similarity, np.append(rows, -1)[neighbours.row])

    def values_of(self, task: int) -> np.ndarray:
        """float32 [n], the values of the good training molecules of a real assay; NaN of the others."""
        if self.structures is None or self.structures.active_values is None:
            raise ValueError("This domain keeps no values.")
        values = np.full(len(self.structures.ids), np.nan, np.float32)
        part = slice(*self.structures.active_bounds[[task, task + 1]])
        values[self.structures.active_rows[part]] = self.structures.active_values[part]
        return values

    def state(self) -> dict[str, np.ndarray]:
        """All of it as arrays, for a file; `restore` reads them."""
        about: dict[str, Any] = {"standardize": self.standardize}
        arrays = {**self.training._asdict(), "threshold": np.array([self.threshold])}
        if self.structures is not None:
            about |= {"ids": self.structures.ids, "smiles": self.structures.smiles}
            arrays["active_rows"] = self.structures.active_rows
            arrays["active_bounds"] = self.structures.active_bounds
            if self.structures.active_values is not None:
                arrays["active_values"] = self.structures.active_values
        return {**arrays, "about": np.frombuffer(json.dumps(about).encode(), np.uint8)}

    @classmethod
    def restore(cls, state: dict[str, np.ndarray]) -> "Domain":
        """The domain of which `state` was taken; BundleError where arrays are missing or do not fit."""
        try:
            about = json.loads(state["about"].tobytes())
            structures = None
            if "smiles" in about:
                ids, smiles = tuple(about["ids"]), tuple(about["smiles"])
                rows, bounds = state["active_rows"], state["active_bounds"]
                structures = Structures(ids, smiles, rows, bounds, state.get("active_values"))
            training = Fingerprints(state["first"], state["columns"])
            domain = cls(training, float(state["threshold"][0]), about["standardize"], structures)
        except (KeyError, ValueError, IndexError, TypeError) as problem:
            raise BundleError(
                f"The applicability domain cannot be read: {problem!r}. Train again."
            ) from problem
        if not domain._is_consistent():
            raise BundleError("The arrays of the applicability domain do not fit together. Train again.")
        return domain

    def _is_consistent(self) -> bool:
        first, columns = self.training
        fits = columns.dtype.kind == "i" and bool(((columns >= 0) & (columns < _BITS)).all())
        fits = fits and ragged.are_bounds(first, len(columns)) and len(first) > 1
        fits = fits and bool(np.isfinite(self.threshold))
        if self.structures is None:
            return fits
        ids, smiles, rows, bounds, values = self.structures
        fits = fits and (values is None or (values.shape == rows.shape and bool(np.isfinite(values).all())))
        fits = fits and len(ids) == len(smiles) == len(first) - 1 and ragged.are_bounds(bounds, len(rows))
        return fits and rows.dtype.kind == "i" and bool(((rows >= 0) & (rows < len(ids))).all())


def _actives(
    labels: np.ndarray, assays: Sequence[Assay], censored: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How many molecules are active or good in each assay, int64 [T]; which, assay by assay; their labels."""
    is_active = labels == 1
    if assays:
        is_real = are_real(assays)
        is_active[:, is_real] = best_tenth(labels, assays, censored)[:, is_real]
    task, rows = np.nonzero(is_active.T)
    counts = np.bincount(task, minlength=labels.shape[1])
    return counts, rows, labels[rows, task].astype(np.float32)


def best_tenth(labels: np.ndarray, assays: Sequence[Assay], censored: np.ndarray | None = None) -> np.ndarray:
    """Which molecules are good in a real assay: bool [n, T], False of binary assays.

    Those of the best tenth of the measured values at the end that the assay's `wanted` says, ten at least,
    equal ones too. A censored value counts where the true one is better still than its bound.
    """
    signs = np.array([1 if assay.wanted == "high" else -1 for assay in assays], np.float32)
    is_measured = np.isfinite(labels) & are_real(assays)
    can = is_measured if censored is None else is_measured & (censored * signs >= 0)
    task, row = np.nonzero(can.T)
    goodness = (labels * signs)[row, task]
    ordered = goodness[np.lexsort((-goodness, task))]
    sizes = np.bincount(task, minlength=len(assays))
    ranks = np.minimum(np.maximum(np.ceil(GOOD * is_measured.sum(0)), FEWEST), sizes).astype(np.int64)
    last = np.append(ordered, np.float32(np.inf))[np.where(sizes > 0, ragged.firsts(sizes) + ranks - 1, -1)]
    is_good: np.ndarray = can & (labels * signs >= last)
    return is_good


def _similarity(molecules: Fingerprints, references: Fingerprints, dense: np.ndarray) -> np.ndarray:
    """Tanimoto similarity float32 [n, k]; `dense` has the bits of the references, int16 [2048, k]."""
    shared = _matrix(molecules) @ dense
    sizes = molecules.sizes.astype(np.int16)[:, None] + references.sizes.astype(np.int16)
    return np.divide(shared, np.maximum(sizes - shared, 1), dtype=np.float32)


def _matrix(prints: Fingerprints) -> csr_matrix:
    """int16 [n, 2048] of 0 and 1."""
    ones = np.ones(len(prints.columns), np.int16)
    return csr_matrix((ones, prints.columns.astype(np.int32), prints.first), shape=(len(prints.sizes), _BITS))
