"""ROC-AUC and how uncertain it is, by DeLong's method: an interval for one model, deviations for two."""

from typing import NamedTuple

import numpy as np
from scipy.special import expit, logit, ndtri, stdtrit

from .contract import Bounds, register
from .ranking import Ranking, placements
from .sums import previous, ratio, sums_between, wilson


class Interval(NamedTuple):
    """ROC-AUC of every task with its uncertainty, each float64 [T]; NaN where a task lacks a class."""

    values: np.ndarray
    """ROC-AUC."""
    standard_error: np.ndarray
    """DeLong's standard error; NaN too where a task has one active or one inactive only."""
    low: np.ndarray
    """Lower end of the interval."""
    high: np.ndarray
    """Upper end of the interval."""


def delong_interval(ranking: Ranking, *, level: float = 0.95) -> Interval:
    """ROC-AUC with DeLong's standard error and a confidence interval on the logit scale.

    The error comes from the placements of the actives among the inactives and of the inactives among the
    actives; with few of a class it is itself uncertain, so the quantile is Student's with the degrees of
    freedom of Brunner and Munzel's test (which has the same variance), not the normal one. Simulated
    coverage of 95 % at AUC 0.8 is thus 0.92 with 3 actives and 0.94 with 10; the normal quantile gives
    0.79 and 0.91. Above AUC 0.95 it stays below 0.9 for fewer than 20 actives.

    Where the error is 0 or unknown (an AUC of 0 or 1, all scores equal, one active, one inactive) the
    interval is Wilson's for a share of min(actives, inactives) trials: the variance of an AUC is at most
    AUC (1 - AUC) / min(actives, inactives) (Birnbaum and Klose), so it errs on the wide side. A perfect
    ranking of 5 actives thus reads 1.00 (0.57 to 1.00).

    References
    ----------
    DeLong, DeLong, Clarke-Pearson, Biometrics 44, 837 (1988), https://doi.org/10.2307/2531595, equations
    4 to 6. Logit scale: Pepe, The Statistical Evaluation of Medical Tests (2003), section 5.2. Degrees of
    freedom: Brunner, Munzel, Biometrical Journal 42, 17 (2000). Bound of the variance: Birnbaum, Klose,
    Ann. Math. Stat. 28, 933 (1957). Wilson, JASA 22, 209 (1927).
    """
    if not 0 < level < 1:
        raise ValueError(f"level is {level}: expected a number between 0 and 1, such as 0.95.")
    values, upper = roc_auc(ranking), 0.5 + level / 2
    of_actives, of_inactives = _delong_variances(ranking, values)
    error = np.sqrt(of_actives + of_inactives)
    regular = (error > 0) & (values > 0) & (values < 1)
    spread = ratio(error, values * (1 - values), regular)
    inverse_freedom = ratio(of_actives**2, ranking.actives - 1, regular)
    inverse_freedom += ratio(of_inactives**2, ranking.inactives - 1, regular)
    freedom = ratio(error**4, inverse_freedom, regular)
    # Not logit(values, where=regular): that writes out of bounds in SciPy 1.17 (its pull request 25127).
    centre, spread = logit(np.where(regular, values, 0.5)), spread * stdtrit(freedom, upper)
    low, high = wilson(values, np.minimum(ranking.actives, ranking.inactives), ndtri(upper))
    low = np.where(regular, expit(centre - spread), low)
    return Interval(values, error, low, np.where(regular, expit(centre + spread), high))


def _bounds(ranking: Ranking) -> Bounds:
    interval = delong_interval(ranking)
    return Bounds(interval.low, interval.high)


@register(
    "roc_auc",
    better="higher",
    range=(0.0, 1.0),
    takes="ranking",
    interval=_bounds,
    title="ROC-AUC",
)
def roc_auc(ranking: Ranking) -> np.ndarray:
    """Chance that an active scores above an inactive, ties counted half (area under the ROC curve)."""
    steps = ranking.steps
    below = steps.actives * (steps.inactives_below + 0.5 * steps.inactives)
    return ratio(sums_between(below, steps.bounds), ranking.actives * ranking.inactives, ranking.has_both)


def _delong_variances(ranking: Ranking, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What the actives and what the inactives add to DeLong's variance of the ROC-AUC `values`, each [T].

    NaN where a task has fewer than two of a class. Inactives have the same placement from one step to the
    next, so they are counted, not listed.
    """
    steps, bounds = ranking.steps, ranking.steps.bounds
    m, n = np.maximum(ranking.actives, 1), np.maximum(ranking.inactives, 1)
    of_actives = (steps.inactives_below + 0.5 * steps.inactives) / n[steps.task] - values[steps.task]
    above = 1 - steps.actives_below / m[steps.task] - values[steps.task]  # share of actives above, centred
    above_tied = above - 0.5 * steps.actives / m[steps.task]
    since_last = steps.inactives_below - previous(steps.inactives_below + steps.inactives, bounds)
    beyond_last = n - sums_between(steps.inactives + since_last, bounds)
    among_inactives = sums_between(steps.inactives * above_tied**2 + since_last * above**2, bounds)
    among_inactives += beyond_last * np.nan_to_num(values) ** 2
    enough = (ranking.actives > 1) & (ranking.inactives > 1)
    return (
        ratio(sums_between(steps.actives * of_actives**2, bounds), m * (m - 1), enough),
        ratio(among_inactives, n * (n - 1), enough),
    )


class Deviations(NamedTuple):
    """What every measured molecule adds to the error of the ROC-AUC of its tasks, k entries in all."""

    values: np.ndarray
    """float64 [T], ROC-AUC; NaN where a task lacks a class."""
    deviations: np.ndarray
    """float64 [k]: the sum of products of two models' deviations over a task is their covariance; NaN where a
    task has one molecule of a class."""
    task: np.ndarray
    """int64 [k], ascending; within a task in the order of the rows."""
    bounds: np.ndarray
    """int64 [T + 1]: task t has the entries bounds[t] to bounds[t + 1]."""


def delong_deviations(labels: np.ndarray, scores: np.ndarray) -> Deviations:
    """DeLong's structural components, scaled so that their squares add up to the variance.

    Arguments and errors as `rank`; reference as `delong_interval`, equations 4 to 6. They need the place of
    every molecule, where the interval of one model needs counts alone.
    """
    placed = placements(labels, scores)
    active, bounds = placed.is_active, placed.bounds
    task = np.repeat(np.arange(labels.shape[1]), np.diff(bounds))
    actives, inactives = (labels == 1).sum(axis=0), (labels == 0).sum(axis=0)
    m, n = actives[task], inactives[task]
    share = np.divide(placed.values, m, out=np.zeros_like(placed.values), where=active & (n > 0))
    has_both = (actives > 0) & (inactives > 0)
    values = np.where(has_both, np.bincount(task, share, len(actives)), np.nan)
    size = np.where(active, m, n).astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        deviations = (placed.values - values[task]) / np.sqrt(size * (size - 1))
    deviations[(m < 2) | (n < 2)] = np.nan
    return Deviations(values, deviations, task, bounds)
