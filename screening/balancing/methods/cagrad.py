"""CAGrad: near the mean gradient, the direction that is best for the task it serves worst."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ..contract import Balancer, register
from ..solvers.quadratic_programs import largest_least_descent
from ..solvers.unit_gradients import unit_gram
from ..step import PresentStep


@register("cagrad")
class CaGrad(Balancer):
    r"""Conflict-averse gradient descent: max over d of min_i g_i . d, with |d - g0| <= c |g0|, g0 the mean.

    The solution is d = g0 + sum_i x_i g_i with x >= 0; in the paper x = c |g0| w / |g_w| with w on the
    simplex, the minimum of g_w . g0 + c |g0| |g_w|. Our search is over one number, the value of the maximum,
    with one quadratic program for each (to 1e-6 of the radius). The update is d / (1 + c^2), as in the
    authors' code. If 0 is a mean of the gradients, no direction improves every task; the paper's x is 0/0
    if one near g0 harms none, and ours that of `dualproj`.

    Parameters
    ----------
    c : at least 0; the paper converges to a minimum of the mean loss below 1. 0 is the mean, a large c tends
        to the direction of `mgda`.

    References
    ----------
    Liu, Liu, Jin, Stone, Liu: Conflict-Averse Gradient Descent for Multi-task Learning, NeurIPS 2021,
    https://arxiv.org/abs/2110.14048, equations 2 and 3, algorithm 1; c = 0.5 and the division from its code.
    """

    needs = "gram"
    weighs_heads = False

    def __init__(self, tasks: Sequence[str], *, c: float = 0.5) -> None:
        super().__init__(tasks)
        if not 0 <= c < float("inf"):
            raise ValueError(f"c is {c}; expected at least 0.")
        self.c = c

    def weigh_present(self, step: PresentStep) -> Tensor:
        n = len(step.losses)
        if self.c == 0:
            return torch.ones_like(step.losses)
        extra = largest_least_descent(unit_gram(step.gram), self.c)
        return (1 + n * extra) / (1 + self.c**2)
