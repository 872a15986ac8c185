"""Uncertainty weighting: a learned variance for each task, whose inverse is its weight."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..contract import Balancer, register
from ..step import PresentStep
from ..task_adam import TaskAdam

LIMIT = 20.0
"""Largest |log-variance|: weights stay within e^-20 and e^20 even if a loss is exactly 0."""


@register("uncertainty")
class Uncertainty(Balancer):
    r"""Weights from learned homoscedastic uncertainty.

    Minimises sum(L * exp(-s) / 2 + s / 2) over the model and the log-variances s [T]; the weight is
    exp(-s) / 2, and for a constant loss s settles at log L, the weight at 1 / (2 L). The paper's form for
    cross-entropy, L * exp(-s) + s / 2, is the same function of s + log 2, so the two differ by the start
    alone. The scale of the weights is the method's own: they do not sum to the number of tasks.

    Kendall et al. leave s to the optimiser of the model. Here the balancer moves it by Adam, after the
    weights of the step were taken, and only for present tasks.

    Parameters
    ----------
    lr : above 0, learning rate of s. Ours: the paper names none.
    start : above 0, first weight of every task. 1 is s = 0 in the form for cross-entropy; 0.5 is s = 0 in
        the form above (TorchJD), exp(0.5) / 2 that of LibMTL.

    References
    ----------
    Kendall, Gal, Cipolla: Multi-Task Learning Using Uncertainty to Weigh Losses for Scene Geometry and
    Semantics, CVPR 2018, https://arxiv.org/abs/1705.07115, equations 7 (regression) and 10 (classification).
    """

    def __init__(self, tasks: Sequence[str], *, lr: float = 0.01, start: float = 1.0) -> None:
        super().__init__(tasks)
        if not 0 < lr < math.inf:
            raise ValueError(f"lr is {lr}; expected above 0.")
        if not 0 < start < math.exp(LIMIT):
            raise ValueError(f"start is {start}; expected above 0 and below e^{LIMIT:.0f}.")
        log_variance = torch.full((self.n_tasks,), -math.log(2 * start), dtype=torch.float64)
        self.log_variance = nn.Parameter(log_variance, requires_grad=False)
        self.adam = TaskAdam(self.n_tasks, lr=lr)

    def weigh_present(self, step: PresentStep) -> Tensor:
        weights = torch.exp(-self.log_variance[step.tasks]) / 2
        self.adam.update(self.log_variance, 0.5 - weights * step.losses, step.tasks)
        self.log_variance.clamp_(-LIMIT, LIMIT)
        return weights
