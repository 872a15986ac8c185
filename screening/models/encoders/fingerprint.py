"""A multilayer perceptron on fingerprints and descriptors."""

from itertools import pairwise
from typing import Annotated, cast

from pydantic import Field
from torch import Tensor, nn

from ...errors import ConfigError
from ...features.store import GraphBatch, GraphStore
from ..layers import VectorScale, linear_layer
from ..scaled_vectors import VectorLinear
from .contract import Encoder, Inputs, Noise, Rate, Size, encoders


@encoders.register("fingerprint")
class Fingerprint(Encoder):
    """Multilayer perceptron on the vector features (fingerprints, descriptors).

    Each layer is linear, LayerNorm, ReLU, dropout; the inputs are scaled and disturbed by `VectorScale`.

    Parameters
    ----------
    widths : of the layers; the last one is that of the representation.
    dropout : share of the units of each layer left out in a training step.
    count_dropout : share of a molecule's counts or bits set to 0 in a training step.
    real_dropout : share of a molecule's descriptors set to their training mean in a training step.
    real_noise : standard deviation of the noise on descriptors in training, in units of theirs.
    """

    reads = ("vectors",)

    def __init__(
        self,
        inputs: Inputs,
        *,
        widths: Annotated[tuple[Size, ...], Field(max_length=100)] = (512, 512),
        dropout: Rate = 0.5,
        count_dropout: Rate = 0.3,
        real_dropout: Rate = 0.2,
        real_noise: Noise = 0.2,
    ) -> None:
        super().__init__()
        if not inputs.vectors:
            raise ConfigError(
                "encoder 'fingerprint' needs vector features. Add some: features.vectors=[ecfp_counts]."
            )
        self.scale = VectorScale(
            inputs.vectors, count_dropout=count_dropout, real_dropout=real_dropout, real_noise=real_noise
        )
        sizes = (self.scale.size, *widths)
        kinds = [VectorLinear, *[nn.Linear] * len(widths)]
        self.layers = nn.Sequential(
            *(linear_layer(*pair, dropout, kind) for pair, kind in zip(pairwise(sizes), kinds, strict=False))
        )
        self.width = sizes[-1]

    def fit(self, store: GraphStore, rows: Tensor) -> None:
        self.scale.fit(store, rows)

    @property
    def last_layer(self) -> nn.Linear:
        return cast(nn.Linear, self._last()[0])

    @property
    def last_norm(self) -> nn.LayerNorm:
        return cast(nn.LayerNorm, self._last()[1])

    @property
    def norms_after_last_layer(self) -> tuple[nn.LayerNorm, ...]:
        return (self.last_norm,)

    def forward(self, batch: GraphBatch) -> Tensor:
        return self.layers(self.scale(batch.columns if len(self.layers) else batch.vectors))

    def _last(self) -> nn.Sequential:
        if not len(self.layers):
            raise NotImplementedError("an encoder without layers has no last one")
        return cast(nn.Sequential, self.layers[-1])
