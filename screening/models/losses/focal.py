"""Focal loss: cross-entropy in which molecules that are right already count less."""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from .class_weights import Cap, PositiveWeight, positive_weights
from .contract import Loss, losses

Gamma = Annotated[float, Field(ge=0, le=20)]


@losses.register("focal")
class Focal(Loss):
    r"""Focal loss, (1 - p)^gamma * (-log p) with p the probability given to the true class.

    With gamma = 0 it is cross-entropy. The probabilities of a model trained with it are pulled to the middle;
    the calibration on the validation part puts them back.

    Parameters
    ----------
    labels : [n, T] of the training part; needed for weights only.
    gamma : from 0 to 20; how much less a molecule counts that is right already. The paper's best is 2.
    positive_weight : `balanced` weighs actives by inactives / actives of the assay in the training part; the
        paper's alpha, "set by inverse class frequency" (section 3.1), for every assay its own.
    cap : at least 1, largest weight of an active.

    References
    ----------
    Lin et al., Focal loss for dense object detection, ICCV 2017, https://arxiv.org/abs/1708.02002,
    equation 4; the slopes are equation 11 of its appendix B, for any gamma.
    """

    positive_weight: Tensor | None

    def __init__(
        self,
        labels: Tensor | None = None,
        *,
        gamma: Gamma = 2.0,
        positive_weight: PositiveWeight = "none",
        cap: Cap = 20.0,
    ) -> None:
        super().__init__(labels)
        if not 0 <= gamma <= 20:
            raise ValueError(f"gamma is {gamma}; expected from 0 to 20.")
        self.gamma = gamma
        weight = positive_weights(labels, how=positive_weight, cap=cap)
        self.register_buffer("positive_weight", weight, persistent=False)

    def cell_values(self, logits: Tensor, labels: Tensor) -> Tensor:
        return self._weights(labels) * focal(_towards_truth(logits, labels), self.gamma)

    def cell_slopes(self, logits: Tensor, labels: Tensor) -> Tensor:
        slopes = focal_slopes(_towards_truth(logits, labels), self.gamma)
        return self._weights(labels) * (2 * labels - 1) * slopes

    def _weights(self, labels: Tensor) -> Tensor | float:
        """The weight of the positives, and 1 of the negatives."""
        return 1.0 if self.positive_weight is None else 1 + labels * (self.positive_weight - 1)


def focal(logits: Tensor, gamma: float) -> Tensor:
    """(1 - p)^gamma * (-log p) with p = sigmoid(logits); finite however large the logits are."""
    return -(gamma * functional.logsigmoid(-logits)).exp() * functional.logsigmoid(logits)


def focal_slopes(logits: Tensor, gamma: float) -> Tensor:
    """Derivative of `focal` by the logits: (1 - p)^gamma * (gamma p log p - (1 - p))."""
    scale = (gamma * functional.logsigmoid(-logits)).exp()
    log_chance = functional.logsigmoid(logits)
    return scale * (gamma * log_chance.exp() * log_chance - torch.sigmoid(-logits))


def _towards_truth(logits: Tensor, labels: Tensor) -> Tensor:
    """Logits of the true class."""
    return (2 * labels - 1) * logits
