"""Real values as pages show them: which molecules are drawn, how large errors are, texts with units."""

import numpy as np
import pytest

from screening.data.assay_kinds import Assay
from screening.reporting.values import QUANTILES, errors, points_of, value_text
from screening.training.predictions import Predictions

KINDS = (Assay("Ki", "real", "nM", "neg_log10_molar"), Assay("toxic"), Assay("logD", "real"))


def predictions(n: int = 500, seed: int = 0) -> Predictions:
    random = np.random.default_rng(seed)
    labels = random.normal(6, 1, (n, 3)).astype(np.float32)
    scores = (labels + random.normal(0.2, 0.5, labels.shape)).astype(np.float32)
    censored = np.zeros(labels.shape, np.int8)
    censored[::10, 0], censored[5::10, 0] = 1, -1
    labels[:, 1], scores[:, 1] = labels[:, 1] > 6, 0.5
    labels[random.random(labels.shape) < 0.2] = np.nan
    texts, names = ["C"] * n, tuple(kind.name for kind in KINDS)
    return Predictions(np.arange(n), texts, texts, labels, scores, names, KINDS, censored)


def test_errors_are_those_of_exact_values() -> None:
    test = predictions()
    table = errors(test)
    assert np.isnan(table[1]).all()
    exact = ~np.isnan(test.labels[:, 0]) & (test.censored[:, 0] == 0)
    difference = (test.scores.astype(float) - test.labels)[exact, 0]
    assert table[0] == pytest.approx(np.percentile(difference, QUANTILES))
    assert table[2, 2] == pytest.approx(0.2, abs=0.1)  # the median shows that values are predicted too high


def test_an_assay_without_an_exact_value_has_no_errors() -> None:
    test = predictions()
    test.censored[:, 0] = 1
    assert np.isnan(errors(test)[0]).all()
    test.labels[:] = np.nan
    assert np.isnan(errors(test)).all()


@pytest.mark.parametrize("most", [2, 40, 10_000])
def test_thinned_points_keep_the_largest_errors_and_the_bounds(most: int) -> None:
    test = predictions()
    points = points_of(test, 0, most)
    measured = np.flatnonzero(~np.isnan(test.labels[:, 0]))
    assert len(points.rows) == min(most, len(measured))
    assert set(points.rows) <= set(measured)
    assert len(set(points.rows)) == len(points.rows)
    assert (points.measured == test.labels[points.rows, 0]).all()
    assert (points.predicted == test.scores[points.rows, 0]).all()
    assert (points.censored == test.censored[points.rows, 0]).all()
    every = (test.scores.astype(float) - test.labels)[measured, 0]
    drawn = points.predicted - points.measured
    assert (drawn.min(), drawn.max()) == pytest.approx((every.min(), every.max()))


@pytest.mark.parametrize(
    ("assay", "value", "censored", "text"),
    [
        (KINDS[0], 8.314, 0, "8.31 (4.85 nM)"),
        (KINDS[0], 5.0, -1, "< 5.00 (> 10,000 nM)"),
        (KINDS[0], 9.0, 1, "> 9.00 (< 1.00 nM)"),
        (Assay("CL", "real", "ml/min", "log10"), 2.0, 1, "> 2.00 (> 100 ml/min)"),
        (Assay("F", "real", "", "logit"), 0.0, 0, "0.00 (50.0 %)"),
        (Assay("logD", "real"), 2.3149, 0, "2.31"),
        (Assay("mass", "real", "Da"), 1234.5, -1, "< 1,234 Da"),
    ],
)
def test_a_value_is_told_in_both_scales(assay: Assay, value: float, censored: int, text: str) -> None:
    assert value_text(assay, value, censored) == text
