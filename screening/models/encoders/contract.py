"""What an encoder is: a batch of molecules in, one representation per molecule out.

A new encoder is one file beside this one and one test line. Normalisation is per row (LayerNorm): the
result for a molecule does not depend on its batch, so one process equals many and scoring equals
training. Sums over neighbours, atoms and codes are `segment_sums.Sums`, which batched gradients can see
through.
"""

from typing import Annotated, Literal, NamedTuple

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
