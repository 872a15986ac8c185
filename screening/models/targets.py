"""What networks and baselines are trained to say: logits of classes, and real values in standard deviations.

The numbers that turn outputs back into values are a part of the bundle.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..data.sparse_cells import Cells, SparseCells
from ..errors import BundleError

SMALLEST = 1e-6
"""Standard deviation that counts as one: values that are all equal say nothing of a scale."""


@dataclass(frozen=True)
class Targets:
    """Mean and standard deviation of the training values of each real assay; 0 and 1 of the others."""

    is_real: np.ndarray
    """bool [T]."""
    mean: np.ndarray
    """float64 [T]."""
    deviation: np.ndarray
    """float64 [T], above 0."""

    @property
    def n_tasks(self) -> int:
        """T"""
        return len(self.mean)

    @classmethod
    def fit(cls, labels: np.ndarray, is_real: np.ndarray, censored: np.ndarray | None = None) -> "Targets":
        """From labels [n, T] of the training part, NaN = not measured.

        Censored values count as their bounds where an assay has fewer than two exact ones, else not at all.
        """
        n_tasks = labels.shape[1]
        mean, deviation = np.zeros(n_tasks), np.ones(n_tasks)
        for task in np.flatnonzero(is_real).tolist():
            values = labels[:, task].astype(np.float64)
            exact = values if censored is None else np.where(censored[:, task] == 0, values, np.nan)
            chosen = exact if np.isfinite(exact).sum() > 1 else values
            chosen = chosen[np.isfinite(chosen)]
            if len(chosen):
                mean[task], spread = chosen.mean(), chosen.std()
                deviation[task] = spread if spread > SMALLEST else 1.0
        return cls(np.asarray(is_real, bool), mean, deviation)

    def take(self, columns: Sequence[int] | np.ndarray) -> "Targets":
        """Those of some assays, in that order."""
        tasks = np.asarray(columns, np.int64)
        return Targets(self.is_real[tasks], self.mean[tasks], self.deviation[tasks])

    def standardised(self, labels: Cells) -> Cells:
        """Labels [n, T], or bounds [n, T, 2], as they are trained on, in the same form; float32."""
        if not self.is_real.any():
            return labels
        if isinstance(labels, SparseCells):
            return replace(labels, values=self.take(labels.tasks).standardised(labels.values[None])[0])
        shape = (1, -1) + (1,) * (labels.ndim - 2)
        mean, deviation = self.mean.reshape(shape), self.deviation.reshape(shape)
        return ((labels - mean) / deviation).astype(np.float32)

    def put_values(self, answers: np.ndarray, outputs: np.ndarray) -> None:
        """Write the values that outputs [n, T] mean into the columns of real assays of `answers` [n, T]."""
        real = self.is_real
        answers[:, real] = self.mean[real] + self.deviation[real] * outputs[:, real]

    def state(self) -> dict[str, np.ndarray]:
        """All of it as arrays, for a file; `restore` reads them."""
        return {"is_real": self.is_real, "mean": self.mean, "deviation": self.deviation}

    @classmethod
    def restore(cls, state: dict[str, np.ndarray]) -> "Targets":
        """The targets of which `state` was taken; BundleError where arrays are missing or do not fit."""
        shapes = {getattr(state.get(name), "shape", None) for name in ("is_real", "mean", "deviation")}
        if len(shapes) != 1 or len(shapes.pop() or ()) != 1:
            raise BundleError("The scales of the real assays cannot be read: three rows were expected.")
        targets = cls(state["is_real"].astype(bool), state["mean"], state["deviation"])
        is_sound = np.isfinite(targets.mean).all() and np.isfinite(targets.deviation).all()
        if not is_sound or not (targets.deviation > 0).all():
            raise BundleError("The scales of the real assays are not finite and above 0. Train again.")
        return targets
