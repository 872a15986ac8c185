"""The base rate of each assay in the training part, never 0 and never 1."""

import torch
from torch import Tensor


def base_logits(labels: Tensor) -> Tensor:
    """Logits [T] float64 of the share of actives in each assay, of labels [n, T]; NaN = not measured.

    The rate of an assay is shrunk to the rate over all assays with the weight of two molecules, so that one
    without actives, or without labels, has a finite logit.
    """
    counts, positives = (~labels.isnan()).sum(0).double(), labels.nansum(0).double()
    overall = (positives.sum() + 0.5) / (counts.sum() + 1)
    return torch.logit((positives + 2 * overall) / (counts + 2))
