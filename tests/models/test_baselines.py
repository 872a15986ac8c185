"""Baselines: per assay, honest where an assay cannot be fitted, the same after saving."""

import json

import numpy as np
import pytest
import small
import torch
from safetensors.torch import load, save
from sklearn.ensemble import RandomForestClassifier

from screening.errors import BundleError, ConfigError
from screening.metrics.ranking import rank
from screening.metrics.roc_auc import roc_auc
from screening.models.baselines import Baseline, baselines, restore

FEW = {
    "random_forest": {"trees": 30},
    "lightgbm": {"trees": 20, "smallest_leaf": 3},
    "logistic_regression": {"c": 1.0},
    "ridge": {"class_c": 1.0},
    "gaussian_process": {},
}
MIXED = ("ecfp_counts", "rdkit_fast")


def labels() -> torch.Tensor:
    return torch.from_numpy(small.table().labels)


def fitted(name: str, *, answers: torch.Tensor | None = None, workers: int = 1, seed: int = 0) -> Baseline:
    if name == "lightgbm":
        pytest.importorskip("lightgbm")
    baseline: Baseline = baselines.build(name, **FEW[name])
    known = labels() if answers is None else answers
    return baseline.fit(small.store(vectors=MIXED), known, torch.arange(100), seed=seed, workers=workers)


def test_every_baseline_is_tested() -> None:
    assert set(FEW) == set(baselines.names())


@pytest.mark.parametrize("name", FEW)
def test_substructures_are_learned(name: str) -> None:
    """From a hundred molecules: better than chance on those the baseline has not seen."""
    logits = fitted(name).predict(small.store(vectors=MIXED), torch.arange(100, 150))
    areas = roc_auc(rank(labels()[100:].numpy(), logits.numpy()))
    assert areas.mean() > 0.65


@pytest.mark.parametrize("name", FEW)
def test_saved_and_restored_predicts_the_same(name: str) -> None:
    baseline, store = fitted(name), small.store(vectors=MIXED)
    options = json.loads(json.dumps(baseline.describe()))["options"]
    again = restore(name, options, load(save(baseline.state_dict())), store.vector_blocks, 4)
    rows = torch.tensor([3, 149, 0])
    assert torch.equal(again.predict(store, rows), baseline.predict(store, rows))
    assert again.describe() == baseline.describe()


@pytest.mark.parametrize("name", FEW)
def test_batches_rows_and_threads_change_nothing(name: str) -> None:
    store, rows = small.store(vectors=MIXED), torch.arange(150)
    one = fitted(name).predict(store, rows)
    many = fitted(name, workers=3)
    assert torch.equal(many.predict(store, rows), one)
    assert torch.allclose(many.predict(store, rows, batch_size=7), one, atol=1e-5)
    assert torch.allclose(many.predict(store, rows.flip(0)).flip(0), one, atol=1e-5)
    assert many.predict(store, rows[:0]).shape == (0, 4)


@pytest.mark.parametrize("name", FEW)
def test_an_assay_of_one_class_or_none_has_its_base_rate(name: str) -> None:
    answers = labels()
    answers[:, 0] = torch.where(answers[:, 0].isnan(), answers[:, 0], 0.0)
    answers[:, 1] = torch.nan
    baseline = fitted(name, answers=answers)
    chances = baseline.predict(small.store(vectors=MIXED), torch.arange(150)).sigmoid()
    assert (chances[:, :2] == chances[0, :2]).all()
    assert 0 < chances[0, 0] < 0.02
    assert float(chances[0, 1]) == pytest.approx(float(answers[:100].nanmean()), abs=0.01)
    assert chances[:, 2].std() > 0.05
    assert "1 of 4 assays have one class" in baseline.notes[0]
    assert "1 of 4 assays have no label" in baseline.notes[0]


@pytest.mark.parametrize("name", FEW)
def test_labels_outside_of_the_training_rows_are_not_seen(name: str) -> None:
    answers = labels()
    answers[100:] = 1 - answers[100:]
    rows = torch.arange(150)
    store = small.store(vectors=MIXED)
    assert torch.equal(fitted(name, answers=answers).predict(store, rows), fitted(name).predict(store, rows))


def test_the_forest_is_scikit_learns() -> None:
    store = small.store(vectors=MIXED)
    chances = fitted("random_forest", seed=5).predict(store, torch.arange(150)).sigmoid().numpy()
    inputs, answers = store.batch(range(150)).vectors.numpy(), labels().numpy()
    assert np.isfinite(inputs).all()
    for task in range(4):
        known = np.flatnonzero(np.isfinite(answers[:100, task]))
        forest = RandomForestClassifier(30, random_state=5).fit(inputs[known], answers[known, task])
        assert chances[:, task] == pytest.approx(forest.predict_proba(inputs)[:, 1], abs=1e-6)


def test_missing_numbers_become_the_training_median() -> None:
    baseline = fitted("random_forest")
    vectors = small.store(vectors=MIXED).batch(range(100)).vectors
    real = torch.arange(2048, vectors.shape[1])
    assert torch.equal(baseline.medians[real], vectors[:, real].median(0).values)  # type: ignore[attr-defined]
    holes = vectors.clone()
    holes[:, 2100] = torch.nan
    assert torch.equal(baseline._prepared(holes)[:, 2100], vectors[:, 2100].median().expand(100))


def test_class_weight_raises_the_rare_class() -> None:
    store, rows = small.store(vectors=MIXED), torch.arange(100, 150)
    means = {}
    for weight in ("none", "balanced"):
        baseline = baselines.build("logistic_regression", c=0.01, class_weight=weight)
        logits = baseline.fit(store, labels(), torch.arange(100), seed=0).predict(store, rows)
        means[weight] = float(logits[:, 3].mean())
    assert means["balanced"] > means["none"] + 0.5


def test_a_store_without_vectors_is_refused() -> None:
    with pytest.raises(ConfigError, match="ecfp_counts"):
        baselines.build("random_forest").fit(small.store(vectors=()), labels(), torch.arange(100))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("random_forrest", {}, "Did you mean 'random_forest'"),
        ("random_forest", {"treees": 5}, "Did you mean 'trees'"),
        ("random_forest", {"trees": 0}, "greater than 0"),
        ("logistic_regression", {"class_weight": "even"}, "balanced"),
    ],
)
def test_wrong_names_and_options_are_explained(name: str, options: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        baselines.build(name, **options)


@pytest.mark.parametrize("name", FEW)
def test_a_missing_damaged_or_misfitting_array_is_refused(name: str) -> None:
    baseline, blocks = fitted(name), small.store(vectors=MIXED).vector_blocks
    options, state = baseline.describe()["options"], baseline.state_dict()
    for array in state:
        rest = {key: value for key, value in state.items() if key != array}
        with pytest.raises(BundleError, match=f"'{array}'"):
            restore(name, options, rest, blocks, 4)
        for wrong in (state[array][:-1], state[array].to(torch.float16)):
            with pytest.raises(BundleError):
                restore(name, options, {**state, array: wrong}, blocks, 4)
    with pytest.raises(BundleError):
        restore(name, options, state, blocks[:1], 4)
    with pytest.raises(BundleError):
        restore(name, options, state, blocks, 5)
    with pytest.raises(BundleError):
        restore(name, options, {**state, "base": state["base"] * torch.nan}, blocks, 4)
