"""How well scores rank and predict the molecules of each task, for all tasks at once; numpy only.

Every metric is a function of a `Ranking` and gives float64 [T], NaN where it is undefined, so that one
sort serves all: `roc_auc(rank(labels, scores))`. The registry `metrics` says what there is and takes labels
and scores directly: `metrics.get("roc_auc")(labels, scores)`. Tables of results are made in `evaluation`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from scipy.special import entr, expit, logit, ndtri, stdtrit

from ..registry import Registry
from .ranking import Ranking, placements, rank


@dataclass(frozen=True)
class Metric:
    """One metric of the registry."""

    function: Callable[..., np.ndarray]
    """Ranking -> float64 [T]."""
    description: str
    """One line for `screening list metrics`."""
    higher_is_better: bool | None
    """Direction; None where the number describes the assay and not the model."""
    range: tuple[float, float]
    """Least and greatest possible value."""
    needs: Literal["both classes", "a label"]
    """What a task must have; otherwise the value is NaN."""
    reads: Literal["order", "probabilities"]
    """Whether only the order of the scores counts, or they must be probabilities."""

    def __call__(self, labels: np.ndarray, scores: np.ndarray, **options: Any) -> np.ndarray:
        """The metric of every task [T], from labels and scores [n, T] as `rank` takes them."""
        return self.function(rank(labels, scores), **options)


metrics: Registry[Metric] = Registry("metric")
_Function = Callable[..., np.ndarray]


def _register(
    name: str,
    *,
    higher_is_better: bool | None,
    range: tuple[float, float],
    needs: Literal["both classes", "a label"] = "both classes",
    reads: Literal["order", "probabilities"] = "order",
) -> Callable[[_Function], _Function]:
    """Decorator: enter a function of a ranking into `metrics`, described by its first docstring line."""

    def enter(function: _Function) -> _Function:
        description = (function.__doc__ or "").partition("\n")[0]
        metrics.register(name)(Metric(function, description, higher_is_better, range, needs, reads))
        return function

    return enter


@_register("roc_auc", higher_is_better=True, range=(0.0, 1.0))
def roc_auc(ranking: Ranking) -> np.ndarray:
    """Chance that an active scores above an inactive, ties counted half (area under the ROC curve)."""
    steps = ranking.steps
    below = steps.actives * (steps.inactives_below + 0.5 * steps.inactives)
    return _ratio(sums_between(below, steps.bounds), ranking.actives * ranking.inactives, ranking.has_both)


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
    spread = _ratio(error, values * (1 - values), regular)
    inverse_freedom = _ratio(of_actives**2, ranking.actives - 1, regular)
    inverse_freedom += _ratio(of_inactives**2, ranking.inactives - 1, regular)
    freedom = _ratio(error**4, inverse_freedom, regular)
    # Not logit(values, where=regular): that writes out of bounds in SciPy 1.17 (its pull request 25127).
    centre, spread = logit(np.where(regular, values, 0.5)), spread * stdtrit(freedom, upper)
    low, high = _wilson(values, np.minimum(ranking.actives, ranking.inactives), ndtri(upper))
    low = np.where(regular, expit(centre - spread), low)
    return Interval(values, error, low, np.where(regular, expit(centre + spread), high))


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
    since_last = steps.inactives_below - _previous(steps.inactives_below + steps.inactives, bounds)
    beyond_last = n - sums_between(steps.inactives + since_last, bounds)
    among_inactives = sums_between(steps.inactives * above_tied**2 + since_last * above**2, bounds)
    among_inactives += beyond_last * np.nan_to_num(values) ** 2
    enough = (ranking.actives > 1) & (ranking.inactives > 1)
    return (
        _ratio(sums_between(steps.actives * of_actives**2, bounds), m * (m - 1), enough),
        _ratio(among_inactives, n * (n - 1), enough),
    )


def delong_covariance(
    labels: np.ndarray, scores: Sequence[np.ndarray], tasks: Sequence[str] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """ROC-AUC of K models on the same molecules and the covariance of their errors, for paired tests.

    Parameters
    ----------
    labels : [n, T], 1, 0 or NaN.
    scores : K arrays [n, T].

    Returns
    -------
    ROC-AUC [T, K], and covariance [T, K, K], which is NaN where a task has fewer than two of a class. The
    variance of the difference of models a and b is C[a, a] + C[b, b] - 2 C[a, b].

    References
    ----------
    As `delong_interval`, equation 6; placements by sorting as in Sun, Xu, IEEE Signal Processing Letters
    21, 1389 (2014), https://doi.org/10.1109/LSP.2014.2337313.
    """
    if not len(scores):
        raise ValueError("scores is empty: expected one array per model.")
    of_models = [placements(labels, one, tasks) for one in scores]
    placed = np.stack([model.values for model in of_models])
    active, bounds = of_models[0].is_active, of_models[0].bounds
    m = sums_between(active, bounds)
    n = np.diff(bounds) - m
    task = np.repeat(np.arange(len(m)), np.diff(bounds))
    values = _ratio(sums_between(placed * active, bounds), m, (m > 0) & (n > 0))
    enough = (m > 1) & (n > 1)
    weights = np.where(active, _ratio(1, m * (m - 1), enough)[task], _ratio(1, n * (n - 1), enough)[task])
    centred = placed - values[:, task]
    covariance = sums_between(weights * centred[:, None] * centred[None, :], bounds)
    covariance[..., ~enough] = np.nan
    return values.T, covariance.transpose(2, 0, 1)


@_register("average_precision", higher_is_better=True, range=(0.0, 1.0))
def average_precision(ranking: Ranking) -> np.ndarray:
    """Mean, over the actives, of the share of actives among all molecules that score at least as high.

    The step-wise sum of scikit-learn and OGB, without interpolation; a random order gives the base rate.
    """
    steps = ranking.steps
    found = ranking.actives[steps.task] - steps.actives_below
    looked_at = ranking.counts[steps.task] - steps.actives_below - steps.inactives_below
    return _ratio(
        sums_between(steps.actives * (found / looked_at), steps.bounds), ranking.actives, ranking.has_both
    )


def pooled_average_precision(labels: np.ndarray, scores: np.ndarray) -> float:
    """Average precision of all (molecule, task) pairs in one ranking (micro); NaN where a class is missing.

    What SLAW's authors report; OGB reports the mean over tasks. Frequent tasks dominate it.
    """
    return float(average_precision(rank(_flat(labels), _flat(scores)))[0])


@_register("bedroc", higher_is_better=True, range=(0.0, 1.0))
def bedroc(ranking: Ranking, *, alpha: float = 20.0) -> np.ndarray:
    """Early recognition, BEDROC: 0 worst order, 1 best; alpha 20 puts 80 % of the weight on the top 8 %.

    Molecules with equal scores share the mean weight of the ranks they fill.

    References
    ----------
    Truchon, Bayly, J. Chem. Inf. Model. 47, 488 (2007), https://doi.org/10.1021/ci600426e, equation 36.
    """
    if not alpha > 0:
        raise ValueError(f"alpha is {alpha}: expected a number above 0, such as 20.")
    steps, share = ranking.steps, _ratio(ranking.actives, ranking.counts, ranking.has_both)
    rate = _ratio(alpha, ranking.counts, ranking.counts > 0)
    size = steps.actives + steps.inactives
    above = ranking.counts[steps.task] - steps.actives_below - steps.inactives_below - size
    rate_of_step = rate[steps.task]
    # Mean of exp(-rate r) over the ranks r = above + 1 ... above + size, but for a factor that cancels.
    weight = np.exp(-rate_of_step * above) * np.expm1(-rate_of_step * size) / size
    sums = sums_between(steps.actives * weight, steps.bounds)
    mean = _ratio(sums, ranking.actives, ranking.has_both) * ranking.counts
    best = np.expm1(-alpha * share) / share
    worst = best * np.exp(-alpha * (1 - share))
    return np.clip((mean - worst) / (best - worst), 0, 1)


@_register("ef_1pct", higher_is_better=True, range=(0.0, 100.0))
def enrichment_factor(ranking: Ranking, *, fraction: float = 0.01) -> np.ndarray:
    """Share of actives in the top 1 % (rounded up to whole molecules) over that in the whole assay.

    Where the limit falls into molecules of equal score, their actives count in proportion.
    """
    top, places = _top(ranking, fraction), np.zeros(len(ranking.tasks), dtype=np.int64)
    has = ranking.has_both
    places[has] = ranking.bounds[1:][has] - top[has]
    if not has.any():
        return np.full(len(has), np.nan)
    start, end = ranking.tie_bounds(places)
    before_start, before_end = np.searchsorted(ranking.active_places, [start, end])
    found = ranking.active_bounds[1:] - before_end
    found = found + (before_end - before_start) * ((end - places) / (end - start))
    return _ratio(found * ranking.counts, top * ranking.actives, has)


def enrichment_factor_max(ranking: Ranking, *, fraction: float = 0.01) -> np.ndarray:
    """The enrichment factor of a perfect order: all of the top are actives, or all actives in the top."""
    top = _top(ranking, fraction)
    found = np.minimum(top, ranking.actives)
    return _ratio(found * ranking.counts, top * ranking.actives, ranking.has_both)


def _top(ranking: Ranking, fraction: float) -> np.ndarray:
    if not 0 < fraction <= 1:
        raise ValueError(f"fraction is {fraction}: expected a number above 0 and up to 1, such as 0.01.")
    # 0.07 * 100 is 7.000000000000001: what is meant is 7.
    return np.ceil(np.round(fraction * ranking.counts, 9)).astype(np.int64)


@_register("log_loss", higher_is_better=False, range=(0.0, np.inf), needs="a label", reads="probabilities")
def log_loss(ranking: Ranking) -> np.ndarray:
    """Mean cross-entropy in nats; compare with base_entropy.

    Probabilities are kept 1.2e-7 away from 0 and 1, as scikit-learn does for float32; here for float64 too,
    so that models which compute in one and in the other compare.
    """
    least = np.finfo(np.float32).eps
    of_label = np.where(ranking.is_active, ranking.probabilities, 1 - ranking.probabilities)
    of_label = np.clip(of_label, least, 1 - least)
    return _ratio(sums_between(-np.log(of_label), ranking.bounds), ranking.counts, ranking.counts > 0)


@_register("base_entropy", higher_is_better=None, range=(0.0, float(np.log(2))), needs="a label")
def base_entropy(ranking: Ranking) -> np.ndarray:
    """Log-loss in nats of predicting the assay's base rate for every molecule."""
    rate = _ratio(ranking.actives, ranking.counts, ranking.counts > 0)
    return entr(rate) + entr(1 - rate)


@_register("brier", higher_is_better=False, range=(0.0, 1.0), needs="a label", reads="probabilities")
def brier(ranking: Ranking) -> np.ndarray:
    """Mean squared difference of probability and label (Brier score)."""
    return _ratio(sums_between(ranking.residuals**2, ranking.bounds), ranking.counts, ranking.counts > 0)


@_register(
    "calibration_error", higher_is_better=False, range=(0.0, 1.0), needs="a label", reads="probabilities"
)
def calibration_error(ranking: Ranking, *, bins: int = 10) -> np.ndarray:
    """Mean gap of probability and share of actives over 10 bins of equal numbers of molecules (adaptive ECE).

    Bins of equal width would put nearly all molecules of an assay with rare actives into one. Molecules
    of equal probability stay together, in the lower of the bins they could belong to.

    References
    ----------
    Nguyen, O'Connor, Posterior calibration and exploratory analysis, EMNLP 2015,
    https://aclanthology.org/D15-1182, section 3 (there with the root mean square).
    """
    if bins < 1:
        raise ValueError(f"bins is {bins}: expected at least 1.")
    first = ranking.bounds[:-1, None] + ranking.counts[:, None] * np.arange(bins) // bins
    first = np.unique(ranking.tie_bounds(first[ranking.counts > 0])[0])
    gaps = np.abs(sums_between(ranking.residuals, np.append(first, len(ranking.keys))))
    sums = sums_between(gaps, np.searchsorted(first, ranking.bounds))
    return _ratio(sums, ranking.counts, ranking.counts > 0)


def sums_between(values: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    """Sums over the last axis from each bound to the next, float64 [..., T]; 0 where there is nothing."""
    sums = np.zeros((*values.shape[:-1], len(bounds) - 1))
    filled = np.diff(bounds) > 0
    if filled.any():
        sums[..., filled] = np.add.reduceat(values, bounds[:-1][filled], axis=-1, dtype=np.float64)
    return sums


def _previous(values: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    """The value before each, 0 at the beginning of a task."""
    previous = np.zeros_like(values)
    previous[1:] = values[:-1]
    previous[bounds[:-1][np.diff(bounds) > 0]] = 0
    return previous


def _ratio(numerator: np.ndarray | float, denominator: np.ndarray, defined: np.ndarray) -> np.ndarray:
    """numerator / denominator where `defined`, NaN elsewhere."""
    shape = np.broadcast_shapes(np.shape(numerator), denominator.shape)
    return np.divide(numerator, denominator, out=np.full(shape, np.nan), where=defined)


def _wilson(share: np.ndarray, trials: np.ndarray, z: float) -> tuple[np.ndarray, np.ndarray]:
    """Wilson's interval for a share of so many trials; NaN where there are none."""
    trials = np.where(trials > 0, trials, np.nan)
    centre = share + z**2 / (2 * trials)
    half = z * np.sqrt(share * (1 - share) / trials + (z / (2 * trials)) ** 2)
    scale = 1 + z**2 / trials
    return np.clip((centre - half) / scale, 0, 1), np.clip((centre + half) / scale, 0, 1)


def _flat(table: np.ndarray) -> np.ndarray:
    return np.asarray(table).reshape(-1, 1)
