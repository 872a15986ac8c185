"""The likelihood of exact and censored values under Gaussian noise (Tobit); each assay learns its noise."""

import torch
from torch import Tensor

from .contract import losses, measured
from .normal_intervals import OPEN, best_constants, inverse_mills, log_chance
from .real_values import bounds, measured_cells
from .spreads import SmallestSpread, SpreadLoss

NARROW = 1e-3
"""Intervals narrower than this, in standard deviations of the assay, are exact values at their middle."""

REACH = 2.0
"""Standard deviations beyond the outermost bound that values known by bounds to one side alone may reach."""


@losses.register("censored_gaussian")
class CensoredGaussian(SpreadLoss):
    r"""-log likelihood of values, bounds and intervals under Gaussian noise of a learned sd s per assay.

    With prediction f: of an exact value y, (y - f)^2 / (2 s^2) + log(s / smallest_spread); of a value that is
    known to be from a to b, -log(Phi((b - f) / s) - Phi((a - f) / s)), where either end may be open. The
    slope of the latter by f is the inverse Mills ratio over s. "Above 10 uM" pulls until the prediction is
    well above, and ever less.

    A task that the training part knows by bounds to one side alone has no most likely prediction: further
    out is always better. Its open ends are closed at `REACH` beyond the outermost bound.

    The constant -log(smallest_spread) keeps it at or above 0, where balancers that take logarithms and ratios
    of losses need it, and changes no gradient.

    Parameters
    ----------
    labels : [n, T] or [n, T, 2] of the training part; needed: a spread of each assay is learned.
    smallest_spread : above 0 and below 1, floor of s in standard deviations of the assay.

    References
    ----------
    J. Tobin, Estimation of relationships for limited dependent variables, Econometrica 26, 1958,
    https://doi.org/10.2307/1907382; T. Amemiya, Tobit models: a survey, Journal of Econometrics 24, 1984,
    https://doi.org/10.1016/0304-4076(84)90074-5, equation 2.
    """

    is_convex = True
    far: Tensor

    def __init__(self, labels: Tensor | None = None, *, smallest_spread: SmallestSpread = 0.1) -> None:
        super().__init__(labels, smallest_spread)

    def first_spreads(self, labels: Tensor) -> Tensor:
        self.register_buffer("far", far_ends(labels), persistent=False)
        return best_constants(*measured_cells(self._closed(labels)), labels.shape[1])[1]

    def start(self, labels: Tensor) -> Tensor:
        """The means [T] float64 of the Gaussians that fit best, two molecules at -1 and 1 counted in."""
        return best_constants(*measured_cells(self._closed(labels)), labels.shape[1])[0]

    def _closed(self, labels: Tensor) -> Tensor:
        """The bounds [B, T, 2] with the ends of one-sided tasks closed."""
        if labels.ndim == 2:
            return labels
        low, high = labels.unbind(2)
        far_low, far_high = self.far.to(labels.dtype)
        low, high = (
            torch.maximum(low, torch.minimum(far_low, high - REACH)),
            torch.minimum(high, torch.maximum(far_high, low + REACH)),
        )
        return torch.stack([low, high], dim=2)

    def cell_values(self, logits: Tensor, labels: Tensor, log_spreads: Tensor | None = None) -> Tensor:
        spreads, labels = self.spreads(log_spreads), self._closed(labels)
        middle, is_open = _middles(labels)
        values = self.spreads.surprise(logits - middle, spreads)
        if is_open is None:
            return values
        chances = log_chance(*_ends(logits, labels, spreads, is_open))
        return values.masked_scatter(is_open, -chances.to(values.dtype))

    def cell_slopes(self, logits: Tensor, labels: Tensor, log_spreads: Tensor | None = None) -> Tensor:
        """(f - y) / s^2 of exact values; the difference of the inverse Mills ratios at the ends, over s."""
        spreads, labels = self.spreads(log_spreads), self._closed(labels)
        middle, is_open = _middles(labels)
        slopes = (logits - middle) / spreads / spreads
        if is_open is None:
            return slopes
        at_low, at_high = inverse_mills(*_ends(logits, labels, spreads, is_open))
        ratios = (at_high - at_low) / spreads.expand_as(logits)[is_open]
        return slopes.masked_scatter(is_open, ratios.to(slopes.dtype))


def far_ends(labels: Tensor) -> Tensor:
    """Where open ends are closed, low and high [2, T]: infinite but for tasks with bounds to one side alone.

    Parameters
    ----------
    labels : [n, T], or [n, T, 2] of bounds; NaN = not measured.
    """
    far = torch.tensor([[-torch.inf], [torch.inf]], device=labels.device).repeat(1, labels.shape[1])
    if labels.ndim == 2:
        return far
    low, high = labels.unbind(2)
    there = measured(labels)
    for sign, near, other, end in ((1, low, high, far[1]), (-1, -high, -low, far[0])):
        is_sided = (there & (near > -torch.inf) & (other == torch.inf) | ~there).all(0) & there.any(0)
        outermost = torch.where(there, near, -torch.inf).amax(0) + REACH
        end[is_sided] = sign * outermost[is_sided].to(end.dtype)
    return far


def _middles(labels: Tensor) -> tuple[Tensor, Tensor | None]:
    """Exact values [B, T], 0 where there is none, and where [B, T]; None: all are exact."""
    if labels.ndim == 2:
        return labels, None
    low, high = bounds(labels)
    is_open = high - low >= NARROW
    return torch.where(is_open, 0.0, (low + high) / 2), is_open


def _ends(logits: Tensor, labels: Tensor, spreads: Tensor, cells: Tensor) -> tuple[Tensor, Tensor]:
    """Where the intervals of these cells begin and end, [m] float64, in spreads from the prediction."""
    predicted, scale = logits[cells].double(), spreads.expand_as(logits)[cells].double()
    low, high = ((end[cells].double().clamp(-OPEN, OPEN) - predicted) / scale for end in bounds(labels))
    return low, high
