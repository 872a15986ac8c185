"""LBTW: a task whose loss has fallen less since the beginning of the epoch weighs more."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ..contract import Balancer, register
from ..step import PresentStep

SMALLEST_LOSS = 1e-12
"""Nats; keeps the ratio of two losses of 0 at 1."""


@register("lbtw")
class Lbtw(Balancer):
    r"""Loss-balanced task weighting.

    w is proportional to (L / L_first)^alpha, with L_first the task's loss in the first batch of the epoch
    in which it is present, and sums to the number of present tasks, as in the authors' code. (The
    code of SLAW's authors does not normalise.)

    Parameters
    ----------
    alpha : at least 0; 0 is equal weights. The paper compares 0.1 and 0.5.

    References
    ----------
    Liu, Liang, Gitter: Loss-Balanced Task Weighting to Reduce Negative Transfer in Multi-Task Learning,
    AAAI 2019 (student abstract), https://doi.org/10.1609/aaai.v33i01.33019977.
    """

    first: Tensor
    first_epoch: Tensor

    def __init__(self, tasks: Sequence[str], *, alpha: float = 0.5) -> None:
        super().__init__(tasks)
        if not 0 <= alpha < math.inf:
            raise ValueError(f"alpha is {alpha}; expected at least 0.")
        self.alpha = alpha
        self.register_buffer("first", torch.ones(self.n_tasks, dtype=torch.float64))
        self.register_buffer("first_epoch", torch.full((self.n_tasks,), -1))

    def weigh_present(self, step: PresentStep) -> Tensor:
        losses = step.losses.clamp(min=SMALLEST_LOSS)
        new = self.first_epoch[step.tasks] != step.epoch
        self.first[step.tasks[new]] = losses[new]
        self.first_epoch[step.tasks] = step.epoch
        exponents = self.alpha * (losses / self.first[step.tasks]).log()
        return len(losses) * exponents.softmax(0)
