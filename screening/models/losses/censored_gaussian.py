"""The likelihood of exact and censored values under Gaussian noise (Tobit); each assay learns its noise."""

import torch
from torch import Tensor

from .contract import losses
from .normal_intervals import OPEN, best_constants, inverse_mills, log_chance
from .real_values import RealLoss, bounds, measured_cells
from .spreads import SmallestSpread, Spreads

NARROW = 1e-3
"""Intervals narrower than this, in standard deviations of the assay, are exact values at their middle."""


@losses.register("censored_gaussian")
class CensoredGaussian(RealLoss):
    r"""-log likelihood of values, bounds and intervals under Gaussian noise of a learned sd s per assay.

    With prediction f: of an exact value y, (y - f)^2 / (2 s^2) + log(s / smallest_spread); of a value that is
    known to be from a to b, -log(Phi((b - f) / s) - Phi((a - f) / s)), where either end may be open. The
    slope of the latter by f is the inverse Mills ratio over s. "Above 10 uM" pulls until the prediction is
    well above, and ever less.

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
    takes_spreads = True

    def __init__(self, labels: Tensor | None = None, *, smallest_spread: SmallestSpread = 0.1) -> None:
        super().__init__(labels)
        if labels is None:
            raise ValueError(
                "loss 'censored_gaussian' learns a spread of each assay: give it the training part's labels."
            )
        self.spreads = Spreads(best_constants(*measured_cells(labels), labels.shape[1])[1], smallest_spread)

    def start(self, labels: Tensor) -> Tensor:
        """The means [T] float64 of the Gaussians that fit best, two molecules at -1 and 1 counted in."""
        return best_constants(*measured_cells(labels), labels.shape[1])[0]

    def log_spreads(self) -> Tensor:
        return self.spreads.log_spread.detach()

    def cell_values(self, logits: Tensor, labels: Tensor, log_spreads: Tensor | None = None) -> Tensor:
        spreads = self.spreads(log_spreads)
        middle, is_open = _middles(labels)
        values = self.spreads.surprise(logits - middle, spreads)
        if is_open is None:
            return values
        chances = log_chance(*_ends(logits, labels, spreads, is_open))
        return values.masked_scatter(is_open, -chances.to(values.dtype))

    def cell_slopes(self, logits: Tensor, labels: Tensor, log_spreads: Tensor | None = None) -> Tensor:
        """(f - y) / s^2 of exact values; the difference of the inverse Mills ratios at the ends, over s."""
        spreads = self.spreads(log_spreads)
        middle, is_open = _middles(labels)
        slopes = (logits - middle) / spreads / spreads
        if is_open is None:
            return slopes
        at_low, at_high = inverse_mills(*_ends(logits, labels, spreads, is_open))
        ratios = (at_high - at_low) / spreads.expand_as(logits)[is_open]
        return slopes.masked_scatter(is_open, ratios.to(slopes.dtype))


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
