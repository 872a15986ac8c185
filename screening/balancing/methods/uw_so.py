"""UW-SO: a softmax over inverse losses, the softened optimum of uncertainty weighting."""

import math
from collections.abc import Sequence

from torch import Tensor

from ..contract import Balancer, register
from ..step import PresentStep

SMALLEST_LOSS = 1e-8
"""Nats; smaller losses weigh as much as this one."""


@register("uw_so")
class UwSo(Balancer):
    r"""Soft optimal uncertainty weighting.

    For a constant loss the best weight of uncertainty weighting is proportional to 1 / L. Instead of learning
    it, w = n * softmax((1 / L) / T) over the n present tasks, with L taken as a constant. Easy tasks weigh
    more: the opposite of BMTL.

    Parameters
    ----------
    temperature : above 0, 1 / nats. The paper tunes it per data set. With losses of 0.05 to 0.7 nats, 1 / L
        is 1.4 to 20, so 1 gives nearly all to the easiest assay and 100 nearly equal weights. A batch with
        a few fitted negatives of an assay alone has a far larger 1 / L, and that assay takes all.

    References
    ----------
    Kirchdorfer et al.: Analytical Uncertainty-Based Loss Weighting in Multi-Task Learning, GCPR 2024,
    https://arxiv.org/abs/2408.07985. The formula is taken from summaries of the paper, which we could not
    check against it.
    """

    def __init__(self, tasks: Sequence[str], *, temperature: float = 10.0) -> None:
        super().__init__(tasks)
        if not 0 < temperature < math.inf:
            raise ValueError(f"temperature is {temperature}; expected above 0.")
        self.temperature = temperature

    def weigh_present(self, step: PresentStep) -> Tensor:
        inverse = 1 / step.losses.clamp(min=SMALLEST_LOSS)
        return len(inverse) * (inverse / self.temperature).softmax(0)
