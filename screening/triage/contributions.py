"""Attribution: how much each atom adds to the logit of one assay, by integrated gradients or occlusion.

Both act on what the network sees: the vectors that stand for atoms and bonds (`CodeEmbedding`) and the
scaled fingerprints and descriptors (`VectorScale`). Which atoms a fingerprint's columns stand for is in
`circular`, to which atoms descriptors belong in `atom_shares`, what contributions are told against in
`reference`; `explain` draws what comes out.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from rdkit.Chem import Mol
from torch import Tensor, nn

from ..bundle.reference import Reference
from ..errors import ConfigError
from ..features.store import GraphBatch, GraphStore
from ..models.layers import CodeEmbedding, VectorScale
from ..models.network import ScreeningModel
from ..runtime import ragged
from .atom_shares import AtomShares, atom_shares_of
from .circular import CIRCULAR, Environments, environments_of

TOLERANCE = 0.01
"""Largest error of completeness, as a share of the logit difference, or of 1 where that is smaller."""

FIRST_STEPS, MOST_STEPS = 32, 512
POWER = 2.0  # of the path: networks with LayerNorm change most near its beginning
ATOMS_AT_ONCE = 12_000  # bounds the memory to some hundred MB for a width of 300


Change = Callable[[nn.Module, Tensor], Tensor]
"""What a module that makes inputs gives, replaced: `change(module, whole)`."""


class Molecules(NamedTuple):
    """n molecules with N atoms in all, and what their fingerprints stand for."""

    store: GraphStore
    rows: Tensor
    """[n] int64, usable rows of the store."""
    n_atoms: np.ndarray
    """[n] int64"""
    environments: Environments
    shares: AtomShares
    """Which atoms descriptors belong to, where they are sums over atoms."""
    reference: Reference
    """What they are told against."""

    @classmethod
    def of(
        cls, store: GraphStore, rows: Tensor, mols: Sequence[Mol], reference: Reference | None = None
    ) -> "Molecules":
        """The molecules `rows` of a store; `mols` are the same, with atoms in the same order.

        Parameters
        ----------
        reference : None = a molecule without inputs.

        Raises
        ------
        ValueError : they do not have the same number of atoms.
        """
        n_atoms = np.array([mol.GetNumAtoms() for mol in mols], np.int64)
        stored = (store.first_atom[rows + 1] - store.first_atom[rows]).numpy()
        if store.features.graph is not None and not np.array_equal(stored, n_atoms):
            raise ValueError("the molecules are not those of the store")
        places, names = other_columns(store)
        values = torch.cat([store.batch(part).vectors[:, places] for part in rows.split(1024)])
        return cls(
            store,
            rows,
            n_atoms,
            environments_of(mols, store.vector_blocks),
            atom_shares_of(mols, values, places, names),
            reference or Reference.nothing(store),
        )

    @property
    def first(self) -> np.ndarray:
        """[n] int64, number of each molecule's first atom among all."""
        return ragged.firsts(self.n_atoms)


class Contributions(NamedTuple):
    """What n molecules with N atoms in all get from where; logits are of one assay, of a real one values."""

    graph: np.ndarray
    """[N] float64, through the graph: the atom itself, and half of each of its bonds."""
    fingerprint: np.ndarray
    """[N] float64, through circular fingerprints, by `Environments`."""
    described: np.ndarray
    """[N] float64, through descriptors that are sums over atoms, by `AtomShares`."""
    absent: np.ndarray
    """[n] float64, from circular environments that the reference has in part and the molecule has not."""
    descriptors: np.ndarray
    """[n] float64, from the other descriptors, and all else that belongs to no atom."""
    columns: np.ndarray
    """[n, C] float64, from each of the columns `other_columns`, whether it is on atoms or not."""
    logits: np.ndarray
    """[n] float64, of the molecules."""
    baseline: np.ndarray
    """[n] float64, of the same molecules with the inputs of the reference; NaN for occlusion."""

    def as_values(self, mean: float, deviation: float) -> "Contributions":
        """Those of a real assay, whose outputs are in standard deviations, on the scale of training."""
        scaled = self._replace(**{name: deviation * getattr(self, name) for name in self._fields})
        return scaled._replace(logits=mean + scaled.logits, baseline=mean + scaled.baseline)

    @property
    def elsewhere(self) -> np.ndarray:
        """[n] float64, what no atom can be given."""
        return self.absent + self.descriptors

    @property
    def atoms(self) -> np.ndarray:
        """[N] float64, in all."""
        return self.graph + self.fingerprint + self.described

    def errors(self, n_atoms: np.ndarray) -> np.ndarray:
        """[n] logit difference to the baseline minus the sum of all contributions: 0 if complete."""
        owner = ragged.owners(n_atoms)
        total = np.bincount(owner, self.atoms, len(n_atoms)) + self.elsewhere
        return self.logits - self.baseline - total


def other_columns(store: GraphStore) -> tuple[Tensor, tuple[str, ...]]:
    """Places [C] in `GraphBatch.vectors` of the columns that are no circular fingerprint, and their names."""
    names = [(block.name, column) for block in store.vector_blocks for column in block.columns]
    places = [place for place, (block, _) in enumerate(names) if block not in CIRCULAR]
    return torch.tensor(places, dtype=torch.int64), tuple(names[place][1] for place in places)


@torch.no_grad()
def integrated_gradients(model: ScreeningModel, column: int, molecules: Molecules) -> Contributions:
    r"""Contributions by the gradient along a straight path to each molecule x from a reference r.

    .. math:: c_i = (x_i - r_i) \int_0^1 \frac{\partial f(r + a (x - r))}{\partial x_i} da

    The reference has the molecule's wiring, the mean training atom for every atom and the mean bond for every
    bond, and the mean of all fingerprints and descriptors: the sum of all contributions is how far the
    molecule is from a mean one of its shape. The integral is a Gauss-Legendre sum, with twice the points for
    molecules that are not yet complete within `TOLERANCE`, up to `MOST_STEPS`.

    Parameters
    ----------
    column : output of the model.

    References
    ----------
    Sundararajan, Taly, Yan, Axiomatic attribution for deep networks, ICML 2017,
    https://arxiv.org/abs/1703.01365, equation 1.
    """
    logits, baseline = (_whole(model, column, molecules, share) for share in (1.0, 0.0))
    owner = torch.from_numpy(ragged.owners(molecules.n_atoms))
    way = torch.from_numpy(logits - baseline)
    todo, steps = torch.ones(len(way), dtype=torch.bool), FIRST_STEPS
    while todo.any() and steps <= MOST_STEPS:
        rows = torch.nonzero(todo).squeeze(1).numpy()
        atoms_now, vectors_now = _path_totals(model, column, molecules, rows, steps)
        if steps == FIRST_STEPS:
            atoms, vectors = atoms_now, vectors_now
        atoms[todo[owner]], vectors[todo] = atoms_now[todo[owner]], vectors_now[todo]
        missing = way - vectors.sum(1) - torch.zeros_like(way).index_add_(0, owner, atoms)
        todo &= missing.abs() > TOLERANCE * way.abs().clamp(min=1)
        steps *= 2
    return _parted(atoms, vectors, molecules, logits, baseline)


def _parted(
    atoms: Tensor, vectors: Tensor, molecules: Molecules, logits: np.ndarray, baseline: np.ndarray
) -> Contributions:
    """Totals of atoms [N] and columns [n, F] by where they belong; each is in one part."""
    others, _ = other_columns(molecules.store)
    columns = vectors[:, others].clone()
    on_atoms, rest = [], vectors.clone()
    for given in (molecules.environments, molecules.shares):
        on_atoms.append(_on_atoms(vectors, molecules, given))
        rest[given.molecule, given.column] = 0
    descriptors = rest[:, others].sum(1)
    rest[:, others] = 0
    return Contributions(
        graph=atoms.numpy(),
        fingerprint=on_atoms[0].numpy(),
        described=on_atoms[1].numpy(),
        absent=rest.sum(1).numpy(),
        descriptors=descriptors.numpy(),
        columns=columns.numpy(),
        logits=logits,
        baseline=baseline,
    )


@torch.no_grad()
def occlusion(model: ScreeningModel, column: int, molecules: Molecules) -> Contributions:
    """How far the logit falls when an atom, its bonds and its fingerprint environments are taken away.

    The vectors of the atom and its bonds become zeros, columns of circular fingerprints lose the
    environments that hold the atom, descriptors stay. All is in `graph`; it does not add up to the logit.
    """
    store, rows, environments = molecules.store, molecules.rows, molecules.environments
    logits = _whole(model, column, molecules, 1.0)
    owner = ragged.owners(molecules.n_atoms)
    position = torch.from_numpy(np.arange(len(owner)) - molecules.first[owner])
    fallen = np.zeros(len(owner))
    for run in _runs(molecules.n_atoms[owner]):  # a copy of the molecule for each of its atoms
        batch = store.batch(rows[owner[run]])
        is_inside = (environments.atom >= run.start) & (environments.atom < run.stop)
        place = environments.atom[is_inside] - run.start, environments.column[is_inside]
        vectors = batch.vectors
        vectors[place] = (vectors[place] - environments.removed[is_inside]).clamp(min=0)
        batch = batch.with_vectors(vectors)
        kept = torch.ones(len(batch.molecule), dtype=torch.bool)
        if store.features.graph is not None:
            kept[_first_of_copies(batch) + position[run]] = False
        change = _masked(batch, store, kept)
        fallen[run] = logits[owner[run]] - _logits(model, column, batch, change).numpy()
    none, no_atom, n_columns = np.zeros(len(rows)), np.zeros(len(owner)), len(other_columns(store)[0])
    columns, nothing = np.zeros((len(rows), n_columns)), np.full(len(rows), np.nan)
    return Contributions(fallen, no_atom, no_atom, none, none, columns, logits, nothing)


METHODS: dict[str, Callable[[ScreeningModel, int, Molecules], Contributions]] = {
    "integrated_gradients": integrated_gradients,
    "occlusion": occlusion,
}


def _whole(model: ScreeningModel, column: int, molecules: Molecules, share: float) -> np.ndarray:
    """Logits [n] at a share of all inputs."""
    parts = [np.zeros(0)]
    for run in _runs(molecules.n_atoms):
        batch = molecules.store.batch(molecules.rows[run])
        change = _scaled(batch, molecules, torch.full((batch.n_molecules,), share))
        parts.append(_logits(model, column, batch, change).numpy())
    return np.concatenate(parts)


def _path_totals(
    model: ScreeningModel, column: int, molecules: Molecules, todo: np.ndarray, steps: int
) -> tuple[Tensor, Tensor]:
    """Integral for every atom of all molecules [N] and every column [n, F]; 0 for molecules not in `todo`."""
    store, (shares, weights) = molecules.store, _points(steps)
    copies = torch.from_numpy(np.repeat(todo, steps))
    share, weight = shares.repeat(len(todo)), weights.repeat(len(todo))
    first = torch.from_numpy(molecules.first)
    n_columns = sum(len(block.columns) for block in store.vector_blocks)
    atoms = torch.zeros(int(molecules.n_atoms.sum()), dtype=torch.float64)
    vectors = torch.zeros(len(molecules.rows), n_columns, dtype=torch.float64)
    for run in _runs(molecules.n_atoms[copies.numpy()]):
        of, batch = copies[run], store.batch(molecules.rows[copies[run]])
        atom = (first[of] - _first_of_copies(batch))[batch.molecule] + torch.arange(len(batch.molecule))
        for module, slopes in _slopes(model, column, batch, molecules, share[run]):
            slopes = slopes * weight[run][_owner(module, batch, store)].unsqueeze(1)
            if isinstance(module, VectorScale):
                order = torch.cat([module.counts, module.reals]).cpu()
                vectors[:, order] = vectors[:, order].index_add(0, of, slopes)
            elif _is_of_atoms(module, store):
                atoms.index_add_(0, atom, slopes.sum(1))
            else:
                half = slopes.sum(1) / 2
                atoms.index_add_(0, atom[batch.source], half).index_add_(0, atom[batch.target], half)
    return atoms, vectors


def _points(steps: int) -> tuple[Tensor, Tensor]:
    """Places on the path and their weights, float64: Gauss-Legendre in a ** (1 / POWER)."""
    places, weights = np.polynomial.legendre.leggauss(steps)
    places, weights = (places + 1) / 2, weights / 2
    return torch.from_numpy(places**POWER), torch.from_numpy(weights * POWER * places ** (POWER - 1))


def _on_atoms(vectors: Tensor, molecules: Molecules, given: Environments | AtomShares) -> Tensor:
    """Totals per column [n, F] as totals per atom [N]."""
    parts = vectors[given.molecule, given.column] * given.share
    atoms = torch.zeros(int(molecules.n_atoms.sum()), dtype=torch.float64)
    return atoms.index_add_(0, given.atom, parts)


def _slopes(
    model: ScreeningModel, column: int, batch: GraphBatch, molecules: Molecules, share: Tensor
) -> list[tuple[Any, Tensor]]:
    """What the inputs differ by from the reference, times derivative at the share of the path [b]: float64,
    for each module that makes inputs."""
    seen: list[tuple[nn.Module, Tensor, Tensor]] = []
    scaled = _scaled(batch, molecules, share)

    def change(module: nn.Module, whole: Tensor) -> Tensor:
        part = scaled(module, whole.detach()).requires_grad_()
        seen.append((module, whole.detach() - _reference(module, molecules, whole), part))
        return part

    with torch.enable_grad():
        total = _logits(model, column, batch, change).sum()
        slopes = torch.autograd.grad(total, [part for _, _, part in seen])
    return [
        (module, way.double().cpu() * slope.double().cpu())
        for (module, way, _), slope in zip(seen, slopes, strict=True)
    ]


def _scaled(batch: GraphBatch, molecules: Molecules, share: Tensor) -> Change:
    """The inputs of molecule b at share[b] of the way from the reference."""

    def change(module: nn.Module, whole: Tensor) -> Tensor:
        start = _reference(module, molecules, whole)
        part = share[_owner(module, batch, molecules.store)].unsqueeze(1).to(whole)
        return start + part * (whole - start)

    return change


def _reference(module: nn.Module, molecules: Molecules, whole: Tensor) -> Tensor:
    return molecules.reference.of(module, molecules.store).to(whole)


def _masked(batch: GraphBatch, store: GraphStore, kept: Tensor) -> Change:
    """Zeros for atoms that are not kept, and for their bonds."""

    def change(module: nn.Module, whole: Tensor) -> Tensor:
        if isinstance(module, VectorScale):
            return whole
        rows = kept if _is_of_atoms(module, store) else kept[batch.source] & kept[batch.target]
        return whole * rows.unsqueeze(1).to(whole)

    return change


def _owner(module: nn.Module, batch: GraphBatch, store: GraphStore) -> Tensor:
    """The molecule of each row of what a module gives."""
    if isinstance(module, VectorScale):
        return torch.arange(batch.n_molecules)
    return batch.molecule if _is_of_atoms(module, store) else batch.molecule[batch.source]


def _is_of_atoms(module: nn.Module, store: GraphStore) -> bool:
    return isinstance(module, CodeEmbedding) and module.sizes == tuple(store.atom_sizes)


def _logits(model: ScreeningModel, column: int, batch: GraphBatch, change: Change) -> Tensor:
    """[B] float64 on the CPU, with the inputs changed."""
    device = next(model.parameters()).device
    hooks = [
        module.register_forward_hook(lambda module, _, whole: change(module, whole))
        for module in model.modules()
        if isinstance(module, CodeEmbedding | VectorScale)
    ]
    if not hooks:
        raise ConfigError(
            f"The encoder {type(model.encoder).__name__} cannot be explained: it takes its inputs neither by "
            "CodeEmbedding nor by VectorScale (screening.models.layers), whose outputs are looked at."
        )
    try:
        with torch.enable_grad():  # without derivatives encoders look once at atoms that are alike
            logits = model(batch.with_vectors(batch.vectors).to(device))[:, column].double().cpu()
    finally:
        for hook in hooks:
            hook.remove()
    return logits if torch.is_grad_enabled() else logits.detach()


def _first_of_copies(batch: GraphBatch) -> Tensor:
    """[B] int64, where the atoms of each molecule of a batch begin."""
    counts = torch.bincount(batch.molecule, minlength=batch.n_molecules)
    return counts.cumsum(0) - counts


def _runs(sizes: np.ndarray) -> Iterator[slice]:
    """Neighbours that together have at most `ATOMS_AT_ONCE` atoms; one that has more goes alone."""
    ends, start = np.cumsum(sizes), 0
    while start < len(sizes):
        before = ends[start - 1] if start else 0
        stop = max(int(np.searchsorted(ends, before + ATOMS_AT_ONCE, side="right")), start + 1)
        yield slice(start, stop)
        start = stop
