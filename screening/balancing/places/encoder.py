"""At all parameters of the encoder: the gradients that most papers define."""

from torch import nn

from .at_parameters import AtParameters
from .contract import places


@places.register("encoder")
class AtEncoder(AtParameters):
    """At all parameters of the encoder."""

    def parameters(self) -> list[nn.Parameter]:
        return [parameter for parameter in self.encoder.parameters() if parameter.requires_grad]
