"""MoDo: MGDA's weights from gradients of two independent batches."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ..contract import Balancer, register
from ..solvers.simplex import project_to_simplex
from ..step import PresentStep
from ..tracked_rows import PLACES, Tracked, split_share


@register("modo")
class MoDo(Balancer):
    r"""Multi-objective gradient with double sampling.

    w <- the point of the simplex nearest to w - gamma (J1 J2' w + rho w), J1 and J2 the gradients of two
    independent batches, so that their products are unbiased; the weights are n * w.

    The paper draws three batches per step. Here J2 is of this batch, as is the update, and J1 of the batch
    before, so that no batch is drawn only for the weights: the batches are independent, but J1 was taken
    before the last update of the parameters. A task without a gradient before (or absent) keeps its share;
    the first weights are 1. Memory: T * P numbers.

    Parameters
    ----------
    gamma : above 0, rate; mind the scale of the squared gradients. 0.1 in TorchJD, 0.001 in LibMTL.
    rho : at least 0, pulls the weights together.

    References
    ----------
    Chen, Fernando, Ying, Chen: Three-Way Trade-Off in Multi-Objective Learning: Optimization, Generalization
    and Conflict-Avoidance, NeurIPS 2023, https://arxiv.org/abs/2305.20057, algorithm 2; rho from its code
    (heshandevaka/Trade-Off-MOL, MIT).
    """

    needs = "rows"
    without_gram = True
    places = PLACES
    weighs_heads = False
    shares: Tensor

    def __init__(self, tasks: Sequence[str], *, gamma: float = 0.1, rho: float = 0.1) -> None:
        super().__init__(tasks)
        if not 0 < gamma < float("inf"):
            raise ValueError(f"gamma is {gamma}; expected above 0.")
        if not 0 <= rho < float("inf"):
            raise ValueError(f"rho is {rho}; expected at least 0.")
        self.gamma, self.rho = gamma, rho
        self.tracked = Tracked(self.n_tasks)
        self.register_buffer("shares", torch.ones(self.n_tasks, dtype=torch.float64))

    def weigh_present(self, step: PresentStep) -> Tensor:
        products, has_past = self.tracked.exchange(step.tasks, step.rows)
        shares = self.shares[step.tasks]
        if has_past.any():
            weights, total = split_share(shares[has_past])
            weights = project_to_simplex(weights - self.gamma * (products @ weights + self.rho * weights))
            shares[has_past] = weights * total
            self.shares[step.tasks] = shares
        return len(shares) * split_share(shares)[0]
