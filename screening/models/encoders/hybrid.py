"""A graph encoder and fingerprints side by side."""

from typing import Annotated, Any, cast

import torch
from pydantic import AfterValidator
from torch import Tensor, nn

from ...errors import ConfigError
from ...features.store import GraphBatch, GraphStore
from ..dropout import chances
from ..layers import linear_layer
from .contract import Depth, Encoder, Inputs, Noise, Rate, Size, encoders
from .fingerprint import Fingerprint


def _checked(graph: str | dict[str, Any]) -> str | dict[str, Any]:
    """A graph encoder's name, or its name and options; ConfigError where there is none of that kind."""
    name, options = _parts(graph)
    if encoders.get(name).reads != ("graph",):
        readers = [each for each in encoders.names() if encoders.get(each).reads == ("graph",)]
        raise ConfigError(f"encoder '{name}' does not read graphs alone: expected {' or '.join(readers)}.")
    encoders.check_values(name, options)
    return graph


def _parts(graph: str | dict[str, Any]) -> tuple[str, dict[str, Any]]:
    options = {"name": graph} if isinstance(graph, str) else dict(graph)
    name = options.pop("name", None)
    if not isinstance(name, str):
        raise ConfigError(f"graph is {graph}: expected a name, or {{name: dmpnn, depth: 4}}.")
    return name, options


GraphEncoder = Annotated[str | dict[str, Any], AfterValidator(_checked)]


@encoders.register("hybrid")
class Hybrid(Encoder):
    """A graph encoder and a fingerprint encoder side by side, joined by one more layer.

    Parameters
    ----------
    graph : the graph encoder: a name, or a name and options of its own, such as {name: dmpnn, depth: 4}.
    depth : of the graph encoder, as the next two where it has such an option and its own do not say; its
        pooling is then `mean_sum`.
    width : of the graph encoder.
    graph_dropout : the graph encoder's dropout.
    projection : width to which its representation is brought before joining.
    hidden : width of the fingerprint layer and of the joining layer.
    dropout : after both layers and the projection.
    branch_dropout : share of molecules for which one branch is left out in a training step (never
        both), so that neither branch can be leaned on alone.
    count_dropout : of the counts in the vectors, as in `fingerprint`.
    real_dropout : of the real numbers in the vectors, as in `fingerprint`.
    real_noise : on the real numbers in the vectors, as in `fingerprint`.
    """

    reads = ("graph", "vectors")

    def __init__(
        self,
        inputs: Inputs,
        *,
        graph: GraphEncoder = "gine",
        depth: Depth = 3,
        width: Size = 64,
        projection: Size = 128,
        hidden: Size = 512,
        dropout: Rate = 0.5,
        graph_dropout: Rate = 0.1,
        branch_dropout: Rate = 0.3,
        count_dropout: Rate = 0.3,
        real_dropout: Rate = 0.2,
        real_noise: Noise = 0.2,
    ) -> None:
        super().__init__()
        name, own = _parts(graph)
        usual = {"depth": depth, "width": width, "dropout": graph_dropout, "pooling": "mean_sum"}
        shared = {key: value for key, value in usual.items() if key in encoders.options(name)}
        self.graph: Encoder = encoders.build(name, inputs, **shared | own)
        self.projection = linear_layer(self.graph.width, projection, dropout)
        self.vectors = Fingerprint(
            inputs,
            widths=(hidden,),
            dropout=dropout,
            count_dropout=count_dropout,
            real_dropout=real_dropout,
            real_noise=real_noise,
        )
        self.branch_dropout = branch_dropout
        self.joint = linear_layer(hidden + projection, hidden, dropout)
        self.width = hidden

    def fit(self, store: GraphStore, rows: Tensor) -> None:
        self.graph.fit(store, rows)
        self.vectors.fit(store, rows)

    @property
    def last_layer(self) -> nn.Linear:
        return cast(nn.Linear, self.joint[0])

    @property
    def last_norm(self) -> nn.LayerNorm:
        return cast(nn.LayerNorm, self.joint[1])

    @property
    def norms_after_last_layer(self) -> tuple[nn.LayerNorm, ...]:
        return (self.last_norm,)

    def forward(self, batch: GraphBatch) -> Tensor:
        vectors, graph = self.vectors(batch), self.projection(self.graph(batch))
        if self.training and self.branch_dropout:
            keep = chances(2, batch.n_molecules, vectors.device) >= self.branch_dropout
            keep |= ~keep.any(0, keepdim=True)
            vectors, graph = vectors * keep[0], graph * keep[1]
        return self.joint(torch.cat([vectors, graph], dim=1))
