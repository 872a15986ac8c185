"""A model's metric per assay and what each molecule adds to its error: what paired tests are made of.

Samples are averaged over seeds, subtracted and tested in `paired`.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array

from ..registry import Registry
from .average_precision import average_precision
from .cells import Packing, molecules_of
from .contract import Outcome
from .ranking import rank
from .roc_auc import delong_deviations
from .sums import sums_between

DRAWS = 1000
"""Bootstrap draws: the standard error of a difference is then known to 2 %."""

_ENTRIES_AT_ONCE = 2**18  # steps times draws in one piece: fits the processor's cache


class Sample(NamedTuple):
    """One model's metric of T assays and, last, their macro mean: C = T + 1 columns."""

    values: np.ndarray
    """float64 [C], NaN where an assay lacks a class, or what else the metric needs."""
    deviations: np.ndarray
    """float64 [L]; the sum of products of two models' deviations over a column is their covariance. So
    sums and means of deviations belong to sums and means of values."""
    bounds: np.ndarray
    """int64 [C + 1]: column c has the deviations bounds[c] to bounds[c + 1]."""


Sampler = Callable[[Outcome, int], Sample]
"""`sampler(outcome, seed)`: the same labels and seed for all models of a comparison, and every assay of a
kind that the metric is for."""

samplers: Registry[Sampler] = Registry("metric to compare by", members="screening.metrics.paired_values")


def delong(labels: np.ndarray, scores: np.ndarray, seed: int = 0, packing: Packing | None = None) -> Sample:
    """ROC-AUC; deviations are DeLong's structural components, one per measured molecule.

    Of the macro mean they are summed over the assays of a molecule, so what assays have in common because
    they measured the same molecules is in its variance. The seed plays no part.
    """
    values, deviations, _, bounds = delong_deviations(labels, scores)
    actives, inactives = _class_counts(labels)
    molecule, n = molecules_of(labels, packing), len(labels) if packing is None else packing.n
    counted = np.isfinite(deviations)
    n_counted = max(1, int(((actives > 1) & (inactives > 1)).sum()))
    macro = np.bincount(molecule[counted], deviations[counted] / n_counted, n)
    return Sample(
        np.append(values, _macro(values, actives, inactives)),
        np.concatenate([deviations, macro]),
        np.append(bounds, len(deviations) + len(macro)),
    )


def bootstrap_precision(
    labels: np.ndarray,
    scores: np.ndarray,
    seed: int = 0,
    draws: int = DRAWS,
    packing: Packing | None = None,
) -> Sample:
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
    ladder, n = _ladder(labels, scores, packing), len(labels) if packing is None else packing.n
    generator = np.random.default_rng(seed)
    width = max(1, _ENTRIES_AT_ONCE // max(1, len(ladder.task), n))
    pieces = [
        _weighted_precision(ladder, generator.standard_exponential((min(width, draws - start), n)).T)
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


@samplers.register("roc_auc")
def _of_roc_auc(outcome: Outcome, seed: int) -> Sample:
    return delong(outcome.labels, outcome.scores, seed, outcome.packing)


@samplers.register("average_precision")
def _of_average_precision(outcome: Outcome, seed: int) -> Sample:
    return bootstrap_precision(outcome.labels, outcome.scores, seed, packing=outcome.packing)


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


def _ladder(labels: np.ndarray, scores: np.ndarray, packing: Packing | None = None) -> _Ladder:
    n_rows, n_tasks = labels.shape
    n = n_rows if packing is None else packing.n
    task, row = np.nonzero(~np.isnan(labels.T))
    molecule = molecules_of(labels, packing)
    active, score = labels[row, task] == 1, scores[row, task]
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
    reached, passed = ladder.actives @ weights, ladder.inactives @ weights
    n_actives = sums_between(ladder.actives.sum(axis=1), ladder.bounds)
    n_inactives = ladder.all_inactives.sum(axis=1)
    of_inactives = ladder.all_inactives @ weights
    share = np.divide(n_inactives[:, None], of_inactives, out=of_inactives, where=of_inactives > 0)
    passed *= share[ladder.task]
    reached /= sums_between(reached.T, ladder.bounds).T[ladder.task]  # now shares of the actives
    hits = _running(reached, ladder) * n_actives[ladder.task, None]
    precise = reached * (hits / (hits + _running(passed, ladder)))
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
    with_variance = values[(actives > 1) & (inactives > 1)]
    return float(with_variance.mean()) if with_variance.size else float("nan")
