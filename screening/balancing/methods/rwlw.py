"""RWLW: weights that wander at random."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ..contract import Balancer, register
from ..step import PresentStep


@register("rwlw")
class Rwlw(Balancer):
    """Random walk loss weighting.

    w <- n * softmax(w + sigma * z), z drawn from N(0, 1) for each of the n present tasks in every step,
    starting from 1: the noise of `nlw`, but it accumulates. The weights themselves go back into the
    softmax, as in the authors' code, so once one is well ahead it soon has nearly all of them.

    Parameters
    ----------
    sigma : at least 0, standard deviation of the noise of one step; 0 keeps equal weights, 0.01 is ours.

    References
    ----------
    Not in a paper: code of Crawshaw, Kosecka (SLAW, 2021, https://arxiv.org/abs/2109.08218),
    mtcrawshaw/meta, meta/train/loss.py, class RWLW (MIT), with initial weights of 1.
    """

    walk: Tensor

    def __init__(self, tasks: Sequence[str], *, sigma: float = 0.01, seed: int = 0) -> None:
        super().__init__(tasks, seed=seed)
        if not 0 <= sigma < math.inf:
            raise ValueError(f"sigma is {sigma}; expected at least 0.")
        self.sigma = sigma
        self.register_buffer("walk", torch.ones(self.n_tasks, dtype=torch.float64))

    def weigh_present(self, step: PresentStep) -> Tensor:
        losses = step.losses
        generator = self.generator(losses.device)
        noise = torch.randn(len(losses), generator=generator, device=losses.device, dtype=losses.dtype)
        weights = len(losses) * (self.walk[step.tasks] + self.sigma * noise).softmax(0)
        self.walk[step.tasks] = weights
        return weights
