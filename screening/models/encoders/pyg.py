"""Graph networks of torch_geometric by name, with their own options."""

import inspect
from typing import Annotated, Any, cast

import torch
from pydantic import AfterValidator
from torch import Tensor, nn

from ...errors import ConfigError
from ...features.store import GraphBatch, GraphStore
from ...registry import did_you_mean
from ..dropout import Dropout
from ..layers import CodeEmbedding, Pooling, PoolingName, Wiring, linear_layer
from .contract import Depth, Encoder, Inputs, Rate, Size, encoders, require_graph

MODELS = ("AttentiveFP", "EdgeCNN", "GAT", "GCN", "GIN", "GraphSAGE", "NeuralFingerprint", "PNA")
"""Those of `torch_geometric.nn.models` that read a graph with numbers at its atoms, and bonds if need be."""
DEGREES = (0, 22, 46, 30, 2)
"""Percent of the atoms of drug-like molecules with so many neighbours, for PNA until `fit` has counted."""
POOLED = ("AttentiveFP", "NeuralFingerprint")
"""Those that give molecules, not atoms."""
OURS = {
    "in_channels": "it is that of the embedding of atoms, width",
    "hidden_channels": "say width beside the model",
    "out_channels": "say width beside the model",
    "num_layers": "say depth beside the model",
    "dropout": "say dropout beside the model",
    "edge_dim": "it is that of the embedding of bonds, width",
    "deg": "the neighbours of atoms are counted in the training part",
    "cached": "it is for one graph that never changes, and every batch has other molecules",
}
"""Options of the models that are set here, and how."""
MIXED = 1e-4
"""Difference of a molecule's numbers alone and among others, above rounding."""


def _checked(model: str) -> str:
    if model not in MODELS:
        raise ConfigError(f"encoder 'pyg' has no model '{model}'. {did_you_mean(model, MODELS)}")
    return model


@encoders.register("pyg")
class Pyg(Encoder):
    """A graph network of torch_geometric, pooled and joined by one more layer with LayerNorm.

    Bonds are seen by AttentiveFP, GAT and PNA; the other models see who is bonded to whom. A model that would
    make a molecule's representation depend on its batch, as batch normalisation does, is refused.

    Parameters
    ----------
    model : AttentiveFP, EdgeCNN, GAT, GCN, GIN, GraphSAGE, NeuralFingerprint or PNA.
    depth : layers of the model (num_layers).
    width : numbers of an atom, a bond, and in all layers (in_channels, hidden_channels, edge_dim).
    dropout : after the layers of models of one kind of layer, and at the end; attention is not dropped.
    pooling : atoms to molecule by `mean`, `sum`, or both side by side (`mean_sum`); AttentiveFP and
        NeuralFingerprint have their own.
    options : more of the model's own and of its layers', such as {heads: 4, v2: true} of GAT. Where it has a
        norm, layer_norm of every atom by itself is the default.

    References
    ----------
    Fey, Lenssen, Fast graph representation learning with PyTorch Geometric, 2019,
    https://arxiv.org/abs/1903.02428.
    """

    def __init__(
        self,
        inputs: Inputs,
        *,
        model: Annotated[str, AfterValidator(_checked)] = "GIN",
        depth: Depth = 3,
        width: Size = 128,
        dropout: Rate = 0.1,
        pooling: PoolingName = "mean_sum",
        options: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        require_graph(inputs, "pyg")
        self.network = _network(model, depth, width, dict(options or {}))
        if isinstance(getattr(self.network, "dropout", None), nn.Dropout):
            self.network.dropout = Dropout(dropout, "atoms")
        takes = set(inspect.signature(self.network.forward).parameters)
        if not getattr(self.network, "supports_edge_attr", True):
            takes -= {"edge_attr"}
        self._arguments = sorted(takes & {"edge_attr", "batch", "batch_size"})
        self.atoms = CodeEmbedding(inputs.atom_sizes, width)
        self.bonds = CodeEmbedding(inputs.bond_sizes, width) if "edge_attr" in takes else None
        if not self.atoms.weight.is_meta:  # that of a bundle was looked at when it was trained
            self._check_molecules_stand_alone(model, width)
        self._pools_itself = model in POOLED
        self.pool = Pooling(pooling)
        self.joint = linear_layer(width * (1 if self._pools_itself else self.pool.copies), width, dropout)
        self.width = width

    def fit(self, store: GraphStore, rows: Tensor) -> None:
        """Count the neighbours of atoms, which PNA scales by."""
        from torch_geometric.nn.aggr import DegreeScalerAggregation

        scalers = [each for each in self.network.modules() if isinstance(each, DegreeScalerAggregation)]
        if not scalers or not len(rows):
            return
        batches = [store.batch(part) for part in rows.split(4096)]
        counts = [torch.bincount(batch.target, minlength=len(batch.molecule)) for batch in batches]
        degrees = torch.cat(counts).double()
        for scaler in scalers:
            cast(Tensor, scaler.avg_deg_lin).data.fill_(float(degrees.mean()))
            cast(Tensor, scaler.avg_deg_log).data.fill_(float(torch.log1p(degrees).mean()))

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
        atoms = self.atoms(self.atoms.sums(batch.atoms))
        bonds = None if self.bonds is None else self.bonds(self.bonds.sums(batch.bonds))
        edges = torch.stack([batch.source, batch.target])
        out = self.run(atoms, edges, bonds, batch.molecule, batch.n_molecules)
        return self.joint(out if self._pools_itself else self.pool(out, Wiring.of(batch)))

    def run(
        self, atoms: Tensor, edges: Tensor, bonds: Tensor | None, molecule: Tensor, n_molecules: int
    ) -> Tensor:
        """What the model gives for atoms [N, width], edges [2, E] and bonds [E, width]."""
        arguments = {"edge_attr": bonds, "batch": molecule, "batch_size": n_molecules}
        return self.network(atoms, edges, **{name: arguments[name] for name in self._arguments})

    @torch.no_grad()
    def _check_molecules_stand_alone(self, model: str, width: int) -> None:
        """Raise ConfigError if the molecules of a batch change each other's numbers.

        A chain of three atoms and one of two, each alone and both together.
        """
        atoms = torch.linspace(-7, 9, 5 * width).sin().view(5, width)
        edges = torch.tensor([[0, 1, 1, 2, 3, 4], [1, 0, 2, 1, 4, 3]])
        bonds = torch.linspace(-5, 8, 6 * width).cos().view(6, width)
        molecule = torch.tensor([0, 0, 0, 1, 1])
        if any(isinstance(each, nn.modules.batchnorm._BatchNorm) for each in self.network.modules()):
            raise ConfigError(_mixed(model))
        self.network.eval()
        whole = self.run(atoms, edges, bonds, molecule, 2)
        first = self.run(atoms[:3], edges[:, :4], bonds[:4], molecule[:3], 1)
        second = self.run(atoms[3:], edges[:, 4:] - 3, bonds[4:], molecule[3:] - 1, 1)
        self.network.train()
        if not torch.allclose(torch.cat([first, second]), whole, MIXED, MIXED):
            raise ConfigError(_mixed(model))


def _network(model: str, depth: int, width: int, options: dict[str, Any]) -> nn.Module:
    """The model; ConfigError where it has no such option, or refuses a value."""
    from torch_geometric.nn import models

    kind = getattr(models, model)
    _check_options(model, kind, options)
    given = _usual(kind, width) | options
    if given.get("norm") == "layer_norm":
        given.setdefault("norm_kwargs", {"mode": "node"})
    try:
        return kind(in_channels=width, hidden_channels=width, num_layers=depth, **given)
    except (ValueError, TypeError, AssertionError, AttributeError, KeyError) as problem:
        raise ConfigError(
            f"encoder 'pyg': {model} of torch_geometric cannot be built with options {options}, "
            f"depth {depth} and width {width}: {str(problem) or type(problem).__name__}."
        ) from problem


def _usual(kind: type[nn.Module], width: int) -> dict[str, Any]:
    """What a model needs besides its sizes, or is better with."""
    usual: dict[str, dict[str, Any]] = {
        "AttentiveFP": {"num_timesteps": 2, "edge_dim": width, "out_channels": width},
        "GAT": {"edge_dim": width},
        "NeuralFingerprint": {"out_channels": width},
        "PNA": {
            "aggregators": ["mean", "min", "max", "std"],
            "scalers": ["identity", "amplification", "attenuation"],
            "deg": torch.tensor(DEGREES, device="cpu"),
            "edge_dim": width,
        },
    }
    norm = {"norm": "layer_norm"} if "norm" in inspect.signature(kind).parameters else {}
    return usual.get(kind.__name__, {}) | norm


def _check_options(model: str, kind: type[nn.Module], options: dict[str, Any]) -> None:
    """Raise ConfigError for an option that neither the model nor its layers have, or that is set here."""
    from torch_geometric.nn import MessagePassing

    names = set(inspect.signature(kind).parameters)
    if "kwargs" in names:
        with torch.random.fork_rng(devices=[]):
            example = kind(in_channels=4, hidden_channels=4, num_layers=1, **_usual(kind, 4))
        layer = next(each for each in example.modules() if isinstance(each, MessagePassing))
        names |= set(inspect.signature(type(layer)).parameters)
    names -= {"kwargs", "nn"}
    names |= {"v2"} if model == "GAT" else set()
    for option in options:
        if option in OURS:
            raise ConfigError(f"encoder 'pyg': option '{option}' of {model} cannot be given: {OURS[option]}.")
        if option not in names:
            raise ConfigError(
                f"encoder 'pyg': {model} of torch_geometric has no option '{option}'. "
                f"{did_you_mean(option, names - set(OURS))}"
            )


def _mixed(model: str) -> str:
    return (
        f"encoder 'pyg': with these options {model} makes a molecule's representation depend on the others "
        "of its batch, so scores would too. Take norm: layer_norm or none; graph_norm works in GAT, GCN, "
        "GraphSAGE and PNA."
    )
