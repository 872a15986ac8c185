"""SDMGrad: between MGDA and the mean gradient, from gradients of independent batches."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ..contract import Balancer, register
from ..solvers.simplex import project_to_simplex
from ..step import PresentStep
from ..tracked_rows import PLACES, Tracked, split_share


@register("sdmgrad")
class SdmGrad(Balancer):
    r"""Stochastic direction-oriented multi-objective gradient descent.

    w on the simplex descends on |g_w + pull g0|^2 / 2, g0 the mean gradient, by `iterations` steps of
    projected gradient descent with momentum, on the products J1 J2' of two independent batches, divided by
    the squared mean norm. The update is (g_w + pull g0) / (1 + pull), n times, of which the objective takes
    1/n.

    The paper draws three batches per step. Here J2 is of this batch, as is the update, and J1 of the batch
    before, see `modo`. A task without a gradient before (or absent) keeps its share; the first weights are 1.
    Memory: T * P numbers.

    Parameters
    ----------
    pull : at least 0, lambda of the paper; 0 is MGDA, a large one the mean.
    lr : above 0, of the inner descent. 10 as in the authors' code and TorchJD, 5 in LibMTL; on hundreds of
        tasks weights may jump between corners of the simplex.
    momentum : at least 0, below 1.
    iterations : at least 1.

    References
    ----------
    Xiao, Ban, Ji: Direction-oriented Multi-objective Learning: Simple and Provable Stochastic Algorithms,
    NeurIPS 2023, https://arxiv.org/abs/2305.18409, algorithm 1; the scaling from its code
    (OptMN-Lab/sdmgrad).
    """

    needs = "rows"
    without_gram = True
    places = PLACES
    weighs_heads = False
    shares: Tensor

    def __init__(
        self,
        tasks: Sequence[str],
        *,
        pull: float = 0.3,
        lr: float = 10.0,
        momentum: float = 0.5,
        iterations: int = 20,
    ) -> None:
        super().__init__(tasks)
        if not 0 <= pull < float("inf"):
            raise ValueError(f"pull is {pull}; expected at least 0.")
        if not 0 < lr < float("inf"):
            raise ValueError(f"lr is {lr}; expected above 0.")
        if not 0 <= momentum < 1:
            raise ValueError(f"momentum is {momentum}; expected at least 0 and below 1.")
        if iterations < 1:
            raise ValueError(f"iterations is {iterations}; expected at least 1.")
        self.pull, self.lr, self.momentum, self.iterations = pull, lr, momentum, iterations
        self.tracked = Tracked(self.n_tasks)
        self.register_buffer("shares", torch.ones(self.n_tasks, dtype=torch.float64))

    def weigh_present(self, step: PresentStep) -> Tensor:
        products, has_past = self.tracked.exchange(step.tasks, step.rows)
        shares = self.shares[step.tasks]
        if has_past.any():
            weights, total = split_share(shares[has_past])
            shares[has_past] = total * self._descend(products, weights)
            self.shares[step.tasks] = shares
        weights = split_share(shares)[0]
        return (len(weights) * weights + self.pull) / (1 + self.pull)

    def _descend(self, products: Tensor, weights: Tensor) -> Tensor:
        """Weights [n] on the simplex after all iterations; `products` [n, n] need not be symmetric."""
        norm = products.diagonal().clamp(min=0).sqrt().mean()
        if not norm > 0:
            return weights
        products = products / norm**2
        speed = torch.zeros_like(weights)
        for _ in range(self.iterations):
            speed = self.momentum * speed + products @ (weights + self.pull / len(weights))
            weights = project_to_simplex(weights - self.lr * speed)
        return weights
