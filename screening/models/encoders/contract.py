"""What an encoder is: a batch of molecules in, one representation per molecule out.

A new encoder is one file beside this one and one test line. Normalisation is per row (LayerNorm): the
result for a molecule does not depend on its batch, so one process equals many and scoring equals
training. Sums over neighbours, atoms and codes are `segment_sums.Sums`, which batched gradients can see
through.
"""

from collections.abc import Sequence
from typing import Annotated, Literal, NamedTuple

import numpy as np
from pydantic import Field
from torch import Tensor, nn

from ...errors import ConfigError
from ...features.store import GraphBatch, GraphStore, VectorBlock
from ...registry import Registry

Size = Annotated[int, Field(gt=0, le=20_000)]
Depth = Annotated[int, Field(gt=0, le=100)]
Rate = Annotated[float, Field(ge=0, lt=1)]
Noise = Annotated[float, Field(ge=0)]


class Inputs(NamedTuple):
    """What a batch holds: decides the sizes of the first layers."""

    atom_sizes: tuple[int, ...]
    """Codes per atom feature; empty without a graph."""
    bond_sizes: tuple[int, ...]
    """Codes per bond feature."""
    vectors: tuple[VectorBlock, ...]
    """Blocks of the joined vector [B, F], in order."""

    def with_vectors(self, names: Sequence[str] | None) -> "Inputs":
        """With some of the blocks, in that order, as `GraphStore.with_vectors`; None = with all."""
        if names is None:
            return self
        blocks = {block.name: block for block in self.vectors}
        return self._replace(vectors=tuple(blocks[name] for name in names))

    def columns_of(self, names: Sequence[str]) -> np.ndarray:
        """Columns of the joined vector [B, F] that are those blocks, in that order: int64."""
        ends = np.cumsum([len(block.columns) for block in self.vectors])
        spans = {
            block.name: np.arange(end - len(block.columns), end)
            for block, end in zip(self.vectors, ends, strict=True)
        }
        return np.concatenate([np.zeros(0, np.int64), *(spans[name] for name in names)])


class Encoder(nn.Module):
    """Base of all encoders; `width` is d, the size of the representation.

    In training, random numbers come from `dropout`: then several processes draw what one draws.
    """

    width: int
    reads: tuple[Literal["graph", "vectors"], ...] = ("graph",)
    """What of a batch it looks at."""

    @property
    def last_layer(self) -> nn.Linear:
        """The last linear layer that all tasks share (`gradients.at: last_layer`)."""
        raise NotImplementedError(type(self).__name__)

    @property
    def last_norm(self) -> nn.LayerNorm:
        """The normalisation behind which each number is on its own (`gradients.at: last_norm`)."""
        raise NotImplementedError(type(self).__name__)

    @property
    def norms_after_last_layer(self) -> tuple[nn.LayerNorm, ...]:
        """The normalisations between `last_layer` and the representation, in the order of a pass.

        To be given where everything else between them acts on each unit alone (activation, dropout), or sums
        it over the atoms of a molecule: then `gradients.at: last_layer` looks at labelled cells only.
        """
        raise NotImplementedError(type(self).__name__)

    def forward(self, batch: GraphBatch) -> Tensor:
        """Representations [B, d] of the molecules of a batch."""
        raise NotImplementedError(type(self).__name__)

    def fit(self, store: GraphStore, rows: Tensor) -> None:
        """Learn the scale of the inputs from the training molecules `rows`."""


encoders: Registry[type[Encoder]] = Registry("encoder", members="screening.models.encoders")


def require_graph(inputs: Inputs, name: str) -> None:
    """Raise ConfigError where a batch will have no graph for the encoder `name`."""
    if not inputs.atom_sizes:
        raise ConfigError(f"encoder '{name}' needs a graph. Set features.graph=atom_codes.")
