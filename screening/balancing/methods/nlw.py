"""NLW: equal weights with a little noise, drawn anew in every step."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ..contract import Balancer, register
from ..step import PresentStep


@register("nlw")
class Nlw(Balancer):
    """Noisy loss weighting.

    w = n * softmax(sigma * z), z drawn from N(0, 1) for each of the n present tasks in every step. A
    control for methods whose weights jump: sigma = 1 is RLW, 0 is equal.

    Parameters
    ----------
    sigma : at least 0, standard deviation of the noise; 0.2 in the tests of the authors' code.

    References
    ----------
    Not in a paper: code of Crawshaw, Kosecka (SLAW, 2021, https://arxiv.org/abs/2109.08218),
    mtcrawshaw/meta, meta/train/loss.py, class NLW (MIT), with initial weights of 1.
    """

    def __init__(self, tasks: Sequence[str], *, sigma: float = 0.2, seed: int = 0) -> None:
        super().__init__(tasks, seed=seed)
        if not 0 <= sigma < math.inf:
            raise ValueError(f"sigma is {sigma}; expected at least 0.")
        self.sigma = sigma

    def weigh_present(self, step: PresentStep) -> Tensor:
        losses = step.losses
        generator = self.generator(losses.device)
        noise = torch.randn(len(losses), generator=generator, device=losses.device, dtype=losses.dtype)
        return len(losses) * (self.sigma * noise).softmax(0)
