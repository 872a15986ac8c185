"""MLDW: the focal weight of the latest fall of each loss."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ..contract import Balancer, register
from ..step import PresentStep

SMALLEST_LOSS = 1e-12
"""Nats; keeps the ratio of two losses of 0 at 1."""


@register("mldw")
class Mldw(Balancer):
    r"""Multi-loss dynamic weighting.

    With k the running mean of the loss, p = min(k, k_before) / k_before and w proportional to
    -(1 - p)^gamma * log p: a task that is falling fast weighs more, one that does not fall weighs 0.

    The published weight has no useful scale (a fall of 1 % gives 1e-6 at gamma = 2), so ours sum to the
    number of present tasks. A task with one loss so far has weight 1, and all have it where no loss fell.

    Parameters
    ----------
    beta : in [0, 1), share of the old running mean kept.
    gamma : at least 0, how much a fast fall is favoured; 2 in focal loss.

    References
    ----------
    Zheng et al.: Pyramidal Person Re-IDentification via Multi-Loss Dynamic Training, CVPR 2019,
    https://arxiv.org/abs/1810.12193, whose scheme for two losses was made one for any number in the code of
    SLAW's authors (mtcrawshaw/meta, meta/train/loss.py, class MLDW, MIT), which we follow. Dynamic task
    prioritization (Guo et al., ECCV 2018) has the same weight of a measure of quality in place of p.
    """

    mean: Tensor
    updates: Tensor

    def __init__(self, tasks: Sequence[str], *, beta: float = 0.9, gamma: float = 2.0) -> None:
        super().__init__(tasks)
        if not 0 <= beta < 1:
            raise ValueError(f"beta is {beta}; expected at least 0 and below 1.")
        if not 0 <= gamma < math.inf:
            raise ValueError(f"gamma is {gamma}; expected at least 0.")
        self.beta, self.gamma = beta, gamma
        self.register_buffer("mean", torch.zeros(self.n_tasks, dtype=torch.float64))
        self.register_buffer("updates", torch.zeros(self.n_tasks, dtype=torch.int64))

    def weigh_present(self, step: PresentStep) -> Tensor:
        has_past = self.updates[step.tasks] >= 1
        before = torch.where(has_past, self.mean[step.tasks], step.losses)
        after = self.beta * before + (1 - self.beta) * step.losses
        self.mean[step.tasks] = after
        self.updates[step.tasks] += 1
        kept = ((after + SMALLEST_LOSS) / (before + SMALLEST_LOSS)).clamp(max=1)[has_past]
        focal = ((1 - kept) ** self.gamma * kept.log()).abs()
        weights = torch.ones_like(step.losses)
        if focal.sum() > 0:
            weights[has_past] = len(focal) * focal / focal.sum()
        return weights
