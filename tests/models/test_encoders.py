"""Encoders: same molecule, same representation, whatever the batch and the order of its atoms."""

import pytest
import small
import torch
from encoder_options import VARIANTS

from screening.config_sections import Model
from screening.errors import ConfigError
from screening.features.store import FeatureSet, featurize
from screening.models.encoders import Encoder, Inputs, encoders
from screening.models.encoders.dmpnn import DMPNN
from screening.models.layers import VectorScale
from screening.models.network import ScreeningModel, inputs_of
from screening.testing.encoders import CHECKS
from screening.testing.subjects import Check, Subject, statement

ODD = ["C", "[Na+].[Cl-]", "CCO", "c1ccccc1O.Cl", "[He]", "CC(C)Cc1ccc(cc1)C(C)C(=O)O"]


def build(name: str, options: dict, inputs: Inputs) -> Encoder:
    torch.manual_seed(0)
    return encoders.build(name, inputs, **options).eval()


def test_every_encoder_has_a_case() -> None:
    assert set(encoders.names()) == {name for name, _ in VARIANTS}


@pytest.mark.parametrize(("name", "options"), VARIANTS)
@pytest.mark.parametrize("check", CHECKS, ids=statement)
def test_contract(name: str, options: dict, check: Check) -> None:
    check(Subject(name, options))


def test_a_message_never_returns_on_its_own_bond() -> None:
    """Between two atoms there is nothing to pass on: more depth changes nothing."""
    store = featurize(["CO"], FeatureSet("atom_codes"), workers=0)
    shallow, deep = (build("dmpnn", {"depth": depth, "width": 8}, inputs_of(store)) for depth in (1, 4))
    assert isinstance(deep, DMPNN)
    first = shallow.atoms(shallow.atoms.sums(store.batch([0]).atoms))
    assert first.shape == (2, 8)
    with torch.no_grad():
        deep.message.weight.copy_(torch.eye(8))
    batch = store.batch([0])
    incoming = torch.zeros(2, 8).index_add(0, batch.target, torch.ones(2, 8))[batch.source] - torch.ones(2, 8)
    assert (incoming == 0).all()


@pytest.mark.parametrize("name", ["gine", "dmpnn", "hybrid"])
def test_graph_encoders_ask_for_a_graph(name: str) -> None:
    store = featurize(["CO"], FeatureSet(None, ("ecfp_counts",)), workers=0)
    with pytest.raises(ConfigError, match=r"features\.graph"):
        encoders.build(name, inputs_of(store))


@pytest.mark.parametrize("name", ["fingerprint", "hybrid", "snn"])
def test_vector_encoders_ask_for_vectors(name: str) -> None:
    store = featurize(["CO"], FeatureSet("atom_codes"), workers=0)
    with pytest.raises(ConfigError, match=r"features\.vectors"):
        encoders.build(name, inputs_of(store))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("gine", {"depth": 0}, "greater than 0"),
        ("gine", {"dpeth": 3}, "Did you mean 'depth'"),
        ("dmpnn", {"width": "wide"}, "valid integer"),
        ("gine", {"pooling": "best"}, "mean"),
        ("hybrid", {"graph": "hybrid"}, "does not read graphs alone: expected dmpnn or gine"),
        ("hybrid", {"graph": "fingerprint"}, "does not read graphs alone"),
        ("hybrid", {"graph": "gin"}, "Did you mean 'gine'"),
        ("hybrid", {"graph": {"name": "gine", "dpeth": 3}}, "Did you mean 'depth'"),
        ("hybrid", {"graph": {"name": "gine", "depth": 0}}, "greater than 0"),
        ("hybrid", {"graph": {"depth": 3}}, "expected a name"),
        ("gin", {}, "Did you mean 'gine'"),
    ],
)
def test_wrong_options_are_explained(name: str, options: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        encoders.build(name, inputs_of(small.store()), **options)


def test_real_values_are_scaled_on_the_training_molecules_only() -> None:
    store = small.store("atom_codes", ("rdkit_fast",))
    rows = torch.arange(100)
    scale = VectorScale(store.vector_blocks).eval()
    scale.fit(store, rows)
    train = scale(store.batch(rows).vectors)
    assert train.isfinite().all()
    assert train.abs().max() <= scale.limit
    varies = train.std(0) > 0
    assert train[:, varies].mean(0).abs().max() < 0.3
    again = VectorScale(store.vector_blocks)
    again.fit(store, torch.arange(50))
    assert not torch.equal(again.median, scale.median)


def test_a_value_rdkit_cannot_compute_becomes_the_median() -> None:
    store = small.store("atom_codes", ("rdkit_fast",))
    scale = VectorScale(store.vector_blocks)
    scale.fit(store, torch.arange(100))
    missing = scale(torch.full((1, scale.size), torch.nan))
    torch.testing.assert_close(missing, scale(scale.median[None]), rtol=1e-5, atol=1e-5)


def test_model_predicts_one_logit_per_task_in_any_batch_size() -> None:
    store = small.store()
    torch.manual_seed(0)
    model = ScreeningModel(Model(encoder={"name": "gine", "depth": 2, "width": 16}), inputs_of(store), 3)  # type: ignore[arg-type]
    rows = torch.arange(20)
    whole = model.predict(store, rows, batch_size=20)
    assert whole.shape == (20, 3)
    torch.testing.assert_close(model.predict(store, rows, batch_size=3), whole, rtol=1e-5, atol=1e-5)
    assert model.predict(store, rows[:0]).shape == (0, 3)
    assert model.training


def test_the_graph_of_hybrid_has_its_own_options_before_those_of_hybrid() -> None:
    inputs = inputs_of(small.store())
    options = {"width": 8, "graph_dropout": 0.3, "graph": {"name": "dmpnn", "depth": 5, "pooling": "mean"}}
    graph = build("hybrid", options, inputs).graph
    assert isinstance(graph, DMPNN)
    assert (graph.depth, graph.width, graph.drop_atoms.rate) == (5, 8, 0.3)


def test_a_graph_by_name_is_the_same_with_options_of_hybrid_or_its_own() -> None:
    inputs = inputs_of(small.store())
    old = build("hybrid", {"graph": "dmpnn", "depth": 2, "width": 8}, inputs)
    new = build("hybrid", {"graph": {"name": "dmpnn", "depth": 2, "width": 8}}, inputs)
    for ours, theirs in zip(old.state_dict().values(), new.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs)


def test_wrong_graphs_of_hybrid_are_found_before_anything_is_built() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'depth'"):
        encoders.check_values("hybrid", {"graph": {"name": "gine", "dpeth": 3}})
