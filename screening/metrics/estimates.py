"""Numbers of real assays with what each molecule adds to their error, and the intervals made from it.

A number is a function of the measured molecules. Its deviations are the first-order changes if a molecule
weighed a little more (infinitesimal jackknife); the sum of their squares is the variance that a bootstrap
over molecules has in the limit of many draws, without its draws. As DeLong's of the ROC-AUC, they add up over
assays and subtract between models.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.special import expit, logit, ndtri, stdtrit

from .cells import Cells
from .contract import Bounds
from .sums import ratio, sums_between, wilson


class Estimate(NamedTuple):
    """A number of T real assays and its deviations."""

    values: np.ndarray
    """float64 [T], NaN where there is none."""
    deviations: np.ndarray
    """float64 [k], one per cell; NaN where an assay has no variance. The sum of products of two models'
    deviations over an assay is their covariance."""
    bounds: np.ndarray
    """int64 [T + 1]: assay t has the deviations bounds[t] to bounds[t + 1]."""
    molecule: np.ndarray
    """int64 [k], row of the table."""

    @property
    def counts(self) -> np.ndarray:
        """int64 [T], cells per assay."""
        return np.diff(self.bounds)

    @property
    def errors(self) -> np.ndarray:
        """float64 [T], standard errors."""
        return np.sqrt(sums_between(self.deviations**2, self.bounds))


def estimate(cells: Cells, values: np.ndarray, influences: np.ndarray) -> Estimate:
    """An estimate from influences [k], n times the change of a value if one of n molecules weighs 1 / n more.

    Influences have the mean 0 over an assay; n / (n - 1) makes the variance of a mean unbiased.
    """
    n = cells.counts
    scale = ratio(1.0, np.sqrt(n * (n - 1.0)), n > 1)
    return Estimate(values, influences * scale[cells.task], cells.bounds, cells.molecule)


def means(numbers: np.ndarray, cells: Cells) -> np.ndarray:
    """Means of numbers [k] over the cells of each assay, NaN where it has none."""
    return ratio(sums_between(numbers, cells.bounds), cells.counts, cells.counts > 0)


# --- intervals --------------------------------------------------------------------------------------------


def log_interval(estimate: Estimate) -> Bounds:
    """95 % interval of a number above 0, symmetric on the log scale; NaN where the error is 0 or unknown."""
    values = estimate.values
    regular = (estimate.errors > 0) & (values > 0)
    half = _quantile(estimate) * ratio(estimate.errors, values, regular)
    return Bounds(values * np.exp(-half), values * np.exp(half))


def share_interval(estimate: Estimate, trials: np.ndarray) -> Bounds:
    """95 % interval of a number between 0 and 1, symmetric on the logit scale.

    Where the error is 0 or unknown it is Wilson's for a share of so many `trials` [T].
    """
    values, errors = estimate.values, estimate.errors
    regular = (errors > 0) & (values > 0) & (values < 1)
    half = _quantile(estimate) * ratio(errors, values * (1 - values), regular)
    centre = logit(np.where(regular, values, 0.5))
    low, high = wilson(values, trials, ndtri(0.975))
    return Bounds(np.where(regular, expit(centre - half), low), np.where(regular, expit(centre + half), high))


def correlation_interval(estimate: Estimate) -> Bounds:
    """95 % interval of a number between -1 and 1, symmetric after Fisher's transformation.

    Where the error is 0 or unknown: Kendall's tau of n molecules varies by 2 (1 - tau^2) / n at most, so
    (1 + tau) / 2 has Wilson's interval for n / 2 trials.

    References
    ----------
    Kendall, Gibbons, Rank Correlation Methods, 5th edition (1990), section 5.6, for the bound.
    """
    of_share = estimate._replace(values=(1 + estimate.values) / 2, deviations=estimate.deviations / 2)
    low, high = share_interval(of_share, estimate.counts / 2)  # logit((1 + r) / 2) = 2 artanh(r)
    return Bounds(2 * low - 1, 2 * high - 1)


def _quantile(estimate: Estimate) -> np.ndarray:
    """97.5 % quantile of Student's t with n - 1 degrees of freedom."""
    return stdtrit(np.maximum(estimate.counts - 1.0, 1.0), 0.975)


def interval(
    estimator: Callable[[Cells], Estimate], scale: Callable[[Estimate], Bounds]
) -> Callable[[Cells], Bounds]:
    """The interval of a metric that takes cells, from its estimate."""
    return lambda cells: scale(estimator(cells))
