"""GINE: a graph isomorphism network with bond features."""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...features.store import GraphBatch
from ..dropout import Dropout
from ..layers import CodeEmbedding, Pooling, PoolingName, Wiring
from ..segment_sums import AnySums, Sums
from ..shared_atoms import Kinds, Messages, Surroundings, is_shared, runs
from .contract import Depth, Encoder, Inputs, Rate, Size, encoders, require_graph


@encoders.register("gine")
class GINE(Encoder):
    """Graph isomorphism network with bond features and residual layers.

    h_v <- h_v + relu(norm(MLP((1 + eps) h_v + sum over neighbours u of relu(h_u + e_uv)))).

    Parameters
    ----------
    depth : layers.
    width : of atoms and bonds.
    dropout : share of the units of each layer left out in a training step.
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
        require_graph(inputs, "gine")
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

    @property
    def norms_after_last_layer(self) -> tuple[nn.LayerNorm, ...]:
        return cast(nn.LayerNorm, cast(_GINELayer, self.layers[-1]).after[0]), self.norm

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
        self.after = nn.Sequential(nn.LayerNorm(width), nn.ReLU(), Dropout(dropout, "atoms"))

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
        for place in runs(sent):
            torch.add(values[messages.sources[place]], bonds[messages.bonds[place]], out=sent[place]).relu_()
        new = values.new_empty(len(atoms), values.shape[1])
        for place in runs(new):
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
