"""A self-normalising network on fingerprints and descriptors."""

from collections.abc import Iterable
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...errors import ConfigError
from ...features.store import GraphBatch, GraphStore, VectorBlock
from ..dropout import alpha_dropout, dropout
from ..layers import VectorScale
from .contract import Depth, Encoder, Inputs, Rate, Size, encoders

CHUNK = 4096  # molecules looked at together when the scale is fitted


@encoders.register("snn")
class Snn(Encoder):
    """Self-normalising network on the vector features: deep, without normalisation layers.

    Each layer is linear, SELU, alpha dropout; weights start normal with variance 1 / inputs (LeCun), biases
    at 0. So units keep mean 0 and variance 1 through all layers. There is no LayerNorm: `gradients.at` can be
    `last_layer`, `features` and others, but not `last_norm`.

    Parameters
    ----------
    depth : layers.
    width : of each layer, and of the representation.
    dropout : share of the units of each layer set to their saturated value in a training step.
    input_dropout : share of a molecule's inputs set to their training mean in a training step.

    References
    ----------
    Self-normalizing neural networks. G. Klambauer, T. Unterthiner, A. Mayr, S. Hochreiter, NeurIPS 2017.
    https://arxiv.org/abs/1706.02515
    """

    reads = ("vectors",)

    def __init__(
        self,
        inputs: Inputs,
        *,
        depth: Depth = 8,
        width: Size = 768,
        dropout: Rate = 0.05,
        input_dropout: Rate = 0.2,
    ) -> None:
        super().__init__()
        if not inputs.vectors:
            raise ConfigError(
                "encoder 'snn' needs vector features. Add some: features.vectors=[ecfp_counts]."
            )
        self.scale = SquashedInputs(inputs.vectors)
        self.dropout, self.input_dropout = dropout, input_dropout
        sizes = (self.scale.size, *[width] * depth)
        self.layers = nn.ModuleList(nn.Linear(sizes[i], sizes[i + 1]) for i in range(depth))
        self.width = width
        for layer in self.layers:
            linear = cast(nn.Linear, layer)
            nn.init.normal_(linear.weight, std=linear.in_features**-0.5)
            nn.init.zeros_(linear.bias)

    def fit(self, store: GraphStore, rows: Tensor) -> None:
        self.scale.fit(store, rows)

    @property
    def last_layer(self) -> nn.Linear:
        return cast(nn.Linear, self.layers[-1])

    @property
    def norms_after_last_layer(self) -> tuple[nn.LayerNorm, ...]:
        return ()

    def forward(self, batch: GraphBatch) -> Tensor:
        units = dropout(self.scale(batch.vectors), self.input_dropout, self.training)
        for layer in self.layers:
            units = alpha_dropout(functional.selu(layer(units)), self.dropout, self.training)
        return units


class SquashedInputs(nn.Module):
    """Vectors [B, F] standardised, squashed by tanh and standardised again, by the training molecules.

    Before that they are what `VectorScale` makes of them, in which no value is far out or missing. Rare bits
    would be, for the few molecules that have them: the result is held within `limit` deviations (Mayr et al.
    leave such columns out). A column that does not vary in training says nothing: 0.

    References
    ----------
    DeepTox: toxicity prediction using deep learning. A. Mayr et al., Front. Environ. Sci. 3, 80, 2016.
    https://doi.org/10.3389/fenvs.2015.00080
    """

    limit = 5.0

    mean: Tensor
    deviation: Tensor
    squashed_mean: Tensor
    squashed_deviation: Tensor

    def __init__(self, blocks: tuple[VectorBlock, ...]) -> None:
        super().__init__()
        self.vectors = VectorScale(blocks)
        self.size = self.vectors.size
        for name in ("mean", "squashed_mean"):
            self.register_buffer(name, torch.zeros(self.size))
        for name in ("deviation", "squashed_deviation"):
            self.register_buffer(name, torch.ones(self.size))

    def fit(self, store: GraphStore, rows: Tensor) -> None:
        """Means and deviations of the molecules `rows`, in two passes over them."""
        self.vectors.fit(store, rows)
        chunks = rows.split(CHUNK)
        moments = _moments(self.vectors(store.batch(chunk).vectors) for chunk in chunks)
        self.mean, self.deviation = (each.to(self.mean) for each in moments)
        moments = _moments(self._squashed(store.batch(chunk).vectors) for chunk in chunks)
        self.squashed_mean, self.squashed_deviation = (each.to(self.mean) for each in moments)

    def forward(self, vectors: Tensor) -> Tensor:
        values = (self._squashed(vectors) - self.squashed_mean) / self.squashed_deviation
        return values.clamp(-self.limit, self.limit)

    def _squashed(self, vectors: Tensor) -> Tensor:
        return torch.tanh((self.vectors(vectors) - self.mean) / self.deviation)


def _moments(parts: Iterable[Tensor]) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each column; infinite where it does not vary, so that it becomes 0."""
    n, total, squares = 0, torch.zeros(()), torch.zeros(())
    for part in parts:
        values = part.double()
        n, total, squares = n + len(values), total + values.sum(0), squares + values.square().sum(0)
    mean = total / max(n, 1)
    deviation = (squares / max(n, 1) - mean.square()).clamp(min=0).sqrt()
    return mean, torch.where(deviation > 1e-6, deviation, torch.inf)
