"""Weights that give rare actives a voice: options `positive_weight` and `cap` of losses."""

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from .contract import label_counts

PositiveWeight = Literal["none", "balanced"]
Cap = Annotated[float, Field(ge=1)]


def positive_weights(labels: Tensor | None, *, how: PositiveWeight, cap: float) -> Tensor | None:
    """Factors [T] float32 on the loss of every molecule with label 1, or None for `how="none"`.

    "balanced": negatives / positives of each task, so that both classes weigh the same in total, held
    within [1/cap, cap]. A task with one class only, or without labels, gets 1.

    The sum of weighted losses is still divided by the *number of labels*, as in PyTorch's
    `BCEWithLogitsLoss(pos_weight=...)`, not by the sum of the weights, as in its
    `CrossEntropyLoss(weight=...)`: that divisor depends on how many of the rare positives the batch
    happened to draw, so a batch without any would count its negatives many times over.

    Parameters
    ----------
    labels : [n, T] of the training part only.
    cap : at least 1; with 0.1 % actives an uncapped weight would be 1000.
    """
    if how not in ("none", "balanced"):
        raise ValueError(f"positive_weight is {how!r}; expected 'none' or 'balanced'.")
    if not cap >= 1:
        raise ValueError(f"cap is {cap}; expected at least 1.")
    if how == "none":
        return None
    if labels is None:
        raise ValueError("positive_weight is 'balanced'; that needs the labels of the training part.")
    counts, positives = label_counts(labels), labels.nansum(0)
    ratio = (counts - positives) / positives.clamp(min=1)
    both = (positives > 0) & (positives < counts)
    return torch.where(both, ratio.clamp(1 / cap, cap), torch.ones_like(ratio)).float()
