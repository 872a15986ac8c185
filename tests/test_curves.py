"""Curves agree with the numbers of the evaluation, and their means with a plain loop."""

import numpy as np
import pytest
from sklearn.metrics import auc, average_precision_score, roc_auc_score

from screening.curves import make_curves
from screening.evaluation import evaluate
from screening.runs import Predictions


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
    curves, lines = make_curves(found, evaluated(found))
    for name, roc, precision, line in zip(curves.names, curves.roc, curves.precision, lines, strict=True):
        task = found.tasks.index(name)
        known = ~np.isnan(found.labels[:, task])
        labels, scores = found.labels[known, task], found.scores[known, task]
        assert auc(*roc.T) == pytest.approx(roc_auc_score(labels, scores), abs=0.01)
        steps = np.diff(precision[:, 0]) @ precision[1:, 1]
        assert steps == pytest.approx(average_precision_score(labels, scores), abs=0.02)
        assert f"ROC-AUC {roc_auc_score(labels, scores):.3f}" in line
    values = [auc(*roc.T) for roc in curves.roc]
    assert values == sorted(values, reverse=True)
    assert auc(*curves.mean_roc.T) == pytest.approx(np.mean(values), abs=0.01)
    assert curves.n_averaged == 4


def test_assays_without_a_class_have_no_curve() -> None:
    found = predictions()
    found.labels[:, 0] = np.nan
    found.labels[:, 1] = 0
    curves, _ = make_curves(found, evaluated(found))
    assert set(curves.names) == {"a2", "a3"}
    found.labels[:] = 0
    curves, lines = make_curves(found, evaluated(found))
    assert curves.names == ()
    assert lines == []
    assert curves.mean_roc.shape == (0, 2)


def test_of_many_assays_best_middle_and_worst_are_drawn() -> None:
    found = predictions(n=60, n_tasks=61)
    table = evaluated(found)
    curves, _ = make_curves(found, table)
    sure = table[table["status"] == "ok"]
    ranked = sure.sort_values("roc_auc", ascending=False)["assay"].tolist()
    assert len(curves.names) == 15
    assert set(curves.names[:5]) == set(ranked[:5])
    assert set(curves.names[-5:]) == set(ranked[-5:])
    assert curves.n_averaged == table["roc_auc"].notna().sum()


def test_reliability_counts_every_label() -> None:
    found = predictions()
    curves, _ = make_curves(found, evaluated(found))
    known = ~np.isnan(found.labels)
    mean, share, low, high, size = curves.pooled.T
    assert size.sum() == known.sum()
    assert (size * share).sum() == pytest.approx(found.labels[known].sum())
    assert (size * mean).sum() == pytest.approx(found.scores[known].sum(), rel=1e-5)
    assert ((low <= share) & (share <= high)).all()
