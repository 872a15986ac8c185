"""SLAW: weights inverse to each loss's running standard deviation, which stands for its gradient norm."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ..contract import Balancer, register
from ..step import PresentStep


@register("slaw")
class Slaw(Balancer):
    r"""Scaled loss approximate weighting: gradient-norm balancing without any gradient.

    With a, b the running means of the squared loss and the loss, s = max(eps, sqrt(a - b^2)) and
    w = n * (1 / s) / sum(1 / s) over the n present tasks. While the parameters wander at random,
    s is proportional to the norm of the task's gradient.

    As in the author's code, the running means are arithmetic for a task's first round(1 / (1 - beta))
    losses and exponential afterwards (no bias from a start at zero), they include the current loss, and
    the first weights are 1. The paper has no rule for missing labels; ours: only present tasks are updated,
    each with its own counter, and a task with fewer than two losses so far gets weight 1.

    Parameters
    ----------
    beta : in [0, 1), share of the old mean kept.
    eps : above 0, nats, smallest s. An assay that is all negative and fitted has a constant loss, and with
        the published 1e-5 takes 89 % of the weight among 128; see the next two.
    relative_eps : at least 0, smallest s as a share of the median over present tasks.
    max_ratio : at least 1 or None, largest ratio of two weights; s is held within a factor of
        sqrt(max_ratio) of the median.
    noise_correction : subtract from the variance of the losses what the choice of molecules adds to it,
        sigma^2 / count, with sigma^2 the variance of the loss within the assay. Not in the paper, whose s on
        sparse assays is the number of labels: it follows 1 / sqrt(count) to a Spearman of 0.96 on ToxCast.
        Both variances are unbiased, v = (a - b^2) / (1 - S) with S the sum of the squared weights in the
        running means, and what is left is at least v sqrt(2 S), the standard error of v: a gradient below
        it cannot be told from the choice of molecules.

    References
    ----------
    Crawshaw, Kosecka: SLAW: Scaled Loss Approximate Weighting for Efficient Multi-Task Learning, 2021,
    https://arxiv.org/abs/2109.08218, equation 9; behaviour at the start after the author's code
    (mtcrawshaw/meta, branch slaw, meta/train/loss.py and meta/utils/estimate.py, MIT).
    """

    mean: Tensor
    square: Tensor
    updates: Tensor
    own_share: Tensor
    deviation: Tensor
    freedom: Tensor
    inverse_count: Tensor

    def __init__(
        self,
        tasks: Sequence[str],
        *,
        beta: float = 0.99,
        eps: float = 1e-5,
        relative_eps: float = 0.0,
        max_ratio: float | None = None,
        noise_correction: bool = False,
    ) -> None:
        super().__init__(tasks)
        if not 0 <= beta < 1:
            raise ValueError(f"beta is {beta}; expected at least 0 and below 1.")
        if not eps > 0:
            raise ValueError(f"eps is {eps}; expected above 0.")
        if not relative_eps >= 0:
            raise ValueError(f"relative_eps is {relative_eps}; expected at least 0.")
        if max_ratio is not None and not max_ratio >= 1:
            raise ValueError(f"max_ratio is {max_ratio}; expected at least 1, or none.")
        self.beta, self.eps, self.relative_eps = beta, eps, relative_eps
        self.max_ratio, self.noise_correction = max_ratio, noise_correction
        self.warm = round(1 / (1 - beta))
        for name in ("mean", "square", "own_share", "deviation", "freedom", "inverse_count"):
            self.register_buffer(name, torch.zeros(self.n_tasks, dtype=torch.float64))
        self.register_buffer("updates", torch.zeros(self.n_tasks, dtype=torch.int64))

    def weigh_present(self, step: PresentStep) -> Tensor:
        self._remember(step)
        has_past = self.updates[step.tasks] >= 2
        weights = torch.ones_like(step.losses)
        inverse = 1 / self._spread(step.tasks[has_past])
        weights[has_past] = len(inverse) * inverse / inverse.sum()
        return weights

    def _remember(self, step: PresentStep) -> None:
        tasks = step.tasks
        self.updates[tasks] += 1
        seen = self.updates[tasks].double()
        rate = torch.where(seen <= self.warm, 1 / seen, 1 - self.beta)
        self.own_share[tasks] = (1 - rate) ** 2 * self.own_share[tasks] + rate**2
        follow = [(self.mean, step.losses), (self.square, step.losses**2)]
        if self.noise_correction and step.variances is not None:
            freedom = (step.counts - 1).clamp(min=0)
            follow += [(self.deviation, freedom * step.variances), (self.freedom, freedom)]
            follow += [(self.inverse_count, 1 / step.counts)]
        for running, value in follow:
            running[tasks] += rate * (value - running[tasks])

    def _spread(self, tasks: Tensor) -> Tensor:
        """Running standard deviation [n] of the losses, with its guards."""
        variance = self.square[tasks] - self.mean[tasks] ** 2
        if self.noise_correction:
            own_share = self.own_share[tasks]
            variance = variance / (1 - own_share).clamp(min=torch.finfo(torch.float64).eps)
            within = self.deviation[tasks] / self.freedom[tasks].clamp(min=torch.finfo(torch.float64).tiny)
            noise = within * self.inverse_count[tasks]
            variance = torch.maximum(variance - noise, variance * (2 * own_share).sqrt())
        spread = variance.clamp(min=self.eps**2).sqrt()
        if len(spread) and (self.relative_eps or self.max_ratio):
            median = spread.median()
            spread = spread.clamp(min=self.relative_eps * median)
            if self.max_ratio:
                spread = spread.clamp(median / self.max_ratio**0.5, median * self.max_ratio**0.5)
        return spread
