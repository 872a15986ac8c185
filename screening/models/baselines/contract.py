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

from ...errors import BundleError, ConfigError
from ...features.store import GraphStore, VectorBlock
from ...registry import Registry
from ...runtime.processes import default_workers
from ...runtime.progress import progress
from ..base_rates import base_logits

Count = Annotated[int, Field(gt=0)]
Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(gt=0, le=1)]
ClassWeight = Literal["none", "balanced"]

LARGEST_LOGIT = 16.0  # a forest can be certain, a logit cannot: 1.1e-7 from 0 and 1
ROWS_AT_ONCE = 4096


class Baseline(ABC):
    """One model per assay; `fit` on the training molecules, then `predict` as a network does.

    Values that RDKit cannot compute (NaN) become the median of the training molecules. An assay with one
    class in training, or without labels, gets its base rate (shrunk with the weight of two molecules towards
    that of all assays, so that it is neither 0 nor 1), and `notes` says so.
    """

    kind: str
    """Its registered name."""
    network: None = None
    """None: it is no network, see `network.Predictor`."""
    base: Tensor
    """[T] float32, logit of the base rate of each assay in training."""
    notes: Sequence[str] = ()
    """What the user should know of the fit."""

    def fit(
        self,
        store: GraphStore,
        labels: Tensor,
        rows: Tensor,
        *,
        seed: int = 0,
        workers: int | None = None,
    ) -> Self:
        """Fit every assay on those of the molecules `rows` that have a label for it; gives itself back.

        Parameters
        ----------
        labels : [n, T] of all molecules of the store; 1, 0, NaN = not measured.
        rows : int64, the training molecules.
        workers : threads; None = one per processor. The result is the same.

        Raises
        ------
        ConfigError : the store has no vectors, or a package is missing.
        """
        blocks = store.vector_blocks
        if not blocks:
            raise ConfigError(
                f"baseline '{self.kind}' needs vector features. Add some: features.vectors=[ecfp_counts]."
            )
        answers = labels[rows]
        self.base = base_logits(answers).float()
        positives, counts = answers.nansum(0), (~answers.isnan()).sum(0)
        fitted = ((positives > 0) & (positives < counts)).tolist()
        one_class = ((counts > 0) & ~torch.tensor(fitted, dtype=torch.bool)).nonzero().flatten().tolist()
        self.notes = _notes(len(one_class), int((counts == 0).sum()), len(fitted))
        self._prepare(store, rows, blocks)
        tasks = [task for task, can in enumerate(fitted) if can]
        results = self._fit_all(
            store, answers, rows, tasks, seed, default_workers() if workers is None else workers
        )
        self._keep(dict(zip(tasks, results, strict=True)), len(fitted))
        return self

    def _fit_all(
        self, store: GraphStore, labels: Tensor, rows: Tensor, tasks: list[int], seed: int, workers: int
    ) -> list[Any]:
        """What `_fit_one` gives for each task: the libraries let go of the interpreter, so threads do."""

        def one(task: int) -> Any:
            measured = ~labels[:, task].isnan()
            answer = labels[measured, task].numpy().astype(np.int64)
            fitted = self._fit_one(self._inputs(store, rows[measured]), answer, seed)
            advance(1)
            return fitted

        with (
            progress(f"fitting {self.kind}", len(tasks)) as advance,
            ThreadPoolExecutor(max(workers, 1)) as pool,
        ):
            return list(pool.map(one, tasks))

    def _inputs(self, store: GraphStore, rows: Tensor) -> np.ndarray:
        """Inputs [n, F] float32 of the molecules, without NaN."""
        parts = [self._prepared(store.batch(part).vectors) for part in rows.split(ROWS_AT_ONCE)]
        return torch.cat(parts).numpy()

    def predict(self, store: GraphStore, rows: Tensor, *, batch_size: int = 512) -> Tensor:
        """Logits [n, T], float32, of the molecules `rows`; no logit is beyond plus or minus 16."""
        parts = [self._logits(self._prepared(store.batch(part).vectors)) for part in rows.split(batch_size)]
        logits = torch.cat(parts) if parts else torch.zeros(0, len(self.base))
        return logits.clamp(-LARGEST_LOGIT, LARGEST_LOGIT)

    def describe(self) -> dict[str, Any]:
        """The options, as plain values for JSON."""
        return {"options": {option: getattr(self, option) for option in baselines.options(self.kind)}}

    def state_dict(self) -> dict[str, Tensor]:
        """The fitted arrays."""
        return {"base": self.base, **self._arrays()}

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
        """The fitted model of one assay; `answer` has both classes."""

    @abstractmethod
    def _keep(self, fitted: dict[int, Any], n_tasks: int) -> None:
        """Store what `_fit_one` gave, by task."""

    @abstractmethod
    def _logits(self, inputs: Tensor) -> Tensor:
        """Logits [B, T], float32."""

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
) -> Baseline:
    """The baseline of that kind, options and `state_dict`; nothing in them is trusted.

    Parameters
    ----------
    blocks : the vectors it will be given.
    n_tasks : T.

    Raises
    ------
    BundleError : an array is missing, of another shape or kind, not finite, or points outside of its tree.
    ConfigError : no such baseline or option.
    """
    baseline: Baseline = baselines.build(kind, **options)
    baseline.base = taken(state, "base", (n_tasks,), torch.float32)
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


def _notes(one_class: int, unmeasured: int, n_tasks: int) -> list[str]:
    parts = [
        f"{number} of {n_tasks} assays {what} in training: their base rate is predicted"
        for number, what in ((one_class, "have one class"), (unmeasured, "have no label"))
        if number
    ]
    return ["; ".join(parts)] if parts else []
