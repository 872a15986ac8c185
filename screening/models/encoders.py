"""Encoders: a batch of molecules in, one representation per molecule out.

A new encoder is one class here and one test line. Normalisation is per row (LayerNorm): the
result for a molecule does not depend on its batch, so one process equals many and scoring equals
training. Sums over neighbours, atoms and codes are `sums.Sums`, which batched gradients can see through.
"""

from collections.abc import Iterator
from typing import Annotated, Literal, NamedTuple, cast

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from ..errors import ConfigError
from ..features.store import GraphBatch, GraphStore, VectorBlock
from ..registry import Registry
from .dropout import Dropout, chances
from .layers import CodeEmbedding, Pooling, PoolingName, VectorScale, Wiring, linear_layer
from .segment_sums import AnySums, Sums
from .shared_atoms import Kinds, Messages, Surroundings, is_shared

Size = Annotated[int, Field(gt=0, le=20_000)]
Depth = Annotated[int, Field(gt=0, le=100)]
Rate = Annotated[float, Field(ge=0, lt=1)]
Noise = Annotated[float, Field(ge=0)]


AT_ONCE = 2048
"""Atoms or bonds computed together in scoring: so many stay in the processor's cache from step to step."""


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

    In training, random numbers come from dropout.py: then several processes draw what one draws.
    """

    width: int

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


encoders: Registry[type[Encoder]] = Registry("encoder")


@encoders.register("gine")
class GINE(Encoder):
    """Graph isomorphism network with bond features and residual layers.

    h_v <- h_v + relu(norm(MLP((1 + eps) h_v + sum over neighbours u of relu(h_u + e_uv)))).

    Parameters
    ----------
    virtual_node : one more node per molecule, joined to all of its atoms, between the layers.
    pooling : atoms to molecule by `mean`, `sum`, or both side by side (`mean_sum`, 2 x width).

    References
    ----------
    Hu et al., Strategies for pre-training graph neural networks, ICLR 2020,
    https://arxiv.org/abs/1905.12265; virtual node: Gilmer et al., Neural message passing for quantum
    chemistry, ICML 2017, https://arxiv.org/abs/1704.01212, section 5.2. LayerNorm where both have
    BatchNorm, and a residual around every layer.
    """

    def __init__(
        self,
        inputs: Inputs,
        *,
        depth: Depth = 5,
        width: Size = 300,
        dropout: Rate = 0.1,
        virtual_node: bool = False,
        pooling: PoolingName = "mean_sum",
    ) -> None:
        super().__init__()
        _require_graph(inputs, "gine")
        self.atoms = CodeEmbedding(inputs.atom_sizes, width)
        self.layers = nn.ModuleList(_GINELayer(inputs.bond_sizes, width, dropout) for _ in range(depth))
        self.virtual = nn.ModuleList(_VirtualNode(width) for _ in range(depth - 1) if virtual_node)
        self.pool = Pooling(pooling)
        self.width = width * self.pool.copies
        self.norm = nn.LayerNorm(self.width)

    @property
    def last_layer(self) -> nn.Linear:
        return cast(nn.Linear, cast(_GINELayer, self.layers[-1]).mlp[-1])

    @property
    def last_norm(self) -> nn.LayerNorm:
        return self.norm

    def forward(self, batch: GraphBatch) -> Tensor:
        if not self.training and not self.virtual and is_shared(batch):
            return self._shared(batch)
        wiring, atoms = Wiring.of(batch), self.atoms(self.atoms.sums(batch.atoms))
        bonds = cast(_GINELayer, self.layers[0]).bonds.sums(batch.bonds)
        node = atoms.new_zeros(batch.n_molecules, atoms.shape[1])
        for number, layer in enumerate(self.layers):
            atoms = layer(atoms, bonds, wiring)
            if number < len(self.virtual):
                node = self.virtual[number](node, atoms, wiring)
                atoms = atoms + wiring.molecule_to_atom(node)
        return self.norm(self.pool(atoms, wiring))

    def _shared(self, batch: GraphBatch) -> Tensor:
        """`forward`, with each layer at one atom and one message of each kind."""
        around = Surroundings(batch)
        kinds = around.atoms
        values = self.atoms(self.atoms.sums(batch.atoms[kinds.example]))
        for layer in cast(list[_GINELayer], self.layers):
            messages = around.messages(kinds)
            wider = around.wider(kinds, messages)
            values, kinds = layer.at_kinds(values, kinds, messages, wider.example, around), wider
        return self.norm(self.pool(values, Wiring.pooling(batch, kinds.of, len(values))))


class _GINELayer(nn.Module):
    def __init__(self, bond_sizes: tuple[int, ...], width: int, dropout: float) -> None:
        super().__init__()
        self.bonds = CodeEmbedding(bond_sizes, width)
        self.eps = nn.Parameter(torch.zeros(()))
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.ReLU(True), nn.Linear(2 * width, width))
        self.after = nn.Sequential(nn.LayerNorm(width), nn.ReLU(True), Dropout(dropout, "atoms"))

    def forward(self, atoms: Tensor, bonds: AnySums, wiring: Wiring) -> Tensor:
        messages = functional.relu_(wiring.source_to_bond(atoms) + self.bonds(bonds))
        return self.updated(atoms, wiring.bond_to_target(messages))

    def updated(self, atoms: Tensor, received: Tensor) -> Tensor:
        """New `atoms` from them and the sum of messages that each received."""
        return atoms + self.after(self.mlp(torch.addcmul(received, atoms, 1 + self.eps)))

    def at_kinds(
        self, values: Tensor, kinds: Kinds, messages: Messages, atoms: Tensor, around: Surroundings
    ) -> Tensor:
        """New values of `atoms`; `values` are those of the kinds of atoms before the layer."""
        bonds = self.bonds(self.bonds.sums(around.batch.bonds[around.bonds.example]))
        sent = values.new_empty(len(messages.bonds), values.shape[1])
        for place in _runs(sent):
            torch.add(values[messages.sources[place]], bonds[messages.bonds[place]], out=sent[place]).relu_()
        new = values.new_empty(len(atoms), values.shape[1])
        for place in _runs(new):
            entering, starts = around.entering(atoms[place])
            received = Sums.ordered(messages.of[entering], starts)(sent)
            new[place] = self.updated(values[kinds.of[atoms[place]]], received)
        return new


class _VirtualNode(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.ReLU(), nn.Linear(2 * width, width)
        )

    def forward(self, node: Tensor, atoms: Tensor, wiring: Wiring) -> Tensor:
        return node + self.mlp(node + wiring.atom_to_molecule(atoms))


@encoders.register("dmpnn")
class DMPNN(Encoder):
    """Directed message passing: a message along a bond never returns on the same bond.

    h_vw <- relu(h0_vw + W_h (sum over u -> v of h_uv - h_wv)), `depth` - 1 times, as chemprop does.

    References
    ----------
    Yang et al., Analyzing learned molecular representations for property prediction, J. Chem. Inf.
    Model. 2019, 59, 3370, https://arxiv.org/abs/1904.01561, equations 4 to 8.
    """

    def __init__(
        self,
        inputs: Inputs,
        *,
        depth: Depth = 3,
        width: Size = 300,
        dropout: Rate = 0.0,
        pooling: PoolingName = "mean",
    ) -> None:
        super().__init__()
        _require_graph(inputs, "dmpnn")
        self.depth = depth
        self.atoms = CodeEmbedding(inputs.atom_sizes, width)
        self.bonds = CodeEmbedding(inputs.bond_sizes, width)
        self.message = nn.Linear(width, width, bias=False)
        self.own = CodeEmbedding(inputs.atom_sizes, width)
        self.readout = nn.Linear(width, width)
        self.drop_bonds, self.drop_atoms = Dropout(dropout, "bonds"), Dropout(dropout, "atoms")
        self.pool = Pooling(pooling)
        self.width = width * self.pool.copies
        self.norm = nn.LayerNorm(self.width)

    @property
    def last_layer(self) -> nn.Linear:
        return self.readout

    @property
    def last_norm(self) -> nn.LayerNorm:
        return self.norm

    def forward(self, batch: GraphBatch) -> Tensor:
        if not self.training and is_shared(batch):
            return self._shared(batch)
        wiring, codes = Wiring.of(batch), self.atoms.sums(batch.atoms)
        first = wiring.source_to_bond(self.atoms(codes)) + self.bonds(self.bonds.sums(batch.bonds))
        bonds = functional.relu(first)
        for _ in range(self.depth - 1):
            incoming = wiring.source_to_bond(wiring.bond_to_target(bonds))
            bonds = self.drop_bonds(functional.relu(first + self.message(incoming - _reversed(bonds))))
        incoming = wiring.bond_to_target(bonds)
        atoms = self.drop_atoms(functional.relu(self.own(codes) + self.readout(incoming)))
        return self.norm(self.pool(atoms, wiring))

    def _shared(self, batch: GraphBatch) -> Tensor:
        """`forward`, with each message at one bond of each kind."""
        around = Surroundings(batch)
        start = kinds = around.bonds_at_start()
        codes = self.atoms.sums(batch.atoms[batch.source[start.example]])
        first = self.atoms(codes) + self.bonds(self.bonds.sums(batch.bonds[start.example]))
        values = functional.relu(first)
        for _ in range(self.depth - 1):
            wider = around.wider_bonds(start, kinds)
            new = first.new_empty(len(wider.example), first.shape[1])
            for place in _runs(new):
                chosen = wider.example[place]
                bonds, starts = around.entering(batch.source[chosen])
                incoming = Sums.ordered(kinds.of[bonds], starts)(values) - values[kinds.of[chosen ^ 1]]
                torch.add(first[start.of[chosen]], self.message(incoming), out=new[place]).relu_()
            values, kinds = new, wider
        atoms = around.atoms_of_bonds(kinds)
        new = first.new_empty(len(atoms.example), first.shape[1])
        for place in _runs(new):
            chosen = atoms.example[place]
            bonds, starts = around.entering(chosen)
            own = self.own(self.own.sums(batch.atoms[chosen]))
            incoming = Sums.ordered(kinds.of[bonds], starts)(values)
            torch.add(own, self.readout(incoming), out=new[place]).relu_()
        return self.norm(self.pool(new, Wiring.pooling(batch, atoms.of, len(new))))


@encoders.register("fingerprint")
class Fingerprint(Encoder):
    """Multilayer perceptron on the vector features (fingerprints, descriptors).

    Each layer is linear, LayerNorm, ReLU, dropout; the inputs are scaled and disturbed by `VectorScale`.
    """

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
        self.layers = nn.Sequential(
            *(linear_layer(sizes[i], sizes[i + 1], dropout) for i in range(len(widths)))
        )
        self.width = sizes[-1]

    def fit(self, store: GraphStore, rows: Tensor) -> None:
        self.scale.fit(store, rows)

    @property
    def last_layer(self) -> nn.Linear:
        return cast(nn.Linear, cast(nn.Sequential, self.layers[-1])[0])

    @property
    def last_norm(self) -> nn.LayerNorm:
        return cast(nn.LayerNorm, cast(nn.Sequential, self.layers[-1])[1])

    def forward(self, batch: GraphBatch) -> Tensor:
        return self.layers(self.scale(batch.vectors))


@encoders.register("hybrid")
class Hybrid(Encoder):
    """A graph encoder and a fingerprint encoder side by side, joined by one more layer.

    Parameters
    ----------
    graph, depth, width, graph_dropout : the graph encoder.
    projection : width to which its representation is brought before joining.
    hidden : width of the fingerprint layer and of the joining layer.
    dropout : after both layers and the projection.
    branch_dropout : share of molecules for which one branch is left out in a training step (never
        both), so that neither branch can be leaned on alone.
    """

    def __init__(
        self,
        inputs: Inputs,
        *,
        graph: Literal["gine", "dmpnn"] = "gine",
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
        self.graph: Encoder = encoders.build(
            graph, inputs, depth=depth, width=width, dropout=graph_dropout, pooling="mean_sum"
        )
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

    def forward(self, batch: GraphBatch) -> Tensor:
        vectors, graph = self.vectors(batch), self.projection(self.graph(batch))
        if self.training and self.branch_dropout:
            keep = chances(2, batch.n_molecules, vectors.device) >= self.branch_dropout
            keep |= ~keep.any(0, keepdim=True)
            vectors, graph = vectors * keep[0], graph * keep[1]
        return self.joint(torch.cat([vectors, graph], dim=1))


def _reversed(bonds: Tensor) -> Tensor:
    """The row of the reverse bond, e ^ 1, for every bond e."""
    return bonds.unflatten(0, (-1, 2)).flip(1).flatten(0, 1)


def _runs(rows: Tensor) -> Iterator[slice]:
    """`AT_ONCE` rows after the other."""
    return (slice(first, first + AT_ONCE) for first in range(0, len(rows), AT_ONCE))


def _require_graph(inputs: Inputs, name: str) -> None:
    if not inputs.atom_sizes:
        raise ConfigError(f"encoder '{name}' needs a graph. Set features.graph=atom_codes.")
