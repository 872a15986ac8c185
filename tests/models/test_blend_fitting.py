"""Weights of a blend against SciPy's optimiser, and what must hold for any outputs."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit, logit
from sklearn.metrics import roc_auc_score

from screening.errors import BundleError
from screening.models.blend_fitting import (
    LEAST,
    RIDGE,
    STRENGTHS,
    Cells,
    crossed_of,
    fit_blend,
    fitted,
    said_by,
)
from screening.models.blends import Blend, on_scale

IS_REAL = np.array([False, False, True, False, True])


def cells(n: int = 300, seed: int = 0, slopes: tuple[float, ...] = (1.5, 0.7, 0.0)) -> Cells:
    """Outputs of models that know a truth more or less well, of classes, values and bounds."""
    random = np.random.default_rng(seed)
    rows, tasks = np.nonzero(random.random((n, len(IS_REAL))) < 0.6)
    truth, is_real = random.normal(size=len(rows)), IS_REAL[tasks]
    outputs = np.array([slope * truth + random.normal(size=len(rows)) for slope in slopes])
    classes = random.random(len(rows)) < expit(2 * truth - 1)
    labels = np.where(is_real, truth + 0.3 * random.normal(size=len(rows)), classes)
    sides = np.where(is_real, random.choice([-1, 0, 0, 0, 1], len(rows)), 0).astype(np.int8)
    return Cells(tasks, labels, sides, rows % 3, outputs)


def loss(numbers: np.ndarray, of: Cells, strength: float) -> float:
    """What is to be least, cell by cell, as the docstring of the module has it."""
    n_models, n_tasks = len(of.outputs), len(IS_REAL)
    weight = numbers[: n_models * n_tasks].reshape(n_models, n_tasks)
    intercept, shared = np.split(numbers[n_models * n_tasks :], [n_tasks])
    total = RIDGE * n_tasks * (shared @ shared) / 2
    for task in range(n_tasks):
        outputs, labels, sides = of.outputs[:, of.tasks == task], of.labels[of.tasks == task], None
        sides = of.sides[of.tasks == task]
        inputs = (outputs - outputs.mean(1, keepdims=True)) / outputs.std(1, keepdims=True)
        said = intercept[task] + weight[:, task] @ inputs
        if IS_REAL[task]:
            off = said - labels
            off[(sides > 0) & (off > 0)] = 0
            off[(sides < 0) & (off < 0)] = 0
            each = off**2 / 2
        else:
            each = np.log1p(np.exp(-np.abs(said))) + np.maximum(said, 0) - labels * said
        away = strength / 2 * ((weight[:, task] - shared) ** 2).sum()
        total += (each.sum() + away) / len(labels)
    return float(total)


@pytest.mark.parametrize("strength", [0.5, 30.0, 1000.0])
def test_weights_are_those_of_a_plain_optimiser(strength: float) -> None:
    of = cells()
    n_models, n_tasks = 3, len(IS_REAL)
    start = np.concatenate([np.full(n_models * n_tasks, 0.3), np.zeros(n_tasks), np.full(n_models, 0.3)])
    bounds = [(0, None)] * (n_models * n_tasks) + [(None, None)] * (n_tasks + n_models)
    options = {"maxiter": 10_000, "maxfun": 10**6, "ftol": 1e-15, "gtol": 1e-9}
    plain = minimize(loss, start, (of, strength), "L-BFGS-B", bounds=bounds, options=options)
    blend = fitted(of, IS_REAL, strength)
    np.testing.assert_allclose(blend.weight.ravel(), plain.x[: n_models * n_tasks], atol=2e-4)
    np.testing.assert_allclose(blend.intercept, plain.x[n_models * n_tasks :][:n_tasks], atol=2e-4)
    assert (blend.weight >= 0).all()


def test_strong_shrinkage_gives_all_assays_the_same_weights_and_none_their_own() -> None:
    shared, own = (fitted(cells(), IS_REAL, strength).weight for strength in (1e7, 1e-3))
    assert np.ptp(shared, axis=1).max() < 1e-3
    assert np.ptp(own, axis=1).max() > 0.2


def test_few_cells_are_drawn_further_to_the_shared_weights() -> None:
    """The same cells twice in two assays, once all of them and once a tenth, among others that disagree."""
    of = cells(3000, slopes=(0.2, 1.0))
    shown = (of.tasks != 1) | (np.arange(len(of.tasks)) % 10 == 0)
    turned = of.outputs.copy()
    turned[:, of.tasks < 2] = of.outputs[::-1, of.tasks < 2]  # assays 0 and 1 need the other model
    few = of._replace(outputs=turned).take(np.flatnonzero(shown))
    share = fitted(few, IS_REAL, 300.0).shares[0]
    assert share[3] < share[1] < share[0]


def test_neither_the_order_of_cells_nor_the_unit_of_outputs_changes_what_is_said() -> None:
    of = cells()
    order = np.random.default_rng(1).permutation(len(of.tasks))
    said = said_by(fitted(of, IS_REAL, 10.0), of)
    np.testing.assert_allclose(said_by(fitted(of.take(order), IS_REAL, 10.0), of), said, atol=1e-6)
    stretched = of._replace(outputs=of.outputs * np.array([[5.0], [0.1], [1.0]]) + 3)
    np.testing.assert_allclose(said_by(fitted(stretched, IS_REAL, 10.0), stretched), said, atol=1e-6)


def test_what_is_said_of_a_fold_does_not_rest_on_its_labels() -> None:
    """But for a constant of each assay, which ranks nothing."""
    of, strength = cells(), 10.0
    inside = of.folds == 1
    turned = of._replace(labels=np.where(inside & ~IS_REAL[of.tasks], 1 - of.labels, of.labels))
    before, after = (crossed_of(each, IS_REAL, strength) for each in (of, turned))
    for task in range(len(IS_REAL)):
        here, away = inside & (of.tasks == task), ~inside & (of.tasks == task)
        assert np.ptp((before - after)[here]) < 1e-9
        assert IS_REAL[task] or np.ptp((before - after)[away]) > 1e-3


def test_folds_of_different_base_rates_are_ranked_together() -> None:
    """A good and a useless model: left-out logits rank nearly as those of the good one."""
    of = cells(600, slopes=(2.0, 0.0))
    of = of.take(np.flatnonzero(of.tasks == 0))
    rare = (of.folds == 1) & (of.labels == 1) & (np.arange(len(of.tasks)) % 5 > 0)
    of = of.take(np.flatnonzero(~rare))
    one, said = of.outputs[0], crossed_of(of, IS_REAL, 100.0)
    areas = [roc_auc_score(of.labels, scores) for scores in (one, said)]
    assert areas[1] > areas[0] - 0.003


def test_the_strength_is_that_of_the_least_loss_of_left_out_molecules() -> None:
    chosen = fit_blend(cells(), IS_REAL)
    assert set(chosen.losses) == set(STRENGTHS)
    assert chosen.losses[chosen.strength] == min(chosen.losses.values())
    np.testing.assert_array_equal(chosen.crossed, crossed_of(cells(), IS_REAL, chosen.strength))
    assert chosen.blend.shares[2].max() < 0.1  # of the model that knows nothing


def test_one_model_is_that_model() -> None:
    of = cells(slopes=(1.0,))
    np.testing.assert_allclose(said_by(fitted(of, IS_REAL, 10.0), of), of.outputs[0], atol=1e-12)


def test_models_that_know_nothing_keep_their_order() -> None:
    """All weights would be 0: then nothing could be ranked."""
    of = cells(slopes=(-1.0, -2.0))
    blend = fitted(of, IS_REAL, 10.0)
    assert blend.weight.sum(axis=0) == pytest.approx(np.full(len(IS_REAL), LEAST))
    Blend.restore(blend.state())


def test_assays_of_one_class_or_without_labels_have_the_shared_weights() -> None:
    of = cells()
    of = of._replace(labels=np.where(of.tasks == 0, 1.0, of.labels))
    of = of.take(np.flatnonzero(of.tasks != 3))
    blend = fitted(of, IS_REAL, 10.0)
    np.testing.assert_allclose(blend.weight[:, 0], blend.weight[:, 3], atol=1e-9)
    assert np.isfinite(blend.intercept).all()
    mean = np.array([of.outputs[model, of.tasks == 0].mean() for model in range(3)])
    assert blend.intercept[0] == pytest.approx(float(blend.shares[:, 0] @ mean))


def test_the_blend_is_the_mean_of_its_votes() -> None:
    of = cells()
    raw = np.random.default_rng(2).normal(size=(3, 40, len(IS_REAL))) * 4
    blend = fitted(of._replace(outputs=on_scale(of.outputs, IS_REAL[of.tasks])), IS_REAL, 10.0)
    every = np.arange(len(IS_REAL))
    votes = np.array([blend.votes(part, raw[part], every) for part in range(3)])
    rows, tasks = np.divmod(np.arange(40 * len(IS_REAL)), len(IS_REAL))
    outputs = on_scale(raw, IS_REAL).reshape(3, -1)
    of_all = Cells(tasks, np.zeros(len(tasks)), np.zeros(len(tasks), np.int8), rows, outputs)
    mean = (votes * blend.shares[:, None]).sum(axis=0).ravel()
    np.testing.assert_allclose(mean, said_by(blend, of_all), atol=1e-9)


def test_certain_models_are_held_and_keep_their_order() -> None:
    outputs = np.array([-16.0, -15.9, -7.0, 0.0, 3.0, 16.0])
    held = on_scale(outputs, np.zeros(6, bool))
    assert (np.diff(held) > 0).all()
    assert held[0] == pytest.approx(logit(5e-4), abs=1e-3)
    assert held[3] == 0
    np.testing.assert_array_equal(on_scale(outputs, np.ones(6, bool)), outputs)


@pytest.mark.parametrize("name", ["weight", "center", "scale", "intercept", "is_real"])
def test_damaged_weights_are_refused(name: str) -> None:
    state = fitted(cells(), IS_REAL, 10.0).state()
    assert Blend.restore(state).n_tasks == len(IS_REAL)
    for wrong in (
        {key: value for key, value in state.items() if key != name},
        {**state, name: state[name][..., 1:]},
    ):
        with pytest.raises(BundleError, match="weights of the blend"):
            Blend.restore(wrong)
    if name != "is_real":
        bad = -state[name] - 1 if name in ("weight", "scale") else state[name] * np.nan
        with pytest.raises(BundleError, match="do not fit"):
            Blend.restore({**state, name: bad})
