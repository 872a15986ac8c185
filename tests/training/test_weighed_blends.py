"""Blends with weights from left-out molecules: what is said, that it goes on after a stop, and who knows."""

import json
from pathlib import Path
from shutil import copytree
from typing import Any

import mixed
import numpy as np
import pytest
import small
import torch
from bundles import resign
from safetensors.numpy import load_file

from screening.bundle.bundle import Bundle
from screening.bundle.exporting import export
from screening.cli.tables import print_blend
from screening.config import Config, check_config
from screening.data.task_groups import write_groups
from screening.errors import BundleError, ConfigError
from screening.features.store import featurize
from screening.metrics.concordance import concordance
from screening.models.blends import on_scale
from screening.reporting.report import write_report
from screening.training import members as training_members
from screening.training import train
from screening.training.blending import blend_summary
from screening.training.folds import folds_of
from screening.training.members import Course, fit_part, of_part
from screening.training.out_of_fold import training_cells
from screening.training.predictions import read_predictions
from screening.training.preparation import prepare_data
from screening.training.run_folder import read_table
from screening.triage.explanation import explain_molecules

ENCODER = {"name": "fingerprint", "widths": [12]}
PARTS = [
    {"name": "network", "as": "graph", "encoder": {"name": "gine", "width": 8, "depth": 1}, "vectors": []},
    {"name": "network", "as": "mlp", "encoder": ENCODER, "vectors": ["rdkit_descriptors"]},
    {"name": "random_forest", "trees": 5, "vectors": ["ecfp_counts"]},
    {"name": "gaussian_process", "as": "process", "vectors": ["ecfp_counts"]},
]
LABELS = ["graph", "mlp", "random_forest", "process"]
FITTED = {"weights": "fitted", "folds": 3, "by": "random"}


def settings(folder: Path, parts: list[Any] = PARTS, **more: Any) -> Config:
    features = {"graph": "atom_codes", "vectors": ["ecfp_counts", "rdkit_descriptors"]}
    section = {"model": {"blend": parts, "blending": FITTED}, "features": features, "calibration": "none"}
    return check_config(mixed.settings(folder, **section | more))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(settings(tmp_path_factory.mktemp("weighed")), data=mixed.table()).folder


def contents(folder: Path) -> dict[str, bytes]:
    """All that must be the same, in the bundle and beside it."""
    names = ("predictions.parquet", "evaluation.csv", "history.csv", "blend.csv")
    files = [folder / name for name in names] + sorted((folder / "bundle").iterdir())
    return {path.name: path.read_bytes() for path in [*files, *sorted(folder.glob("fold-*"))]}


def test_scores_are_the_weighed_votes_of_the_members(run: Path) -> None:
    bundle, n = Bundle.load(run), 60
    store = featurize(list(small.smiles(n)), bundle.features, workers=0)
    blend, total = bundle.blend, np.zeros((n, len(bundle.tasks)))
    assert [member.part for member in bundle.members] == LABELS
    for number, member in enumerate(bundle.members):
        outputs = on_scale(member.model.predict(store, torch.arange(n)).numpy(), blend.is_real)
        total += blend.weight[number] * (outputs - blend.center[number]) / blend.scale[number]
    total += blend.intercept
    chances = 1 / (1 + np.exp(-total))
    expected = np.where(blend.is_real, bundle.targets.mean + bundle.targets.deviation * total, chances)
    np.testing.assert_allclose(bundle.predict(store, torch.arange(n)).scores, expected, rtol=1e-5)


def test_the_spread_is_that_of_the_votes_with_a_weight(run: Path) -> None:
    bundle, n = Bundle.load(run), 40
    store, every = featurize(list(small.smiles(n)), bundle.features, workers=0), np.arange(len(bundle.tasks))
    blend, votes = bundle.blend, []
    for number, member in enumerate(bundle.members):
        votes.append(blend.votes(number, member.model.predict(store, torch.arange(n)).numpy(), every))
    votes = np.array(votes)
    values = np.where(blend.is_real, bundle.targets.deviation * votes, 1 / (1 + np.exp(-votes)))
    spread = bundle.predict(store, torch.arange(n)).spread
    for task in every.tolist():
        counted = values[blend.weight[:, task] > 0, :, task]
        if len(counted) > 1:
            np.testing.assert_allclose(spread[:, task], counted.std(axis=0, ddof=1), rtol=1e-4, atol=1e-6)
        else:
            assert np.isnan(spread[:, task]).all()


def test_what_is_left_out_was_not_trained_on(run: Path, tmp_path: Path) -> None:
    """The forest without fold 1, fitted here, says what the run kept of that fold."""
    config = settings(tmp_path)
    prepared = prepare_data(config, mixed.table())
    folds = folds_of(config, prepared)
    rows, cells = training_cells(prepared, folds)
    own, view = of_part(config, prepared, config.model.blend[2])
    without = view._replace(split=folds.without(view.split, 1))
    assert not set(without.split.rows("train")) & set(folds.rows(1))
    forest = fit_part(own, without, Course()).members[0].model
    inside = np.flatnonzero(cells.folds == 1)
    said = forest.predict(view.store, torch.from_numpy(rows[inside])).numpy()
    expected = on_scale(
        said[np.arange(len(inside)), cells.tasks[inside]], mixed_is_real()[cells.tasks[inside]]
    )
    kept = load_file(run / "fold-random_forest-1.safetensors")["outputs"]
    np.testing.assert_allclose(kept, expected, rtol=1e-6)


def mixed_is_real() -> np.ndarray:
    return np.array([assay.is_real for assay in mixed.ASSAYS])


def test_the_table_says_what_each_model_brings(run: Path, tmp_path: Path) -> None:
    table = read_table(run, "blend.csv")
    assert table["model"].tolist() == [*LABELS, "blend"] * len(mixed.ASSAYS)
    assert table["assay"].unique().tolist() == [assay.name for assay in mixed.ASSAYS]
    of_models = table[table["model"] != "blend"]
    np.testing.assert_allclose(of_models.groupby("assay", sort=False)["weight"].sum(), 1)
    np.testing.assert_allclose(of_models["weight"], Bundle.load(run).blend.shares.T.ravel())
    assert of_models["gain_concordance"].notna().all()
    assert (table["rmse"].notna().to_numpy().reshape(5, -1).all(axis=1) == mixed_is_real()).all()
    config = settings(tmp_path)
    prepared = prepare_data(config, mixed.table())
    train_part = prepared.table.take(prepared.split.rows("train"))
    np.testing.assert_array_equal(table["measured"][::5], (~np.isnan(train_part.labels)).sum(axis=0))
    rows, cells = training_cells(prepared, folds_of(config, prepared))
    scores = np.full(prepared.table.labels.shape, np.nan, np.float32)
    for fold in range(3):
        inside = cells.folds == fold
        kept = load_file(run / f"fold-mlp-{fold}.safetensors")["outputs"]
        scores[rows[inside], cells.tasks[inside]] = kept
    measured = ~np.isnan(scores)
    labels = np.where(measured, prepared.table.labels, np.nan)
    real = mixed_is_real()
    scores = np.where(real, scores, 1 / (1 + np.exp(-np.nan_to_num(scores))))
    expected = concordance(labels, np.nan_to_num(scores), is_real=real, censored=prepared.table.censored)
    np.testing.assert_allclose(table.loc[table["model"] == "mlp", "concordance"], expected, atol=1e-6)


@pytest.mark.parametrize("stop_at", [2, 5, 8])
def test_a_run_that_was_stopped_goes_on_and_ends_with_the_same_bytes(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop_at: int
) -> None:
    """Stopped in a fold of the graph, of the perceptron, and of the trees."""
    calls, fit = [], training_members.fit_part

    def stopping(*given: Any, **more: Any) -> Any:
        calls.append(more.get("fold"))
        if len(calls) == stop_at + stop_at // 4:
            raise KeyboardInterrupt
        return fit(*given, **more)

    monkeypatch.setattr("screening.training.fitting.fit_part", stopping)
    with pytest.raises(KeyboardInterrupt):
        train(settings(tmp_path), data=mixed.table())
    monkeypatch.undo()
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "runs/mixed").glob("fold-*")}
    assert before
    again = train(settings(tmp_path), data=mixed.table(), resume=True).folder
    after = {path.name: path.stat().st_mtime_ns for path in again.glob("fold-*")}
    assert before.items() <= after.items()  # finished folds were not trained again
    assert contents(again) == contents(run)
    assert not list(again.glob("checkpoint-fold-*"))


def test_folds_of_another_table_and_damaged_ones_are_refused(run: Path, tmp_path: Path) -> None:
    parts = PARTS[2:]
    folder = train(settings(tmp_path, parts), data=mixed.table()).folder
    (folder / "manifest.json").unlink()
    with pytest.raises(ConfigError, match="trained on something else"):
        train(settings(tmp_path, parts), data=mixed.table(seed=1), resume=True)
    kept = folder / "fold-random_forest-2.safetensors"
    kept.write_bytes(kept.read_bytes()[:-8])
    with pytest.raises(ConfigError, match=r"fold-random_forest-2.* cannot be resumed from"):
        train(settings(tmp_path, parts), data=mixed.table(), resume=True)


def test_weights_of_other_models_or_assays_are_refused(run: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    copytree(run / "bundle", bundle)
    text = json.loads((bundle / "bundle.json").read_text())
    text["model"]["blend"].append({"name": "ridge"})
    (bundle / "bundle.json").write_text(json.dumps(text))
    resign(bundle)
    with pytest.raises(BundleError, match="other models or assays"):
        Bundle.load(bundle)


def test_weighed_networks_in_groups_of_two_seeds_are_exported_and_explained(tmp_path: Path) -> None:
    assays = tuple(assay.name for assay in mixed.ASSAYS)
    write_groups(tmp_path / "groups.yaml", [(0, 1, 4), (0, 2, 3)], [1, 0, 1, 1, 0], assays)
    plan = mixed.settings(tmp_path)["train"] | {"ensemble": 2}
    config = settings(tmp_path, PARTS[:2], train=plan, grouping={"file": str(tmp_path / "groups.yaml")})
    run = train(config, data=mixed.table()).folder
    bundle = Bundle.load(run)
    assert [member.part for member in bundle.members] == ["graph"] * 4 + ["mlp"] * 4
    assert export(run, tmp_path / "blend.onnx").difference < 1e-4
    assert export(run, tmp_path / "blend.pt2").difference < 1e-4
    told = explain_molecules(bundle, list(small.smiles(20)), assay="logP")
    assert np.abs(told.molecules["error"]).max() < 0.05
    assert read_predictions(run, part="valid").scores.shape[1] == 5


def test_a_note_says_how_much_of_a_score_is_explained(run: Path) -> None:
    bundle = Bundle.load(run)
    share = bundle.blend.shares[:2, 1].sum()
    notes = explain_molecules(bundle, list(small.smiles(3)), assay="logP").notes
    assert any(f"share of the weights is {share:.0%}" in note for note in notes)


def test_weights_are_not_fitted_without_a_blend(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no blend"):
        settings(tmp_path, [])
    one = train(settings(tmp_path, [{"name": "ridge"}]), data=mixed.table()).folder
    assert Bundle.load(one).blend is None


def test_page_card_and_terminal_show_what_each_model_brings(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = write_report(run)
    page, card = report.page.read_text(), report.card.read_text()
    table = read_table(run, "blend.csv")
    means = blend_summary(table)
    assert means.index.tolist() == [*LABELS, "blend"]
    for label in LABELS:
        assert f'<th scope="row">{label}</th><td>{means.loc[label, "weight"]:.2f}</td>' in page
        name = label.replace("_", "\\_")
        assert (
            f"| {name} | {means.loc[label, 'weight']:.2f} | {means.loc[label, 'concordance']:.3f} |" in card
        )
    assert "a blend of graph, mlp, random forest, process, with fitted weights" in card
    print_blend(run)
    printed = capsys.readouterr().out
    assert all(label in printed for label in [*LABELS, "blend"])
    assert f"{means.loc['process', 'concordance']:.4f}" in printed
