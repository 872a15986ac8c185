"""Encoder `pyg`: models of torch_geometric are themselves, checked, and go the whole way of a run."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import small
import torch

from screening.bundle.bundle import Bundle
from screening.bundle.exporting import export
from screening.errors import ConfigError, ScreeningError
from screening.features.store import FeatureSet, GraphStore, featurize
from screening.models.encoders import Inputs, encoders
from screening.models.encoders.pyg import MODELS, Pyg
from screening.models.layers import Pooling, Wiring
from screening.models.network import inputs_of
from screening.scoring.scorer import Scorer
from screening.testing.encoders import CHECKS, every_weight_gets_a_gradient
from screening.testing.subjects import Check, Subject, statement
from screening.triage.explanation import explain

ALONE = [check for check in CHECKS if check is not every_weight_gets_a_gradient]
STRUCTURES = ("CC(=O)Nc1ccc(O)cc1", "C", "CCO", "[Na+].[Cl-]", "FC(F)(F)c1ccccc1")


def store() -> GraphStore:
    return featurize(STRUCTURES, FeatureSet("atom_codes"), workers=0)


def build(inputs: Inputs | None = None, **options: Any) -> Pyg:
    torch.manual_seed(0)
    return encoders.build("pyg", inputs or inputs_of(store()), **options).eval()


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("check", ALONE, ids=statement)
def test_every_model_keeps_the_contract(model: str, check: Check) -> None:
    """NeuralFingerprint has weights for atoms with numbers of neighbours that hardly occur."""
    check(Subject("pyg", {"model": model, "width": 8, "depth": 2}))


@pytest.mark.parametrize("model", ["GCN", "GIN"])
def test_it_is_the_model_of_torch_geometric(model: str) -> None:
    """A copy made by hand with the same weights, fed with the same embedding of atoms."""
    from torch_geometric.nn import models

    ours = build(model=model, width=8, depth=3, dropout=0.0)
    theirs = getattr(models, model)(8, 8, 3, norm="layer_norm", norm_kwargs={"mode": "node"}).eval()
    theirs.load_state_dict(ours.network.state_dict())
    batch = store().batch(range(len(STRUCTURES)))
    atoms = theirs(ours.atoms(ours.atoms.sums(batch.atoms)), torch.stack([batch.source, batch.target]))
    expected = ours.joint(Pooling("mean_sum")(atoms, Wiring.of(batch)))
    torch.testing.assert_close(ours(batch), expected)


@pytest.mark.parametrize(
    ("model", "sees"),
    [("GAT", True), ("PNA", True), ("AttentiveFP", True), ("GCN", False), ("EdgeCNN", False)],
)
def test_bonds_are_seen_where_the_model_takes_them(model: str, sees: bool) -> None:
    pairs = featurize(["CCC", "C=CC"], FeatureSet("atom_codes"), workers=0)
    encoder = build(inputs_of(pairs), model=model, width=8)
    batch = pairs.batch([1])
    single = torch.zeros_like(batch.bonds)
    changed = encoder(batch) - encoder(type(batch)(**{**vars(batch), "bonds": single}))
    assert bool(changed.abs().max() > 1e-5) is sees


def test_options_reach_the_model() -> None:
    from torch_geometric.nn import GATv2Conv

    network = build(model="GAT", width=8, depth=4, options={"heads": 2, "v2": True, "norm": None}).network
    layers = [each for each in network.modules() if isinstance(each, GATv2Conv)]
    assert [layer.heads for layer in layers] == [2] * 4
    assert not [each for each in network.modules() if type(each).__name__ == "LayerNorm"]


def test_neighbours_are_counted_in_the_training_part() -> None:
    from torch_geometric.nn.aggr import DegreeScalerAggregation

    encoder, molecules = build(model="PNA", width=8), store()
    encoder.fit(molecules, torch.tensor([1, 2]))  # methane, and ethanol with 1, 2 and 1 neighbours
    scaler = next(each for each in encoder.modules() if isinstance(each, DegreeScalerAggregation))
    assert float(scaler.avg_deg_lin) == pytest.approx(1.0)
    assert float(scaler.avg_deg_log) == pytest.approx(np.log([1, 2, 3, 2]).mean(), rel=1e-6)
    again = build(model="PNA", width=8)
    again.load_state_dict(encoder.state_dict())
    batch = molecules.batch([0])
    assert torch.equal(again(batch), encoder(batch))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "GTA"}, "has no model 'GTA'. Did you mean 'GAT'"),
        ({"model": "GAT", "options": {"haeds": 2}}, "GAT .*has no option 'haeds'. Did you mean 'heads'"),
        ({"model": "GAT", "options": {"hidden_channels": 2}}, "say width beside the model"),
        ({"model": "GAT", "options": {"dropout": 0.5}}, "say dropout beside the model"),
        ({"model": "GCN", "options": {"cached": True}}, "every batch has other molecules"),
        ({"model": "GCN", "options": {"jk": "sum"}}, "cannot be built .*: AssertionError"),
        ({"model": "GAT", "width": 9, "options": {"heads": 2}}, "cannot be built with options"),
        ({"model": "GCN", "options": {"norm": "batch_norm"}}, "depend on the others of its batch"),
        ({"model": "GIN", "options": {"norm": "graph_norm"}}, "depend on the others of its batch"),
        ({"model": "GCN", "options": {"norm": "leyer_norm"}}, "cannot be built"),
    ],
)
def test_wrong_models_and_options_are_explained(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build(**options)


def test_a_wrong_model_is_found_before_a_table_is_read() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'GIN'"):
        encoders.check_values("pyg", {"model": "GINN"})


@pytest.mark.parametrize("name", ["batch_norm", "graph_norm"])
def test_what_is_refused_would_mix_molecules(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the check the scores of a molecule would depend on its batch."""
    monkeypatch.setattr(Pyg, "_check_molecules_stand_alone", lambda *_: None)
    encoder = build(model="GIN", width=8, dropout=0.0, options={"norm": name}).train()
    together = encoder(store().batch([0, 2]))[0]
    alone = encoder(store().batch([0, 0]))[0]
    assert float((together - alone).detach().abs().max()) > 1e-3


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained by `screening train` with GAT, as graph alone; two networks."""
    encoder = {"name": "pyg", "model": "GAT", "width": 16, "depth": 2, "options": {"heads": 2}}
    return _trained(tmp_path_factory.mktemp("pyg"), encoder)


def _trained(folder: Path, encoder: dict[str, Any]) -> Path:
    graphs = {"graph": "atom_codes", "vectors": []}
    return small.trained_run(folder, model={"encoder": encoder}, features=graphs).folder


def test_a_run_scores_a_molecule_alone_as_among_others(run: Path) -> None:
    scorer = Scorer(Bundle.load(run))
    together, alone = scorer.score(list(STRUCTURES)), scorer.score([STRUCTURES[0]])
    numbers = together.select_dtypes("number").columns
    np.testing.assert_allclose(together.loc[0, numbers], alone.loc[0, numbers], rtol=1e-5)


def test_contributions_of_atoms_are_complete(run: Path, tmp_path: Path) -> None:
    source = tmp_path / "some.csv"
    pd.DataFrame({"smiles": ["CC(=O)Nc1ccc(O)cc1C(=O)O", "CCCC(=O)O"]}).to_csv(source, index=False)
    explanation = explain(run, source, tmp_path / "out", assay="acid")
    table = explanation.molecules
    assert (table["error"].abs() < 0.05).all()


@pytest.mark.parametrize("suffix", [".onnx", ".pt2"])
def test_it_can_be_exported(run: Path, tmp_path: Path, suffix: str) -> None:
    pytest.importorskip("onnxscript")
    assert export(run, tmp_path / f"gat{suffix}").difference < 1e-5


def test_what_cannot_be_exported_is_told(tmp_path: Path) -> None:
    run = _trained(tmp_path, {"name": "pyg", "model": "AttentiveFP", "width": 8, "depth": 1})
    with pytest.raises(ScreeningError, match=r"torch\.export cannot follow the encoder 'pyg'"):
        export(run, tmp_path / "attentive.pt2")
    assert not (tmp_path / "attentive.pt2").exists()
