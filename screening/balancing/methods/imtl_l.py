"""IMTL-L: learned scales that bring all losses to the same value."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..contract import Balancer, register
from ..step import PresentStep
from ..task_adam import TaskAdam

LIMIT = 20.0
"""Largest |log-scale|: weights stay within e^-20 and e^20 even if a loss is exactly 0."""


@register("imtl_l")
class ImtlL(Balancer):
    r"""Impartial multi-task learning, its balance of losses.

    Minimises sum(exp(s) * L - s) over the model and the log-scales s [T]; the weight is exp(s). For a
    constant loss s settles at -log L, where exp(s) * L = 1 for every task: the stationary objective is
    sum(log L). Twice the uncertainty weighting of -s. The scale of the weights is the method's own.

    The paper leaves s to the optimiser of the model. Here the balancer moves it by Adam, after the weights
    of the step were taken, and only for present tasks.

    Parameters
    ----------
    lr : above 0, learning rate of s, which starts at 0. Ours: that of the model is unknown here.

    References
    ----------
    Liu et al.: Towards Impartial Multi-task Learning, ICLR 2021,
    https://openreview.net/forum?id=IMPnRXEWpvr, the part on balancing losses.
    """

    def __init__(self, tasks: Sequence[str], *, lr: float = 0.01) -> None:
        super().__init__(tasks)
        if not 0 < lr < math.inf:
            raise ValueError(f"lr is {lr}; expected above 0.")
        log_scale = torch.zeros(self.n_tasks, dtype=torch.float64)
        self.log_scale = nn.Parameter(log_scale, requires_grad=False)
        self.adam = TaskAdam(self.n_tasks, lr=lr)

    def weigh_present(self, step: PresentStep) -> Tensor:
        weights = torch.exp(self.log_scale[step.tasks])
        self.adam.update(self.log_scale, weights * step.losses - 1, step.tasks)
        self.log_scale.clamp_(-LIMIT, LIMIT)
        return weights
