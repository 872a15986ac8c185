"""ROC, precision-recall and reliability curves of a run's assays, and their means; drawn in `pictures`."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import binomtest
from sklearn.metrics import precision_recall_curve, roc_curve

from ..training.predictions import Predictions

MANY = 40
"""Assays of which every one is drawn into the common picture; of more, the range of 80 % of them is."""


class Curves(NamedTuple):
    """Curves of assays and what they have in common; the assays stand in the same order in each."""

    tasks: tuple[int, ...]
    """Places of the assays with curves of their own; empty where there are more than `MANY`."""
    roc: tuple[np.ndarray, ...]
    """Each [k, 2]: share of inactives found, share of actives found."""
    precision: tuple[np.ndarray, ...]
    """Each [k, 2]: recall, precision."""
    reliability: tuple[np.ndarray, ...]
    """Each [k, 5]: mean probability, share of actives, its 95 % interval, molecules."""
    mean_roc: np.ndarray
    """[101, 4]: place, mean over assays, 10th and 90th percentile; [0, 4] where no assay has a curve."""
    mean_precision: np.ndarray
    """As `mean_roc`."""
    pooled: np.ndarray
    """Reliability over all labels."""
    n_averaged: int
    """Assays in the means."""


def make_curves(test: Predictions, evaluation: pd.DataFrame) -> Curves:
    """Curves of the assays that have both classes, best first, and their means; real values have none.

    Parameters
    ----------
    evaluation : of the test part, rows as `test.tasks`.
    """
    with_both = np.flatnonzero(evaluation["roc_auc"].notna())
    ranked = with_both[np.argsort(evaluation["roc_auc"].to_numpy()[with_both], kind="stable")[::-1]]
    drawn, grid = ranked.tolist() if len(ranked) <= MANY else [], np.linspace(0, 1, 101)
    labels, scores, is_real = test.outcome.labels, test.outcome.scores, test.is_real
    curves = {task: _curves_of(test, task) for task in with_both.tolist()}
    return Curves(
        tasks=tuple(drawn),
        roc=tuple(_thinned(curves[task][0]) for task in drawn),
        precision=tuple(_thinned(curves[task][1]) for task in drawn),
        reliability=tuple(reliability(labels[:, task], scores[:, task], 5) for task in drawn),
        mean_roc=_common(grid, [np.interp(grid, *roc.T) for roc, _ in curves.values()]),
        mean_precision=_common(grid, [_precision_at(grid, curve) for _, curve in curves.values()]),
        pooled=reliability(labels[:, ~is_real].ravel(), scores[:, ~is_real].ravel(), 1),
        n_averaged=len(with_both),
    )


def cumulative(labels: np.ndarray, scores: np.ndarray, most: int) -> np.ndarray:
    """What is found down to each probability, best first: ROC and precision-recall curve in one.

    Parameters
    ----------
    labels : [n], 1, 0 or NaN.
    scores : [n] probabilities.
    most : rows of the result, about; they lie evenly along both curves.

    Returns
    -------
    [k, 3]: probability, inactives and actives with at least that probability; [0, 3] without a label.
    """
    measured = ~np.isnan(labels)
    labels, scores = labels[measured], scores[measured]
    order = np.argsort(-scores, kind="stable")
    last_of_each = np.flatnonzero(np.diff(scores[order], append=-np.inf))
    actives = np.cumsum(labels[order])[last_of_each]
    inactives = last_of_each + 1 - actives
    shares = [inactives / max(1, inactives.max(initial=0)), actives / max(1, actives.max(initial=0))]
    places = _spread(np.stack([*shares, actives / (last_of_each + 1)], axis=1), most)
    return np.stack([scores[order][last_of_each], inactives, actives], axis=1)[places]


def _curves_of(test: Predictions, task: int) -> tuple[np.ndarray, np.ndarray]:
    """ROC [k, 2] and precision against recall [k, 2], recall ascending."""
    labels, scores = test.outcome.labels[:, task], test.outcome.scores[:, task]
    labels, scores = labels[~np.isnan(labels)], scores[~np.isnan(labels)]
    roc = np.stack(roc_curve(labels, scores)[:2], axis=1)
    precision, recall, _ = precision_recall_curve(labels, scores)
    first, last = np.flatnonzero(recall == 1)[-1], np.flatnonzero(recall > 0)[-1]
    curve = np.stack([recall, precision], axis=1)[first : last + 1][::-1]  # from the first active to the last
    return roc, np.concatenate([[[0, curve[0, 1]]], curve])


def _precision_at(grid: np.ndarray, curve: np.ndarray) -> np.ndarray:
    """Precision at the first point that reaches each recall: steps, as average precision sums them."""
    return curve[np.minimum(np.searchsorted(curve[:, 0], grid - 1e-9), len(curve) - 1), 1]


def _common(grid: np.ndarray, rows: list[np.ndarray]) -> np.ndarray:
    if not rows:
        return np.empty((0, 4))
    return np.stack([grid, np.mean(rows, axis=0), *np.percentile(rows, [10, 90], axis=0)], axis=1)


def _thinned(curve: np.ndarray, most: int = 120) -> np.ndarray:
    return curve[_spread(curve, most)]


def _spread(curve: np.ndarray, most: int) -> np.ndarray:
    """Rows of at most about `most` points of a curve, evenly along its length, the ends among them."""
    if len(curve) <= most:
        return np.arange(len(curve))
    steps = np.abs(np.diff(curve, axis=0)).sum(axis=1).cumsum()
    places = np.searchsorted(steps, np.linspace(0, steps[-1], most))
    return np.unique(np.r_[0, np.minimum(places + 1, len(curve) - 1)])


def reliability(labels: np.ndarray, scores: np.ndarray, fewest: int) -> np.ndarray:
    """Ten bins of equal width [k, 5]: mean probability, share of actives, its Wilson interval, labels."""
    rows = []
    for mean, share, size in bins(labels, scores, fewest).tolist():
        interval = binomtest(round(share * size), int(size)).proportion_ci(method="wilson")
        rows.append((mean, share, interval.low, interval.high, size))
    return np.array(rows, dtype=float).reshape(-1, 5)


def bins(labels: np.ndarray, scores: np.ndarray, fewest: int) -> np.ndarray:
    """The bins of `reliability` that have `fewest` labels, without intervals: [k, 3]."""
    measured = ~np.isnan(labels)
    labels, scores = labels[measured], scores[measured].astype(np.float64)
    place = np.minimum((scores * 10).astype(int), 9)
    size = np.bincount(place, minlength=10)
    kept = np.flatnonzero(size >= max(1, fewest))
    actives, sums = np.bincount(place, labels, 10), np.bincount(place, scores, 10)
    return np.stack([sums[kept] / size[kept], actives[kept] / size[kept], size[kept]], axis=1)
