"""Networks and baselines whose scores are averaged in one bundle."""

from pathlib import Path
from typing import Any

import mixed
import numpy as np
import pytest
import small
import torch
from bundles import resign

from screening.bundle.bundle import Bundle
from screening.bundle.exporting import export
from screening.config import check_config
from screening.data.task_groups import write_groups
from screening.errors import BundleError, ConfigError
from screening.features.store import featurize
from screening.training import train
from screening.training.predictions import read_predictions
from screening.training.run_folder import read_table
from screening.triage.explanation import explain_molecules

FOREST = {"name": "random_forest", "trees": 20}


def trained(folder: Path, is_mixed: bool, **model: Any) -> Path:
    table = mixed.table() if is_mixed else small.table()
    encoder = mixed.settings(folder)["model"]["encoder"]
    section = {"model": {"encoder": encoder, **model}, "calibration": "none"}
    return train(check_config(mixed.settings(folder, **section)), data=table).folder


@pytest.mark.parametrize("is_mixed", [False, True])
def test_scores_are_the_mean_of_the_parts(tmp_path: Path, is_mixed: bool) -> None:
    network, forest, both = (
        read_predictions(trained(tmp_path / name, is_mixed, **model)).scores
        for name, model in (
            ("network", {}),
            ("forest", {"baseline": FOREST}),
            ("both", {"blend": ["network", FOREST]}),
        )
    )
    np.testing.assert_allclose(both, (network + forest) / 2, rtol=1e-5)


def test_an_ensemble_of_networks_weighs_no_more_than_the_other_part(tmp_path: Path) -> None:
    table = small.table()
    encoder = mixed.settings(tmp_path)["model"]["encoder"]
    settings = mixed.settings(tmp_path, model={"encoder": encoder, "blend": ["network", FOREST]})
    settings["train"]["ensemble"] = 3
    bundle = Bundle.load(train(check_config(settings), data=table).folder)
    assert [member.model.kind for member in bundle.members] == ["network"] * 3 + ["random_forest"]
    assert [member.weight for member in bundle.members] == [1 / 3] * 3 + [1.0]


def test_a_blend_resumes_after_its_networks(tmp_path: Path) -> None:
    run = trained(tmp_path, False, blend=["network", FOREST])
    before = (run / "predictions.parquet").read_bytes()
    (run / "manifest.json").unlink()
    encoder = mixed.settings(tmp_path)["model"]["encoder"]
    section = {"model": {"encoder": encoder, "blend": ["network", FOREST]}, "calibration": "none"}
    train(check_config(mixed.settings(tmp_path, **section)), data=small.table(), resume=True)
    assert (run / "predictions.parquet").read_bytes() == before


GRAPH = {"name": "network", "as": "graph", "encoder": {"name": "gine", "width": 8, "depth": 1}, "vectors": []}
PERCEPTRON = {
    "name": "network",
    "as": "mlp",
    "encoder": {"name": "fingerprint", "widths": [12]},
    "vectors": ["rdkit_descriptors", "ecfp_counts"],
}
FEW_TREES = {"name": "random_forest", "trees": 5}
SEVERAL = [GRAPH, PERCEPTRON, {**FEW_TREES, "as": "trees", "vectors": ["ecfp_counts"]}]
VECTORS = {"graph": "atom_codes", "vectors": ["ecfp_counts", "rdkit_descriptors"]}


def several(folder: Path, **more: Any) -> Path:
    """A run of a graph network, a perceptron and trees, each on vectors of its own."""
    section = {"model": {"blend": SEVERAL}, "features": VECTORS, "calibration": "none", **more}
    return train(check_config(mixed.settings(folder, **section)), data=mixed.table()).folder


def test_each_model_sees_its_own_vectors_through_its_own_encoder(tmp_path: Path) -> None:
    alone = []
    for part in SEVERAL:
        own = {"encoder": part["encoder"]} if part["name"] == "network" else {"baseline": FEW_TREES}
        features = {"graph": "atom_codes", "vectors": part["vectors"]}
        section = {"model": own, "features": features, "calibration": "none"}
        folder = tmp_path / part["as"]
        run = train(check_config(mixed.settings(folder, **section)), data=mixed.table()).folder
        alone.append(read_predictions(run).scores)
    both = several(tmp_path)
    np.testing.assert_allclose(read_predictions(both).scores, np.mean(alone, axis=0), rtol=1e-5)
    bundle = Bundle.load(both)
    assert [member.part for member in bundle.members] == ["graph", "mlp", "trees"]
    assert sorted(path.name for path in both.glob("*.pt")) == ["checkpoint-graph.pt", "checkpoint-mlp.pt"]
    assert len(bundle.representation.widths) == 1  # of networks as wide as the first
    assert set(read_table(both, "history.csv")["member"]) == {0, 1}


def test_two_networks_of_a_blend_in_groups_of_two_seeds(tmp_path: Path) -> None:
    assays = tuple(assay.name for assay in mixed.ASSAYS)
    write_groups(tmp_path / "groups.yaml", [(0, 1, 4), (0, 2, 3)], [1, 0, 1, 1, 0], assays)
    plan = mixed.settings(tmp_path)["train"] | {"ensemble": 2}
    run = several(tmp_path, train=plan, grouping={"file": str(tmp_path / "groups.yaml")})
    members = Bundle.load(run).members
    assert [member.part for member in members] == ["graph"] * 4 + ["mlp"] * 4 + ["trees"]
    weights = {label: np.zeros(len(assays)) for label in ("graph", "mlp", "trees")}
    for member in members:
        weights[member.part][list(member.columns)] += member.weight
    assert all((total == 1).all() for total in weights.values())
    assert set(read_table(run, "epochs.csv")["member"]) == set(range(8))


def test_networks_with_vectors_of_their_own_are_explained_and_exported(tmp_path: Path) -> None:
    run = several(tmp_path, model={"blend": SEVERAL[:2]})
    bundle = Bundle.load(run)
    told = explain_molecules(bundle, list(small.smiles(20)), assay="logP")
    assert np.abs(told.molecules["error"]).max() < 0.05
    networks = [member.model for member in bundle.members]
    store = featurize(list(small.smiles(20)), bundle.features, workers=0)
    logits = np.mean([each.predict(store, torch.arange(20))[:, 1].numpy() for each in networks], axis=0)
    values = bundle.targets.mean[1] + bundle.targets.deviation[1] * logits
    np.testing.assert_allclose(told.molecules["trained"], values, atol=1e-4)
    exported = export(run, tmp_path / "blend.onnx")
    assert exported.difference < 1e-4


def test_weights_of_a_bundle_are_checked(tmp_path: Path) -> None:
    run = trained(tmp_path, False, blend=["network", FOREST])
    bundle = run / "bundle"
    text = (bundle / "bundle.json").read_text()
    assert '"weight"' not in text  # one network and one forest: both 1
    for weight in ("-1", "NaN", "0"):
        (bundle / "bundle.json").write_text(
            text.replace('"kind": "network"', f'"kind": "network", "weight": {weight}')
        )
        resign(bundle)
        with pytest.raises(BundleError, match="weight"):
            Bundle.load(run)


@pytest.mark.parametrize(
    ("model", "says"),
    [
        ({"blend": ["network", "network"]}, "twice"),
        ({"blend": ["network"], "baseline": "random_forest"}, "blend and baseline"),
        ({"blend": [{"name": "network", "depth": 3}]}, "no options"),
        ({"blend": [{"name": "ridge", "encoder": "gine"}]}, "no encoder"),
        ({"blend": ["ridge", {"name": "ridge", "as": "a-b"}]}, "a-b"),
        ({"blend": [{"name": "ridge", "as": "blend"}]}, "blend"),
        ({"blend": [{"name": "ridge", "vectors": ["ecfp"]}]}, "among features.vectors"),
        ({"blend": [{"name": "network", "encoder": {"name": "gine", "deep": 1}}]}, "no option 'deep'"),
        ({"blend": ["network", "random_forrest"]}, "Did you mean 'random_forest'"),
        ({"blend": ["random_forest"], "single_task": True}, "single_task"),
    ],
)
def test_wrong_blends_are_refused(tmp_path: Path, model: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        trained(tmp_path, False, **model)
