"""Gaussian processes on a matrix: scikit-learn's posterior, the likeliest noise, leaving one out in full."""

from typing import Any

import numpy as np
import pytest
from scipy.stats import multivariate_normal, truncnorm
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Kernel, WhiteKernel
from sklearn.linear_model import LogisticRegression

from screening.models.baselines.normal_posterior import (
    LEAST_NOISE,
    LEAST_SLOPE,
    MOST_NOISE,
    beyond,
    factor_of,
    line_of,
    noise_of,
    posterior,
    variances,
)


def points(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, 3))


def similarity(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Laplace's kernel, 1 for equal points: no relation to fingerprints, as the functions need none."""
    return np.exp(-np.abs(one[:, None] - other).sum(-1))


def drawn(n: int, noise: float, seed: int = 0, scale: float = 4.0, mean: float = 3.0) -> np.ndarray:
    """Values of a function of that variance, with noise of a share of it."""
    covariance = scale * (similarity(points(n, seed), points(n, seed)) + noise * np.eye(n))
    return np.random.default_rng(seed + 1).multivariate_normal(np.full(n, mean), covariance)


class Laplace(Kernel):
    """`similarity` for scikit-learn, which looks for the signature of an `__init__`."""

    def __init__(self) -> None:
        pass

    def __call__(self, X: np.ndarray, Y: Any = None, eval_gradient: bool = False) -> Any:
        values = similarity(X, X if Y is None else Y)
        return (values, np.zeros((*values.shape, 0))) if eval_gradient else values

    def diag(self, X: np.ndarray) -> np.ndarray:
        return np.ones(len(X))

    def is_stationary(self) -> bool:
        return True


@pytest.mark.parametrize("noise", [0.003, 0.1, 2.0])
def test_mean_and_deviation_are_those_of_scikit_learn(noise: float) -> None:
    inputs, others, values = points(80), points(15, seed=9), drawn(80, noise)
    process = posterior(similarity(inputs, inputs), values, noise)
    kernel = ConstantKernel(process.scale) * Laplace() + WhiteKernel(process.scale * noise)
    theirs = GaussianProcessRegressor(kernel, alpha=0.0, optimizer=None).fit(inputs, values - process.mean)
    means, deviations = theirs.predict(others, return_std=True)
    across = similarity(others, inputs)
    np.testing.assert_allclose(process.mean + across @ process.weights, process.mean + means, rtol=1e-8)
    shares = variances(factor_of(similarity(inputs, inputs), noise), across)
    np.testing.assert_allclose(np.sqrt(process.scale * (shares + noise)), deviations, rtol=1e-8)


@pytest.mark.parametrize("noise", [0.01, 0.3, 5.0])
def test_the_noise_is_the_likeliest(noise: float) -> None:
    """No noise of a fine grid makes the values likelier, with the mean and scale that suit it best."""
    matrix, values = similarity(points(60), points(60)), drawn(60, noise)

    def likelihood(tried: float) -> float:
        process = posterior(matrix, values, tried)
        covariance = process.scale * (matrix + tried * np.eye(60))
        return float(multivariate_normal(np.full(60, process.mean), covariance).logpdf(values))

    best = noise_of(matrix, values)
    grid = np.geomspace(LEAST_NOISE, MOST_NOISE, 200)
    assert likelihood(best) >= max(map(likelihood, grid)) - 1e-3


def test_noise_and_scale_are_recovered_on_average() -> None:
    matrix = similarity(points(300), points(300))
    covariance = 4.0 * (matrix + 0.2 * np.eye(300))
    values = np.random.default_rng(1).multivariate_normal(np.full(300, 3.0), covariance, size=30)
    noises = [noise_of(matrix, each) for each in values]
    scales = [posterior(matrix, each, noise).scale for each, noise in zip(values, noises, strict=True)]
    products = [scale * noise for scale, noise in zip(scales, noises, strict=True)]
    assert np.median(products) == pytest.approx(0.8, rel=0.25)
    assert np.median(scales) == pytest.approx(4.0, rel=0.15)


def test_left_out_is_what_the_others_expect() -> None:
    matrix, values = similarity(points(25), points(25)), drawn(25, 0.1)
    process = posterior(matrix, values, 0.1)
    for place in range(25):
        others = np.delete(np.arange(25), place)
        covariance = matrix[others[:, None], others] + 0.1 * np.eye(24)
        weights = np.linalg.solve(covariance, values[others] - process.mean)
        assert process.left_out[place] == pytest.approx(process.mean + matrix[place, others] @ weights)


def test_values_that_are_all_equal_and_molecules_that_are() -> None:
    """Nothing is divided by 0: equal values have no variance, equal molecules with two values noise alone."""
    equal = posterior(similarity(points(9), points(9)), np.full(9, 2.5), 0.1)
    assert (equal.mean, equal.scale) == (pytest.approx(2.5), pytest.approx(0, abs=1e-12))
    same = np.ones((6, 6))
    noise = noise_of(same, np.array([0.0, 1, 0, 1, 0, 1]))
    process = posterior(same, np.array([0.0, 1, 0, 1, 0, 1]), noise)
    assert process.mean + process.weights.sum() == pytest.approx(0.5)
    assert np.isfinite(process.left_out).all()


def test_variance_falls_where_something_was_measured() -> None:
    inputs = points(30)
    factor = factor_of(similarity(inputs, inputs), 0.01)
    near, far = variances(factor, similarity(inputs, inputs)), variances(factor, np.zeros((4, 30)))
    assert near.max() < 0.05
    assert far.tolist() == [1.0] * 4


def test_what_is_no_similarity_is_refused() -> None:
    with pytest.raises(ValueError, match="below 0"):
        factor_of(np.array([[1.0, 2.0], [2.0, 1.0]]), 0.01)


def test_the_line_is_logistic_regression_on_targets_within_0_and_1() -> None:
    generator = np.random.default_rng(0)
    scores = generator.normal(size=200)
    classes = (scores + generator.normal(size=200) > 0.7).astype(float)
    positives = classes.sum()
    high, low = (positives + 1) / (positives + 2), 1 / (200 - positives + 2)
    shares = np.where(classes > 0, high, low)
    theirs = LogisticRegression(C=np.inf, tol=1e-10).fit(
        np.tile(scores, 2)[:, None], np.repeat([1, 0], 200), np.concatenate([shares, 1 - shares])
    )
    slope, offset = line_of(scores, classes)
    assert slope == pytest.approx(theirs.coef_[0, 0], rel=1e-3)
    assert offset == pytest.approx(theirs.intercept_[0], rel=1e-3)


def test_a_line_always_rises_and_stays_finite() -> None:
    classes = np.array([0.0, 0, 0, 1, 1, 1])
    slope, offset = line_of(-classes, classes)
    assert slope == LEAST_SLOPE
    assert offset == pytest.approx(0, abs=0.01)
    slope, offset = line_of(classes, classes)
    assert np.isfinite([slope, offset]).all()
    assert slope > 1


def test_beyond_a_bound_is_the_mean_of_the_cut_normal_distribution() -> None:
    bounds, sides = np.array([0.5, 0.5, -3.0, 40.0, 1.5]), np.array([1, -1, 1, 1, 0])
    means, deviations = np.array([0.0, 0.0, 1.0, 0.0, 7.0]), np.array([1.0, 2.0, 0.5, 1.0, 1.0])
    cut = [(0.5, np.inf), (-np.inf, 0.25), (-8.0, np.inf)]
    expected = [truncnorm.mean(*ends, loc=means[i], scale=deviations[i]) for i, ends in enumerate(cut)]
    values = beyond(bounds, sides, means, deviations)
    assert values[:3] == pytest.approx(expected)
    assert values[3] == pytest.approx(40.025, abs=0.001)  # b + 1 / b far out, where SciPy has no digits left
    assert values[4] == 1.5


def test_bounds_teach_more_than_values_that_were_not_measured() -> None:
    """Of 30 functions two fifths of the values are cut off: others are nearer than with bounds as values."""
    inputs, others = points(150), points(100, seed=9)
    both = np.concatenate([inputs, others])
    covariance = similarity(both, both) + 0.05 * np.eye(250)
    away = {"values": 0.0, "bounds": 0.0}
    for truth in np.random.default_rng(5).multivariate_normal(np.zeros(250), covariance, size=30):
        cut = np.minimum(truth[:150], np.quantile(truth[:150], 0.6))
        sides = (cut < truth[:150]).astype(np.int8)
        for name, given in (("values", None), ("bounds", sides)):
            process = posterior(similarity(inputs, inputs), cut, 0.05, given)
            means = process.mean + similarity(others, inputs) @ process.weights
            away[name] += float(((means - truth[150:]) ** 2).mean())
    assert away["bounds"] < 0.93 * away["values"]


def test_mirrored_bounds_give_mirrored_values_and_a_few_exact_ones_hold_them() -> None:
    matrix, values = similarity(points(60), points(60)), drawn(60, 0.1, mean=0.0)
    sides = (np.arange(60) % 3 == 0).astype(np.int8)
    one, other = posterior(matrix, values, 0.1, sides), posterior(matrix, -values, 0.1, -sides)
    np.testing.assert_allclose(one.weights, -other.weights, atol=1e-9)
    assert one.mean > posterior(matrix, values, 0.1).mean
    nearly_all = np.ones(60, np.int8)
    nearly_all[:2] = 0
    assert np.abs(posterior(matrix, values, 0.1, nearly_all).left_out).max() < 10 * values.std()
    nearly_all[1] = 1
    np.testing.assert_array_equal(
        posterior(matrix, values, 0.1, nearly_all).weights, posterior(matrix, values, 0.1).weights
    )


@pytest.mark.parametrize("n_folds", [2, 5])
def test_leaving_a_fold_out_is_what_the_posterior_of_the_others_says(n_folds: int) -> None:
    matrix, values = similarity(points(60), points(60)), drawn(60, 0.1, mean=3.0)
    folds = np.random.default_rng(1).integers(0, n_folds, 60)
    without = posterior(matrix, values, 0.1, folds=folds).without
    assert without is not None
    for fold in range(n_folds):
        inside, others = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold)
        refitted = posterior(matrix[others[:, None], others], values[others], 0.1)
        expected = refitted.mean + matrix[inside[:, None], others] @ refitted.weights
        np.testing.assert_allclose(without.left_out[inside], expected, atol=1e-9)
        np.testing.assert_allclose(without.weights[others, fold], refitted.weights, atol=1e-9)
        assert without.means[fold] == pytest.approx(refitted.mean)
        assert (without.weights[inside, fold] == 0).all()


def test_a_fold_of_all_values_leaves_their_mean_and_one_without_values_leaves_all() -> None:
    matrix, values = similarity(points(30), points(30)), drawn(30, 0.1, mean=3.0)
    process = posterior(matrix, values, 0.1, folds=np.ones(30, np.int64))
    assert process.without is not None
    assert (process.without.left_out == process.mean).all()
    np.testing.assert_allclose(process.without.weights[:, 0], process.weights)
    assert process.without.means[0] == pytest.approx(process.mean)
