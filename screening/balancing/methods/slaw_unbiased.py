"""SLAW by gradients of different batches: norms without the noise of few labels."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ..contract import Balancer, register
from ..step import PresentStep
from ..tracked_rows import PLACES, Tracked

LARGEST_SHARE = 1 - 1e-4
"""Largest S: at beta 0 it is 1, and one gradient says nothing of its noise; rows are float32."""


@register("slaw_unbiased")
class SlawUnbiased(Balancer):
    r"""SLAW whose norms do not depend on how many labels an assay has.

    With m and a the running means of the gradient and of its square |g|^2, and S the sum of the squared
    weights in these means, the squared norm is u = (|m|^2 - S a) / (1 - S), which is what the inner products
    of the gradients of *different* batches give: the choice of molecules adds nothing to it, where it adds
    tr(cov) / (labels in the batch) to |g|^2 (`slw`) and to the variance of the loss (`slaw`). Weights are
    w = n * (1 / s) / sum(1 / s) over the n present tasks, with s = sqrt(max(u, floor * S v, eps^2)) and S v,
    v = (a - |m|^2) / (1 - S), what noise still adds to |m|^2.

    Not in a paper. It takes gradients of some 1 / (1 - beta) steps for those of now. Means, counters and the
    first weights are those of `slaw`. Memory: T * P numbers.

    Parameters
    ----------
    beta : in [0, 1), share of the old means kept.
    floor : at least 0, smallest u as a share of S v. u cannot be told from noise below sqrt(2 / directions)
        of S v: 0.1 if the noise has some 200 directions. 0 has no guard but eps.
    eps : above 0, smallest norm.

    References
    ----------
    SLAW: Crawshaw, Kosecka: Scaled Loss Approximate Weighting for Efficient Multi-Task Learning, 2021,
    https://arxiv.org/abs/2109.08218, equation 4, with norms estimated as above.
    """

    needs = "rows"
    without_gram = True
    places = PLACES
    square: Tensor
    own_share: Tensor

    def __init__(
        self, tasks: Sequence[str], *, beta: float = 0.99, floor: float = 0.1, eps: float = 1e-5
    ) -> None:
        super().__init__(tasks)
        if not 0 <= beta < 1:
            raise ValueError(f"beta is {beta}; expected at least 0 and below 1.")
        if not 0 <= floor < torch.inf:
            raise ValueError(f"floor is {floor}; expected at least 0.")
        if not eps > 0:
            raise ValueError(f"eps is {eps}; expected above 0.")
        self.beta, self.floor, self.eps = beta, floor, eps
        self.warm = round(1 / (1 - beta))
        self.tracked = Tracked(self.n_tasks)
        for name in ("square", "own_share"):
            self.register_buffer(name, torch.zeros(self.n_tasks, dtype=torch.float64))

    def weigh_present(self, step: PresentStep) -> Tensor:
        self._remember(step)
        has_past = self.tracked.updates[step.tasks] >= 2
        weights = torch.ones_like(step.losses)
        inverse = 1 / self.norms(step.tasks[has_past])
        weights[has_past] = len(inverse) * inverse / inverse.sum()
        return weights

    def norms(self, tasks: Tensor) -> Tensor:
        """Estimated norm [n] float64 of the gradients of these tasks, with its guards."""
        share = self.own_share[tasks].clamp(max=LARGEST_SHARE)
        length = self.tracked.lengths(tasks) ** 2
        noise = share * (self.square[tasks] - length).clamp(min=0) / (1 - share)
        return torch.maximum(length - noise, self.floor * noise).clamp(min=self.eps**2).sqrt()

    def _remember(self, step: PresentStep) -> None:
        tasks = step.tasks
        seen = self.tracked.updates[tasks].double() + 1
        rate = torch.where(seen <= self.warm, 1 / seen, 1 - self.beta)
        self.tracked.mix(tasks, step.rows, 1 - rate, rate)
        squares = torch.linalg.vector_norm(step.rows, dim=1).double() ** 2
        self.own_share[tasks] = (1 - rate) ** 2 * self.own_share[tasks] + rate**2
        self.square[tasks] += rate * (squares - self.square[tasks])
