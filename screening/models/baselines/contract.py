"""What a baseline is: one model per assay on the vector features.

They predict as a network does (`predict`: logits of rows of a store) and are saved as flat arrays: no
pickle, and no scikit-learn or LightGBM where they are only used.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any, Literal, Self

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from ...data.sparse_cells import SparseCells
from ...errors import BundleError, ConfigError
from ...features.store import GraphStore, VectorBlock
from ...registry import Registry
from ...runtime.processes import default_workers
from ...runtime.progress import progress
from ..base_rates import base_logits
from .columns import Columns, columns_of, labels_below

Count = Annotated[int, Field(gt=0)]
Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(gt=0, le=1)]
ClassWeight = Literal["none", "balanced"]
BoundsAs = Literal["value", "left_out"]

ENOUGH = 20
"""Exact values from which bounds of an assay can be left out."""

LARGEST_LOGIT = 16.0  # a forest can be certain, a logit cannot: 1.1e-7 from 0 and 1
ROWS_AT_ONCE = 4096


class Baseline(ABC):
    """One model per assay; `fit` on the training molecules, then `predict` as a network does.

    Values that RDKit cannot compute (NaN) become the median of the training molecules. An assay with one
    class in training, or without labels, gets its base rate (shrunk with the weight of two molecules towards
    that of all assays, so that it is neither 0 nor 1), and `notes` says so. A real assay with one value in
    training, or without values, gets its mean, with the weight of two molecules at 0, the mean of all
    standardised values.
    """

    kind: str
    """Its registered name."""
    kinds: frozenset[str] = frozenset({"binary"})
    """Of assays that it can be fitted to: `binary` (0 and 1), `real`. Those of values have `_fit_values`."""
    network: None = None
    """None: it is no network, see `network.Predictor`."""
    takes_bounds: bool = False
    """Whether it knows that a bound is none of the values."""
    bounds: BoundsAs = "value"
    """What a value that is known by a bound alone counts as, where it does not: as one measured there, or not
    at all in assays with `ENOUGH` exact ones."""
    gives_sd: bool = False
    """Whether it says how far off it may be: `predict_sd`."""
    leaves_out: bool = False
    """Whether `fit` with folds also gives `left_out`, so that it need not be fitted again without each."""
    left_out: Tensor | None = None
    """[training molecules, T] float32, after `fit` with folds: as `predict`, by what the other folds say."""
    vectors: tuple[str, ...] | None = None
    """The vectors of a store that it sees; None = all."""
    base: Tensor
    """[T] float32, logit of the base rate of each assay in training; of a real one its mean."""
    is_real: Tensor
    """[T] bool, which assays have values, predicted as they are; logits of the others."""
    sides: Tensor | Columns | None = None
    """While it is fitted: int8 [molecules of the training part, T], see `censored` of `fit`."""
    folds: Tensor | None = None
    """While it is fitted: int64 [molecules of the training part]."""
    n_fitted: Tensor
    """int64 [T], labels of each assay that it was fitted on."""
    notes: Sequence[str] = ()
    """What the user should know of the fit."""

    def fit(
        self,
        store: GraphStore,
        labels: Tensor | SparseCells,
        rows: Tensor,
        *,
        is_real: Tensor | None = None,
        censored: Tensor | SparseCells | None = None,
        folds: Tensor | None = None,
        seed: int = 0,
        workers: int | None = None,
    ) -> Self:
        """Fit every assay on those of the molecules `rows` that have a label for it; gives itself back.

        Parameters
        ----------
        labels : [n, T] of all molecules of the store; 1, 0, NaN = not measured. Of real assays standardised
            values, or the bound of one that is known by a bound alone. Or the measured cells alone.
        rows : int64, the training molecules.
        is_real : bool [T], which assays have values; None = none.
        censored : int8 [n, T], 1 = the true value is above the label, -1 = below; None = all are exact. All
            but the Gaussian process take a bound as if it were measured.
        folds : int64 [rows], a fold of each training molecule, from 0; for what `leaves_out`.
        workers : threads; None = one per processor. The result is the same.

        Raises
        ------
        ConfigError : the store has no vectors, a package is missing, or it is not for assays of this kind.
        """
        self.is_real = torch.zeros(labels.shape[1], dtype=torch.bool) if is_real is None else is_real.cpu()
        self.check_kinds(self.is_real)
        store = store.with_vectors(self.vectors)
        blocks = store.vector_blocks
        if not blocks:
            raise ConfigError(
                f"baseline '{self.kind}' needs vector features. Add some: features.vectors=[ecfp_counts]."
            )
        answers, below = columns_of(labels, rows), labels_below(labels, rows)
        self.sides, self.folds = None if censored is None else columns_of(censored, rows), folds
        self.base, self.n_fitted = _bases(below, self.is_real), (~below.isnan()).sum(0)
        counts = self.n_fitted
        can_be_fitted = below.nan_to_num(-torch.inf).amax(0) > below.nan_to_num(torch.inf).amin(0)
        self.notes = _notes(counts > 0, can_be_fitted, self.is_real)
        self._prepare(store, rows, blocks)
        tasks = can_be_fitted.nonzero().flatten().tolist()
        results = self._fit_all(
            store, answers, rows, tasks, seed, default_workers() if workers is None else workers
        )
        self._keep(dict(zip(tasks, results, strict=True)), len(counts))
        self.sides = self.folds = None
        return self

    def check_kinds(self, is_real: Tensor) -> None:
        """Raise ConfigError where assays [T] are of a kind that it cannot be fitted to."""
        for kind, count in (("real", int(is_real.sum())), ("binary", int((~is_real).sum()))):
            if count and kind not in self.kinds:
                others = [
                    name for name in baselines.names() if {"binary", "real"} <= baselines.get(name).kinds
                ]
                what = "real values" if kind == "real" else "two classes"
                raise ConfigError(
                    f"baseline '{self.kind}' cannot be fitted to assays of {what}, of which the table has "
                    f"{count:,} (of {len(is_real):,}). Take another: model.baseline={' or '.join(others)}."
                )

    def _fit_all(
        self,
        store: GraphStore,
        labels: Tensor | Columns,
        rows: Tensor,
        tasks: list[int],
        seed: int,
        workers: int,
    ) -> list[Any]:
        """What is fitted to each task: the libraries let go of the interpreter, so threads do."""

        def one(task: int) -> Any:
            measured = self._counted(labels[:, task], task)
            answer, inputs = labels[measured, task].numpy(), self._inputs(store, rows[measured])
            if self.is_real[task]:
                fitted = self._fit_values(inputs, answer.astype(np.float64), seed)
            else:
                fitted = self._fit_one(inputs, answer.astype(np.int64), seed)
            advance(1)
            return fitted

        with (
            progress(f"fitting {self.kind}", len(tasks)) as advance,
            ThreadPoolExecutor(max(workers, 1)) as pool,
        ):
            return list(pool.map(one, tasks))

    def _counted(self, labels: Tensor, task: int) -> Tensor:
        """bool [n], molecules of the training part that the assay is fitted on."""
        measured = ~labels.isnan()
        if self.sides is None or self.bounds == "value" or not self.is_real[task]:
            return measured
        exact = measured & (self.sides[:, task] == 0)
        return exact if int(exact.sum()) >= ENOUGH else measured

    def _inputs(self, store: GraphStore, rows: Tensor) -> np.ndarray:
        """Inputs [n, F] float32 of the molecules, without NaN."""
        parts = [self._prepared(store.batch(part).vectors) for part in rows.split(ROWS_AT_ONCE)]
        return torch.cat(parts).numpy()

    def predict(self, store: GraphStore, rows: Tensor, *, batch_size: int = 512) -> Tensor:
        """Logits [n, T], float32, of the molecules `rows`, none beyond +-16; values of real assays."""
        store = store.with_vectors(self.vectors)
        parts = [self._logits(self._prepared(store.batch(part).vectors)) for part in rows.split(batch_size)]
        return self._bounded(torch.cat(parts) if parts else torch.zeros(0, len(self.base)))

    def _bounded(self, logits: Tensor) -> Tensor:
        """Logits within +-16; values of real assays as they are."""
        return torch.where(self.is_real, logits, logits.clamp(-LARGEST_LOGIT, LARGEST_LOGIT))

    def predict_sd(self, store: GraphStore, rows: Tensor, *, batch_size: int = 512) -> Tensor:
        """Standard deviations [n, T] of standardised values, float32; NaN: it has none."""
        return torch.full((len(rows), len(self.base)), torch.nan)

    def predict_with_sd(
        self, store: GraphStore, rows: Tensor, *, batch_size: int = 512
    ) -> tuple[Tensor, Tensor]:
        """`predict` and `predict_sd`, out of one pass where both need the same."""
        logits = self.predict(store, rows, batch_size=batch_size)
        return logits, self.predict_sd(store, rows, batch_size=batch_size)

    def describe(self) -> dict[str, Any]:
        """The options, as plain values for JSON."""
        return {"options": {option: getattr(self, option) for option in baselines.options(self.kind)}}

    def state_dict(self) -> dict[str, Tensor]:
        """The fitted arrays; without `is_real` where all assays have two classes, as in older bundles."""
        kinds = {"is_real": self.is_real} if self.is_real.any() else {}
        return {"base": self.base, **kinds, **self._arrays()}

    def to(self, device: str | torch.device) -> Self:
        """Itself: baselines stay on the CPU."""
        return self

    @abstractmethod
    def _prepare(self, store: GraphStore, rows: Tensor, blocks: Sequence[VectorBlock]) -> None:
        """Learn from the training molecules how inputs are prepared."""

    @abstractmethod
    def _prepared(self, vectors: Tensor) -> Tensor:
        """Inputs [B, F] of vectors [B, F]."""

    @abstractmethod
    def _fit_one(self, inputs: np.ndarray, answer: np.ndarray, seed: int) -> Any:
        """The fitted model of one assay of two classes; `answer` has both."""

    def _fit_values(self, inputs: np.ndarray, answer: np.ndarray, seed: int) -> Any:
        """The fitted model of one real assay; `answer` float64 has different values."""
        raise NotImplementedError(type(self).__name__)

    @abstractmethod
    def _keep(self, fitted: dict[int, Any], n_tasks: int) -> None:
        """Store what `_fit_one` gave, by task."""

    @abstractmethod
    def _logits(self, inputs: Tensor) -> Tensor:
        """Logits [B, T], float32; of real assays values."""

    @abstractmethod
    def _arrays(self) -> dict[str, Tensor]:
        """All arrays but `base`."""

    @abstractmethod
    def _take(self, state: dict[str, Tensor], blocks: Sequence[VectorBlock], n_tasks: int) -> None:
        """Check and take the arrays of a file."""


baselines: Registry[type[Baseline]] = Registry("baseline", members="screening.models.baselines")


def restore(
    kind: str,
    options: dict[str, Any],
    state: dict[str, Tensor],
    blocks: Sequence[VectorBlock],
    n_tasks: int,
    vectors: tuple[str, ...] | None = None,
) -> Baseline:
    """The baseline of that kind, options and `state_dict`; nothing in them is trusted.

    Parameters
    ----------
    blocks : the vectors it sees.
    n_tasks : T.
    vectors : as `Baseline.vectors`.

    Raises
    ------
    BundleError : an array is missing, of another shape or kind, not finite, or points outside of its tree.
    ConfigError : no such baseline or option.
    """
    baseline: Baseline = baselines.build(kind, **options)
    baseline.vectors = vectors
    baseline.base = taken(state, "base", (n_tasks,), torch.float32)
    baseline.is_real = torch.zeros(n_tasks, dtype=torch.bool)
    if "is_real" in state:
        baseline.is_real = taken(state, "is_real", (n_tasks,), torch.bool)
    baseline._take(state, blocks, n_tasks)
    return baseline


def taken(state: dict[str, Tensor], name: str, shape: tuple[int, ...], kind: torch.dtype) -> Tensor:
    """The array of that name, shape and kind, all of it finite; BundleError otherwise."""
    array = state.get(name)
    if array is None or array.shape != shape or array.dtype != kind or not array.isfinite().all():
        what = "is missing" if array is None else f"is {array.dtype} {tuple(array.shape)} or not finite"
        raise BundleError(
            f"a baseline's array '{name}' {what}; expected finite {kind} {shape}. Copy the bundle again."
        )
    return array


def _bases(labels: Tensor, is_real: Tensor) -> Tensor:
    """Logits of the base rates [T] float32 of labels [n, T]; of real assays means, drawn to 0."""
    means = labels.nansum(0).double() / ((~labels.isnan()).sum(0) + 2)
    bases = torch.where(is_real, means, 0.0)
    bases[~is_real] = base_logits(labels[:, ~is_real])
    return bases.float()


def _notes(is_measured: Tensor, can_be_fitted: Tensor, is_real: Tensor) -> list[str]:
    is_single = is_measured & ~can_be_fitted
    cases = (
        (is_single & ~is_real, "have one class in training: their base rate is predicted"),
        (~is_measured & ~is_real, "have no label in training: their base rate is predicted"),
        (is_single & is_real, "have one value in training: their mean is predicted"),
        (~is_measured & is_real, "have no value in training: 0, the mean once standardised, is predicted"),
    )
    parts = [f"{int(which.sum())} of {len(is_real)} assays {what}" for which, what in cases if which.any()]
    return ["; ".join(parts)] if parts else []
