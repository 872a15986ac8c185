"""BMTL: a convex function of each loss, so that a harder task weighs more."""

import math
from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor

from ..contract import Balancer, register
from ..step import PresentStep

LARGEST_EXPONENT = 40.0
"""Weights of the raw form stay below e^40, and their squares, which optimiser and clipping take, below the
largest number of float32, e^88.7."""
PLACES = 1000
"""Losses at which the user's function is checked."""


@register("bmtl")
class Bmtl(Balancer):
    r"""Balanced multi-task learning.

    Minimises sum(h(L)), so task i has the weight h'(L_i). With h(z) = exp(z / T), in the
    form "softmax" (ours): w = n * softmax(L / T) over the n present tasks, the same direction with weights
    that sum to n, and no overflow. In the form "raw" (the paper's): w = exp(L / T) / T, whose length ties
    the temperature to the learning rate; if one exceeds e^40, all are scaled down together to that. The
    default is not the paper's form. Absent tasks are left out, not taken for a loss of 0.

    A rare positive or a noisy assay has a large loss too, and BMTL goes after it; mind the temperature.

    Parameters
    ----------
    h : from Python only: a function of losses [n] made of torch operations, in place of exp(z / T), which
        gives w = h'(L), in the form "softmax" normalised to sum to n. Refused unless h' > 0 and h'' > 0, and
        unless it is elementwise: h of a loss may not depend on the other losses.
    largest_loss : above 0, nats, from Python only. h is checked at 1000 places up to here, and a loss outside
        gets the weight of the nearest of them.
    temperature : above 0, nats. Small: the hardest task alone; large: all equal. The paper's value is not
        known to us; people who followed it used 0.2 to 0.8, and 50.
    form : "softmax" or "raw".

    References
    ----------
    Liang, Zhang: A Simple General Approach to Balance Task Difficulty in Multi-Task Learning, 2020,
    https://arxiv.org/abs/2002.04792. h = exp(z / T) after three public repositories that cite it; that h'
    and h'' must be positive is our reading of its condition.
    """

    def __init__(
        self,
        tasks: Sequence[str],
        h: Callable[[Tensor], Tensor] | None = None,
        largest_loss: float = 5.0,
        *,
        temperature: float = 0.5,
        form: Literal["softmax", "raw"] = "softmax",
    ) -> None:
        super().__init__(tasks)
        if not 0 < temperature < math.inf:
            raise ValueError(f"temperature is {temperature}; expected above 0.")
        if form not in ("softmax", "raw"):
            raise ValueError(f"form is {form!r}; expected 'softmax' or 'raw'.")
        if not 0 < largest_loss < math.inf:
            raise ValueError(f"largest_loss is {largest_loss}; expected above 0.")
        self.temperature, self.form, self.h, self.largest_loss = temperature, form, h, largest_loss
        if h is not None:
            check_increasing_and_convex(h, largest_loss)

    def weigh_present(self, step: PresentStep) -> Tensor:
        n = len(step.losses)
        if self.h is not None:
            losses = step.losses.clamp(self.largest_loss / PLACES, self.largest_loss)
            slopes, _ = derivatives(self.h, losses)
            return slopes if self.form == "raw" else n * slopes / slopes.sum()
        exponents = step.losses / self.temperature
        if self.form == "softmax":
            return n * exponents.softmax(0)
        exponents = exponents - math.log(self.temperature)
        return (exponents - (exponents.max() - LARGEST_EXPONENT).clamp(min=0)).exp()


def derivatives(h: Callable[[Tensor], Tensor], losses: Tensor) -> tuple[Tensor, Tensor]:
    """First and second derivative [n] of an elementwise function at the losses [n]."""
    with torch.enable_grad():
        losses = losses.detach().requires_grad_()
        (first,) = torch.autograd.grad(h(losses).sum(), losses, create_graph=True)
        if not first.requires_grad:
            return first, torch.zeros_like(first)
        (second,) = torch.autograd.grad(first.sum(), losses)
    return first.detach(), second


def check_increasing_and_convex(h: Callable[[Tensor], Tensor], largest_loss: float) -> None:
    """Raise ValueError unless h is elementwise, h' > 0 and h'' > 0, on an even grid up to `largest_loss`."""
    grid = torch.linspace(0, largest_loss, PLACES + 1, dtype=torch.float64)[1:]
    values, alone = h(grid), h(grid[: PLACES // 2])
    if values.shape != grid.shape or not torch.allclose(values[: PLACES // 2], alone, rtol=1e-6):
        raise ValueError(
            "h is not elementwise: expected a function of losses [n] whose n values are of one loss each."
        )
    for slope, sign in zip(derivatives(h, grid), ("h'", "h''"), strict=True):
        if not (slope > 0).all():
            place = int((slope > 0).logical_not().nonzero()[0])
            raise ValueError(
                f"{sign} is {float(slope[place]):.3g} at a loss of {float(grid[place]):.3g}; h must rise "
                "ever more steeply (h' > 0 and h'' > 0), or a harder task does not weigh more."
            )
