"""DualProj: the mean gradient, turned just enough to harm no task."""

from torch import Tensor

from ..contract import Balancer, register
from ..solvers.quadratic_programs import nonnegative_minimum
from ..solvers.unit_gradients import unit_gram
from ..step import PresentStep


@register("dualproj")
class DualProj(Balancer):
    r"""The vector nearest to the mean gradient that has no negative inner product with any gradient.

    w = 1 + x, with x >= 0 the minimum of |sum_i (1 + x_i) g_i|^2 (a quadratic program in n numbers, solved to
    1e-9). Without conflict with the mean, all weights are 1.

    References
    ----------
    Lopez-Paz, Ranzato: Gradient Episodic Memory for Continual Learning, NeurIPS 2017,
    https://arxiv.org/abs/1706.08840, equation 11; for several tasks: Quinton, Rey: Jacobian Descent for
    Multi-Objective Optimization, 2024, https://arxiv.org/abs/2406.16232.
    """

    needs = "gram"
    weighs_heads = False

    def weigh_present(self, step: PresentStep) -> Tensor:
        unit = unit_gram(step.gram)
        return 1 + unit.per_gradient(nonnegative_minimum(unit.cosines, -(unit.cosines @ unit.norms)))
