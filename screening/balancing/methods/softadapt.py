"""SoftAdapt: a task whose loss has just risen, or fallen least, weighs more."""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from ..contract import Balancer, register
from ..step import PresentStep

EPS = 1e-8
"""Nats; added where a loss or a sum of slopes may be 0."""


@register("softadapt")
class SoftAdapt(Balancer):
    r"""SoftAdapt.

    With s the difference between the task's last two losses, w is proportional to
    exp(beta * s), in the form "original"; to exp(beta * s / sum |s|), "normalized"; to L * exp(beta * s),
    "loss_weighted". Weights sum to the number of present tasks (in the paper to 1); a task with one loss so
    far has weight 1. Slopes are those of batches, so noisy, and their size depends on the batch.

    The authors' code divides by the sum of the slopes with their signs, which turns the meaning round
    whenever most losses fall, and takes higher-order differences of a longer history, which are noisier.

    Parameters
    ----------
    beta : any finite number, 0.1 in the authors' code: above 0 favours tasks that get worse, below 0 those
        that get better; per nat, or without unit when normalized.
    form : "original", "normalized" or "loss_weighted".

    References
    ----------
    Heydari, Thompson, Mehmood: SoftAdapt: Techniques for Adaptive Loss Weighting of Neural Networks with
    Multi-Part Loss Functions, 2019, https://arxiv.org/abs/1912.12355, section 3.1, after the authors' code
    (dr-aheydari/SoftAdapt, softadapt/algorithms, MIT); not checked against the paper's own formulas.
    """

    last: Tensor
    updates: Tensor

    def __init__(
        self,
        tasks: Sequence[str],
        *,
        beta: float = 0.1,
        form: Literal["original", "normalized", "loss_weighted"] = "loss_weighted",
    ) -> None:
        super().__init__(tasks)
        if not math.isfinite(beta):
            raise ValueError(f"beta is {beta}; expected a finite number.")
        if form not in ("original", "normalized", "loss_weighted"):
            raise ValueError(f"form is {form!r}; expected 'original', 'normalized' or 'loss_weighted'.")
        self.beta, self.form = beta, form
        self.register_buffer("last", torch.zeros(self.n_tasks, dtype=torch.float64))
        self.register_buffer("updates", torch.zeros(self.n_tasks, dtype=torch.int64))

    def weigh_present(self, step: PresentStep) -> Tensor:
        has_past = self.updates[step.tasks] >= 1
        slopes = (step.losses - self.last[step.tasks])[has_past]
        self.last[step.tasks] = step.losses
        self.updates[step.tasks] += 1
        if self.form == "normalized":
            slopes = slopes / slopes.abs().sum().clamp(min=EPS)
        exponents = self.beta * slopes
        if self.form == "loss_weighted":
            exponents = exponents + (step.losses[has_past] + EPS).log()
        weights = torch.ones_like(step.losses)
        weights[has_past] = len(exponents) * exponents.softmax(0)
        return weights
