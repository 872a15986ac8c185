"""CoV weighting: the relative spread of each loss over the training so far."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ..contract import Balancer, register
from ..step import PresentStep

SMALLEST_LOSS = 1e-12
"""Nats; keeps the ratio of two losses of 0 at 1."""


@register("cov")
class Cov(Balancer):
    r"""Coefficient-of-variation weighting.

    With the ratio l = L / (mean of all L before), w is proportional to (standard deviation of l) / (mean
    of l) over all steps before this one: a loss that has stopped changing needs no more attention. All
    means are over the whole past (Welford's algorithm), each task with its own count; a task with fewer
    than two losses behind it has weight 1. Weights sum to the number of present tasks (in the paper to 1).

    References
    ----------
    Groenendijk et al.: Multi-Loss Weighting with Coefficient of Variations, WACV 2021,
    https://arxiv.org/abs/2009.01717. The order of the updates, the population form of the variance and the
    1e-8 added to it follow the authors' code (rickgroen/cov-weighting, losses/covweighting_loss.py) in its
    mode "full"; its decaying mean is not here.
    """

    mean_loss: Tensor
    mean_ratio: Tensor
    squares: Tensor
    updates: Tensor

    def __init__(self, tasks: Sequence[str]) -> None:
        super().__init__(tasks)
        for name in ("mean_loss", "mean_ratio", "squares"):
            self.register_buffer(name, torch.zeros(self.n_tasks, dtype=torch.float64))
        self.register_buffer("updates", torch.zeros(self.n_tasks, dtype=torch.int64))

    def weigh_present(self, step: PresentStep) -> Tensor:
        weights = torch.ones_like(step.losses)
        has_past = self.updates[step.tasks] >= 2
        tasks = step.tasks[has_past]
        variation = (self.squares[tasks] / self.updates[tasks] + 1e-8).sqrt() / self.mean_ratio[tasks]
        weights[has_past] = len(tasks) * variation / variation.sum()
        self._remember(step)
        return weights

    def _remember(self, step: PresentStep) -> None:
        tasks, losses = step.tasks, step.losses + SMALLEST_LOSS
        ratio = torch.where(self.updates[tasks] > 0, losses / self.mean_loss[tasks], 1.0)
        self.updates[tasks] += 1
        count = self.updates[tasks]
        before = self.mean_ratio[tasks]
        after = before + (ratio - before) / count
        self.squares[tasks] += (ratio - before) * (ratio - after)
        self.mean_ratio[tasks] = after
        self.mean_loss[tasks] += (losses - self.mean_loss[tasks]) / count
