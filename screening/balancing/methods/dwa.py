"""DWA: a task whose loss fell less over the last two epochs weighs more."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ..contract import Balancer, register
from ..step import PresentStep

SMALLEST_LOSS = 1e-12
"""Nats; keeps the ratio of two losses of 0 at 1."""


@register("dwa")
class Dwa(Balancer):
    r"""Dynamic weight average.

    With r = (mean loss of the last epoch) / (mean loss of the one before), w = n * softmax(r / T) over
    the n present tasks. r is 1 until a task has two epochs behind it; an epoch without any label of a task
    is left out of its history.

    Parameters
    ----------
    temperature : above 0, no unit; 2 in the paper. Large: all equal.

    References
    ----------
    Liu, Johns, Davison: End-to-End Multi-Task Learning with Attention, CVPR 2019,
    https://arxiv.org/abs/1803.10704, equation 7. (The code of SLAW's authors takes a running mean over
    steps in place of epochs.)
    """

    older: Tensor
    newer: Tensor
    epochs: Tensor

    def __init__(self, tasks: Sequence[str], *, temperature: float = 2.0) -> None:
        super().__init__(tasks)
        if not 0 < temperature < math.inf:
            raise ValueError(f"temperature is {temperature}; expected above 0.")
        self.temperature = temperature
        for name in ("older", "newer"):
            self.register_buffer(name, torch.ones(self.n_tasks, dtype=torch.float64))
        self.register_buffer("epochs", torch.zeros(self.n_tasks, dtype=torch.int64))

    def weigh_present(self, step: PresentStep) -> Tensor:
        tasks = step.tasks
        ratio = self.newer[tasks] / self.older[tasks]
        rates = torch.where(self.epochs[tasks] >= 2, ratio, 1.0)
        return len(rates) * (rates / self.temperature).softmax(0)

    def end_epoch(self, mean_losses: Tensor, present: Tensor) -> None:
        seen = present & mean_losses.isfinite()
        self.older[seen] = self.newer[seen]
        self.newer[seen] = mean_losses[seen].double().clamp(min=SMALLEST_LOSS)
        self.epochs[seen] += 1
