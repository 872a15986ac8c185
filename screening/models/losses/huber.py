"""Huber's loss: squares near the value, absolute distances far from it, so that outliers pull less."""

import math
from typing import Annotated

from pydantic import Field
from torch import Tensor

from .contract import losses
from .real_values import RealLoss, bounds, misses

Delta = Annotated[float, Field(gt=0)]


@losses.register("huber")
class Huber(RealLoss):
    """Huber's loss of the distance to the value, or to the interval that a value is known to be in.

    With d the distance: d^2 / 2 up to delta, delta (d - delta / 2) beyond.

    Parameters
    ----------
    labels : [n, T] of the training part.
    delta : above 0, in standard deviations of the assay; no molecule pulls more than one that is delta away.

    References
    ----------
    P. J. Huber, Robust estimation of a location parameter, Annals of Mathematical Statistics 35, 1964,
    https://doi.org/10.1214/aoms/1177703732.
    """

    is_convex = True

    def __init__(self, labels: Tensor | None = None, *, delta: Delta = 1.0) -> None:
        super().__init__(labels)
        if not 0 < delta < math.inf:
            raise ValueError(f"delta is {delta}; expected above 0.")
        self.delta = delta

    def pulls(self, distances: Tensor) -> Tensor:
        return distances.clamp(-self.delta, self.delta)

    def cell_values(self, logits: Tensor, labels: Tensor) -> Tensor:
        distances = misses(logits, *bounds(labels)).abs()
        near = distances.clamp(max=self.delta)
        return near * (distances - near / 2)

    def cell_slopes(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The distance, held within delta."""
        return self.pulls(misses(logits, *bounds(labels)))
