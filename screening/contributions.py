"""How much each atom of a molecule adds to the logit of one assay: integrated gradients, and occlusion.

Both act on what the network sees: the vectors that stand for atoms and bonds (`CodeEmbedding`) and the
scaled fingerprints and descriptors (`VectorScale`). `explain` calls them and draws what comes out.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from rdkit.Chem import Mol, rdmolops
from rdkit.Chem.rdFingerprintGenerator import AdditionalOutput, GetMorganGenerator
from torch import Tensor, nn

from .descriptors import ECFP_RADIUS, ECFP_SIZE
from .graphs import GraphBatch, GraphStore, VectorBlock
from .layers import CodeEmbedding, VectorScale
from .model import ScreeningModel

CIRCULAR = ("ecfp_counts", "ecfp_bits")
"""Vector featurizers whose columns are environments of atoms."""

TOLERANCE = 0.01
"""Largest error of completeness, as a share of the logit difference, or of 1 where that is smaller."""

FIRST_STEPS, MOST_STEPS = 32, 512
POWER = 2.0  # of the path: networks with LayerNorm change most near its beginning
ATOMS_AT_ONCE = 12_000  # bounds the memory to some hundred MB for a width of 300


Change = Callable[[nn.Module, Tensor], Tensor]
"""What a module that makes inputs gives, replaced: `change(module, whole)`."""


class Environments(NamedTuple):
    """Which atoms the columns of circular fingerprints stand for: k rows, one for each column and atom."""

    molecule: Tensor
    """[k] int64"""
    column: Tensor
    """[k] int64, of `GraphBatch.vectors`."""
    atom: Tensor
    """[k] int64, counted over all molecules."""
    share: Tensor
    """[k] float64: occurrences of the column are equal, so are the atoms of each; sums to 1 per column."""
    removed: Tensor
    """[k] float32, by how much the column falls when every environment with this atom is taken away."""


class Molecules(NamedTuple):
    """n molecules with N atoms in all, and what their fingerprints stand for."""

    store: GraphStore
    rows: Tensor
    """[n] int64, usable rows of the store."""
    n_atoms: np.ndarray
    """[n] int64"""
    environments: Environments

    @classmethod
    def of(cls, store: GraphStore, rows: Tensor, mols: Sequence[Mol]) -> "Molecules":
        """The molecules `rows` of a store; `mols` are the same, with atoms in the same order.

        Raises
        ------
        ValueError : they do not have the same number of atoms.
        """
        n_atoms = np.array([mol.GetNumAtoms() for mol in mols], np.int64)
        stored = (store.first_atom[rows + 1] - store.first_atom[rows]).numpy()
        if store.features.graph is not None and not np.array_equal(stored, n_atoms):
            raise ValueError("the molecules are not those of the store")
        return cls(store, rows, n_atoms, environments_of(mols, store.vector_blocks))

    @property
    def first(self) -> np.ndarray:
        """[n] int64, number of each molecule's first atom among all."""
        return np.cumsum(self.n_atoms) - self.n_atoms


class Contributions(NamedTuple):
    """What n molecules with N atoms in all get from where; logits are of one assay."""

    graph: np.ndarray
    """[N] float64, through the graph: the atom itself, and half of each of its bonds."""
    fingerprint: np.ndarray
    """[N] float64, through circular fingerprints, by `Environments`."""
    elsewhere: np.ndarray
    """[n] float64, through descriptors and other vectors, which no atom can be given."""
    logits: np.ndarray
    """[n] float64, of the molecules."""
    baseline: np.ndarray
    """[n] float64, of the same molecules without their inputs; NaN for occlusion, which has none."""

    @property
    def atoms(self) -> np.ndarray:
        """[N] float64, in all."""
        return self.graph + self.fingerprint

    def errors(self, n_atoms: np.ndarray) -> np.ndarray:
        """[n] logit difference to the baseline minus the sum of all contributions: 0 if complete."""
        owner = np.repeat(np.arange(len(n_atoms)), n_atoms)
        total = np.bincount(owner, self.atoms, len(n_atoms)) + self.elsewhere
        return self.logits - self.baseline - total


@torch.no_grad()
def integrated_gradients(model: ScreeningModel, column: int, molecules: Molecules) -> Contributions:
    r"""Contributions by the gradient along a straight path to each molecule from nothing.

    .. math:: c_i = x_i \int_0^1 \frac{\partial f(a x)}{\partial x_i} da

    "Nothing" is a vector of zeros for every atom and bond, with the molecule's wiring kept; no fingerprint
    counts; descriptors at their training mean. The integral is a Gauss-Legendre sum in sqrt(a), with twice
    the points for molecules that are not yet complete within `TOLERANCE`, up to `MOST_STEPS`.

    Parameters
    ----------
    column : output of the model.

    References
    ----------
    Sundararajan, Taly, Yan, Axiomatic attribution for deep networks, ICML 2017,
    https://arxiv.org/abs/1703.01365, equation 1.
    """
    n, n_atoms = len(molecules.rows), molecules.n_atoms
    owner = np.repeat(np.arange(n), n_atoms)
    logits, baseline = (_whole(model, column, molecules, share) for share in (1.0, 0.0))
    found = Contributions(np.zeros(len(owner)), np.zeros(len(owner)), np.zeros(n), logits, baseline)
    todo, steps = np.ones(n, bool), FIRST_STEPS
    while todo.any() and steps <= MOST_STEPS:
        atoms, vectors = _path_totals(model, column, molecules, np.flatnonzero(todo), steps)
        graph, fingerprint, elsewhere = atoms.numpy(), *_on_atoms(vectors, molecules)
        again = todo[owner]
        found.graph[again], found.fingerprint[again] = graph[again], fingerprint[again]
        found.elsewhere[todo] = elsewhere[todo]
        allowed = TOLERANCE * np.maximum(np.abs(logits - baseline), 1)
        todo &= np.abs(found.errors(n_atoms)) > allowed
        steps *= 2
    return found


@torch.no_grad()
def occlusion(model: ScreeningModel, column: int, molecules: Molecules) -> Contributions:
    """How far the logit falls when an atom, its bonds and its fingerprint environments are taken away.

    The vectors of the atom and its bonds become zeros, columns of circular fingerprints lose the
    environments that hold the atom, descriptors stay. All is in `graph`; it does not add up to the logit.
    """
    store, rows, environments = molecules.store, molecules.rows, molecules.environments
    logits = _whole(model, column, molecules, 1.0)
    owner = np.repeat(np.arange(len(rows)), molecules.n_atoms)
    position = torch.from_numpy(np.arange(len(owner)) - molecules.first[owner])
    fallen = np.zeros(len(owner))
    for some in _runs(molecules.n_atoms[owner]):  # a copy of the molecule for each of its atoms
        batch = store.batch(rows[owner[some]])
        wanted = (environments.atom >= some.start) & (environments.atom < some.stop)
        place = environments.atom[wanted] - some.start, environments.column[wanted]
        batch.vectors[place] = (batch.vectors[place] - environments.removed[wanted]).clamp(min=0)
        kept = torch.ones(len(batch.molecule), dtype=torch.bool)
        if store.features.graph is not None:
            kept[_first_of_copies(batch) + position[some]] = False
        change = _masked(batch, store, kept)
        fallen[some] = logits[owner[some]] - _logits(model, column, batch, change).numpy()
    nothing = np.full(len(rows), np.nan)
    return Contributions(fallen, np.zeros(len(owner)), np.zeros(len(rows)), logits, nothing)


METHODS: dict[str, Callable[[ScreeningModel, int, Molecules], Contributions]] = {
    "integrated_gradients": integrated_gradients,
    "occlusion": occlusion,
}


def environments_of(mols: Sequence[Mol], blocks: Sequence[VectorBlock]) -> Environments:
    """The environments of the circular fingerprints among `blocks`; empty if there are none."""
    rows: list[tuple[int, int, int, float, float]] = []
    left, lefts = 0, []
    for block in blocks:
        if block.name in CIRCULAR:
            lefts.append((left, block.kind == "bits"))
        left += len(block.columns)
    first = 0
    for number, mol in enumerate(mols):
        for place, atoms in _environments(mol).items() if lefts else ():
            for left, is_bit in lefts:
                rows += _column_rows(number, left + place, first, atoms, is_bit)
        first += mol.GetNumAtoms()
    columns = list(zip(*rows, strict=True)) or [()] * 5
    molecule, column, atom = (torch.tensor(values, dtype=torch.int64) for values in columns[:3])
    share = torch.tensor(columns[3], dtype=torch.float64)
    return Environments(molecule, column, atom, share, torch.tensor(columns[4], dtype=torch.float32))


def _environments(mol: Mol) -> dict[int, list[np.ndarray]]:
    """Column of the fingerprint to the atoms of each of its occurrences."""
    generator = GetMorganGenerator(radius=ECFP_RADIUS, fpSize=ECFP_SIZE)
    output = AdditionalOutput()
    output.AllocateBitInfoMap()
    generator.GetCountFingerprint(mol, additionalOutput=output)
    distances = rdmolops.GetDistanceMatrix(mol)
    return {
        column: [np.flatnonzero(distances[centre] <= radius) for centre, radius in places]
        for column, places in output.GetBitInfoMap().items()
    }


def _column_rows(
    molecule: int, column: int, first: int, occurrences: list[np.ndarray], is_bit: bool
) -> Iterator[tuple[int, int, int, float, float]]:
    share: dict[int, float] = {}
    held: dict[int, int] = {}
    for atoms in occurrences:
        for atom in atoms.tolist():
            share[atom] = share.get(atom, 0.0) + 1 / len(atoms) / len(occurrences)
            held[atom] = held.get(atom, 0) + 1
    for atom, part in share.items():
        removed = float(held[atom] == len(occurrences)) if is_bit else float(held[atom])
        yield molecule, column, first + atom, part, removed


def _whole(model: ScreeningModel, column: int, molecules: Molecules, share: float) -> np.ndarray:
    """Logits [n] at a share of all inputs."""
    parts = [np.zeros(0)]
    for some in _runs(molecules.n_atoms):
        batch = molecules.store.batch(molecules.rows[some])
        change = _scaled(batch, molecules.store, torch.full((batch.n_molecules,), share))
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
    for some in _runs(molecules.n_atoms[copies.numpy()]):
        of, batch = copies[some], store.batch(molecules.rows[copies[some]])
        atom = (first[of] - _first_of_copies(batch))[batch.molecule] + torch.arange(len(batch.molecule))
        for module, slopes in _slopes(model, column, batch, _scaled(batch, store, share[some])):
            slopes = slopes * weight[some][_owner(module, batch, store)].unsqueeze(1)
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


def _on_atoms(vectors: Tensor, molecules: Molecules) -> tuple[np.ndarray, np.ndarray]:
    """Totals per column [n, F] as totals per atom [N], and the rest per molecule [n]."""
    given = molecules.environments
    parts = vectors[given.molecule, given.column] * given.share
    atoms = torch.zeros(int(molecules.n_atoms.sum()), dtype=torch.float64).index_add_(0, given.atom, parts)
    taken = torch.zeros(len(vectors), dtype=torch.float64).index_add_(0, given.molecule, parts)
    return atoms.numpy(), (vectors.sum(1) - taken).numpy()


def _slopes(
    model: ScreeningModel, column: int, batch: GraphBatch, scaled: Change
) -> list[tuple[Any, Tensor]]:
    """Inputs times derivative at the scaled inputs, float64, for each module that makes inputs."""
    seen: list[tuple[nn.Module, Tensor, Tensor]] = []

    def change(module: nn.Module, whole: Tensor) -> Tensor:
        part = scaled(module, whole.detach()).requires_grad_()
        seen.append((module, whole.detach(), part))
        return part

    with torch.enable_grad():
        total = _logits(model, column, batch, change).sum()
        slopes = torch.autograd.grad(total, [part for _, _, part in seen])
    return [
        (module, whole.double().cpu() * slope.double().cpu())
        for (module, whole, _), slope in zip(seen, slopes, strict=True)
    ]


def _scaled(batch: GraphBatch, store: GraphStore, share: Tensor) -> Change:
    """All inputs of molecule b times share[b]."""

    def change(module: nn.Module, whole: Tensor) -> Tensor:
        return whole * share[_owner(module, batch, store)].unsqueeze(1).to(whole)

    return change


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
    try:
        with torch.enable_grad():  # without derivatives encoders look once at atoms that are alike
            logits = model(batch.to(device))[:, column].double().cpu()
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
