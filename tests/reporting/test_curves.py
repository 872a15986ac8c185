"""Curves agree with the numbers of the evaluation, and their means with a plain loop."""

import numpy as np
import pytest
from sklearn.metrics import auc, average_precision_score, roc_auc_score, roc_curve

from screening.metrics.per_assay import evaluate
from screening.reporting.curves import cumulative, make_curves
from screening.training.predictions import Predictions


def predictions(n: int = 250, n_tasks: int = 4, seed: int = 0) -> Predictions:
    random = np.random.default_rng(seed)
    labels = (random.random((n, n_tasks)) < 0.3).astype(np.float32)
    scores = 1 / (1 + np.exp(1 - 1.5 * labels - random.normal(size=labels.shape)))
    labels[random.random(labels.shape) < 0.2] = np.nan
    tasks = tuple(f"a{task}" for task in range(n_tasks))
    return Predictions(np.arange(n), [""] * n, [""] * n, labels, scores.astype(np.float32), tasks)


def evaluated(found: Predictions):
    return evaluate(found.labels, found.scores, found.tasks, part="test")


def test_areas_are_those_of_scikit_learn() -> None:
    found = predictions()
    curves = make_curves(found, evaluated(found))
    for task, roc, precision in zip(curves.tasks, curves.roc, curves.precision, strict=True):
        known = ~np.isnan(found.labels[:, task])
        labels, scores = found.labels[known, task], found.scores[known, task]
        assert auc(*roc.T) == pytest.approx(roc_auc_score(labels, scores), abs=0.01)
        steps = np.diff(precision[:, 0]) @ precision[1:, 1]
        assert steps == pytest.approx(average_precision_score(labels, scores), abs=0.02)
    values = [auc(*roc.T) for roc in curves.roc]
    assert values == sorted(values, reverse=True)
    assert auc(*curves.mean_roc[:, :2].T) == pytest.approx(np.mean(values), abs=0.01)
    assert curves.n_averaged == 4


def test_assays_without_a_class_have_no_curve() -> None:
    found = predictions()
    found.labels[:, 0] = np.nan
    found.labels[:, 1] = 0
    assert set(make_curves(found, evaluated(found)).tasks) == {2, 3}
    found.labels[:] = 0
    curves = make_curves(found, evaluated(found))
    assert curves.tasks == ()
    assert curves.mean_roc.shape == (0, 4)


def test_of_many_assays_the_range_of_most_is_drawn() -> None:
    found = predictions(n=60, n_tasks=61)
    table = evaluated(found)
    curves = make_curves(found, table)
    assert curves.tasks == ()
    assert curves.n_averaged == table["roc_auc"].notna().sum()
    rows = np.flatnonzero(table["roc_auc"].notna())
    known = ~np.isnan(found.labels)
    values = [
        np.interp(0.5, *roc_curve(found.labels[known[:, task], task], found.scores[known[:, task], task])[:2])
        for task in rows
    ]
    _, mean, low, high = curves.mean_roc[50]
    assert mean == pytest.approx(np.mean(values))
    assert (
        np.mean((low < values) & (values < high))
        <= 0.82
        <= np.mean((low <= values) & (values <= high)) + 0.04
    )


@pytest.mark.parametrize("most", [12, 80, 10_000])
def test_cumulative_counts_have_the_areas_of_scikit_learn(most: int) -> None:
    """One list of counts is the ROC curve and the precision-recall curve, ties and thinning included."""
    found = predictions(n=600)
    found.scores[:] = np.round(found.scores, 2)
    for labels, scores in zip(found.labels.T, found.scores.T, strict=True):
        known = ~np.isnan(labels)
        rows = cumulative(labels, scores, most)
        assert len(rows) <= most + 1
        probability, inactives, actives = rows.T
        assert (np.diff(probability) < 0).all()
        for place in range(len(rows)):
            above = known & (scores >= np.float32(probability[place]))
            assert inactives[place] == (labels[above] == 0).sum()
            assert actives[place] == (labels[above] == 1).sum()
        area = auc(np.r_[0, inactives] / inactives[-1], np.r_[0, actives] / actives[-1])
        truth = roc_auc_score(labels[known], scores[known])
        assert area == pytest.approx(truth, abs=1e-9 if most > 600 else 0.04 if most < 20 else 0.01)
    assert cumulative(np.full(3, np.nan), np.ones(3), 10).shape == (0, 3)


def test_reliability_counts_every_label() -> None:
    found = predictions()
    curves = make_curves(found, evaluated(found))
    known = ~np.isnan(found.labels)
    mean, share, low, high, size = curves.pooled.T
    assert size.sum() == known.sum()
    assert (size * share).sum() == pytest.approx(found.labels[known].sum())
    assert (size * mean).sum() == pytest.approx(found.scores[known].sum(), rel=1e-5)
    assert ((low <= share) & (share <= high)).all()
