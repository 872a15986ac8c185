"""STCH: a smooth maximum over the tasks of each loss relative to its own bad value."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ..contract import Scalariser, register
from ..step import PresentStep

EPS = 1e-8
"""Added to every loss before its logarithm, nats."""


@register("stch")
class Stch(Scalariser):
    r"""Smooth Tchebycheff scalarisation, as for multi-task networks.

    Minimises n * mu * log(sum(exp(log(L / nadir) / mu))) over the n present tasks: the task that has
    fallen least below its nadir gets most. The nadir is the task's mean loss in its warm-up's last epoch.
    Until then its L / nadir counts as 1; with all tasks in warm-up this is sum(log L), as in the authors'
    code. The scale of the weights is the method's own, n * softmax(log(L / nadir) / mu) / L.

    The paper's general form, mu * log(sum(exp(lambda * (L - ideal) / mu))), has preferences lambda and an
    ideal point instead; with equal ones it is `bmtl` at temperature mu.

    Parameters
    ----------
    mu : above 0; small: the maximum alone, large: all L / nadir alike.
    warmup : at least 1, epochs of a task up to its nadir; the authors' code waits for 4 and takes the 5th.

    References
    ----------
    Lin et al.: Smooth Tchebycheff Scalarization for Multi-Objective Optimization, ICML 2024,
    https://arxiv.org/abs/2402.19078; the multi-task form after the authors' version in LibMTL
    (LibMTL/weighting/STCH.py, MIT).
    """

    nadir: Tensor
    epochs: Tensor

    def __init__(self, tasks: Sequence[str], *, mu: float = 1.0, warmup: int = 5) -> None:
        super().__init__(tasks)
        if not 0 < mu < math.inf:
            raise ValueError(f"mu is {mu}; expected above 0.")
        if not warmup >= 1:
            raise ValueError(f"warmup is {warmup}; expected at least 1 epoch.")
        self.mu, self.warmup = mu, warmup
        self.register_buffer("nadir", torch.ones(self.n_tasks, dtype=torch.float64))
        self.register_buffer("epochs", torch.zeros(self.n_tasks, dtype=torch.int64))

    def scalarise(self, losses: Tensor, step: PresentStep) -> Tensor:
        is_known = self.epochs[step.tasks] >= self.warmup
        nadir = torch.where(is_known, self.nadir[step.tasks], losses.detach())
        ratios = ((losses + EPS) / (nadir + EPS)).log()
        return len(losses) * self.mu * (ratios / self.mu).logsumexp(0)

    def end_epoch(self, mean_losses: Tensor, present: Tensor) -> None:
        seen = present & mean_losses.isfinite()
        self.epochs[seen] += 1
        is_due = seen & (self.epochs == self.warmup)
        self.nadir[is_due] = mean_losses[is_due].double()
