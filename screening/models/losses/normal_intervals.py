"""The chance that a standard normal number lies in an interval, far out too, and Gaussians of such data.

All in float64: the chance of what is 10,000 standard deviations away is exp(-5e7), of which float32 keeps
the exponent to within 4.
"""

import math
from typing import Any

import torch
from torch import Tensor

OPEN = 1e9
"""An open end, standard deviations: nothing that is predicted comes near it, and its square is finite."""
LOG_PEAK = math.log(2 * math.pi) / 2
"""-log of the normal density at 0."""
STEPS = 100
"""Of Newton's method, at most; ten are usual."""
HALVINGS = 30
"""Of a step that does not gain, at most."""
SETTLED = 1e-12
"""Nats per cell: no more than that is gained by a further step."""


class _LogChance(torch.autograd.Function):
    """log(Phi(high) - Phi(low)), differentiable twice; torch's own derivative of log Phi is lost far out."""

    @staticmethod
    def forward(ctx: Any, low: Tensor, high: Tensor) -> Tensor:
        flips = low + high > 0  # Phi of both ends at or below 1/2, where its logarithm is precise
        start, end = torch.where(flips, -high, low), torch.where(flips, -low, high)
        whole = torch.special.log_ndtr(end)
        chances = whole + torch.log(-torch.expm1(torch.special.log_ndtr(start) - whole))
        ctx.save_for_backward(low, high, chances)
        return chances

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        low, high, chances = ctx.saved_tensors
        at_low, at_high = _ratios(low, high, chances)
        return -gradients[0] * at_low, gradients[0] * at_high


def log_chance(low: Tensor, high: Tensor) -> Tensor:
    """log(Phi(high) - Phi(low)) of ends [m] float64, low < high, within `OPEN`, of which at most one is.

    Examples
    --------
    >>> ends = torch.tensor([-1.0, -OPEN, 1e4]).double(), torch.tensor([1.0, 0.0, OPEN]).double()
    >>> [round(float(chance), 4) for chance in log_chance(*ends)]
    [-0.3817, -0.6931, -50000010.1293]
    """
    chances: Tensor = _LogChance.apply(low, high)
    return chances


def inverse_mills(low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """Densities at both ends over the chance of the interval: minus and plus the slopes of `log_chance`."""
    return _ratios(low, high, log_chance(low, high))


def _ratios(low: Tensor, high: Tensor, chances: Tensor) -> tuple[Tensor, Tensor]:
    at_low, at_high = (torch.exp(-(end**2) / 2 - LOG_PEAK - chances) for end in (low, high))
    return at_low, at_high


@torch.no_grad()
def best_constants(low: Tensor, high: Tensor, tasks: Tensor, n_tasks: int) -> tuple[Tensor, Tensor]:
    """Means and standard deviations [T] float64 of the most likely Gaussian of each task's cells.

    By Newton's method in 1 / sd and mean / sd, in which the likelihood of exact and censored values has one
    maximum (R. J. Olsen, Note on the uniqueness of the maximum likelihood estimator for the Tobit model,
    Econometrica 46, 1978, https://doi.org/10.2307/1913445); a step that does not gain is halved.

    Parameters
    ----------
    low, high : [m] float64, bounds, equal where exact, infinite where open; of every task some are exact and
        differ.
    tasks : int64 [m].
    """
    likelihood = _Likelihood(low, high, tasks)
    place = likelihood.of_exact(n_tasks)
    for _ in range(STEPS):
        cost, step, gain = likelihood.newton_step(place)
        length = (-0.9 * place[1] / step[1].clamp(max=-torch.finfo(step.dtype).tiny)).clamp(max=1)
        for _ in range(HALVINGS):
            is_worse = ~(likelihood.costs(place + length * step) <= cost)
            if not is_worse.any():
                break
            length = torch.where(is_worse, length / 2, length)
        place = torch.where(is_worse, place, place + length * step)
        if (gain <= SETTLED * tasks.bincount()).all():
            break
    return place[0] / place[1], 1 / place[1]


class _Likelihood:
    """Of the cells of all tasks, at mean / sd and 1 / sd of each: `place` [2, T]."""

    def __init__(self, low: Tensor, high: Tensor, tasks: Tensor) -> None:
        self.tasks, is_exact = tasks, low == high
        self.values, self.exact_tasks = low[is_exact], tasks[is_exact]
        self.ends = tuple(end[~is_exact].clamp(-OPEN, OPEN) for end in (low, high))
        self.open_tasks = tasks[~is_exact]

    def of_exact(self, n_tasks: int) -> Tensor:
        """The best place [2, T] for the exact values alone."""
        ones = torch.ones_like(self.values)
        count, total, squares = (
            ones.new_zeros(n_tasks).index_add(0, self.exact_tasks, each)
            for each in (ones, self.values, self.values**2)
        )
        mean = total / count
        sd = (squares / count - mean**2).clamp(min=torch.finfo(mean.dtype).eps).sqrt()
        return torch.stack([mean / sd, 1 / sd])

    def costs(self, place: Tensor) -> Tensor:
        """-log likelihood [T], but for log(2 pi) / 2 of every exact cell."""
        centre, scale = place[:, self.exact_tasks]
        exact = (scale * self.values - centre) ** 2 / 2 - scale.log()
        centre, scale = place[:, self.open_tasks]
        low, high = (scale * end - centre for end in self.ends)
        costs = torch.zeros_like(place[0]).index_add(0, self.exact_tasks, exact)
        return costs.index_add(0, self.open_tasks, -log_chance(low, high))

    def newton_step(self, place: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Costs [T], the step [2, T] to the least of the parabola there, and what it would gain [T]."""
        with torch.enable_grad():
            place = place.clone().requires_grad_()
            costs = self.costs(place)
            (slopes,) = torch.autograd.grad(costs.sum(), place, create_graph=True)
            (by_centre,) = torch.autograd.grad(slopes[0].sum(), place, retain_graph=True)
            (by_scale,) = torch.autograd.grad(slopes[1].sum(), place)
        determinant = by_centre[0] * by_scale[1] - by_centre[1] * by_scale[0]
        slopes = slopes.detach()
        step = torch.stack(
            [
                by_centre[1] * slopes[1] - by_scale[1] * slopes[0],
                by_scale[0] * slopes[0] - by_centre[0] * slopes[1],
            ]
        )
        step = step / determinant
        return costs.detach(), step, -(slopes * step).sum(0) / 2
