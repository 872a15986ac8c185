"""The Gaussian process of molecules: the dense posterior, deviations, limits, and files not to be trusted."""

import json
from functools import cache

import numpy as np
import pytest
import small
import torch
from safetensors.torch import load, save
from torch import Tensor

from screening.errors import BundleError, ConfigError
from screening.features.store import GraphStore
from screening.metrics.ranking import rank
from screening.metrics.roc_auc import roc_auc
from screening.models.baselines import baselines, gaussian_process, restore
from screening.models.baselines.gaussian_process import GaussianProcess
from screening.models.baselines.min_max_kernel import FALLING, Counts, MinMax
from screening.models.baselines.normal_posterior import noise_of, posterior

VECTORS = ("ecfp_counts", "rdkit_fast", "torsions")
IS_REAL = torch.tensor([True, True, False, True])


def store() -> GraphStore:
    return small.store(vectors=VECTORS)


@cache
def similarity() -> np.ndarray:
    """[150, 150] of the molecules of the store, by way of its dense counts."""
    vectors = store().batch(range(150)).vectors.numpy()
    counts = [Counts.of([vectors[:, columns]]) for columns in (slice(0, 2048), slice(-4096, None))]
    return MinMax(counts, FALLING).to(counts).astype(float)


def drawn(noise: float = 0.1, seed: int = 0, n: int = 1) -> np.ndarray:
    """n functions [150, n] of that similarity, with noise, of the variance 1 and the mean 0."""
    covariance = (similarity() + noise * np.eye(150)) / (1 + noise)
    return np.random.default_rng(seed).multivariate_normal(np.zeros(150), covariance, size=n).T


def labels() -> Tensor:
    """[150, 4]: two real assays of which one has gaps, one of classes, one without values."""
    values = drawn(n=3)
    values[::3, 1] = np.nan
    values[:, 2] = values[:, 2] > 0.3
    return torch.from_numpy(np.column_stack([values, np.full(150, np.nan)])).float()


def fitted(
    answers: Tensor | None = None, is_real: Tensor = IS_REAL, rows: int = 100, **options: int
) -> GaussianProcess:
    process: GaussianProcess = baselines.build("gaussian_process", **options)
    answers = labels() if answers is None else answers
    return process.fit(store(), answers, torch.arange(rows), is_real=is_real, workers=1)


def test_means_and_deviations_are_those_of_the_dense_posterior() -> None:
    process, rows = fitted(), torch.arange(100, 150)
    means, deviations = process.predict(store(), rows), process.predict_sd(store(), rows)
    for task in (0, 1):
        values = labels()[:100, task].double().numpy()
        measured = np.flatnonzero(~np.isnan(values))
        among = similarity()[measured[:, None], measured]
        across = similarity()[100:, measured]
        noise = noise_of(among, values[measured])
        mean, scale = (getattr(posterior(among, values[measured], noise), name) for name in ("mean", "scale"))
        inverse = np.linalg.inv(among + noise * np.eye(len(measured)))
        expected = mean + across @ inverse @ (values[measured] - mean)
        variance = scale * (1 + noise - np.einsum("ij,jk,ik->i", across, inverse, across))
        np.testing.assert_allclose(means[:, task], expected, atol=1e-4)
        np.testing.assert_allclose(deviations[:, task], np.sqrt(variance), atol=1e-4)


def test_an_assay_without_values_has_its_base_and_the_deviation_1() -> None:
    process, rows = fitted(), torch.arange(150)
    assert process.predict(store(), rows)[:, 3].tolist() == [float(process.base[3])] * 150
    assert process.predict_sd(store(), rows)[:, 3].tolist() == [1.0] * 150
    assert any("no label" in note or "no value" in note for note in process.notes)


def test_intervals_cover_what_they_say() -> None:
    """Of 40 functions drawn from the prior: 50 and 90 percent of the 50 molecules not seen."""
    values = torch.from_numpy(drawn(noise=0.2, seed=3, n=40)).float()
    process = fitted(values, torch.ones(40, dtype=torch.bool))
    rows = torch.arange(100, 150)
    away = ((process.predict(store(), rows) - values[100:]) / process.predict_sd(store(), rows)).abs()
    assert float((away < 0.6745).float().mean()) == pytest.approx(0.5, abs=0.05)
    assert float((away < 1.6449).float().mean()) == pytest.approx(0.9, abs=0.03)


def test_classes_become_logits_that_mean_something() -> None:
    """Of 40 functions cut in two: better than chance, and the mean chance is the share of actives."""
    classes = torch.from_numpy(drawn(noise=0.2, seed=4, n=40) > 0.8).float()
    process = fitted(classes, torch.zeros(40, dtype=torch.bool))
    chances = process.predict(store(), torch.arange(100, 150)).sigmoid()
    areas = roc_auc(rank(classes[100:].numpy(), chances.numpy()))
    assert np.nanmean(areas) > 0.6
    assert float(chances.mean()) == pytest.approx(float(classes[:100].mean()), abs=0.04)
    log_loss = torch.nn.functional.binary_cross_entropy(chances, classes[100:])
    share = classes[:100].mean(0).expand(50, -1).clamp(0.01, 0.99)
    assert log_loss < torch.nn.functional.binary_cross_entropy(share, classes[100:])


def test_deviations_of_logits_are_smaller_where_more_was_measured() -> None:
    seen, unseen = (
        fitted().predict_sd(store(), rows)[:, 2] for rows in (torch.arange(50), torch.arange(100, 150))
    )
    assert seen.mean() < unseen.mean()


@pytest.mark.parametrize("is_real", [True, False])
def test_a_large_assay_rests_on_some_of_its_molecules_and_says_so(is_real: bool) -> None:
    values = torch.from_numpy(drawn(seed=5)).float()
    answers = values if is_real else (values > 0.9).float()
    process = fitted(answers, torch.tensor([is_real]), most=40)
    assert len(process.molecules) == len(process.fingerprints[0]) == 40
    assert "40" in process.notes[-1]
    assert "1 of 1" in process.notes[-1]
    again = fitted(answers, torch.tensor([is_real]), most=40)
    assert torch.equal(torch.from_numpy(again.molecules), torch.from_numpy(process.molecules))


def test_drawn_classes_keep_the_rarer_one_and_the_share_of_all() -> None:
    values = torch.from_numpy(drawn(noise=0.2, seed=4, n=40))
    classes = (values > 1.0).float()
    few, all_of_them = (fitted(classes, torch.zeros(40, dtype=torch.bool), most=most) for most in (50, 1000))
    for task in range(40):
        rows = few.molecules[few.first[task] : few.first[task + 1]]
        assert len(rows) == 50
    chances = [each.predict(store(), torch.arange(100, 150)).sigmoid().mean() for each in (few, all_of_them)]
    assert float(chances[0]) == pytest.approx(float(chances[1]), abs=0.04)


def test_bounds_reach_the_posterior_of_their_assay_alone() -> None:
    marks = torch.zeros(150, 4, dtype=torch.int8)
    marks[:100:2, 0] = 1
    process = baselines.build("gaussian_process")
    process.fit(store(), labels(), torch.arange(100), is_real=IS_REAL, censored=marks, workers=1)
    values, sides = labels()[:100, 0].double().numpy(), marks[:100, 0].numpy()
    among, exact = similarity()[:100, :100], np.flatnonzero(sides == 0)
    noise = noise_of(among[exact[:, None], exact], values[exact])
    expected = posterior(among, values, noise, sides)
    means, plain = (each.predict(store(), torch.arange(100, 150)) for each in (process, fitted()))
    across = similarity()[100:, :100]
    np.testing.assert_allclose(means[:, 0], expected.mean + across @ expected.weights, atol=1e-4)
    assert torch.equal(means[:, 1:], plain[:, 1:])
    assert (means[:, 0] > plain[:, 0]).double().mean() > 0.8


def test_similarities_made_once_or_for_each_assay_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = torch.arange(150)
    once = fitted().predict(store(), rows)
    monkeypatch.setattr(gaussian_process, "WHOLE", 0)
    assert torch.allclose(fitted().predict(store(), rows), once, atol=1e-5)


def test_pieces_and_forgotten_triangles_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    process, rows = fitted(), torch.arange(150)
    means, deviations = process.predict(store(), rows), process.predict_sd(store(), rows)
    monkeypatch.setattr(gaussian_process, "CELLS", 700)
    monkeypatch.setattr(gaussian_process, "KEPT", 0)
    process._factors.clear()
    assert torch.allclose(process.predict(store(), rows), means, atol=1e-5)
    assert torch.allclose(process.predict_sd(store(), rows), deviations, atol=1e-5)
    assert not process._factors


def test_restored_deviations_are_the_same() -> None:
    process, rows = fitted(), torch.arange(90, 150)
    options = json.loads(json.dumps(process.describe()))["options"]
    again = restore("gaussian_process", options, load(save(process.state_dict())), store().vector_blocks, 4)
    assert torch.allclose(again.predict_sd(store(), rows), process.predict_sd(store(), rows), atol=1e-5)
    assert again.predict_sd(store(), rows[:0]).shape == (0, 4)


def test_real_vectors_are_left_out_with_a_note_and_alone_refused() -> None:
    assert any("rdkit_fast" in note for note in fitted().notes)
    with pytest.raises(ConfigError, match=r"counts or bits.*ecfp6_counts"):
        baselines.build("gaussian_process").fit(
            small.store(vectors=("rdkit_fast",)), labels(), torch.arange(9)
        )


WRONG = {
    "fingerprints.0.columns": -1,
    "fingerprints.1.columns": 4096,
    "fingerprints.0.values": 0,
    "fingerprints.0.first": 10**12,
    "first": -3,
    "molecules": 100,
    "noise": 0.0,
    "scale": -1.0,
    "widths": 7,
}


@pytest.mark.parametrize("name", WRONG)
def test_numbers_of_a_file_that_point_elsewhere_are_refused(name: str) -> None:
    process = fitted()
    state = {key: value.clone() for key, value in process.state_dict().items()}
    state[name][1] = WRONG[name]
    with pytest.raises(BundleError):
        restore("gaussian_process", {}, state, store().vector_blocks, 4)


def test_molecules_of_an_assay_in_another_order_are_refused() -> None:
    state = {key: value.clone() for key, value in fitted().state_dict().items()}
    state["molecules"][:2] = state["molecules"][:2].flip(0)
    with pytest.raises(BundleError, match="order"):
        restore("gaussian_process", {}, state, store().vector_blocks, 4)


@pytest.mark.parametrize("most", [200, 50])
def test_left_out_folds_are_what_is_predicted_without_them(
    monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """With 50 of the molecules the others of a fold are said by similarities; noise and line are held."""
    monkeypatch.setattr(gaussian_process, "noise_of", lambda *given: 0.2)
    monkeypatch.setattr(gaussian_process, "line_of", lambda scores, classes: (2.0, -1.0))
    rows, answers = torch.arange(120), labels()
    folds = torch.from_numpy(np.random.default_rng(3).integers(0, 3, 120))
    process: GaussianProcess = baselines.build("gaussian_process", most=most)
    process.fit(store(), answers, rows, is_real=IS_REAL, folds=folds, workers=1)
    assert process.left_out is not None
    chosen = {task: process.molecules[process.first[task] : process.first[task + 1]] for task in range(3)}
    used = np.unique(
        np.concatenate([process._chosen(answers[rows, t].numpy(), bool(IS_REAL[t]), 0, t) for t in range(3)])
    )
    for fold in range(3):
        inside = folds == fold
        for task in (0, 1):  # of classes drawing few shifts the mean by the share of all
            rest = [row for row in used[chosen[task]].tolist() if not inside[row]]
            only: GaussianProcess = baselines.build("gaussian_process")
            alone = answers[:, [task]]
            only.fit(store(), alone, torch.tensor(rest), is_real=IS_REAL[[task]], workers=1)
            said = only.predict(store(), rows[inside])[:, 0]
            measured = ~answers[rows[inside], task].isnan()
            torch.testing.assert_close(
                process.left_out[inside, task][measured], said[measured], atol=2e-4, rtol=1e-4
            )
    assert (process.left_out[:, 3] == process.base[3]).all()


def test_left_out_classes_are_ranked_as_without_their_fold() -> None:
    folds = torch.arange(100) % 4
    process = baselines.build("gaussian_process").fit(
        store(), labels(), torch.arange(100), is_real=IS_REAL, folds=folds, workers=1
    )
    assert process.left_out is not None
    truth = labels()[:100, [2]].numpy()
    left_out, seen = (
        process.left_out[:, [2]].numpy(),
        process.predict(store(), torch.arange(100))[:, [2]].numpy(),
    )
    assert 0.6 < roc_auc(rank(truth, left_out))[0] < roc_auc(rank(truth, seen))[0]
