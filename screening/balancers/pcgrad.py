"""PCGrad: from each task's gradient, take out what conflicts with the others."""

from collections.abc import Sequence

import torch
from torch import Tensor

from . import Balancer, Step, register


@register("pcgrad")
class PCGrad(Balancer):
    """Projecting conflicting gradients.

    For each task i, c = g_i; then for every other task j in an order drawn for i: if c . g_j < 0, c loses
    its part along the original g_j. The update is the sum of all c. Every c stays a combination of the
    original gradients, so all is done with its coefficients C [n, n] and the inner products C G, for
    all tasks i at once.

    References
    ----------
    Yu et al.: Gradient Surgery for Multi-Task Learning, NeurIPS 2020, https://arxiv.org/abs/2001.06782,
    algorithm 1. The weight-space form follows TorchJD's (src/torchjd/aggregation/_pcgrad.py, MIT).
    """

    needs = "gram"
    weighs_heads = False

    def __init__(self, tasks: Sequence[str], *, seed: int = 0) -> None:
        super().__init__(tasks, seed=seed)

    def weigh_present(self, step: Step) -> Tensor:
        assert step.gram is not None
        n = len(step.losses)
        noise = torch.rand(n, n, generator=self.generator(step.gram.device), device=step.gram.device)
        orders = noise.fill_diagonal_(2.0).argsort(1)[:, :-1]  # each row: the other tasks in random order
        return project_conflicts(step.gram, orders).sum(0)


def project_conflicts(gram: Tensor, orders: Tensor) -> Tensor:
    """Coefficients C [n, n] of the projected gradients: gradient i becomes sum_j C[i, j] g_j.

    Parameters
    ----------
    gram : [n, n] inner products of the gradients.
    orders : [n, m] int64, row i: the tasks that gradient i is projected against, one after the other.
    """
    rows = torch.arange(len(gram), device=gram.device)
    coefficients = torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
    products = gram.clone()  # C G, kept up to date
    squares = gram.diagonal()
    for others in orders.T:
        conflict = products[rows, others].clamp(max=0)
        step = torch.where(squares[others] > 0, conflict / squares[others], 0.0)
        coefficients[rows, others] -= step
        products.addcmul_(step[:, None], gram[others], value=-1)
    return coefficients
