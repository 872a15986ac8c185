"""Surroundings shared within a batch: the same representations as without, and truly fewer of them."""

import pytest
import small
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from screening.features.store import FeatureSet, featurize
from screening.models.encoders import encoders
from screening.models.network import inputs_of
from screening.models.shared_atoms import Surroundings

ODD = ["C", "[H][H]", "[Na+].[Cl-]", "CC", "C1CC1", "C1CCC1.C1CC1", "CCC(C)C", "[2H]C([2H])C", "N#N"]
CASES = [
    ("gine", {"depth": 1, "width": 8}),
    ("gine", {"depth": 4, "width": 8}),
    ("gine", {"depth": 3, "width": 8, "pooling": "sum"}),
    ("dmpnn", {"depth": 1, "width": 8}),
    ("dmpnn", {"depth": 4, "width": 8}),
    ("hybrid", {"width": 8, "hidden": 8, "projection": 8}),
]


@pytest.mark.parametrize(("name", "options"), CASES)
@pytest.mark.parametrize("graph", ["atom_codes", "atom_codes_stereo"])
def test_sharing_changes_nothing(name: str, options: dict, graph: str) -> None:
    """With derivatives wanted nothing is shared."""
    torch.manual_seed(0)
    texts = [*small.smiles(150), *ODD]
    store = featurize(texts, FeatureSet(graph, ("ecfp_counts",)), workers=0)
    encoder = encoders.build(name, inputs_of(store), **options).eval()
    for rows in (
        torch.arange(len(texts)),
        torch.tensor([3]),
        torch.arange(len(texts) - len(ODD), len(texts)),
    ):
        batch = store.batch(rows)
        expected = encoder(batch)
        assert expected.requires_grad
        with torch.inference_mode():
            torch.testing.assert_close(encoder(batch), expected.detach(), rtol=1e-5, atol=1e-5)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from([*small.smiles(60), *ODD]), min_size=1, max_size=8))
def test_any_batch_gives_the_same(texts: list[str]) -> None:
    store = featurize(texts, FeatureSet("atom_codes"), workers=0)
    batch = store.batch(torch.arange(len(texts)))
    for name in ("gine", "dmpnn"):
        encoder = encoders.build(name, inputs_of(store), depth=3, width=4).eval()
        with torch.inference_mode():
            shared = encoder(batch)
        torch.testing.assert_close(shared, encoder(batch).detach(), rtol=1e-5, atol=1e-5)


def test_atoms_are_of_one_kind_where_morgan_environments_are() -> None:
    """RDKit's own environments of radius k, from the same atom and bond codes, split the atoms as ours do."""
    texts = [text for text in small.smiles(60) if "." not in text]
    store = featurize(texts, FeatureSet("atom_codes"), workers=0)
    batch = store.batch(torch.arange(len(texts)))
    around = Surroundings(batch)
    kinds = around.atoms
    codes = {tuple(row) for row in batch.atoms.tolist()}
    assert len(kinds.example) == len(codes)
    names = [tuple(row) for row in batch.atoms.tolist()]
    bonds = [tuple(row) for row in batch.bonds.tolist()]
    for _ in range(3):
        neighbours: list[list[object]] = [[] for _ in names]
        for source, target, bond in zip(batch.source.tolist(), batch.target.tolist(), bonds, strict=True):
            neighbours[target].append((bond, names[source]))
        names = [(name, tuple(sorted(near))) for name, near in zip(names, neighbours, strict=True)]
        kinds = around.wider(kinds, around.messages(kinds))
        pairs = set(zip(names, kinds.of.tolist(), strict=True))
        assert len(pairs) == len(set(names)) == len(kinds.example)
        assert (kinds.of[kinds.example] == torch.arange(len(kinds.example))).all()


def test_fewer_atoms_are_computed() -> None:
    chain = featurize(["C" * 60, "C" * 50], FeatureSet("atom_codes"), workers=0)
    around = Surroundings(chain.batch(torch.arange(2)))
    kinds = around.atoms
    for n_kinds in (2, 3, 4):  # the ends, the next to them, and so on, and the rest
        assert len(kinds.example) == n_kinds
        kinds = around.wider(kinds, around.messages(kinds))


def test_derivatives_and_virtual_nodes_share_nothing() -> None:
    store = featurize(list(small.smiles(20)), FeatureSet("atom_codes"), workers=0)
    batch = store.batch(torch.arange(20))
    encoder = encoders.build("gine", inputs_of(store), depth=2, width=8, virtual_node=True).eval()
    with torch.inference_mode():
        alone = encoder(store.batch(torch.tensor([4])))
        torch.testing.assert_close(encoder(batch)[4:5], alone, rtol=1e-5, atol=1e-5)


def test_training_mode_is_not_shared() -> None:
    """Dropout differs between atoms of one kind, also where no derivatives are wanted."""
    store = featurize(["C" * 40], FeatureSet("atom_codes"), workers=0)
    encoder = encoders.build("gine", inputs_of(store), depth=1, width=64, dropout=0.5).train()
    torch.manual_seed(0)
    expected = encoder(store.batch([0])).detach()
    torch.manual_seed(0)
    with torch.no_grad():
        torch.testing.assert_close(encoder(store.batch([0])), expected)
