"""Parts that encoders are made of: embeddings of codes, sums over a graph, pooling, scaled vectors."""

from typing import Any, Literal, NamedTuple, overload

import numpy as np
import torch
from torch import Tensor, nn

from ..features.store import GraphBatch, GraphStore, PackedVectors, VectorBlock
from .dropout import Dropout, dropout, noise_like
from .scaled_vectors import ScaledVectors
from .segment_sums import AnySums, Sums

PoolingName = Literal["mean", "sum", "mean_sum"]


class Wiring(NamedTuple):
    """Who is added to whom in a batch of graphs, sorted once for all layers."""

    source_to_bond: AnySums
    """Every bond takes the row of the atom where it starts."""
    bond_to_target: AnySums
    atom_to_molecule: AnySums
    molecule_to_atom: AnySums
    n_atoms: Tensor
    """[B, 1] atoms of each molecule, at least 1."""

    @classmethod
    def of(cls, batch: GraphBatch) -> "Wiring":
        """The wiring of a batch."""
        n_atoms, n_bonds = batch.molecule.shape[0], batch.source.shape[0]  # len() would be fixed in an export
        bonds = torch.arange(n_bonds, device=batch.source.device)
        atoms = torch.arange(n_atoms, device=batch.source.device)
        to_molecule = Sums.of(batch.molecule, atoms, batch.n_molecules, n_atoms)
        counts = to_molecule(torch.ones(n_atoms, 1, device=batch.source.device)).clamp(min=1)
        return cls(
            Sums.of(bonds, batch.source, n_bonds, n_atoms),
            Sums.of(batch.target, bonds, n_atoms, n_bonds),
            to_molecule,
            Sums.of(atoms, batch.molecule, n_atoms, batch.n_molecules),
            counts,
        )

    @classmethod
    def pooling(cls, batch: GraphBatch, rows: Tensor, n_rows: int) -> "Wiring":
        """For `Pooling` alone: the representation of atom i is row `rows[i]` of n_rows."""
        to_molecule = Sums.of(batch.molecule, rows, batch.n_molecules, n_rows)
        counts = torch.bincount(batch.molecule, minlength=batch.n_molecules).clamp(min=1)
        return cls(to_molecule, to_molecule, to_molecule, to_molecule, counts.unsqueeze(1))


class CodeEmbedding(nn.Module):
    """Sum of one learned vector per code: small integers [n, K] to [n, width].

    `sums` sorts the codes, once for all embeddings of the same sizes; `forward` adds up.
    """

    starts: Tensor

    def __init__(self, sizes: tuple[int, ...], width: int) -> None:
        super().__init__()
        self.sizes = sizes
        starts = torch.tensor((0, *sizes[:-1])).cumsum(0)
        self.register_buffer("starts", starts, persistent=False)
        self.weight = nn.Parameter(torch.randn(sum(sizes), width) / len(sizes) ** 0.5)

    def sums(self, codes: Tensor) -> AnySums:
        """Which vectors are added for codes [n, K]."""
        owners = torch.arange(codes.shape[0], device=codes.device).repeat_interleave(codes.shape[1])
        return Sums.of(owners, (codes + self.starts).flatten(), codes.shape[0], len(self.weight))

    def forward(self, sums: AnySums) -> Tensor:
        return sums(self.weight)


class Pooling(nn.Module):
    """Atoms [N, d] to molecules [B, copies * d]; a sum is divided by 20, about a molecule's atoms."""

    def __init__(self, how: PoolingName) -> None:
        super().__init__()
        self.how = how
        self.copies = 2 if how == "mean_sum" else 1

    def forward(self, atoms: Tensor, wiring: Wiring) -> Tensor:
        total = wiring.atom_to_molecule(atoms)
        if self.how == "sum":
            return total / 20
        mean = total / wiring.n_atoms
        return mean if self.how == "mean" else torch.cat([mean, total / 20], dim=1)


class VectorScale(nn.Module):
    """Vectors [B, F] on a common scale; in training, disturbed.

    Counts become log(1 + c). Real values, which span many decades, become arcsinh((x - median) /
    interquartile range), standardised and held within 5. All constants come from the training molecules
    (`fit`); a value RDKit cannot compute (NaN) becomes the training median.
    Packed vectors become `ScaledVectors`, [B, F] otherwise; in both real values come last.
    """

    limit = 5.0

    counts: Tensor
    reals: Tensor
    places: Tensor
    median: Tensor
    range: Tensor
    mean: Tensor
    deviation: Tensor

    def __init__(
        self,
        blocks: tuple[VectorBlock, ...],
        *,
        count_dropout: float = 0.0,
        real_dropout: float = 0.0,
        real_noise: float = 0.0,
    ) -> None:
        super().__init__()
        real = np.array([block.kind == "real" for block in blocks for _ in block.columns], bool)
        self.size = len(real)
        self.count_dropout, self.real_dropout, self.real_noise = count_dropout, real_dropout, real_noise
        self.register_buffer("counts", torch.tensor(np.flatnonzero(~real)), persistent=False)
        self.register_buffer("reals", torch.tensor(np.flatnonzero(real)), persistent=False)
        self.register_buffer("places", torch.cat([self.counts, self.reals]).argsort(), persistent=False)
        for name, value in {"median": 0.0, "range": 1.0, "mean": 0.0, "deviation": 1.0}.items():
            self.register_buffer(name, torch.full((len(self.reals),), value))

    def fit(self, store: GraphStore, rows: Tensor) -> None:
        if not len(self.reals):
            return
        values = torch.cat([store.batch(part).vectors[:, self.reals] for part in rows.split(4096)]).double()
        low, median, high = torch.nanquantile(values, values.new_tensor([0.25, 0.5, 0.75]), dim=0)
        median = median.nan_to_num(0.0)
        values = torch.where(values.isnan(), median, values)
        width, deviation = (high - low).nan_to_num(0.0), values.std(0).clamp(max=1e6)
        width = torch.where(width > 1e-6, width, torch.where(deviation > 1e-6, deviation, 1.0))
        squashed = torch.arcsinh((values - median) / width)
        spread = squashed.std(0)
        self.median.copy_(median)
        self.range.copy_(width)
        self.mean.copy_(squashed.mean(0))
        self.deviation.copy_(torch.where(spread > 1e-6, spread, 1.0))

    @overload
    def __call__(self, vectors: Tensor) -> Tensor: ...
    @overload
    def __call__(self, vectors: PackedVectors) -> ScaledVectors: ...
    def __call__(self, vectors: Any) -> Any:
        return super().__call__(vectors)

    def forward(self, vectors: Tensor | PackedVectors) -> Tensor | ScaledVectors:
        if not isinstance(vectors, Tensor):
            value = dropout(torch.log1p(vectors.value), self.count_dropout, self.training, "counts")
            real = self._scaled(vectors.real)
            column = self.places[vectors.column]
            return ScaledVectors(vectors.molecule, column, value, real, len(self.counts))
        counts = torch.log1p(vectors if not len(self.reals) else vectors[:, self.counts])
        counts = dropout(counts, self.count_dropout, self.training)
        return torch.cat([counts, self._scaled(vectors[:, self.reals])], dim=1)

    def _scaled(self, reals: Tensor) -> Tensor:
        """Real values [B, R] on their scale; in training, disturbed."""
        if not len(self.reals):
            return reals
        squashed = torch.arcsinh((reals - self.median) / self.range)
        scaled = ((squashed - self.mean) / self.deviation).clamp(-self.limit, self.limit)
        scaled = torch.where(scaled.isnan(), -self.mean / self.deviation, scaled)
        if self.training and self.real_noise:
            scaled = scaled + self.real_noise * noise_like(scaled)
        return dropout(scaled, self.real_dropout, self.training)


def linear_layer(inputs: int, width: int, rate: float, kind: type[nn.Linear] = nn.Linear) -> nn.Sequential:
    """A linear layer with LayerNorm, ReLU and dropout after it, for rows that are molecules."""
    return nn.Sequential(kind(inputs, width), nn.LayerNorm(width), nn.ReLU(), Dropout(rate))
