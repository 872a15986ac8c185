"""Contributions of atoms: complete, equal for equal atoms, the same in any order of the atoms."""

import copy
from functools import cache

import numpy as np
import pytest
import small
import torch
from rdkit import Chem

from screening.bundle.reference import Reference
from screening.config_sections import Model
from screening.errors import ConfigError
from screening.features.store import FeatureSet, GraphBatch, featurize
from screening.features.vectors.ecfp import EcfpCounts
from screening.models.encoders import Encoder
from screening.models.heads import TaskHeads
from screening.models.network import ScreeningModel, inputs_of
from screening.triage.contributions import (
    METHODS,
    TOLERANCE,
    Contributions,
    Molecules,
    environments_of,
    integrated_gradients,
)

ENCODERS = {
    "gine": {"name": "gine", "depth": 3, "width": 24, "virtual_node": True, "dropout": 0.3},
    "dmpnn": {"name": "dmpnn", "width": 24},
    "hybrid": {"name": "hybrid", "width": 24, "hidden": 32},
    "fingerprint": {"name": "fingerprint", "widths": [32]},
}
MIXED = FeatureSet("atom_codes", ("rdkit_fast", "ecfp_counts", "ecfp_bits"))


@cache
def network(encoder: str) -> ScreeningModel:
    """Four assays, weights that are not those of a fresh network's balance."""
    torch.manual_seed(1)
    store = featurize(list(small.smiles(60)), MIXED, workers=0)
    settings = Model.model_validate({"encoder": ENCODERS[encoder]})
    model = ScreeningModel(settings, inputs_of(store), 4)
    model.encoder.fit(store, torch.arange(60))
    with torch.no_grad():
        model.heads.weight.mul_(2)
    return model.eval()


def molecules(texts: list[str]) -> Molecules:
    store = featurize(texts, MIXED, workers=0)
    return Molecules.of(store, torch.arange(len(texts)), [Chem.MolFromSmiles(text) for text in texts])


def found(method: str, encoder: str, texts: list[str], column: int = 2) -> Contributions:
    return METHODS[method](network(encoder), column, molecules(texts))


@pytest.mark.parametrize("encoder", ENCODERS)
def test_integrated_gradients_are_complete(encoder: str) -> None:
    texts = [*small.smiles(25), "C", "[Na+].[Cl-]"]
    these = molecules(texts)
    given = integrated_gradients(network(encoder), 2, these)
    change = given.logits - given.baseline
    assert (np.abs(given.errors(these.n_atoms)) <= TOLERANCE * np.maximum(np.abs(change), 1)).all()
    assert np.abs(change).max() > 0.2
    logits = network(encoder).predict(these.store, these.rows)[:, 2]
    assert given.logits == pytest.approx(logits.numpy(), abs=1e-4)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_contributions_from_the_mean_molecule_are_complete(encoder: str) -> None:
    """Part by part: atoms, environments that are not there, descriptors."""
    texts = [*small.smiles(25), "C", "[Na+].[Cl-]", "[H][H]"]
    store = featurize(texts, MIXED, workers=0)
    mean = Reference.fit(store, np.arange(20))
    mols = [Chem.MolFromSmiles(text) for text in texts]
    these = Molecules.of(store, torch.arange(len(texts)), mols, mean)
    given = integrated_gradients(network(encoder), 2, these)
    change = given.logits - given.baseline
    owner = np.repeat(np.arange(len(texts)), these.n_atoms)
    parts = np.bincount(owner, given.atoms), given.absent, given.descriptors
    assert np.abs(sum(parts) - change).max() <= TOLERANCE * max(np.abs(change).max(), 1)
    assert given.columns.shape[1] == len(store.vector_blocks[0].columns)
    assert given.columns.sum(1) == pytest.approx(given.descriptors + np.bincount(owner, given.described))
    if encoder == "fingerprint":  # one reference for all: the network at the mean of its inputs
        network_, scale = network(encoder), network(encoder).encoder.scale
        at_mean = network_.heads(network_.encoder.layers(mean.of(scale, store)[None]))[0, 2]
        assert given.baseline == pytest.approx(at_mean.item(), abs=1e-5)


@pytest.mark.parametrize("encoder", ["gine", "dmpnn", "hybrid", "fingerprint"])
def test_the_mean_molecule_itself_gets_nothing(encoder: str) -> None:
    """Benzene, of one kind of atom and bond, told against itself."""
    features = FeatureSet("atom_codes", ("ecfp_counts", "ecfp_bits"))
    store = featurize(["c1ccccc1", "Clc1ccccc1"], features, workers=0)
    torch.manual_seed(3)
    settings = Model.model_validate({"encoder": ENCODERS[encoder]})
    model = ScreeningModel(settings, inputs_of(store), 1).eval()
    mols = [Chem.MolFromSmiles(text) for text in ("c1ccccc1", "Clc1ccccc1")]
    these = Molecules.of(store, torch.arange(2), mols, Reference.fit(store, np.arange(1)))
    given = integrated_gradients(model, 0, these)
    assert given.logits[0] == pytest.approx(given.baseline[0], abs=1e-5)
    assert np.abs(given.atoms[:6]).max() < 1e-5
    assert abs(given.elsewhere[0]) < 1e-5
    assert np.abs(given.atoms[6:]).max() > 1e-3


@pytest.mark.parametrize("encoder", ["gine", "fingerprint"])
def test_a_branch_that_is_not_there_gives_nothing(encoder: str) -> None:
    given = found("integrated_gradients", encoder, ["CCO", "c1ccccc1Cl"])
    through = {"gine": given.graph, "fingerprint": given.fingerprint}
    nothing = {"gine": given.fingerprint, "fingerprint": given.graph}
    assert np.abs(through[encoder]).max() > 1e-3
    assert (nothing[encoder] == 0).all()
    assert (given.elsewhere == 0).all() == (encoder == "gine")


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("method", METHODS)
def test_symmetric_atoms_get_the_same(method: str, encoder: str) -> None:
    """Para-xylene with a chlorine on each methyl; acetone."""
    for smiles in ("ClCc1ccc(CCl)cc1", "CC(C)=O"):
        atoms = found(method, encoder, [smiles]).atoms
        ranks = np.array(list(Chem.CanonicalRankAtoms(Chem.MolFromSmiles(smiles), breakTies=False)))
        assert len(set(ranks)) < len(ranks)
        for rank in set(ranks):
            assert np.ptp(atoms[ranks == rank]) < 1e-4


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("method", METHODS)
def test_another_order_of_atoms_gives_the_same_to_each(method: str, encoder: str) -> None:
    first = Chem.MolFromSmiles("O=C(O)c1ccccc1OC(C)=O")
    other = Chem.MolToSmiles(first, canonical=False, rootedAtAtom=7)
    match = Chem.MolFromSmiles(other).GetSubstructMatch(first)
    one = found(method, encoder, [Chem.MolToSmiles(first, canonical=False)]).atoms
    assert list(match) != list(range(len(match)))
    assert found(method, encoder, [other]).atoms[list(match)] == pytest.approx(one, abs=1e-3)


@pytest.mark.parametrize("method", METHODS)
def test_neighbours_in_a_batch_change_nothing(monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    texts = list(small.smiles(6))
    whole = found(method, "hybrid", texts)
    alone = [found(method, "hybrid", [text]).atoms for text in texts]
    assert whole.atoms == pytest.approx(np.concatenate(alone), abs=1e-3)
    monkeypatch.setattr("screening.triage.contributions.ATOMS_AT_ONCE", 70)
    assert found(method, "hybrid", texts).atoms == pytest.approx(whole.atoms, abs=1e-4)


def test_occlusion_is_the_difference_to_a_molecule_without_the_atoms_codes() -> None:
    """Of a molecule without bonds, by hand: the network with the vector of one atom set to zeros."""
    model, these = network("gine"), molecules(["[Na+].[Cl-]"])
    given = METHODS["occlusion"](model, 1, these)
    codes = model.encoder.atoms  # type: ignore[union-attr]
    for atom in range(2):
        hook = codes.register_forward_hook(
            lambda _, __, whole, atom=atom: whole * (torch.arange(2) != atom)[:, None]
        )
        without = model.predict(these.store, these.rows)[0, 1]
        hook.remove()
        assert given.atoms[atom] == pytest.approx(given.logits[0] - float(without), abs=1e-5)


def test_environments_are_those_the_fingerprint_counts() -> None:
    texts = list(small.smiles(20))
    these = molecules(texts)
    left = len(these.store.vector_blocks[0].columns)
    given = these.environments
    counts = these.store.batch(these.rows).vectors
    share = torch.zeros(20, counts.shape[1], dtype=torch.float64)
    share.index_put_((given.molecule, given.column), given.share, accumulate=True)
    assert torch.allclose(share[:, left:], (counts[:, left:] > 0).double())
    assert (share[:, :left] == 0).all()
    for row, column, removed in zip(given.molecule, given.column, given.removed, strict=True):
        assert 0 <= removed <= counts[row, column]
    assert (given.atom < these.n_atoms.sum()).all()


def test_the_environments_of_ethanol_by_hand() -> None:
    """The bit of the hydroxyl oxygen alone belongs to it; the widest environment to all three atoms."""
    blocks = [molecules(["CCO"]).store.vector_blocks[1]]
    given = environments_of([Chem.MolFromSmiles("CCO")], blocks)
    counts = EcfpCounts()(Chem.MolFromSmiles("CCO"))
    assert set(given.column.tolist()) == set(np.flatnonzero(counts).tolist())
    sizes = sorted(np.bincount(given.column.numpy())[np.flatnonzero(counts)].tolist())
    assert sizes == [1, 1, 1, 2, 2, 3]


def test_nothing_is_left_on_the_model() -> None:
    model = network("hybrid")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    found("integrated_gradients", "hybrid", ["CCO"])
    found("occlusion", "hybrid", ["CCO"])
    assert not any(module._forward_hooks for module in model.modules())
    assert all(value.grad is None for value in model.parameters())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_molecules_of_another_store_are_refused() -> None:
    store = featurize(["CCO"], MIXED, workers=0)
    with pytest.raises(ValueError, match="not those of the store"):
        Molecules.of(store, torch.arange(1), [Chem.MolFromSmiles("CC")])


@pytest.mark.parametrize("method", METHODS)
def test_an_encoder_of_its_own_kind_is_named(method: str) -> None:
    """One of a plug-in may take its inputs by other layers than ours."""

    class Constant(Encoder):
        width = 4

        def forward(self, batch: GraphBatch) -> torch.Tensor:
            return torch.ones(batch.n_molecules, self.width)

    model = copy.deepcopy(network("gine"))
    model.encoder, model.heads = Constant(), TaskHeads(4, 3)
    with pytest.raises(ConfigError, match=r"Constant cannot be explained.*CodeEmbedding"):
        METHODS[method](model, 0, molecules(["CCO"]))
