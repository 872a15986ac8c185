"""What is fitted after training: calibration, sets and domain; and that it is said where it counts."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import small
from runs import config, trained

from screening import training
from screening.bundle.bundle import Bundle
from screening.errors import ConfigError
from screening.metrics.per_assay import read_evaluation
from screening.scoring.scorer import Scorer
from screening.training.after_training import OPTIMISTIC
from screening.training.predictions import read_predictions
from screening.training.run_folder import read_table


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def test_scores_of_a_run_are_calibrated(tmp_path: Path) -> None:
    run = trained(tmp_path)
    bundle = Bundle.load(run.folder)
    assert bundle.calibration.method == "platt"
    table = read_table(run.folder, "calibration.csv")
    assert list(table["assay"]) == list(small.PATTERNS)
    np.testing.assert_allclose(table["slope"], bundle.calibration.slope)
    test = run.evaluation.set_index("assay")
    for metric in ("log_loss", "brier", "calibration_error"):
        np.testing.assert_allclose(table[f"{metric}_after"], test[metric], atol=1e-6)
    np.testing.assert_allclose(table["roc_auc_before"], table["roc_auc_after"], atol=1e-4)
    effect = training.calibration_effect(run.folder).set_index("metric")
    assert effect.loc["brier", "after"] == pytest.approx(test["brier"].mean(), abs=1e-6)


def test_numbers_on_fitted_labels_have_a_reason(tmp_path: Path) -> None:
    run = trained(tmp_path)
    table = read_evaluation(run.folder / "evaluation.csv")
    told = table["reason"].str.contains(OPTIMISTIC, regex=False)
    assert (told == (table["part"] == "valid")).all()
    valid, _ = training.evaluate(run.folder, part="valid")
    assert valid["reason"].str.contains(OPTIMISTIC, regex=False).all()


def test_without_calibration_scores_are_the_models(tmp_path: Path) -> None:
    run = trained(tmp_path, calibration="none", domain={"fit": False})
    bundle = Bundle.load(run.folder)
    assert (bundle.domain, bundle.representation) == (None, None)
    assert (bundle.calibration.slope == 1).all()
    assert not len(training.calibration_effect(run.folder))
    assert not read_evaluation(run.folder / "evaluation.csv")["reason"].str.contains("optimistic").any()


def test_the_domain_is_that_of_the_training_part(tmp_path: Path) -> None:
    run = trained(tmp_path)
    domain = Bundle.load(run.folder).domain
    split = pd.read_csv(run.folder / "split.csv")
    assert list(domain.structures.ids) == split.loc[split["part"] == "train", "id"].tolist()
    secret = trained(tmp_path, name="secret", domain={"structures": False}, features={"graph": "atom_codes"})
    kept = Bundle.load(secret.folder).domain
    assert kept.structures is None
    np.testing.assert_array_equal(kept.training.columns, domain.training.columns)
    texts = (secret.folder / "bundle" / "domain.safetensors").read_bytes()
    assert not any(text.encode() in texts for text in domain.structures.smiles if len(text) > 4)


def test_the_representation_is_that_of_the_training_part(tmp_path: Path) -> None:
    run = trained(tmp_path)
    bundle, split = Bundle.load(run.folder), pd.read_csv(run.folder / "split.csv")
    table = small.table().smiles
    frame = Scorer(bundle, domain=True).score(table)
    distance = frame["distance"].to_numpy()
    assert (
        0.5 < np.sqrt((distance[split["part"] == "train"] ** 2).mean()) < 1.1
    )  # of few molecules less than 1
    valid = distance[split["part"] == "valid"]
    assert bundle.representation.threshold == pytest.approx(np.percentile(valid, 95), rel=1e-4)
    manifest = json.loads((run.folder / "manifest.json").read_text())
    assert any("distance in the representation of" in note for note in manifest["notes"])


def test_without_validation_molecules_nothing_is_fitted(tmp_path: Path) -> None:
    """All molecules but the test part for training."""
    source = small.write(tmp_path / "small.csv")
    table = pd.read_csv(source)
    table["part"] = np.where(np.arange(len(table)) % 5 == 0, "test", "train")
    table.to_csv(source, index=False)
    data = {"tasks": list(small.PATTERNS)}
    run = training.train(config(tmp_path, source, split={"name": "column", "column": "part"}, data=data))
    bundle = Bundle.load(run.folder)
    assert (bundle.calibration, bundle.conformal, bundle.domain, bundle.representation) == (None,) * 4
    assert read_table(run.folder, "calibration.csv")["method"].tolist() == ["none"] * 4
    assert len(read_predictions(run.folder).scores) == len(table[table["part"] == "test"])


@pytest.mark.parametrize(
    ("calibration", "message"),
    [
        ("plat", "Did you mean 'platt'"),
        ({"name": "isotonic", "least": 0}, "least"),
        ({"name": "platt", "slope": 1}, "no option 'slope'"),
    ],
)
def test_a_wrong_calibration_is_refused_before_training(
    tmp_path: Path, calibration: object, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        trained(tmp_path, calibration=calibration)
    assert not (tmp_path / "runs").exists()


def test_the_same_run_fits_the_same(tmp_path: Path) -> None:
    first, second = (
        trained(tmp_path),
        trained(
            tmp_path,
            name="again",
            train={"epochs": 2, "batch_size": 32, "device": "cpu", "workers": 0, "ensemble": 1},
        ),
    )
    for part in ("calibration", "conformal", "domain", "representation"):
        one, other = (run.folder / "bundle" / f"{part}.safetensors" for run in (first, second))
        assert one.read_bytes() == other.read_bytes()


@pytest.mark.slow
def test_real_assays_are_calibrated_and_covered(tmp_path: Path, real_data: Path) -> None:
    """Tox21, published random split, actives weighted up: what validation says holds for the test part."""
    split = {
        "name": "file",
        "path": str(real_data / "splits/tox21_splits.csv.gz"),
        "column": "muben_random_0",
    }
    settings = config(
        tmp_path,
        real_data / "tox21.csv.gz",
        split=split,
        features={"graph": None, "vectors": ["ecfp_counts"]},
        model={"encoder": {"name": "fingerprint", "widths": [256]}},
        loss={"positive_weight": "balanced"},
        train={"epochs": 5, "batch_size": 128, "device": "cpu", "workers": 0, "patience": None},
    )
    run = training.train(settings)
    effect = training.calibration_effect(run.folder).set_index("metric")
    for metric in ("log_loss", "brier", "calibration_error"):
        assert effect.loc[metric, "after"] < effect.loc[metric, "before"]
    assert effect.loc["roc_auc", "after"] == pytest.approx(effect.loc["roc_auc", "before"], abs=1e-5)
    found = read_predictions(run.folder)
    scorer = Scorer.load(run.folder, conformal=0.1)
    sets = scorer.score(found.smiles)[[f"{task}:set" for task in found.tasks]].to_numpy()
    for label, name in ((1, "active"), (0, "inactive")):
        measured = found.labels == label
        covered = np.isin(sets, [name, "both"])
        coverage = (covered & measured).sum(axis=0) / measured.sum(axis=0)
        assert 0.87 < coverage.mean() < 0.95
