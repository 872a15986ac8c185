"""RLW: random weights, drawn anew in every step; the control that a balancer must beat."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ..contract import Balancer, register
from ..step import PresentStep


@register("rlw")
class Rlw(Balancer):
    """Random loss weighting.

    w = n * softmax(z), z drawn from N(0, 1) for each of the n present tasks in every step. On average
    every task has weight 1. The paper has other distributions too; LibMTL and TorchJD have this one.

    References
    ----------
    Lin et al.: Reasonable Effectiveness of Random Weighting: A Litmus Test for Multi-Task Learning,
    TMLR 2022, https://arxiv.org/abs/2111.10603, algorithm 2.
    """

    def __init__(self, tasks: Sequence[str], *, seed: int = 0) -> None:
        super().__init__(tasks, seed=seed)

    def weigh_present(self, step: PresentStep) -> Tensor:
        losses = step.losses
        generator = self.generator(losses.device)
        noise = torch.randn(len(losses), generator=generator, device=losses.device, dtype=losses.dtype)
        return len(losses) * noise.softmax(0)
