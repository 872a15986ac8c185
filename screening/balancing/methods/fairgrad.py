"""FairGrad: alpha-fair shares of the update."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ..contract import Balancer, register
from ..solvers.unit_gradients import unit_gram
from ..step import PresentStep
from .nash_mtl import bargain


@register("fairgrad")
class FairGrad(Balancer):
    r"""Fair resource allocation: the w > 0 with (Gw)_i = w_i^(-1/alpha) for all tasks i.

    (Gw)_i is how fast the loss of task i falls. The larger alpha, the more the slowest counts: 0 is the
    plain sum, 1 is Nash's solution (`nash_mtl`), infinity the largest minimum. Found by Newton's method on a
    strictly convex potential to 1e-9; the authors call a least-squares routine. The weights then get the
    factor with which orthogonal gradients would have sum(w_i |g_i|) = sum(|g_i|), so that the update shrinks
    with the gradients. A task without slope gets 0, except with alpha = 0.

    Parameters
    ----------
    alpha : at least 0, at most 100. 2 is what ConsMTL (jianke0604/MTLlib) uses; LibMTL's 1 is `nash_mtl`.

    References
    ----------
    Ban, Ji: Fair Resource Allocation in Multi-Task Learning, ICML 2024, https://arxiv.org/abs/2402.15638,
    equation 4 and algorithm 1.
    """

    needs = "gram"
    weighs_heads = False

    def __init__(self, tasks: Sequence[str], *, alpha: float = 2.0) -> None:
        super().__init__(tasks)
        if not 0 <= alpha <= 100:
            raise ValueError(f"alpha is {alpha}; expected from 0 to 100.")
        self.alpha = alpha

    def weigh_present(self, step: PresentStep) -> Tensor:
        if self.alpha == 0:
            return torch.ones_like(step.losses)
        return bargain(unit_gram(step.gram), 1 / self.alpha)
