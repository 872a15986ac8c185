"""D-MPNN: messages along directed bonds."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...features.store import GraphBatch
from ..dropout import Dropout
from ..layers import CodeEmbedding, Pooling, PoolingName, Wiring
from ..segment_sums import Sums
from ..shared_atoms import Surroundings, is_shared, runs
from .contract import Depth, Encoder, Inputs, Rate, Size, encoders, require_graph


@encoders.register("dmpnn")
class DMPNN(Encoder):
    """Directed message passing: a message along a bond never returns on the same bond.

    h_vw <- relu(h0_vw + W_h (sum over u -> v of h_uv - h_wv)), `depth` - 1 times, as chemprop does.

    Parameters
    ----------
    depth : steps of message passing, the first one included.
    width : of messages and of atoms.
    dropout : share of the units left out in a training step.
    pooling : atoms to molecule by `mean`, `sum`, or both side by side (`mean_sum`, 2 x width).

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
        require_graph(inputs, "dmpnn")
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

    @property
    def norms_after_last_layer(self) -> tuple[nn.LayerNorm, ...]:
        return (self.norm,)

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
            for place in runs(new):
                chosen = wider.example[place]
                bonds, starts = around.entering(batch.source[chosen])
                incoming = Sums.ordered(kinds.of[bonds], starts)(values) - values[kinds.of[chosen ^ 1]]
                torch.add(first[start.of[chosen]], self.message(incoming), out=new[place]).relu_()
            values, kinds = new, wider
        atoms = around.atoms_of_bonds(kinds)
        new = first.new_empty(len(atoms.example), first.shape[1])
        for place in runs(new):
            chosen = atoms.example[place]
            bonds, starts = around.entering(chosen)
            own = self.own(self.own.sums(batch.atoms[chosen]))
            incoming = Sums.ordered(kinds.of[bonds], starts)(values)
            torch.add(own, self.readout(incoming), out=new[place]).relu_()
        return self.norm(self.pool(new, Wiring.pooling(batch, atoms.of, len(new))))


def _reversed(bonds: Tensor) -> Tensor:
    """The row of the reverse bond, e ^ 1, for every bond e."""
    return bonds.unflatten(0, (-1, 2)).flip(1).flatten(0, 1)
