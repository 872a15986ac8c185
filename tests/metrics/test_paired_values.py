"""Paired tests of real assays: values of the evaluation, bootstrap, simulation."""

import numpy as np
import pytest

from screening.metrics.contract import Outcome, metrics
from screening.metrics.paired import Difference, Significance, difference, significance
from screening.metrics.paired_samples import samplers
from screening.metrics.sums import sums_between

NAMES = ["concordance", "kendall", "mae", "r2", "rmse", "spearman", "within_03", "within_1"]


def a_study(
    n: int, n_tasks: int, seed: int, *, gain: float = 0.0, missing: float = 0.0, censoring: float = 0.0
) -> tuple[Outcome, Outcome]:
    """Two models with errors in common, equally good but for the `gain` of the second."""
    random = np.random.default_rng(seed)
    labels = random.normal(size=(n, n_tasks))
    both = 0.8 * labels + 0.4 * random.normal(size=labels.shape)
    scores = [both + 0.4 * random.normal(size=labels.shape) for _ in range(2)]
    scores[1] += gain * (labels - scores[1])
    labels[random.random(labels.shape) < missing] = np.nan
    signs = random.choice([-1, 1], labels.shape) * (random.random(labels.shape) < censoring)
    is_real = np.ones(n_tasks, dtype=bool)
    return (
        Outcome(labels, scores[0], is_real=is_real, censored=signs),
        Outcome(labels, scores[1], is_real=is_real, censored=signs),
    )


def scored_and_tested(name: str, first: Outcome, second: Outcome) -> tuple[Difference, Significance]:
    """The way from scores to p-values that `compare` goes; the last column is the macro mean."""
    samples = [[samplers.get(name)(one, 0)] for one in (first, second)]
    measured = np.isfinite(first.labels).sum(axis=0)
    freedom = np.append(np.maximum(measured - 1, 1), len(first.labels))
    differ = difference(*samples, freedom)
    least, most = metrics.get(name).range
    return differ, significance(differ, np.append(measured, 1000), limit=most - least)


def test_every_metric_of_real_assays_can_be_compared() -> None:
    assert set(NAMES) == set(samplers.names()) - {"roc_auc", "average_precision"}
    assert set(NAMES) == {name for name in metrics.names() if "real" in metrics.get(name).kinds}


@pytest.mark.parametrize("name", NAMES)
def test_values_are_those_of_the_metric(name: str) -> None:
    outcome, _ = a_study(50, 4, 0, missing=0.3, censoring=0.2)
    sample, values = samplers.get(name)(outcome, 0), metrics.get(name).values(outcome)
    np.testing.assert_allclose(sample.values[:-1], values)
    assert sample.values[-1] == pytest.approx(values.mean())
    assert len(sample.deviations) == sample.bounds[-1]


@pytest.mark.parametrize("name", NAMES)
def test_errors_of_differences_are_those_of_a_bootstrap_over_molecules(name: str) -> None:
    first, second = a_study(150, 3, 1, missing=0.2, censoring=0.1)
    differ, _ = scored_and_tested(name, first, second)
    random, metric = np.random.default_rng(0), metrics.get(name)
    drawn = []
    for rows in random.integers(0, 150, (600, 150)):
        values = [
            metric.values(Outcome(one.labels[rows], one.scores[rows], None, one.is_real, one.censored[rows]))
            for one in (first, second)
        ]
        drawn.append([*(values[1] - values[0]), (values[1] - values[0]).mean()])
    np.testing.assert_allclose(np.sqrt(differ.variance), np.std(drawn, axis=0), rtol=0.15)


@pytest.mark.parametrize("n", [30, 200])
@pytest.mark.parametrize("name", NAMES)
def test_equal_models_are_told_apart_in_5_percent(name: str, n: int) -> None:
    _, result = scored_and_tested(name, *a_study(n, 1000, n))
    share = (result.p[:-1] < 0.05).mean()
    assert (0.01 if name == "spearman" else 0.03) <= share <= 0.075


@pytest.mark.parametrize("name", ["rmse", "mae", "concordance"])
def test_interval_covers_the_true_difference_and_power_is_there(name: str) -> None:
    first, second = a_study(100, 800, 3, gain=0.25)
    _, result = scored_and_tested(name, first, second)
    large = a_study(1500, 100, 4, gain=0.25)
    true = np.mean(metrics.get(name).values(large[1]) - metrics.get(name).values(large[0]))
    covered = (result.low[:-1] <= true) & (true <= result.high[:-1])
    assert 0.92 <= covered.mean() <= 0.975
    assert (result.p[:-1] < 0.05).mean() > 0.75


def test_the_macro_mean_counts_what_assays_share() -> None:
    first, second = a_study(200, 1, 5)
    often = [
        Outcome(np.repeat(one.labels, 6, axis=1), np.repeat(one.scores, 6, axis=1), is_real=np.ones(6, bool))
        for one in (first, second)
    ]
    differ, _ = scored_and_tested("rmse", *often)
    assert differ.variance[-1] == pytest.approx(differ.variance[0])


def test_concordance_of_both_kinds_keeps_the_order_of_the_assays() -> None:
    outcome, _ = a_study(80, 4, 6, missing=0.2)
    is_real = np.array([True, False, True, False])
    labels = np.where(is_real | np.isnan(outcome.labels), outcome.labels, outcome.labels > 0)
    mixed = samplers.get("concordance")(Outcome(labels, outcome.scores, is_real=is_real), 0)
    variances = sums_between(mixed.deviations**2, mixed.bounds)
    for of, name in ((is_real, "concordance"), (~is_real, "roc_auc")):
        alone = samplers.get(name)(Outcome(labels[:, of], outcome.scores[:, of], is_real=is_real[of]), 0)
        np.testing.assert_allclose(mixed.values[:-1][of], alone.values[:-1])
        np.testing.assert_allclose(variances[:-1][of], sums_between(alone.deviations**2, alone.bounds)[:-1])
    of_classes = Outcome(labels[:, ~is_real], outcome.scores[:, ~is_real])
    common, expected = (samplers.get(name)(of_classes, 0) for name in ("concordance", "roc_auc"))
    for one, other in zip(common, expected, strict=True):
        np.testing.assert_allclose(one, other)


def test_assays_without_a_variance_have_no_test() -> None:
    labels = np.array([[5.0, 5, np.nan, 1], [np.nan, 5, np.nan, 2], [np.nan, 5, np.nan, 3]])
    scores = np.random.default_rng(0).random((2, 3, 4))
    first, second = (Outcome(labels, one, is_real=np.ones(4, bool)) for one in scores)
    _, result = scored_and_tested("concordance", first, second)
    np.testing.assert_array_equal(np.isnan(result.p), [True, True, True, False, False])
    _, result = scored_and_tested("rmse", first, second)
    np.testing.assert_array_equal(np.isnan(result.p), [True, False, True, False, False])


def test_intervals_of_distances_are_not_cut_at_1() -> None:
    first, second = (
        Outcome(one.labels * 100, one.scores * 100, is_real=one.is_real)
        for one in a_study(40, 2, 7, gain=0.5)
    )
    differ, result = scored_and_tested("rmse", first, second)
    assert (result.low < differ.values).all()
    assert (differ.values < -1).all()
