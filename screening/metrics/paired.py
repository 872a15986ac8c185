"""Paired differences of models on the same molecules, for all assays at once; numpy and scipy only.

A model gives a `Sample`: its metric per assay and what every molecule (or bootstrap draw) adds to the
error of it. Samples are averaged over seeds, subtracted and tested here; runs and tables are in `compare`.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array
from scipy.special import stdtr, stdtrit
from scipy.stats import false_discovery_control

from ..registry import Registry
from .metrics import average_precision, sums_between
from .ranking import placements, rank

DRAWS = 1000
"""Bootstrap draws: the standard error of a difference is then known to 2 %."""

_ENTRIES_AT_ONCE = 2**18  # steps times draws in one piece: fits the processor's cache


class Sample(NamedTuple):
    """One model's metric of T assays and, last, their macro mean: C = T + 1 columns."""

    values: np.ndarray
    """float64 [C], NaN where an assay lacks a class."""
    deviations: np.ndarray
    """float64 [L]; the sum of products of two models' deviations over a column is their covariance. So
    sums and means of deviations belong to sums and means of values."""
    bounds: np.ndarray
    """int64 [C + 1]: column c has the deviations bounds[c] to bounds[c + 1]."""


class Difference(NamedTuple):
    """Second model (or mean over seeds) minus the first, each float64 [C]; NaN where unknown."""

    values: np.ndarray
    variance: np.ndarray
    freedom: np.ndarray
    """Degrees of freedom of the variance."""


class Significance(NamedTuple):
    """The two-sided test of differences and their intervals, each float64 [C]; NaN where unknown."""

    p: np.ndarray
    low: np.ndarray
    high: np.ndarray


Sampler = Callable[[np.ndarray, np.ndarray, int], Sample]
"""`sampler(labels [n, T], scores [n, T], seed)`; the same labels and seed for all models of a comparison."""

samplers: Registry[Sampler] = Registry("metric to compare by")


# --- what a model's metric is, and how uncertain -----------------------------------------------------------


@samplers.register("roc_auc")
def delong(labels: np.ndarray, scores: np.ndarray, seed: int = 0) -> Sample:
    """ROC-AUC; deviations are DeLong's structural components, one per measured molecule.

    Of the macro mean they are summed over the assays of a molecule, so what assays have in common because
    they measured the same molecules is in its variance. The seed plays no part.

    References
    ----------
    DeLong, DeLong, Clarke-Pearson, Biometrics 44, 837 (1988), https://doi.org/10.2307/2531595, equations
    4 to 6.
    """
    placed = placements(labels, scores)
    active, bounds = placed.is_active, placed.bounds
    task = np.repeat(np.arange(labels.shape[1]), np.diff(bounds))
    actives, inactives = _class_counts(labels)
    m, n = actives[task], inactives[task]
    share = np.divide(placed.values, m, out=np.zeros_like(placed.values), where=active & (n > 0))
    has_both = (actives > 0) & (inactives > 0)
    values = np.where(has_both, np.bincount(task, share, len(actives)), np.nan)
    size = np.where(active, m, n).astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        deviations = (placed.values - values[task]) / np.sqrt(size * (size - 1))
    deviations[(m < 2) | (n < 2)] = np.nan
    molecule = np.nonzero(~np.isnan(labels.T))[1]
    counted = np.isfinite(deviations)
    n_counted = max(1, int(((actives > 1) & (inactives > 1)).sum()))
    macro = np.bincount(molecule[counted], deviations[counted] / n_counted, len(labels))
    return Sample(
        np.append(values, _macro(values, actives, inactives)),
        np.concatenate([deviations, macro]),
        np.append(bounds, len(deviations) + len(macro)),
    )


@samplers.register("average_precision")
def bootstrap_precision(labels: np.ndarray, scores: np.ndarray, seed: int = 0, draws: int = DRAWS) -> Sample:
    """Average precision; deviations are those of `draws` stratified bootstrap draws.

    A draw weighs every molecule by a standard exponential number, the same in all assays and for all models
    of one seed, and scales the weights so that actives and inactives of an assay keep their shares. Against
    drawing molecules with replacement no draw is without an active, the macro mean keeps what assays have in
    common, and one draw needs n random numbers and not one per label.

    References
    ----------
    Rubin, The Bayesian Bootstrap, Annals of Statistics 9, 130 (1981), https://doi.org/10.1214/aos/1176345338.
    With m molecules the weights are Dirichlet, and a weighted mean varies (m - 1) / (m + 1) times as much as
    the mean of another m molecules would; the variance is divided by that of both classes.
    """
    actives, inactives = _class_counts(labels)
    values = average_precision(rank(labels, scores))
    ladder = _ladder(labels, scores)
    generator = np.random.default_rng(seed)
    width = max(1, _ENTRIES_AT_ONCE // max(1, len(ladder.task), len(labels)))
    pieces = [
        _weighted_precision(
            ladder, generator.standard_exponential((min(width, draws - start), len(labels))).T
        )
        for start in range(0, draws, width)
    ]
    drawn = np.concatenate(pieces, axis=1)  # [T, draws]
    enough = (actives > 1) & (inactives > 1)
    drawn[~enough] = np.nan
    drawn -= drawn.mean(axis=1, keepdims=True)
    for size in (actives[enough, None], inactives[enough, None]):
        drawn[enough] *= np.sqrt((size + 1) / (size - 1))
    macro = drawn[enough].mean(axis=0) if enough.any() else np.full(draws, np.nan)
    deviations = np.concatenate([drawn, macro[None]]) / np.sqrt(draws - 1)
    return Sample(
        np.append(values, _macro(values, actives, inactives)),
        deviations.ravel(),
        np.arange(len(values) + 2) * draws,
    )


class _Ladder(NamedTuple):
    """The scores that actives have, of all assays, from the highest down: the steps of average precision."""

    task: np.ndarray
    """int64 [J], assay of the step."""
    bounds: np.ndarray
    """int64 [T + 1]: assay t has the steps bounds[t] to bounds[t + 1]."""
    actives: csr_array
    """[J, n]: 1 for the actives at the step."""
    inactives: csr_array
    """[J, n]: 1 for the inactives at the step and between it and the next higher one."""
    all_inactives: csr_array
    """[T, n]: 1 for the inactives of the assay."""


def _ladder(labels: np.ndarray, scores: np.ndarray) -> _Ladder:
    n, n_tasks = labels.shape
    task, molecule = np.nonzero(~np.isnan(labels.T))
    active, score = labels[molecule, task] == 1, scores[molecule, task]
    order = np.lexsort((active, -score, task))  # inactives first among equal scores
    task, molecule, active, score = task[order], molecule[order], active[order], score[order]
    places = np.flatnonzero(active)
    is_new = np.ones(len(places), dtype=bool)
    is_new[1:] = (np.diff(score[places]) != 0) | (np.diff(task[places]) != 0)
    first = places[is_new]
    others = np.flatnonzero(~active)
    next_step = np.searchsorted(first, others)
    inside = next_step < len(first)
    inside[inside] = task[first[next_step[inside]]] == task[others[inside]]

    def ones(rows: np.ndarray, at: np.ndarray, height: int) -> csr_array:
        return csr_array((np.ones(len(rows)), (rows, molecule[at])), shape=(height, n))

    return _Ladder(
        task[first],
        np.searchsorted(task[first], np.arange(n_tasks + 1)),
        ones(np.cumsum(is_new) - 1, places, len(first)),
        ones(next_step[inside], others[inside], len(first)),
        ones(task[others], others, n_tasks),
    )


def _weighted_precision(ladder: _Ladder, weights: np.ndarray) -> np.ndarray:
    """Average precision [T, draws], molecules weighed by `weights` [n, draws] and classes by their shares."""
    found, passed = ladder.actives @ weights, ladder.inactives @ weights
    n_actives = sums_between(ladder.actives.sum(axis=1), ladder.bounds)
    n_inactives = ladder.all_inactives.sum(axis=1)
    of_inactives = ladder.all_inactives @ weights
    share = np.divide(n_inactives[:, None], of_inactives, out=of_inactives, where=of_inactives > 0)
    passed *= share[ladder.task]
    found /= sums_between(found.T, ladder.bounds).T[ladder.task]  # now shares of the actives
    hits = _running(found, ladder) * n_actives[ladder.task, None]
    precise = found * (hits / (hits + _running(passed, ladder)))
    return sums_between(precise.T, ladder.bounds).T


def _running(values: np.ndarray, ladder: _Ladder) -> np.ndarray:
    """Sums from the first step of the assay to each, of values [J, draws]."""
    sums = np.cumsum(values, axis=0)
    start = ladder.bounds[:-1][ladder.task]
    return sums - (sums[start] - values[start])


def _class_counts(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return (labels == 1).sum(axis=0), (labels == 0).sum(axis=0)


def _macro(values: np.ndarray, actives: np.ndarray, inactives: np.ndarray) -> float:
    """Mean over the assays with two molecules of each class, those that have a variance."""
    known = values[(actives > 1) & (inactives > 1)]
    return float(known.mean()) if known.size else float("nan")


# --- from samples to a test ------------------------------------------------------------------------------


def difference(first: Sequence[Sample], second: Sequence[Sample], freedom: np.ndarray) -> Difference:
    """Mean of the `second` models minus mean of the `first`, all on the same molecules.

    The models of one side differ by chance only (seeds). The variance then has two sources, as in studies
    where several readers read the same cases: the choice of the molecules, and what seeds do beyond it,

        var = max(V, max(V - I (1 / S_1 + 1 / S_2), 0) + s^2 (1 / S_1 + 1 / S_2)),

    S: number of models of a side; V: variance of the difference of the mean deviations; s^2: variance of the
    metric between models of a side; I: what of s^2 the molecules explain, the mean variance of a side's
    models minus their mean covariance. s^2 and I are pooled over both sides, so a side may have one model.
    With one model each the variance is V, DeLong's for two models as they are. The outer maximum is ours: a
    few seeds that agree by chance would else give an interval shorter than that of the mean model alone.

    Equally good methods, 40 actives of 240 molecules, simulated: p < 0.05 in 0.3 to 5 % of the assays with 3
    or 5 seeds (cautious where seeds add little), up to 6 % with 2; p < 0.001 in up to 0.5 % with 3 or 5, 2 %
    with 2. Without the outer maximum 5 to 9 %, and up to 3.5 %.

    Parameters
    ----------
    freedom : [C], degrees of freedom of the variance over molecules.

    References
    ----------
    Obuchowski, Rockette, Communications in Statistics - Simulation and Computation 24, 285 (1995),
    https://doi.org/10.1080/03610919508813243, here with readers nested in a modality; degrees of freedom
    added as by Satterthwaite, Biometrics Bulletin 2, 110 (1946), https://doi.org/10.2307/3002019.
    """
    a, b = _side(first), _side(second)
    pooled = _Side(b.values - a.values, b.deviations - a.deviations, a.spread + b.spread, a.own + b.own)
    seeds, share = len(first) + len(second) - 2, 1 / len(first) + 1 / len(second)
    return _difference(pooled, first[0].bounds, freedom, seeds, share)


def difference_by_seed(first: Sequence[Sample], second: Sequence[Sample], freedom: np.ndarray) -> Difference:
    """As `difference`, for models that belong together in pairs: first[i] and second[i] have the same seed.

    The scatter is that of the S differences, so what a seed (initial weights, order of the molecules) does to
    both models of a pair drops out; readers crossed with modality, in the words of the reference there,

        var = max(V, max(V - I / S, 0) + s^2 / S).

    Raises
    ------
    ValueError : the sides have different numbers of models.
    """
    pairs = [
        Sample(b.values - a.values, b.deviations - a.deviations, a.bounds)
        for a, b in zip(first, second, strict=True)
    ]
    return _difference(_side(pairs), first[0].bounds, freedom, len(pairs) - 1, 1 / len(pairs))


def _difference(
    side: "_Side", bounds: np.ndarray, freedom: np.ndarray, seeds: int, share: float
) -> Difference:
    """The variance over molecules and, with its degrees of freedom `seeds`, that between seeds."""
    together = sums_between(side.deviations**2, bounds)
    if not seeds:
        return Difference(side.values, together, freedom)
    of_seeds = share * side.spread / seeds
    of_molecules = np.maximum(together - share * side.own / seeds, 0)
    variance = of_seeds + of_molecules
    inverse = of_seeds**2 / seeds + of_molecules**2 / freedom
    degrees = np.divide(variance**2, inverse, out=freedom.astype(np.float64), where=inverse > 0)
    return Difference(side.values, np.maximum(variance, together), degrees)


class _Side(NamedTuple):
    values: np.ndarray
    deviations: np.ndarray
    spread: np.ndarray
    """Sum of squares of the metric around the mean of the models."""
    own: np.ndarray
    """The part of it that is expected because models answer differently to the same molecules."""


def _side(samples: Sequence[Sample]) -> _Side:
    values = np.stack([sample.values for sample in samples])
    deviations = np.mean([sample.deviations for sample in samples], axis=0)
    around = [sums_between((sample.deviations - deviations) ** 2, samples[0].bounds) for sample in samples]
    mean = values.mean(axis=0)
    return _Side(mean, deviations, ((values - mean) ** 2).sum(axis=0), np.sum(around, axis=0))


def over_splits(differences: Sequence[Difference], ratio: float) -> Difference:
    """The mean difference over splits with different test molecules, with the corrected resampled variance.

    Training parts of different splits overlap, so their differences are not independent: the variance between
    K splits is multiplied by 1 / K + `ratio` and not by 1 / K. An assay that has a value in one split only
    keeps that split's variance.

    Parameters
    ----------
    ratio : molecules tested over molecules trained on.

    References
    ----------
    Nadeau, Bengio, Inference for the Generalization Error, Machine Learning 52, 239 (2003),
    https://doi.org/10.1023/A:1024068626366, section 5.
    """
    if len(differences) == 1:
        return differences[0]
    values = np.stack([one.values for one in differences])
    known = ~np.isnan(values)
    counts = known.sum(axis=0)
    several = counts > 1
    filled = np.where(known, values, 0)
    mean = np.divide(filled.sum(axis=0), counts, out=np.full(len(counts), np.nan), where=counts > 0)
    squares = np.where(known, (filled - mean) ** 2, 0).sum(axis=0)
    shares = 1 / np.maximum(counts, 1) + ratio
    only = np.argmax(known, axis=0)[None]
    variance = np.stack([one.variance for one in differences])
    freedom = np.stack([one.freedom for one in differences])
    return Difference(
        mean,
        np.where(several, shares * squares / np.maximum(counts - 1, 1), _at(variance, only)),
        np.where(several, counts - 1, _at(freedom, only)),
    )


def _at(values: np.ndarray, places: np.ndarray) -> np.ndarray:
    return np.take_along_axis(values, places, axis=0)[0]


def significance(found: Difference, smaller_class: np.ndarray, *, level: float = 0.95) -> Significance:
    """Two-sided p-value and interval of each difference by Student's t.

    No difference and no variance, as of a model with itself, has p = 1. A difference without variance (one
    model ranks every active alike, the other all of them better) has no interval, and the p-value of the sign
    test on its smaller class: 2 / 2^min(actives, inactives).

    Parameters
    ----------
    smaller_class : [C], actives or inactives, whichever are fewer.
    """
    error = np.sqrt(found.variance)
    # Rounding of equal scores leaves 1e-17 in place of 0.
    is_zero = np.abs(found.values) < 1e-12
    fixed = error < 1e-12
    with np.errstate(divide="ignore", invalid="ignore"):
        p = 2 * stdtr(found.freedom, -np.abs(found.values) / error)
        half = stdtrit(found.freedom, 0.5 + level / 2) * error
    p = np.where(fixed, np.where(is_zero, 1.0, np.minimum(1.0, 2.0 ** (1 - smaller_class))), p)
    half = np.where(fixed, np.where(is_zero, 0.0, np.nan), half)
    return Significance(
        np.where(np.isnan(error + found.values), np.nan, p),
        np.clip(found.values - half, -1, 1),
        np.clip(found.values + half, -1, 1),
    )


# --- many tests ------------------------------------------------------------------------------------------

adjustments: Registry[Callable[[np.ndarray], np.ndarray]] = Registry("adjustment")


@adjustments.register("holm")
def holm(p: np.ndarray) -> np.ndarray:
    """p-values of which, below a level, any is wrong with that chance at most: family-wise error (Holm).

    References
    ----------
    Holm, Scandinavian Journal of Statistics 6, 65 (1979), https://www.jstor.org/stable/4615733.
    """
    order = np.argsort(p)
    adjusted = np.empty(len(p))
    adjusted[order] = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    return np.minimum(adjusted, 1)


@adjustments.register("bh")
def benjamini_hochberg(p: np.ndarray) -> np.ndarray:
    """p-values of which, below a level, that share is wrong: false discovery rate (Benjamini-Hochberg).

    References
    ----------
    Benjamini, Hochberg, J. R. Stat. Soc. B 57, 289 (1995), https://doi.org/10.1111/j.2517-6161.1995.tb02031.x.
    """
    return false_discovery_control(p) if len(p) else p


def adjust(p: np.ndarray, name: str) -> np.ndarray:
    """p-values for as many tests as there are; NaN is no test and stays.

    Raises
    ------
    ConfigError : unknown name.
    """
    method = adjustments.get(name)
    adjusted, known = np.full(len(p), np.nan), ~np.isnan(p)
    adjusted[known] = method(p[known])
    return adjusted
