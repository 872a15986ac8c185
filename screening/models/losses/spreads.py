"""The noise of each assay, learned with the network: what Gaussian losses divide distances by."""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from .real_values import RealLoss

SmallestSpread = Annotated[float, Field(gt=0, lt=1)]


class Spreads(nn.Module):
    """Standard deviations [T] of the noise on the standardised scale, never below `smallest`.

    variance = smallest^2 + exp(2 * log_spread): smooth, and without a floor a network that knows its training
    molecules by heart would gain without end by saying that there is no noise.

    Parameters
    ----------
    start : [T] above 0, where they begin.
    smallest : above 0 and below 1.
    """

    def __init__(self, start: Tensor, smallest: float) -> None:
        super().__init__()
        if not 0 < smallest < 1:
            raise ValueError(f"smallest_spread is {smallest}; expected above 0 and below 1.")
        self.smallest = smallest
        learned = (start.double() ** 2 - smallest**2).clamp(min=smallest**2)
        self.log_spread = nn.Parameter((learned.log() / 2).float())

    def forward(self, log_spreads: Tensor | None = None) -> Tensor:
        """The standard deviations [T], or [B, T] where logarithms of each molecule's own are given."""
        learned = (self.log_spread if log_spreads is None else log_spreads).exp()
        return torch.hypot(learned, learned.new_tensor(self.smallest))

    def surprise(self, distances: Tensor, spreads: Tensor) -> Tensor:
        """-log of the chance, in nats, of a value within 1.25 times `smallest` of this distance [B, T].

        d^2 / (2 s^2) + log(s / smallest): the Gaussian's -log density and a constant, with which it is never
        below 0 and is the chance of an interval of width sqrt(2 pi) * smallest. So an exact value and one
        that is known by bounds are measured by the same rule, and balancers may take logarithms and ratios.
        """
        return (distances / spreads) ** 2 / 2 + (spreads / self.smallest).log()


class SpreadLoss(RealLoss):
    """A loss of real values that learns the noise of each assay, from the training part's labels on."""

    takes_spreads = True

    def __init__(self, labels: Tensor | None, smallest: float) -> None:
        super().__init__(labels)
        if labels is None:
            raise ValueError(
                f"{type(self).__name__} learns a spread of each assay: give it the training part's labels."
            )
        self.spreads = Spreads(self.first_spreads(labels), smallest)

    def first_spreads(self, labels: Tensor) -> Tensor:
        """Standard deviations [T] of the noise around the best constants, where training begins."""
        raise NotImplementedError(type(self).__name__)

    def log_spreads(self) -> Tensor:
        return self.spreads.log_spread.detach()
