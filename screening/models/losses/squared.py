"""Half the squared distance: the loss of means."""

from torch import Tensor

from .contract import losses
from .real_values import RealLoss, bounds, misses


@losses.register("squared")
class Squared(RealLoss):
    """Half the squared distance to the value, or to the interval that a value is known to be in.

    Half, so that it is the Gaussian loss of spread 1, and Huber's near the value. Of values with one bound it
    is the squared hinge: nothing on the allowed side, half the squared distance on the other.
    """

    is_convex = True

    def pulls(self, distances: Tensor) -> Tensor:
        return distances

    def cell_values(self, logits: Tensor, labels: Tensor) -> Tensor:
        return misses(logits, *bounds(labels)) ** 2 / 2

    def cell_slopes(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The distance itself."""
        return misses(logits, *bounds(labels))
