"""Cross-entropy per task over the labels that are there, its slope by each logit, and positive weights.

Nothing here knows of models or balancers. The numbers are sums over the molecules of one process divided by
the label counts of the whole batch, so adding them up over processes gives the values of the whole batch.
"""

from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from ..errors import DataError


class Losses(NamedTuple):
    """The losses of one batch."""

    values: Tensor
    """[T] at least float32, nats; 0 for a task without labels."""
    present: Tensor
    """[T] bool, true where the task has a label in the whole batch."""


def label_counts(labels: Tensor) -> Tensor:
    """How many molecules are measured in each task: [T] float32 of labels [B, T]."""
    return (~labels.isnan()).sum(0, dtype=torch.float32)


def cell_losses(logits: Tensor, labels: Tensor, positive_weight: Tensor | None = None) -> Tensor:
    """Cross-entropy of every molecule in every task: [B, T] in nats, 0 where not measured; differentiable.

    Never computed in less than float32, whatever the type of `logits` and inside autocast too.

    Parameters
    ----------
    logits : [B, T], unbounded.
    labels : [B, T], 0, 1 or NaN (not measured).
    positive_weight : [T] or None; factor on the loss of every molecule with label 1.

    Raises
    ------
    DataError : a label is neither 0, 1 nor NaN.
    """
    _check_labels(labels)
    measured, logits = ~labels.isnan(), _wide(logits)
    with torch.autocast(logits.device.type, enabled=False):
        cells = functional.binary_cross_entropy_with_logits(
            logits, labels.nan_to_num().to(logits.dtype), pos_weight=positive_weight, reduction="none"
        )
    return torch.where(measured, cells, cells.new_zeros(()))


def per_task_losses(
    logits: Tensor, labels: Tensor, counts: Tensor, positive_weight: Tensor | None = None
) -> Losses:
    """Mean cross-entropy of each task over its measured molecules.

    With positive weights the sum is still divided by the *number of labels*, as in PyTorch's
    `BCEWithLogitsLoss(pos_weight=...)`, not by the sum of the weights, as in its
    `CrossEntropyLoss(weight=...)`: that divisor depends on how many of the rare positives the batch
    happened to draw, so a batch without any would count its negatives many times over.

    Parameters
    ----------
    logits : [B, T], unbounded.
    labels : [B, T], 0, 1 or NaN (not measured).
    counts : [T], measured molecules per task in the whole batch, over all processes.
    positive_weight : [T] or None, see `positive_weights`.

    Returns
    -------
    Losses with `values` [T], this process's share of the mean; an absent task has value 0.

    Raises
    ------
    DataError : a label is neither 0, 1 nor NaN.
    """
    totals = cell_losses(logits, labels, positive_weight).sum(0)
    return Losses(totals / counts.clamp(min=1), counts > 0)


def logit_gradients(
    logits: Tensor, labels: Tensor, counts: Tensor, positive_weight: Tensor | None = None
) -> Tensor:
    """Derivative of each task's loss by its own logit: [B, T], at least float32, 0 where not measured.

    With p = sigmoid(logit), weight v and label y: ((1 - y) p - v y (1 - p)) / counts. This is what
    autograd gives for `per_task_losses`, in closed form.
    """
    logits, measured = _wide(logits.detach()), ~labels.isnan()
    positive = labels.nan_to_num().to(logits.dtype)
    weight = 1.0 if positive_weight is None else positive_weight
    slopes = (1 - positive) * torch.sigmoid(logits) - weight * positive * torch.sigmoid(-logits)
    return torch.where(measured, slopes / counts.clamp(min=1), slopes.new_zeros(()))


def positive_weights(labels: Tensor, *, how: Literal["none", "balanced"], cap: float) -> Tensor | None:
    """Weights that give rare actives a voice: [T] float32, or None for `how="none"`.

    "balanced": negatives / positives of each task, so that both classes weigh the same in total, held
    within [1/cap, cap]. A task with one class only, or without labels, gets 1.

    Parameters
    ----------
    labels : [n, T] of the training part only.
    cap : at least 1; with 0.1 % actives an uncapped weight would be 1000.
    """
    if how not in ("none", "balanced"):
        raise ValueError(f"how is {how!r}; expected 'none' or 'balanced'.")
    if not cap >= 1:
        raise ValueError(f"cap is {cap}; expected at least 1.")
    if how == "none":
        return None
    counts, positives = label_counts(labels), labels.nansum(0)
    ratio = (counts - positives) / positives.clamp(min=1)
    both = (positives > 0) & (positives < counts)
    return torch.where(both, ratio.clamp(1 / cap, cap), torch.ones_like(ratio)).float()


def _wide(logits: Tensor) -> Tensor:
    """Logits in float32, or in float64 if they are."""
    return logits.to(torch.promote_types(logits.dtype, torch.float32))


def _check_labels(labels: Tensor) -> None:
    allowed = (labels == 0) | (labels == 1) | labels.isnan()
    if not bool(allowed.all()):
        row, task = (~allowed).nonzero()[0].tolist()
        raise DataError(
            f"Label {labels[row, task].item()} of molecule {row} of the batch in task {task} is neither 0, 1 "
            "nor missing (NaN). Only two-class assays can be trained: set a threshold on the column first."
        )
