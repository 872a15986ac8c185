"""Cross-entropy: the loss of probabilities."""

import torch
from torch import Tensor
from torch.nn import functional

from ..base_rates import base_logits
from .class_weights import Cap, PositiveWeight, positive_weights
from .contract import Loss, losses


@losses.register("cross_entropy")
class CrossEntropy(Loss):
    """Cross-entropy in nats, actives weighted or not.

    Parameters
    ----------
    labels : [n, T] of the training part; needed for weights only.
    positive_weight : `balanced` weighs actives by inactives / actives of the assay in the training part.
    cap : at least 1, largest weight of an active.
    """

    is_convex = True
    positive_weight: Tensor | None

    def __init__(
        self, labels: Tensor | None = None, *, positive_weight: PositiveWeight = "none", cap: Cap = 20.0
    ) -> None:
        super().__init__(labels)
        weight = positive_weights(labels, how=positive_weight, cap=cap)
        self.register_buffer("positive_weight", weight, persistent=False)

    def cell_values(self, logits: Tensor, labels: Tensor) -> Tensor:
        return functional.binary_cross_entropy_with_logits(
            logits, labels, pos_weight=self.positive_weight, reduction="none"
        )

    def cell_slopes(self, logits: Tensor, labels: Tensor) -> Tensor:
        """With p = sigmoid(logit), weight v and label y: (1 - y) p - v y (1 - p)."""
        weight = 1.0 if self.positive_weight is None else self.positive_weight
        return (1 - labels) * torch.sigmoid(logits) - weight * labels * torch.sigmoid(-logits)

    @torch.no_grad()
    def start(self, labels: Tensor) -> Tensor:
        """The logits of the base rates, plus the logarithm of the weights."""
        logits = base_logits(labels)
        if self.positive_weight is None:
            return logits
        return logits + self.positive_weight.double().log().to(logits.device)
