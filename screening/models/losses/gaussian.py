"""The Gaussian loss with a learned noise of each assay, plain: of distances to the values or intervals."""

import torch
from torch import Tensor

from .contract import losses
from .real_values import bounds, measured_cells, misses
from .spreads import SmallestSpread, SpreadLoss


@losses.register("gaussian")
class Gaussian(SpreadLoss):
    r"""-log likelihood of Gaussian noise of a learned sd s per assay, by distances to values or intervals.

    d^2 / (2 s^2) + log(s / smallest_spread) of the distance d. A molecule of a noisy assay pulls less. The
    constant -log(smallest_spread) keeps it at or above 0, where balancers that take logarithms and ratios of
    losses need it, and changes no gradient.

    A value that is known by bounds counts as if measured at the end of its interval that is nearest to the
    prediction: inside, that is no distance, and s is learned too small where many are. `censored_gaussian`
    counts the chance of the interval instead.

    Parameters
    ----------
    labels : [n, T] or [n, T, 2] of the training part; needed: a spread of each assay is learned.
    smallest_spread : above 0 and below 1, floor of s in standard deviations of the assay.

    References
    ----------
    Nix, Weigend: Estimating the mean and variance of the target probability distribution, ICNN 1994,
    https://doi.org/10.1109/ICNN.1994.374138, equation 4, with a variance per assay instead of per molecule.
    """

    is_convex = True

    def __init__(self, labels: Tensor | None = None, *, smallest_spread: SmallestSpread = 0.1) -> None:
        super().__init__(labels, smallest_spread)

    def first_spreads(self, labels: Tensor) -> Tensor:
        low, high, tasks = measured_cells(labels)
        squares = misses(self.start(labels)[tasks], low, high) ** 2
        sums = torch.zeros(labels.shape[1], dtype=torch.float64, device=labels.device)
        return (sums.index_add(0, tasks, squares) / tasks.bincount()).sqrt()

    def pulls(self, distances: Tensor) -> Tensor:
        return distances

    def cell_values(self, logits: Tensor, labels: Tensor, log_spreads: Tensor | None = None) -> Tensor:
        return self.spreads.surprise(misses(logits, *bounds(labels)), self.spreads(log_spreads))

    def cell_slopes(self, logits: Tensor, labels: Tensor, log_spreads: Tensor | None = None) -> Tensor:
        """d / s^2."""
        spreads = self.spreads(log_spreads)
        return misses(logits, *bounds(labels)) / spreads / spreads
