"""What happened in the epochs of a training, as tables and for people."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd
import torch
from torch import Tensor

from ..models.network import ScreeningModel
from ..runtime.progress import duration


class Epoch(NamedTuple):
    """What happened in one epoch."""

    number: int
    """From 0."""
    loss: Tensor
    """[T] mean training loss over the labels seen, nats; NaN without labels."""
    weight: Tensor
    """[T] mean weight over the steps in which the task had labels; NaN if it never had."""
    valid_concordance: Tensor
    """[T]: ROC-AUC of two classes, concordance of real values; NaN where the validation part has none."""
    lr: float
    """Learning rate of the last step."""
    seconds: float
    """Wall time, not part of the result."""
    is_best: bool
    of: int = 0
    """Epochs at most."""
    seconds_left: float = math.nan
    """For the epochs that may follow; not part of the result."""
    metric: str = "ROC-AUC"
    """What `valid_concordance` is called, for people."""

    @property
    def macro(self) -> float:
        """Mean validation concordance over the assays that have one; NaN if none has."""
        return _mean(self.valid_concordance)

    def __str__(self) -> str:
        of = f" of {self.of}" if self.of else ""
        left = f", at most {duration(self.seconds_left)} left" if self.seconds_left > 0 else ""
        best = "  best" if self.is_best else ""
        macro = "-" if math.isnan(self.macro) else f"{self.macro:.4f}"
        return (
            f"epoch {self.number + 1:>3}{of}  loss {_mean(self.loss):.4f}  "
            f"valid {self.metric} {macro}  lr {self.lr:.1e}  {self.seconds:.1f} s{left}{best}"
        )


class EpochSums:
    """Sums over the steps of an epoch, on the device, without waiting for it."""

    def __init__(self, n_tasks: int, device: torch.device) -> None:
        self._loss, self._labels, self._weight, self._steps = torch.zeros(4, n_tasks, device=device)

    def add(self, losses: Tensor, counts: Tensor, weights: Tensor) -> None:
        """A step: mean loss, labels and weight of each task, [T] each."""
        self._loss += losses * counts
        self._labels += counts
        self._weight += weights
        self._steps += counts > 0

    def loss(self) -> Tensor:
        """[T], mean over the labels seen; NaN without any."""
        return torch.where(self._labels > 0, self._loss / self._labels, torch.nan)

    def weight(self) -> Tensor:
        """[T], mean over the steps with labels of the task; NaN without any."""
        return torch.where(self._steps > 0, self._weight / self._steps, torch.nan)


class Kept(NamedTuple):
    """A network that a training leaves."""

    model: ScreeningModel
    """With heads for `assays` alone."""
    assays: tuple[int, ...]
    """Those that it scores, positions among the assays of the training."""
    epoch: int | None
    """Of a snapshot, from 0; None = the best one."""


class History(list[Epoch]):
    """All epochs of a run."""

    @property
    def best_epoch(self) -> int:
        """Number of the epoch whose weights were kept, from 0."""
        return max((epoch.number for epoch in self if epoch.is_best), default=len(self) - 1)

    def ending(self, epochs: int, patience: int | None, kept: Sequence[Kept] = ()) -> str:
        """Why the training ended, and which epochs' weights are kept, for people.

        Parameters
        ----------
        epochs, patience : as in the section `train` of the config.
        kept : networks that were chosen; () = that of the best epoch.
        """
        best = self[self.best_epoch]
        metric = best.metric
        if len(self) < epochs:
            why = (
                f"stopped early, after epoch {len(self)} of {epochs}: no better validation {metric} for "
                f"{patience} epochs (train.patience)"
            )
        else:
            why = f"all {epochs} epochs trained"
        if len(kept) > 1 or any(one.epoch is not None for one in kept):
            each = (f"{(one.epoch or 0) + 1} for {len(one.assays)}" for one in kept)
            return f"{why}; kept are snapshots, of epoch {', '.join(each)} assays"
        if math.isnan(best.macro):
            has = "both classes" if metric == "ROC-AUC" else "both classes, or values to put in order,"
            return f"{why}; kept is the last epoch: no assay has {has} in the validation part"
        return f"{why}; kept is the best, epoch {best.number + 1} (validation {metric} {best.macro:.4f})"

    def per_task(self, tasks: tuple[str, ...]) -> pd.DataFrame:
        """One row per epoch and assay: loss, weight, validation concordance."""
        frames = [
            pd.DataFrame(
                {
                    "epoch": epoch.number,
                    "assay": tasks,
                    "loss": epoch.loss.numpy(),
                    "weight": epoch.weight.numpy(),
                    "valid_concordance": epoch.valid_concordance.numpy(),
                }
            )
            for epoch in self
        ]
        return pd.concat(frames, ignore_index=True)

    def per_epoch(self) -> pd.DataFrame:
        """One row per epoch: macro means, learning rate, whether it was the best so far."""
        return pd.DataFrame(
            {
                "epoch": [epoch.number for epoch in self],
                "loss": [_mean(epoch.loss) for epoch in self],
                "valid_macro_concordance": [epoch.macro for epoch in self],
                "lr": [epoch.lr for epoch in self],
                "is_best": [epoch.is_best for epoch in self],
            }
        )


def _mean(values: Tensor) -> float:
    return float(values.double().nanmean())
