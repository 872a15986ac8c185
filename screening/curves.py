"""ROC, precision-recall and reliability curves of a run's assays, and their means; drawn in `pictures`."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import binomtest
from sklearn.metrics import precision_recall_curve, roc_curve

from .runs import Predictions

MANY = 40
"""Assays of which every one has its own curve; of more, the best, the middle and the worst have."""


class Curves(NamedTuple):
    """Curves of some assays and their mean over all; the assays stand in the same order in each."""

    names: tuple[str, ...]
    roc: tuple[np.ndarray, ...]
    """Each [k, 2]: share of inactives found, share of actives found."""
    precision: tuple[np.ndarray, ...]
    """Each [k, 2]: recall, precision."""
    reliability: tuple[np.ndarray, ...]
    """Each [k, 5]: mean probability, share of actives, its 95 % interval, molecules."""
    mean_roc: np.ndarray
    mean_precision: np.ndarray
    pooled: np.ndarray
    """Reliability over all labels."""
    n_averaged: int
    """Assays in the means."""


def make_curves(test: Predictions, evaluation: pd.DataFrame) -> tuple[Curves, list[str]]:
    """Curves of the assays to be drawn, means over all assays, and a line about each drawn assay.

    Parameters
    ----------
    evaluation : of the test part, rows as `test.tasks`.
    """
    known = np.flatnonzero(evaluation["roc_auc"].notna())
    sure = np.flatnonzero(evaluation["status"] == "ok")
    chosen = known if len(known) <= MANY or len(sure) < 15 else sure
    ranked = chosen[np.argsort(evaluation["roc_auc"].to_numpy()[chosen], kind="stable")[::-1]]
    drawn = ranked if len(ranked) <= MANY else ranked[_best_middle_worst(len(ranked))]
    grid = np.linspace(0, 1, 101)
    curves = {task: _curves_of(test, task) for task in known.tolist()}
    mean_roc = [np.interp(grid, *roc.T) for roc, _ in curves.values()]
    mean_precision = [_precision_at(grid, precision) for _, precision in curves.values()]
    text = evaluation[["assay", "roc_auc", "average_precision"]].iloc[drawn]
    lines = [f"{name}: ROC-AUC {auc:.3f}, AP {ap:.3f}" for name, auc, ap in text.itertuples(index=False)]
    made = Curves(
        names=tuple(test.tasks[task] for task in drawn),
        roc=tuple(_thinned(curves[task][0]) for task in drawn),
        precision=tuple(_thinned(curves[task][1]) for task in drawn),
        reliability=tuple(_reliability(test.labels[:, task], test.scores[:, task], 5) for task in drawn),
        mean_roc=_mean_curve(grid, mean_roc),
        mean_precision=_mean_curve(grid, mean_precision),
        pooled=_reliability(test.labels.ravel(), test.scores.ravel(), 1),
        n_averaged=len(known),
    )
    return made, lines


def _best_middle_worst(n: int) -> np.ndarray:
    """Places of 5 of each in a list of n, ascending."""
    middle = n // 2
    return np.r_[0:5, middle - 2 : middle + 3, n - 5 : n]


def _curves_of(test: Predictions, task: int) -> tuple[np.ndarray, np.ndarray]:
    """ROC [k, 2] and precision against recall [k, 2], recall ascending."""
    measured = ~np.isnan(test.labels[:, task])
    labels, scores = test.labels[measured, task], test.scores[measured, task]
    roc = np.stack(roc_curve(labels, scores)[:2], axis=1)
    precision, recall, _ = precision_recall_curve(labels, scores)
    first, last = np.flatnonzero(recall == 1)[-1], np.flatnonzero(recall > 0)[-1]
    curve = np.stack([recall, precision], axis=1)[first : last + 1][::-1]  # from the first active to the last
    return roc, np.concatenate([[[0, curve[0, 1]]], curve])


def _precision_at(grid: np.ndarray, curve: np.ndarray) -> np.ndarray:
    """Precision at the first point that reaches each recall: steps, as average precision sums them."""
    return curve[np.minimum(np.searchsorted(curve[:, 0], grid - 1e-9), len(curve) - 1), 1]


def _mean_curve(grid: np.ndarray, rows: list[np.ndarray]) -> np.ndarray:
    return np.stack([grid, np.mean(rows, axis=0)], axis=1) if rows else np.empty((0, 2))


def _thinned(curve: np.ndarray, most: int = 120) -> np.ndarray:
    """At most about `most` points of a curve, evenly along its length."""
    if len(curve) <= most:
        return curve
    steps = np.abs(np.diff(curve, axis=0)).sum(axis=1).cumsum()
    places = np.searchsorted(steps, np.linspace(0, steps[-1], most))
    return curve[np.unique(np.r_[0, np.minimum(places + 1, len(curve) - 1)])]


def _reliability(labels: np.ndarray, scores: np.ndarray, fewest: int) -> np.ndarray:
    """Ten bins of equal width [k, 5]: mean probability, share of actives, its Wilson interval, labels."""
    measured = ~np.isnan(labels)
    labels, scores = labels[measured], scores[measured].astype(np.float64)
    place = np.minimum((scores * 10).astype(int), 9)
    size = np.bincount(place, minlength=10)
    actives = np.bincount(place, labels, 10).astype(int)
    sums, rows = np.bincount(place, scores, 10), []
    for number in np.flatnonzero(size >= fewest).tolist():
        share = binomtest(actives[number], size[number]).proportion_ci(method="wilson")
        values = sums[number] / size[number], actives[number] / size[number]
        rows.append((*values, share.low, share.high, size[number]))
    return np.array(rows, dtype=float).reshape(-1, 5)
