"""AutoScale: weights that make all gradients equally long, found in a first phase and fixed from then on."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from ..contract import Balancer, Need, register
from ..step import PresentStep

SMALLEST = 1e-8
"""Length or loss that stands for all below it: its logarithm is taken."""


@register("autoscale")
class AutoScale(Balancer):
    r"""Two phases: watch gradients under equal weights, then train with the fixed weights they ask for.

    w is proportional to exp(-mean(log |g|)) over a task's first `explore` steps, with the sum n over the
    present tasks: `slw` held still. With lengths a and b the similarity of two weighted gradients is
    2ab / (a^2 + b^2), 1 where they are equal; it depends on log a - log b alone, hence the logarithms.
    On sparse assays |g| is mostly noise of few labels, see `slaw_unbiased`.

    Of the paper only abstract and summaries were at hand: it says that good fixed weights have similar
    lengths, balanced losses and a low condition number, and picks weights by one of these. How its first
    phase is cut, its length and its weights are ours, as is that each task has a first phase of its own,
    with weight 1. The condition number is not here: with more tasks than dimensions it is infinite, and for
    gradients that hardly overlap equal lengths are its minimum.

    Parameters
    ----------
    explore : at least 1, steps of a task in the first phase; 200 is ours.
    metric : "gradients": similar lengths, as above; "losses": the same with L in place of |g|, which costs
        nothing.

    References
    ----------
    Yang et al.: AutoScale: Linear Scalarization Guided by Multi-Task Optimization Metrics, 2025,
    https://arxiv.org/abs/2508.13979.
    """

    needs: Need = "gram"  # that of the default
    log_size: Tensor
    updates: Tensor

    def __init__(
        self,
        tasks: Sequence[str],
        *,
        explore: int = 200,
        metric: Literal["gradients", "losses"] = "gradients",
    ) -> None:
        super().__init__(tasks)
        if not explore >= 1:
            raise ValueError(f"explore is {explore}; expected at least 1 step.")
        if metric not in ("gradients", "losses"):
            raise ValueError(f"metric is {metric!r}; expected 'gradients' or 'losses'.")
        self.explore, self.metric = explore, metric
        self.needs = "gram" if metric == "gradients" else "losses"
        self.register_buffer("log_size", torch.zeros(self.n_tasks, dtype=torch.float64))
        self.register_buffer("updates", torch.zeros(self.n_tasks, dtype=torch.int64))

    def weigh_present(self, step: PresentStep) -> Tensor:
        is_fixed = self.updates[step.tasks] >= self.explore
        weights = torch.ones_like(step.losses)
        weights[is_fixed] = is_fixed.sum() * (-self.log_size[step.tasks[is_fixed]]).softmax(0)
        self._watch(step, ~is_fixed)
        return weights

    def _watch(self, step: PresentStep, watched: Tensor) -> None:
        if not watched.any():
            return
        sizes = step.losses if self.metric == "losses" else step.gram.diagonal().clamp(min=0).sqrt()
        tasks, logs = step.tasks[watched], sizes[watched].clamp(min=SMALLEST).log()
        self.updates[tasks] += 1
        self.log_size[tasks] += (logs - self.log_size[tasks]) / self.updates[tasks]
