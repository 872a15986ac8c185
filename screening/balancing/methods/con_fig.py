"""ConFIG: the direction at equal angles to all gradients, with a length that tells how much they agree."""

import torch
from torch import Tensor

from ..contract import Balancer, register
from ..solvers.linear_systems import pseudo_solve
from ..solvers.unit_gradients import unit_gram
from ..step import PresentStep


@register("con_fig")
class ConFig(Balancer):
    r"""Conflict-free inverse gradients.

    The update is (sum_i g_i . v) v, with v the unit vector along pinv(U) 1, U the unit gradients; the sum
    becomes a mean here. The direction is that of `imtl_g`, the length its own: it vanishes as the gradients
    cancel. pinv(U) 1 = U' pinv(U U') 1 needs the Gramian alone; with dependent gradients the angles are as
    equal as can be. A task without slope gets 0.

    References
    ----------
    Liu, Chu, Thuerey: ConFIG: Towards Conflict-free Training of Physics Informed Neural Networks, ICLR 2025,
    https://arxiv.org/abs/2408.11104, equation 2.
    """

    needs = "gram"
    weighs_heads = False

    def weigh_present(self, step: PresentStep) -> Tensor:
        unit = unit_gram(step.gram)
        slopes = (unit.norms > 0).double()
        shares = slopes * pseudo_solve(unit.cosines, slopes)
        products = unit.cosines @ shares
        square = shares @ products
        return unit.per_gradient(shares) * torch.where(square > 0, unit.norms @ products / square, 0.0)
