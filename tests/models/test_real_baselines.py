"""Baselines of real values, alone and beside classes: as scikit-learn and LightGBM have them; saved too."""

import numpy as np
import pytest
import small
import torch
from safetensors.torch import load, save
from sklearn.ensemble import RandomForestRegressor

from screening.errors import BundleError, ConfigError
from screening.models.baselines import Baseline, baselines, restore

FEW = {"random_forest": {"trees": 30}, "lightgbm": {"trees": 20, "smallest_leaf": 3}}
MIXED = ("ecfp_counts", "rdkit_fast")
TRAIN = torch.arange(100)
IS_REAL = torch.tensor([False, False, False, False, True, True, True, True])
REAL = [name for name in baselines.names() if "real" in baselines.get(name).kinds]


def mixed_labels() -> torch.Tensor:
    """The four assays of two classes, then values: of two descriptors, a single one, none."""
    vectors = small.store(vectors=MIXED).batch(range(150)).vectors[:, -3:-1].clone()
    values = (vectors - vectors[:100].mean(0)) / vectors[:100].std(0)
    values[::3, 0] = torch.nan
    rest = torch.tensor([[2.0, torch.nan]]).expand(150, 2)
    return torch.cat([torch.from_numpy(small.table().labels), values, rest], dim=1)


def fitted(name: str, labels: torch.Tensor, is_real: torch.Tensor | None) -> Baseline:
    if name == "lightgbm":
        pytest.importorskip("lightgbm")
    baseline: Baseline = baselines.build(name, **FEW.get(name, {}))
    return baseline.fit(small.store(vectors=MIXED), labels, TRAIN, is_real=is_real, seed=3, workers=1)


def predicted(baseline: Baseline) -> torch.Tensor:
    return baseline.predict(small.store(vectors=MIXED), torch.arange(150))


def inputs_of(task: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Inputs of all molecules, those of the training part with a value, and these values."""
    inputs, labels = small.store(vectors=MIXED).batch(range(150)).vectors.numpy(), mixed_labels().numpy()
    measured = np.flatnonzero(np.isfinite(labels[:100, task]))
    return inputs, measured, labels[measured, task].astype(float)


@pytest.mark.parametrize("name", REAL)
def test_classes_and_values_side_by_side_are_what_they_are_alone(name: str) -> None:
    labels = mixed_labels()
    both = predicted(fitted(name, labels, IS_REAL))
    torch.testing.assert_close(both[:, :4], predicted(fitted(name, labels[:, :4], None)))
    torch.testing.assert_close(both[:, 4:], predicted(fitted(name, labels[:, 4:], IS_REAL[4:])))


@pytest.mark.parametrize("name", REAL)
def test_values_of_molecules_not_seen_are_predicted(name: str) -> None:
    """Descriptors among the inputs, or seen by counts alone: some of their variance, from 100 molecules."""
    values, labels = predicted(fitted(name, mixed_labels(), IS_REAL))[100:, 4:6], mixed_labels()[100:, 4:6]
    left = ((values - labels) ** 2).nanmean(0) / np.nanvar(labels.numpy(), 0)
    assert (left < (0.9 if name == "gaussian_process" else 0.8)).all(), left


@pytest.mark.parametrize("name", REAL)
def test_a_single_value_or_none_is_said_and_drawn_to_0(name: str) -> None:
    baseline = fitted(name, mixed_labels(), IS_REAL)
    values = predicted(baseline)[:, 6:]
    assert values[:, 0].tolist() == pytest.approx([2 * 100 / 102] * 150)
    assert not values[:, 1].any()
    assert "1 of 8 assays have one value" in baseline.notes[0]
    assert "1 of 8 assays have no value" in baseline.notes[0]


@pytest.mark.parametrize("name", REAL)
def test_values_are_not_held_within_logits(name: str) -> None:
    labels = 1000 * mixed_labels()[:, 4:5]
    assert predicted(fitted(name, labels, torch.tensor([True]))).abs().max() > 100


@pytest.mark.parametrize("name", REAL)
def test_saved_and_restored_predicts_the_same(name: str) -> None:
    baseline, blocks = fitted(name, mixed_labels(), IS_REAL), small.store(vectors=MIXED).vector_blocks
    state = load(save(baseline.state_dict()))
    again = restore(name, baseline.describe()["options"], state, blocks, 8)
    assert torch.equal(again.is_real, IS_REAL)
    assert torch.equal(predicted(again), predicted(baseline))
    with pytest.raises(BundleError, match="'is_real'"):
        restore(name, {}, state | {"is_real": IS_REAL[:3]}, blocks, 8)


@pytest.mark.parametrize("name", baselines.names())
def test_arrays_of_two_classes_alone_are_those_of_older_bundles(name: str) -> None:
    baseline = fitted(name, mixed_labels()[:, :4], None)
    assert "is_real" not in baseline.state_dict()


def test_the_forest_is_scikit_learns() -> None:
    values = predicted(fitted("random_forest", mixed_labels(), IS_REAL)).numpy()
    for task in (4, 5):
        inputs, rows, answers = inputs_of(task)
        forest = RandomForestRegressor(30, max_features="sqrt", random_state=3).fit(inputs[rows], answers)
        assert values[:, task] == pytest.approx(forest.predict(inputs), abs=1e-5)


def test_boosted_trees_are_lightgbms() -> None:
    lightgbm = pytest.importorskip("lightgbm")
    values = predicted(fitted("lightgbm", mixed_labels(), IS_REAL)).numpy()
    settings = {"num_leaves": 64, "learning_rate": 0.03, "min_data_in_leaf": 3, "feature_fraction": 0.2}
    exact = {"seed": 3, "num_threads": 1, "deterministic": True, "force_row_wise": True, "verbosity": -1}
    for task in (4, 5):
        inputs, rows, answers = inputs_of(task)
        data = lightgbm.Dataset(inputs[rows], answers, params={"verbosity": -1})
        booster = lightgbm.train({"objective": "regression", **settings, **exact}, data, 20)
        assert values[:, task] == pytest.approx(booster.predict(inputs), abs=1e-5)


def test_the_ridge_is_the_closed_form() -> None:
    """w = (X'X + a I)^-1 X'y of centred inputs and values."""
    baseline = fitted("ridge", mixed_labels(), IS_REAL)
    vectors = small.store(vectors=MIXED).batch(range(150)).vectors
    inputs = baseline._prepared(vectors).double().numpy()
    for task in (4, 5):
        _, rows, answers = inputs_of(task)
        centre = inputs[rows].mean(0)
        centred = inputs[rows] - centre
        weights = np.linalg.solve(
            centred.T @ centred + np.eye(centred.shape[1]) / 0.1, centred.T @ (answers - answers.mean())
        )
        expected = (inputs - centre) @ weights + answers.mean()
        assert predicted(baseline)[:, task].numpy() == pytest.approx(expected, abs=1e-3)


def test_a_logistic_regression_of_values_is_refused_before_it_is_fitted() -> None:
    with pytest.raises(ConfigError, match=r"real values, of which the table has 4 \(of 8\).* ridge"):
        fitted("logistic_regression", mixed_labels(), IS_REAL)


@pytest.mark.parametrize("name", ["random_forest", "lightgbm", "ridge"])
def test_bounds_are_values_or_left_out_where_exact_ones_are_enough(name: str) -> None:
    if name == "lightgbm":
        pytest.importorskip("lightgbm")
    labels = mixed_labels()[:, 4:6]
    is_real, marks = torch.tensor([True, True]), torch.zeros(labels.shape, dtype=torch.int8)
    marks[:40, 0], marks[:90, 1] = 1, -1  # of the second 10 exact ones are left in the training part
    without = labels.clone()
    without[:40, 0] = torch.nan
    store = small.store(vectors=MIXED)

    def fitted_to(labels: torch.Tensor, marks: torch.Tensor | None, **options: object) -> torch.Tensor:
        baseline = baselines.build(name, **FEW.get(name, {}), **options)
        return predicted(
            baseline.fit(store, labels, TRAIN, is_real=is_real, censored=marks, seed=3, workers=1)
        )

    torch.testing.assert_close(fitted_to(labels, marks), fitted_to(labels, None))
    left_out = fitted_to(labels, marks, bounds="left_out")
    torch.testing.assert_close(left_out[:, 0], fitted_to(without, None)[:, 0])
    torch.testing.assert_close(left_out[:, 1], fitted_to(labels, None)[:, 1])
