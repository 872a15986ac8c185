"""Gaussian processes on a matrix of similarities: noise, posterior, leaving one out, classes. Arrays only."""

from typing import NamedTuple

import numpy as np
from scipy.linalg import blas, eigh, lapack
from scipy.optimize import minimize
from scipy.special import log_ndtr

LEAST_NOISE, MOST_NOISE = 1e-3, 1e3  # variance of the noise by that of the function
LEAST_SLOPE = 0.01  # of a line: too flat to change a chance, and the order of molecules is kept
MOST_ROUNDS, SETTLED = 50, 1e-3  # of values beyond their bounds; in standard deviations
ROUNDS, TRIED = 3, 25  # noises tried on a grid, which is then made finer around the best


class WithoutFolds(NamedTuple):
    """What the same process expects if the values of one of K folds are taken away, for each fold."""

    left_out: np.ndarray
    """[n] float64, of each value, without those of its fold."""
    weights: np.ndarray
    """[n, K] float64, as those of `Posterior`; 0 for the values of the fold."""
    means: np.ndarray
    """[K] float64"""


class Posterior(NamedTuple):
    """What n values say of the function behind them.

    The values are mean + function + noise; the function has variance `scale` times the similarity, the noise
    `scale` times `noise`.
    """

    weights: np.ndarray
    """[n] float64; similarities [m, n] times these, plus the mean, are the expected values of m molecules."""
    mean: float
    scale: float
    noise: float
    left_out: np.ndarray
    """[n] float64, what the others expect of each value."""
    without: WithoutFolds | None = None
    """Where folds were asked for."""

    def times(self, slope: float) -> "Posterior":
        """What is expected, times a number; `left_out` stays."""
        without = self.without
        if without is not None:
            without = WithoutFolds(*(slope * each for each in without))
        return self._replace(
            weights=slope * self.weights,
            mean=slope * self.mean,
            scale=slope**2 * self.scale,
            without=without,
        )


def noise_of(similarity: np.ndarray, values: np.ndarray) -> float:
    """The noise, as a share of the function's variance, under which the values are likeliest.

    Mean and scale are each time the likeliest themselves. One eigendecomposition, n^3 steps, serves all.

    Parameters
    ----------
    similarity : [n, n], symmetric, no eigenvalue below 0.
    values : [n].

    References
    ----------
    Gaussian Processes for Machine Learning. C. Rasmussen, C. Williams, MIT Press, 2006, equation 5.8, with
    mean and scale put in at their maximum.
    """
    spectrum, directions = eigh(similarity.astype(np.float64), driver="evd", overwrite_a=True)
    along, level = directions.T @ values, directions.sum(axis=0)
    low, high = np.log(LEAST_NOISE), np.log(MOST_NOISE)
    best = low
    for _ in range(ROUNDS):
        tried = np.linspace(low, high, TRIED)
        variances = spectrum.clip(min=0) + np.exp(tried)[:, None]
        mean = (level * along / variances).sum(1) / (level**2 / variances).sum(1)
        away = along - mean[:, None] * level
        scale = (away**2 / variances).mean(axis=1).clip(min=np.finfo(np.float64).tiny)
        unlikely = len(values) * np.log(scale) + np.log(variances).sum(axis=1)
        place = int(unlikely.argmin())
        best, low, high = tried[place], tried[max(place - 1, 0)], tried[min(place + 1, TRIED - 1)]
    return float(np.exp(best))


def posterior(
    similarity: np.ndarray,
    values: np.ndarray,
    noise: float,
    sides: np.ndarray | None = None,
    folds: np.ndarray | None = None,
) -> Posterior:
    """The posterior of n values; mean and scale are the likeliest.

    A value that is known by a bound alone counts as what it is expected to be beyond the bound, given the
    others: worked out again and again until it stays. With fewer than two exact values all count as exact.

    Parameters
    ----------
    sides : [n], 1 = the true value is above, -1 = below, 0 = measured exactly; None = all are.
    folds : [n], a fold of each value, from 0: then `Posterior.without`, which holds what is expected beyond
        bounds for what it is with all folds.

    References
    ----------
    Rasmussen and Williams, equations 2.25, 2.38 (here with a constant mean) and 5.12 (leaving one out).
    """
    inverse = lapack.dpotri(factor_of(similarity, noise), lower=True, overwrite_c=True)[0]
    process, values = _settled(inverse, values, noise, sides)
    if folds is None:
        return process
    return process._replace(without=without_folds(inverse, similarity, values, process, folds))


def _settled(
    inverse: np.ndarray, values: np.ndarray, noise: float, sides: np.ndarray | None
) -> tuple[Posterior, np.ndarray]:
    """The posterior, and the values with what is expected in place of bounds."""
    process = _given(inverse, values, noise)
    if sides is None or not sides.any() or (sides == 0).sum() < 2:
        return process, values
    expected = values
    for _ in range(MOST_ROUNDS):
        deviations = np.sqrt(process.scale / inverse.diagonal())
        before, expected = expected, beyond(values, sides, process.left_out, deviations)
        process = _given(inverse, expected, noise)
        if np.abs(expected - before).max() <= SETTLED * deviations.max():
            break
    return process, expected


def without_folds(
    inverse: np.ndarray, similarity: np.ndarray, values: np.ndarray, process: Posterior, folds: np.ndarray
) -> WithoutFolds:
    """The process without each fold, in closed form: noise stays, the mean is that of the other values.

    With A the inverse of similarity + noise, mean taken out of it, and w = A values: without themselves the
    values F are expected at values_F - A_FF^-1 w_F, and the weights of others are w_R - A_RF A_FF^-1 w_F.

    Parameters
    ----------
    inverse : [n, n], lower triangle of (similarity + noise)^-1.

    References
    ----------
    Rasmussen and Williams, equations 5.12 with more than one value left out; inverse of a block matrix.
    """
    level = blas.dsymv(1.0, inverse, np.ones_like(values), lower=True)
    tilt, n_folds = level / np.sqrt(level.sum()), int(folds.max()) + 1
    left_out, weights, means = values.copy(), np.tile(process.weights[:, None], n_folds), np.zeros(n_folds)
    for fold in range(n_folds):
        inside, others = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold)
        if not len(others):
            left_out[inside], weights[:, fold], means[fold] = process.mean, 0.0, process.mean
            continue
        if len(inside):
            block = inverse[inside[:, None], inside] - np.outer(tilt[inside], tilt[inside])
            _, moved, _ = lapack.dposv(block, process.weights[inside], lower=True)
            left_out[inside] -= moved
            spread = np.zeros_like(values)
            spread[inside] = moved
            weights[:, fold] -= blas.dsymv(1.0, inverse, spread, lower=True) - tilt * (tilt @ spread)
            weights[inside, fold] = 0.0
        one = others[0]
        means[fold] = values[one] - similarity[one] @ weights[:, fold] - process.noise * weights[one, fold]
    return WithoutFolds(left_out, weights, means)


def _given(inverse: np.ndarray, values: np.ndarray, noise: float) -> Posterior:
    """The posterior of exact values, by the lower triangle of (similarity + noise)^-1."""
    level = blas.dsymv(1.0, inverse, np.ones_like(values), lower=True)
    mean = float(level @ values / level.sum())
    weights = blas.dsymv(1.0, inverse, values - mean, lower=True)
    scale = float((values - mean) @ weights / len(values))
    return Posterior(weights, mean, scale, noise, values - weights / inverse.diagonal())


def beyond(bounds: np.ndarray, sides: np.ndarray, means: np.ndarray, deviations: np.ndarray) -> np.ndarray:
    """Expected values [n] of normal variables of which a bound is known; the bound where `sides` is 0.

    The mean of a normal distribution cut off at the bound: mean + deviation * density / share beyond.
    """
    steps = sides * (bounds - means) / np.maximum(deviations, np.finfo(np.float64).tiny)
    hazards = np.exp(-(steps**2) / 2 - np.log(2 * np.pi) / 2 - log_ndtr(-steps))
    return np.where(sides == 0, bounds, means + sides * deviations * hazards)


def factor_of(similarity: np.ndarray, noise: float) -> np.ndarray:
    """[n, n] float64, lower triangle L with L L' = similarity + noise on the diagonal; above it anything.

    Raises
    ------
    ValueError : the matrix is no similarity.
    """
    matrix = similarity.astype(np.float64, order="F")
    matrix[np.diag_indices_from(matrix)] += noise
    factor, problem = lapack.dpotrf(matrix, lower=True, clean=False, overwrite_a=True)
    if problem:
        raise ValueError(f"the similarities of {len(matrix):,} molecules have an eigenvalue below 0")
    return factor


def variances(factor: np.ndarray, similarity: np.ndarray) -> np.ndarray:
    """[m] float64, the variance of the function for m molecules, as a share of its variance before: 0 to 1.

    Parameters
    ----------
    factor : [n, n], of `factor_of`.
    similarity : [m, n].

    References
    ----------
    Rasmussen and Williams, equation 2.26.
    """
    solved = lapack.dtrtrs(factor, similarity.T.astype(np.float64, order="F"), lower=True, overwrite_b=True)[
        0
    ]
    return (1 - (solved**2).sum(axis=0)).clip(min=0)


def line_of(scores: np.ndarray, classes: np.ndarray) -> tuple[float, float]:
    """Slope, above 0, and offset that make logits of scores [n], as those of molecules left out.

    Parameters
    ----------
    classes : [n], 0 or 1, both there.

    References
    ----------
    Probabilistic outputs for support vector machines. J. Platt, Advances in Large Margin Classifiers, 1999:
    targets a little within 0 and 1, so that the line stays finite.
    """
    positives = classes.sum()
    negatives = len(classes) - positives
    targets = np.where(classes > 0, (positives + 1) / (positives + 2), 1 / (negatives + 2))

    def loss(line: np.ndarray) -> tuple[float, np.ndarray]:
        logits = line[0] * scores + line[1]
        slopes = 1 / (1 + np.exp(-logits)) - targets
        return float((np.logaddexp(0, logits) - targets * logits).sum()), np.array(
            [slopes @ scores, slopes.sum()]
        )

    start = np.array([1.0, np.log((positives + 1) / (negatives + 1))])
    line = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(LEAST_SLOPE, None), (None, None)]).x
    return float(line[0]), float(line[1])
