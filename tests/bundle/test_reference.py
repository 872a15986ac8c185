"""The mean training molecule: equal to plain means, the same out of structures, refused where damaged."""

import numpy as np
import pytest
import small
import torch

from screening.bundle.reference import Reference
from screening.errors import BundleError
from screening.features.store import FeatureSet, featurize
from screening.models.layers import CodeEmbedding, VectorScale

FEATURES = FeatureSet("atom_codes", ("rdkit_fast", "ecfp_counts", "ecfp_bits"))
TEXTS = [*small.smiles(30), "C1CC"]
ROWS = np.arange(0, 30, 2)


@pytest.fixture(scope="module")
def store() -> object:
    return featurize(TEXTS, FEATURES, workers=0)


@pytest.fixture(scope="module")
def reference(store) -> Reference:
    return Reference.fit(store, ROWS)


def test_it_is_the_plain_mean(store, reference: Reference) -> None:
    """Over all atoms of all molecules, counted one by one."""
    codes = [tuple(code) for row in ROWS for code in store.batch([row]).atoms.tolist()]
    start = 0
    for place, size in enumerate(store.atom_sizes):
        share = [sum(code[place] == value for code in codes) / len(codes) for value in range(size)]
        assert reference.atoms[start : start + size] == pytest.approx(share)
        start += size
    n_real = len(store.vector_blocks[0].columns)
    counts = np.mean([np.log1p(store.batch([row]).vectors[0, n_real:].numpy()) for row in ROWS], axis=0)
    assert reference.vectors[n_real:] == pytest.approx(counts, abs=1e-6)
    assert (reference.vectors[:n_real] == 0).all()
    assert reference.fits(store)


def test_a_module_gives_of_it_the_mean_of_what_it_gives_of_all(store, reference: Reference) -> None:
    batch = store.batch(ROWS)
    for sizes, codes in ((store.atom_sizes, batch.atoms), (store.bond_sizes, batch.bonds)):
        module = CodeEmbedding(tuple(sizes), 8)
        mean = module(module.sums(codes)).mean(0)
        assert torch.allclose(reference.of(module, store), mean, atol=1e-5)
    scale = VectorScale(store.vector_blocks).eval()
    scale.fit(store, torch.from_numpy(ROWS))
    scale.limit = 1e9  # what is held within 5 moves the mean
    assert torch.allclose(reference.of(scale, store), scale(batch.vectors).mean(0), atol=1e-4)


def test_structures_give_the_same_as_the_store(store, reference: Reference) -> None:
    again = Reference.of_structures([TEXTS[row] for row in ROWS], FEATURES)
    for one, other in zip(reference.state().values(), again.state().values(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_only_a_sample_of_many_is_looked_at(store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("screening.bundle.reference.SAMPLE", 3)
    some = Reference.fit(store, np.arange(21))
    assert some.vectors == pytest.approx(Reference.fit(store, np.array([0, 10, 20])).vectors)


def test_it_survives_saving_and_damage_is_refused(reference: Reference) -> None:
    state = reference.state()
    again = Reference.restore(state).state()
    assert all((again[name] == state[name]).all() for name in state)
    for name, damage in (
        ("atoms", None),
        ("bonds", state["bonds"][None]),
        ("vectors", state["vectors"].astype(np.float32)),
        ("atoms", -state["atoms"]),
        ("vectors", state["vectors"] * np.nan),
    ):
        bad = {key: value for key, value in {**state, name: damage}.items() if value is not None}
        with pytest.raises(BundleError, match="mean training molecule"):
            Reference.restore(bad)


@pytest.mark.parametrize("features", [FeatureSet("atom_codes"), FeatureSet(None, ("ecfp_counts",))])
def test_a_part_of_the_features_may_be_missing(features: FeatureSet) -> None:
    store = featurize(["[H][H]", "C", "CCO"], features, workers=0)
    mean = Reference.fit(store, np.arange(3))
    assert mean.fits(store)
    assert Reference.fit(store, np.arange(0)).fits(store)
    assert not mean.fits(featurize(["C"], FEATURES, workers=0))
