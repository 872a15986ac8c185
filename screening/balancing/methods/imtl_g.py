"""IMTL-G: an update whose part along every task's gradient is the same."""

from torch import Tensor

from ..contract import Balancer, register
from ..solvers.linear_systems import pseudo_solve
from ..solvers.unit_gradients import distribute, unit_gram
from ..step import PresentStep


@register("imtl_g")
class ImtlG(Balancer):
    r"""Impartial learning of the shared parameters: update . g_i / |g_i| equal for all tasks i.

    With G the Gramian, w is proportional to pinv(G) sqrt(diag(G)); in the paper sum(w) = 1, here n (times
    1/n in the objective). We solve with the cosines U instead, U y = 1 and w = y / |g|, which is the same
    for independent gradients and does not depend on the scale of the losses; for dependent ones, y is the
    shortest that comes nearest (the paper inverts a matrix and fails).

    Some w may be below 0. In the paper sum(w) = 1 even if that takes a factor that turns the update against
    every task; here the factor is above 0 and makes sum(|w|) = n. A task without slope gets 0.

    References
    ----------
    Liu, Li, Kuang, Xue, Chen, Yang, Liao, Zhang: Towards Impartial Multi-task Learning, ICLR 2021,
    https://openreview.net/forum?id=IMPnRXEWpvr, section 3.1. With pinv: Quinton, Rey: Jacobian Descent for
    Multi-Objective Optimization, 2024, https://arxiv.org/abs/2406.16232.
    """

    needs = "gram"
    weighs_heads = False

    def weigh_present(self, step: PresentStep) -> Tensor:
        unit = unit_gram(step.gram)
        shares = pseudo_solve(unit.cosines, unit.norms.new_ones(len(unit.norms)))
        return distribute(unit.per_gradient(shares), len(shares))
