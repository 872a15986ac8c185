"""At the last linear layer that all tasks share."""

from typing import cast

from torch import nn

from .at_parameters import AtParameters
from .contract import places, shared_part


@places.register("last_layer")
class AtLastLayer(AtParameters):
    """At the weights of the last linear layer that all tasks share, as GradNorm defines it."""

    def parameters(self) -> list[nn.Parameter]:
        weight = cast(nn.Linear, shared_part(self.encoder, "last_layer")).weight
        return [weight] if weight.requires_grad else []  # type: ignore[list-item]
