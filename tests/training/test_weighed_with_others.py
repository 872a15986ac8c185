"""Weighed blends with auxiliary tables, libraries, comparisons, and of classes alone."""

from pathlib import Path
from typing import Any

import auxiliary_tables
import mixed
import numpy as np
import pytest
import small
import torch

from screening.bundle.bundle import Bundle
from screening.config import Config, check_config
from screening.errors import ConfigError
from screening.evaluation.comparison import compare
from screening.features.store import featurize
from screening.scoring.scorer import Scorer
from screening.training import fitting, train
from screening.training import members as training_members
from screening.training.folds import Folds
from screening.training.members import examples
from screening.training.preparation import Prepared, prepare_data
from screening.training.run_folder import read_table

MODELS = ["network", {"name": "random_forest", "trees": 5}]
FITTED = {"weights": "fitted", "by": "random"}


def of_classes(folder: Path, name: str, **model: Any) -> Config:
    encoder = {"name": "fingerprint", "widths": [12]}
    section = {
        "model": {"encoder": encoder, **model},
        "features": {"graph": None, "vectors": ["ecfp_counts"]},
    }
    return check_config(mixed.settings(folder, **section) | {"name": name})


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A blend for classes alone, with two networks of different seeds."""
    folder = tmp_path_factory.mktemp("classes")
    config = of_classes(folder, "fitted", blend=MODELS, blending=FITTED)
    config = config.model_copy(update={"train": config.train.model_copy(update={"ensemble": 2})})
    return train(config, data=small.table()).folder


def test_a_library_is_scored_with_spread_and_domain(run: Path) -> None:
    texts = list(small.smiles(30))
    frame = Scorer.load(run, spread=True, domain=True, conformal=0.2).score(texts)
    bundle = Bundle.load(run)
    prediction = bundle.predict(featurize(texts, bundle.features, workers=0), torch.arange(30))
    for place, task in enumerate(bundle.tasks):
        np.testing.assert_allclose(frame[task], prediction.scores[:, place], atol=1e-6)
        np.testing.assert_allclose(frame[f"{task}:spread"], prediction.spread[:, place], atol=1e-6)
    assert {"distance", "similarity"} <= set(frame.columns)


def test_it_is_compared_with_equal_weights(run: Path) -> None:
    equal = train(of_classes(run.parent.parent, "equal", blend=MODELS), data=small.table()).folder
    difference = compare([equal, run])
    assert len(difference.assays) == len(small.PATTERNS)
    assert not (equal / "blend.csv").exists()


def test_classes_alone_have_no_rmse(run: Path) -> None:
    table = read_table(run, "blend.csv")
    assert table["rmse"].isna().all()
    assert (table["actives"] > 0).all()
    assert table["average_precision"].between(0, 1).all()
    assert not list(run.glob("checkpoint-fold-*"))
    assert sorted(path.name for path in run.glob("checkpoint*")) == ["checkpoint-0.pt", "checkpoint-1.pt"]


def auxiliary(folder: Path, **data: Any) -> Config:
    config = auxiliary_tables.settings(folder, "joint")
    values = config.model_dump()
    values["data"] |= data
    values["model"] |= {
        "blend": [{"name": "network"}, {"name": "random_forest", "trees": 5}],
        "blending": FITTED,
    }
    return check_config(values)


def test_networks_learn_auxiliary_assays_and_no_label_of_the_fold_that_they_are_judged_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = auxiliary(tmp_path)
    prepared, seen = prepare_data(config), []

    def looked_at(of: Prepared, name: str, columns: Any = None) -> Any:
        if name == "train":
            seen.append(set(examples(of, name, columns).rows.tolist()))
        return examples(of, name, columns)

    folds: list[Folds] = []
    made = fitting.folds_of

    def kept(*given: Any) -> Folds:
        folds.append(made(*given))
        return folds[0]

    monkeypatch.setattr(training_members, "examples", looked_at)
    monkeypatch.setattr(fitting, "folds_of", kept)
    folder = train(config).folder
    bundle = Bundle.load(folder)
    assert bundle.tasks == prepared.table.tasks
    assert bundle.blend is not None
    others = set(range(len(prepared.table), len(prepared.trained.table)))
    assert others
    left_out = [set(folds[0].rows(fold).tolist()) for fold in range(3)]
    of_folds = [rows for rows in seen if any(not rows & left for left in left_out)]
    assert len(of_folds) >= 3
    assert all(rows & others for rows in seen)
    for fold, left in enumerate(left_out):
        assert any(not rows & left for rows in of_folds), fold


def test_auxiliary_assays_cannot_be_kept(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="keep_auxiliary"):
        auxiliary(tmp_path, keep_auxiliary=True)
