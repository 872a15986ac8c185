"""MGDA: the shortest mean of the gradients, along which no task gets worse."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from ..contract import Balancer, register
from ..solvers.quadratic_programs import nonnegative_minimum
from ..solvers.unit_gradients import distribute, unit_gram
from ..step import PresentStep

Normalise = Literal["none", "l2", "loss", "loss+"]


@register("mgda")
class Mgda(Balancer):
    r"""Multiple gradient descent: the w >= 0 with the sum 1 (here n) that minimises |sum_i w_i g_i|.

    Found from min |sum_i x_i g_i|^2 / 2 - sum_i x_i over x >= 0 as w = x / sum(x), a quadratic program
    without the constraint on the sum, solved to 1e-9 (the authors' Frank-Wolfe method stops at about 1e-3).
    At `gradients.at: features` it is the paper's MGDA-UB.

    Weights are about inverse to the squared gradient norms, so that the smallest gradient decides;
    `normalise` is the paper's remedy. A task with no slope at all gets 0 and leaves the decision to the
    others (to the letter, it would stop training).

    Parameters
    ----------
    normalise : divide each gradient by its norm ("l2"), its loss ("loss"), both ("loss+"), or nothing
        ("none") before looking for the shortest mean.

    References
    ----------
    Sener, Koltun: Multi-Task Learning as Multi-Objective Optimization, NeurIPS 2018,
    https://arxiv.org/abs/1810.04650, equation 3; normalisations from its code (isl-org/
    MultiObjectiveOptimization, MIT). Desideri: Multiple-gradient descent algorithm (MGDA) for multiobjective
    optimization, C. R. Acad. Sci. Paris 350, 2012, https://doi.org/10.1016/j.crma.2012.03.014.
    """

    needs = "gram"
    weighs_heads = False

    def __init__(self, tasks: Sequence[str], *, normalise: Normalise = "none") -> None:
        super().__init__(tasks)
        if normalise not in ("none", "l2", "loss", "loss+"):
            raise ValueError(f"normalise is {normalise!r}; expected 'none', 'l2', 'loss' or 'loss+'.")
        self.normalise = normalise

    def weigh_present(self, step: PresentStep) -> Tensor:
        unit = unit_gram(step.gram)
        divisors = torch.ones_like(unit.norms)
        if self.normalise in ("l2", "loss+"):
            divisors = divisors * unit.norms
        if self.normalise in ("loss", "loss+"):
            divisors = divisors * step.losses.clamp(min=torch.finfo(torch.float32).tiny)
        # x in units of |g| / divisor, so that the matrix is that of cosines
        shares = nonnegative_minimum(unit.cosines, unit.per_gradient(divisors))
        return distribute(unit.per_gradient(shares), len(shares))
