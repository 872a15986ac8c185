"""Encoders: a batch of molecules in, one representation per molecule out.

A new encoder is one class here and one test line. Normalisation is per row (LayerNorm): the
result for a molecule does not depend on its batch, so one process equals many and scoring equals
training. Sums over neighbours are `index_add`, which batched gradients can see through.
"""

from typing import Annotated, Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from .errors import ConfigError
from .graphs import GraphBatch, GraphStore, VectorBlock
from .registry import Registry

Size = Annotated[int, Field(gt=0)]
Dropout = Annotated[float, Field(ge=0, lt=1)]
Noise = Annotated[float, Field(ge=0)]
PoolingName = Literal["mean", "sum", "mean_sum"]


class Inputs(NamedTuple):
    """What a batch holds: decides the sizes of the first layers."""

    atom_sizes: tuple[int, ...]
    """Codes per atom feature; empty without a graph."""
    bond_sizes: tuple[int, ...]
    """Codes per bond feature."""
    vectors: tuple[VectorBlock, ...]
    """Blocks of the joined vector [B, F], in order."""


class Encoder(nn.Module):
    """Base of all encoders; `width` is d, the size of the representation."""

    width: int

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
        depth: Size = 5,
        width: Size = 300,
        dropout: Dropout = 0.1,
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

    def forward(self, batch: GraphBatch) -> Tensor:
        atoms = self.atoms(batch.atoms)
        node = atoms.new_zeros(batch.n_molecules, atoms.shape[1])
        for number, layer in enumerate(self.layers):
            atoms = layer(atoms, batch)
            if number < len(self.virtual):
                node = self.virtual[number](node, atoms, batch)
                atoms = atoms + _take(node, batch.molecule)
        return self.norm(self.pool(atoms, batch))


class _GINELayer(nn.Module):
    def __init__(self, bond_sizes: tuple[int, ...], width: int, dropout: float) -> None:
        super().__init__()
        self.bonds = CodeEmbedding(bond_sizes, width)
        self.eps = nn.Parameter(torch.zeros(()))
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.ReLU(), nn.Linear(2 * width, width))
        self.after = nn.Sequential(nn.LayerNorm(width), nn.ReLU(), nn.Dropout(dropout))

    def forward(self, atoms: Tensor, batch: GraphBatch) -> Tensor:
        messages = functional.relu(_take(atoms, batch.source) + self.bonds(batch.bonds))
        total = (1 + self.eps) * atoms + _sum_to(messages, batch.target, len(atoms))
        return atoms + self.after(self.mlp(total))


class _VirtualNode(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.ReLU(), nn.Linear(2 * width, width)
        )

    def forward(self, node: Tensor, atoms: Tensor, batch: GraphBatch) -> Tensor:
        return node + self.mlp(node + _sum_to(atoms, batch.molecule, batch.n_molecules))


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
        depth: Size = 3,
        width: Size = 300,
        dropout: Dropout = 0.0,
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
        self.dropout = nn.Dropout(dropout)
        self.pool = Pooling(pooling)
        self.width = width * self.pool.copies
        self.norm = nn.LayerNorm(self.width)

    def forward(self, batch: GraphBatch) -> Tensor:
        n_atoms = len(batch.atoms)
        first = _take(self.atoms(batch.atoms), batch.source) + self.bonds(batch.bonds)
        bonds = functional.relu(first)
        reverse = torch.arange(len(bonds), device=bonds.device) ^ 1
        for _ in range(self.depth - 1):
            incoming = _take(_sum_to(bonds, batch.target, n_atoms), batch.source)
            bonds = self.dropout(functional.relu(first + self.message(incoming - _take(bonds, reverse))))
        incoming = _sum_to(bonds, batch.target, n_atoms)
        atoms = self.dropout(functional.relu(self.own(batch.atoms) + self.readout(incoming)))
        return self.norm(self.pool(atoms, batch))


@encoders.register("fingerprint")
class Fingerprint(Encoder):
    """Multilayer perceptron on the vector features (fingerprints, descriptors).

    Each layer is linear, LayerNorm, ReLU, dropout; the inputs are scaled and disturbed by `VectorScale`.
    """

    def __init__(
        self,
        inputs: Inputs,
        *,
        widths: tuple[Size, ...] = (512, 512),
        dropout: Dropout = 0.5,
        count_dropout: Dropout = 0.3,
        real_dropout: Dropout = 0.2,
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
        self.layers = nn.Sequential(*(_layer(sizes[i], sizes[i + 1], dropout) for i in range(len(widths))))
        self.width = sizes[-1]

    def fit(self, store: GraphStore, rows: Tensor) -> None:
        self.scale.fit(store, rows)

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
        depth: Size = 3,
        width: Size = 64,
        projection: Size = 128,
        hidden: Size = 512,
        dropout: Dropout = 0.5,
        graph_dropout: Dropout = 0.1,
        branch_dropout: Dropout = 0.3,
        count_dropout: Dropout = 0.3,
        real_dropout: Dropout = 0.2,
        real_noise: Noise = 0.2,
    ) -> None:
        super().__init__()
        self.graph: Encoder = encoders.build(
            graph, inputs, depth=depth, width=width, dropout=graph_dropout, pooling="mean_sum"
        )
        self.projection = _layer(self.graph.width, projection, dropout)
        self.vectors = Fingerprint(
            inputs,
            widths=(hidden,),
            dropout=dropout,
            count_dropout=count_dropout,
            real_dropout=real_dropout,
            real_noise=real_noise,
        )
        self.branch_dropout = branch_dropout
        self.joint = _layer(hidden + projection, hidden, dropout)
        self.width = hidden

    def fit(self, store: GraphStore, rows: Tensor) -> None:
        self.graph.fit(store, rows)
        self.vectors.fit(store, rows)

    def forward(self, batch: GraphBatch) -> Tensor:
        vectors, graph = self.vectors(batch), self.projection(self.graph(batch))
        if self.training and self.branch_dropout:
            keep = torch.rand(2, batch.n_molecules, 1, device=vectors.device) >= self.branch_dropout
            keep |= ~keep.any(0, keepdim=True)
            vectors, graph = vectors * keep[0], graph * keep[1]
        return self.joint(torch.cat([vectors, graph], dim=1))


class CodeEmbedding(nn.Module):
    """Sum of one learned vector per code: small integers [n, K] to [n, width]."""

    starts: Tensor

    def __init__(self, sizes: tuple[int, ...], width: int) -> None:
        super().__init__()
        starts = torch.tensor((0, *sizes[:-1])).cumsum(0)
        self.register_buffer("starts", starts, persistent=False)
        self.weight = nn.Parameter(torch.randn(sum(sizes), width) / len(sizes) ** 0.5)

    def forward(self, codes: Tensor) -> Tensor:
        return functional.embedding_bag(codes + self.starts, self.weight, mode="sum")


class Pooling(nn.Module):
    """Atoms [N, d] to molecules [B, copies * d]; a sum is divided by 20, about a molecule's atoms."""

    def __init__(self, how: PoolingName) -> None:
        super().__init__()
        self.how = how
        self.copies = 2 if how == "mean_sum" else 1

    def forward(self, atoms: Tensor, batch: GraphBatch) -> Tensor:
        total = _sum_to(atoms, batch.molecule, batch.n_molecules)
        if self.how == "sum":
            return total / 20
        counts = torch.bincount(batch.molecule, minlength=batch.n_molecules).clamp(min=1)
        mean = total / counts.unsqueeze(1)
        return mean if self.how == "mean" else torch.cat([mean, total / 20], dim=1)


class VectorScale(nn.Module):
    """Vectors [B, F] on a common scale; in training, disturbed.

    Counts become log(1 + c). Real values, which span many decades, become arcsinh((x - median) /
    interquartile range), standardised and held within 5. All constants come from the training molecules
    (`fit`); a value RDKit cannot compute (NaN) becomes the training median.
    """

    limit = 5.0

    counts: Tensor
    reals: Tensor
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
        real = torch.tensor([block.kind == "real" for block in blocks for _ in block.columns])
        self.size = len(real)
        self.count_dropout, self.real_dropout, self.real_noise = count_dropout, real_dropout, real_noise
        self.register_buffer("counts", (~real).nonzero().squeeze(1), persistent=False)
        self.register_buffer("reals", real.nonzero().squeeze(1), persistent=False)
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

    def forward(self, vectors: Tensor) -> Tensor:
        parts = []
        if len(self.counts):
            counts = torch.log1p(vectors if not len(self.reals) else vectors[:, self.counts])
            parts.append(functional.dropout(counts, self.count_dropout, self.training))
        if len(self.reals):
            squashed = torch.arcsinh((vectors[:, self.reals] - self.median) / self.range)
            reals = ((squashed - self.mean) / self.deviation).clamp(-self.limit, self.limit)
            reals = torch.where(reals.isnan(), -self.mean / self.deviation, reals)
            if self.training and self.real_noise:
                reals = reals + self.real_noise * torch.randn_like(reals)
            parts.append(functional.dropout(reals, self.real_dropout, self.training))
        return torch.cat(parts, dim=1)


def _layer(inputs: int, width: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, width), nn.LayerNorm(width), nn.ReLU(), nn.Dropout(dropout))


def _take(rows: Tensor, index: Tensor) -> Tensor:
    return rows.index_select(0, index)


def _sum_to(rows: Tensor, index: Tensor, n: int) -> Tensor:
    return rows.new_zeros(n, rows.shape[1]).index_add(0, index, rows)


def _require_graph(inputs: Inputs, name: str) -> None:
    if not inputs.atom_sizes:
        raise ConfigError(f"encoder '{name}' needs a graph. Set features.graph=atom_codes.")
