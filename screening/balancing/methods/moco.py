"""MoCo: MGDA on gradients that are averaged over steps, against the bias of small batches."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ..contract import Balancer, register
from ..solvers.simplex import project_to_simplex
from ..step import Decision, PresentStep
from ..tracked_rows import PLACES, Tracked, split_share


@register("moco")
class MoCo(Balancer):
    r"""Multi-objective gradient correction.

    y_i <- y_i + beta_k (g_i - y_i); w <- the point of the simplex nearest to w - gamma_k (YY' + rho I) w; the
    update is sum(w_i y_i) (here times n, of which the objective takes 1/n). beta_k = beta / k^decay with k
    the updates of the task, gamma_k likewise with the steps.

    As in the paper gradients are not normalised, and w is projected (LibMTL, after the author's code:
    g_i / |g_i| * L_i, and a softmax). The first y_i is g_i (LibMTL: beta g_i). An absent task keeps y_i and
    its share of w. Memory: T * P numbers.

    Parameters
    ----------
    beta : above 0, at most 1.
    gamma : above 0; mind the scale of the squared gradients.
    rho : at least 0, pulls the weights together.
    decay : from 0 to 1, exponent of both rates; default as in LibMTL.

    References
    ----------
    Fernando, Shen, Liu, Chaudhury, Murugesan, Chen: Mitigating Gradient Bias in Multi-objective Learning: A
    Provably Convergent Approach, ICLR 2023, https://openreview.net/forum?id=dLAYGdKTi2, algorithm 1.
    """

    needs = "rows"
    gives_direction = True
    without_gram = True
    places = PLACES
    weighs_heads = False
    shares: Tensor
    steps: Tensor

    def __init__(
        self,
        tasks: Sequence[str],
        *,
        beta: float = 0.5,
        gamma: float = 0.1,
        rho: float = 0.0,
        decay: float = 0.5,
    ) -> None:
        super().__init__(tasks)
        if not 0 < beta <= 1:
            raise ValueError(f"beta is {beta}; expected above 0 and at most 1.")
        if not 0 < gamma < float("inf"):
            raise ValueError(f"gamma is {gamma}; expected above 0.")
        if not 0 <= rho < float("inf"):
            raise ValueError(f"rho is {rho}; expected at least 0.")
        if not 0 <= decay <= 1:
            raise ValueError(f"decay is {decay}; expected from 0 to 1.")
        self.beta, self.gamma, self.rho, self.decay = beta, gamma, rho, decay
        self.tracked = Tracked(self.n_tasks)
        self.register_buffer("shares", torch.ones(self.n_tasks, dtype=torch.float64))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def decide_present(self, step: PresentStep) -> Decision:
        updates = self.tracked.updates[step.tasks]
        rates = torch.where(updates == 0, 1.0, self.beta / (updates + 1.0) ** self.decay)
        self.tracked.mix(step.tasks, step.rows, 1 - rates, rates)
        self.steps += 1
        weights, total = split_share(self.shares[step.tasks])
        slope = self.tracked.along(step.tasks, self.tracked.combine(step.tasks, weights)) + self.rho * weights
        weights = project_to_simplex(weights - self.gamma / float(self.steps) ** self.decay * slope)
        self.shares[step.tasks] = weights * total
        weights = len(weights) * weights
        return Decision(weights, torch.ones_like(weights), self.tracked.combine(step.tasks, weights))
