"""At the last linear layer that all tasks share."""

from torch import nn

from .at_parameters import AtParameters
from .contract import places


@places.register("last_layer")
class AtLastLayer(AtParameters):
    """At the weights of the last linear layer that all tasks share, as GradNorm defines it."""

    def parameters(self) -> list[nn.Parameter]:
        weight = self.encoder.last_layer.weight  # type: ignore[union-attr]
        return [weight] if weight.requires_grad else []  # type: ignore[list-item]
