"""Paired tests against slow definitions, a published example, simulation and values by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import average_precision_score

from screening.errors import ConfigError
from screening.metrics import paired, paired_samples
from screening.metrics.average_precision import average_precision
from screening.metrics.contract import Outcome, metrics
from screening.metrics.paired import (
    Difference,
    adjust,
    difference,
    difference_by_seed,
    over_splits,
    significance,
)
from screening.metrics.paired_samples import Sample, delong, samplers
from screening.metrics.ranking import rank
from screening.metrics.roc_auc import delong_interval
from screening.metrics.sums import sums_between

METRICS = ["average_precision", "roc_auc"]
N_TASKS = {"roc_auc": 1500, "average_precision": 400}
"""Assays of a simulation: as many as a test has time for."""


def a_study(
    n_actives: int,
    n_inactives: int,
    n_tasks: int,
    seed: int,
    *,
    models: int = 2,
    scatter: float = 0.7,
    gain: float = 0.0,
    missing: float = 0.0,
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Labels, and scores of models equally good but for the last, which is better by `gain`."""
    random = np.random.default_rng(seed)
    labels = np.repeat([1.0, 0.0], [n_actives, n_inactives])[:, None] * np.ones(n_tasks)
    known = random.normal(size=labels.shape) + labels
    scores = [known + scatter * random.normal(size=labels.shape) for _ in range(models)]
    scores[-1] = scores[-1] + gain * labels
    labels[random.random(labels.shape) < missing] = np.nan
    return labels.astype(np.float32), [one.astype(np.float32) for one in scores]


def sampler_of(metric: str):
    """The sampler of binary assays, as a function of labels, scores and seed."""
    return lambda labels, scores, seed: samplers.get(metric)(Outcome(labels, scores), seed)


def outcome(
    metric: str, labels: np.ndarray, first: list[np.ndarray], second: list[np.ndarray], seed: int = 0
) -> tuple[Difference, paired.Significance]:
    """The whole way from scores to p-values, as `compare` goes it; the last column is the macro mean."""
    sampler = sampler_of(metric)
    smaller = np.minimum((labels == 1).sum(axis=0), (labels == 0).sum(axis=0))
    freedom = np.append(np.maximum(smaller - 1, 1), len(labels))
    samples = [[sampler(labels, scores, seed) for scores in side] for side in (first, second)]
    found = difference(*samples, freedom)
    return found, significance(found, np.append(smaller, 1000))


def variance(sample: Sample) -> np.ndarray:
    return sums_between(sample.deviations**2, sample.bounds)


# --- samples -----------------------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.0, 0.5]), st.sampled_from([1, 4]))
def test_delong_samples_have_the_variance_of_the_interval(seed: int, missing: float, rounding: int) -> None:
    labels, scores = a_study(6, 15, 3, seed, missing=missing)
    for one in scores:
        rounded = np.round(one * rounding)
        interval, sample = delong_interval(rank(labels, rounded)), delong(labels, rounded)
        np.testing.assert_allclose(sample.values[:-1], interval.values, atol=1e-12)
        np.testing.assert_allclose(variance(sample)[:-1], interval.standard_error**2, atol=1e-12)


# 113 patients with subarachnoid haemorrhage (Turck et al. 2010), data set aSAH of the R package pROC: first
# the 41 with a poor, then the 72 with a good outcome. Read off the placements that pROC's own tests list
# (xrobin/pROC, tests/testthat/helper-deLongPlacementsCpp-expected.R): the grade wfns is exact, of s100b the
# order and the ties. Expected values: tests/testthat/test-roc.test.R there, `roc.test(r.wfns, r.s100b)`.
WFNS = (
    "32455552521254425552525245441442255225555"
    "111151221221112121134141551124112212122111121211324214115422111312244111"
)
S100B = (
    "8 5 11 7 25 30 28 2 19 4 2 23 21 27 30 15 30 30 30 2 30 17 0 4 13 30 15 30 3 15 8 5 6 13 30 9 30 18 "
    "30 30 25 8 9 5 1 26 12 5 5 1 3 1 4 6 2 12 2 6 8 12 1 11 9 20 4 29 26 11 2 24 26 6 3 4 3 1 8 5 9 10 1 "
    "1 4 1 4 3 11 4 3 19 6 16 2 5 18 2 1 14 22 5 10 3 9 5 2 1 12 10 26 12 10 29 27 "
)


def test_published_example_of_two_correlated_curves() -> None:
    labels = np.repeat([1.0, 0.0], [41, 72])[:, None]
    wfns = np.array([float(grade) for grade in WFNS])[:, None]
    s100b = np.array([float(level) for level in S100B.split()])[:, None]
    found, _ = outcome("roc_auc", labels, [s100b], [wfns])
    z = found.values / np.sqrt(found.variance)
    np.testing.assert_allclose(z, 2.20898359144091, rtol=1e-12)  # of the only assay, and of the macro mean
    assert 2 * stats.norm.sf(z[0]) == pytest.approx(0.0271757822291882, rel=1e-9)
    half = stats.norm.ppf(0.975) * np.sqrt(found.variance[0])
    assert found.values[0] - half == pytest.approx(0.0104061769564846, rel=1e-9)
    assert found.values[0] + half == pytest.approx(0.174214419249478, rel=1e-9)


def test_macro_variance_of_delong_counts_what_assays_share() -> None:
    """Assays with the same labels and scores are one assay; with molecules of their own they are many."""
    labels, scores = a_study(30, 100, 1, 0)
    found, _ = outcome(
        "roc_auc", np.repeat(labels, 5, axis=1), *([np.repeat(one, 5, axis=1)] for one in scores)
    )
    np.testing.assert_allclose(found.variance, found.variance[0])
    apart = np.full((5 * len(labels), 5), np.nan, np.float32)
    scattered = [np.zeros_like(apart), np.zeros_like(apart)]
    for task in range(5):
        rows = slice(task * len(labels), (task + 1) * len(labels))
        apart[rows, task] = labels[:, 0]
        for into, one in zip(scattered, scores, strict=True):
            into[rows, task] = one[:, 0]
    found, _ = outcome("roc_auc", apart, *([one] for one in scattered))
    assert found.variance[-1] == pytest.approx(found.variance[0] / 5)


def test_average_precision_is_weighed_as_scikit_learn_does() -> None:
    labels, (scores, _) = a_study(9, 30, 3, 1, missing=0.2)
    scores = np.round(scores * 3)  # ties
    random = np.random.default_rng(0)
    weights = random.exponential(size=(len(labels), 4))
    found = paired_samples._weighted_precision(paired_samples._ladder(labels, scores), weights)
    for task in range(3):
        known = ~np.isnan(labels[:, task])
        label, score = labels[known, task], scores[known, task]
        for draw in range(4):
            weight = weights[known, draw].copy()
            for value in (0, 1):  # classes keep their shares
                weight[label == value] *= (label == value).sum() / weight[label == value].sum()
            expected = average_precision_score(label, score, sample_weight=weight)
            assert found[task, draw] == pytest.approx(expected)


def test_equal_weights_give_the_average_precision() -> None:
    labels, (scores, _) = a_study(9, 30, 3, 1, missing=0.2)
    found = paired_samples._weighted_precision(
        paired_samples._ladder(labels, scores), np.ones((len(labels), 1))
    )
    np.testing.assert_allclose(found[:, 0], average_precision(rank(labels, scores)))


@pytest.mark.parametrize("metric", METRICS)
def test_standard_errors_agree_with_the_bootstrap(metric: str) -> None:
    """Molecules drawn with replacement, class by class, for both models alike."""
    labels, (first, second) = a_study(60, 300, 1, 2, gain=0.4)
    found, _ = outcome(metric, labels, [first], [second])
    random = np.random.default_rng(0)
    drawn = np.concatenate([random.integers(0, 60, (60, 3000)), random.integers(60, 360, (300, 3000))])
    function = metrics.get(metric)
    values = [function(labels[drawn, 0], scores[drawn, 0]) for scores in (first, second)]
    assert np.sqrt(found.variance[0]) == pytest.approx(np.std(values[1] - values[0]), rel=0.07)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(("n_actives", "n_inactives"), [(30, 300), (10, 200)])
def test_equal_models_are_told_apart_in_5_percent(metric: str, n_actives: int, n_inactives: int) -> None:
    """One run each. With few actives the test is allowed to be cautious, never rash."""
    labels, (first, second) = a_study(n_actives, n_inactives, N_TASKS[metric], 3)
    _, result = outcome(metric, labels, [first], [second])
    share, error = (result.p[:-1] < 0.05).mean(), np.sqrt(0.05 * 0.95 / N_TASKS[metric])
    assert share <= 0.05 + 3 * error
    if n_actives >= 30:
        assert share >= 0.05 - 3 * error


@pytest.mark.parametrize("metric", METRICS)
def test_interval_covers_the_true_difference_and_power_is_there(metric: str) -> None:
    labels, (first, second) = a_study(60, 400, 200, 4, gain=0.8)
    found, result = outcome(metric, labels, [first], [second])
    truth = found.values[:-1].mean()
    covered = ((result.low[:-1] <= truth) & (truth <= result.high[:-1])).mean()
    assert covered >= 0.92
    assert (result.p[:-1] < 0.05).mean() > 0.6


# --- several seeds -----------------------------------------------------------------------------------------


def seeds_of_one_method(n_tasks: int, seed: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """Ten runs of one method: what they know in common, own noise, and an own quality of each run."""
    random = np.random.default_rng(seed)
    labels = np.repeat([1.0, 0.0], [40, 200])[:, None] * np.ones(n_tasks)
    known = random.normal(size=labels.shape) + labels
    scores = [
        known + random.normal(0, 0.15, n_tasks) * labels + random.normal(0, 0.5, labels.shape)
        for _ in range(10)
    ]
    return labels.astype(np.float32), scores


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(("n_first", "n_second"), [(5, 5), (2, 4), (1, 5)])
def test_seeds_of_one_method_are_told_apart_in_5_percent(metric: str, n_first: int, n_second: int) -> None:
    n_tasks = N_TASKS[metric] // 2
    labels, scores = seeds_of_one_method(n_tasks, 5)
    _, result = outcome(metric, labels, scores[:n_first], scores[5 : 5 + n_second])
    share, error = (result.p[:-1] < 0.05).mean(), np.sqrt(0.05 * 0.95 / n_tasks)
    assert 0.01 <= share <= 0.05 + 3 * error
    assert (result.p[:-1] < 0.001).mean() <= 0.005


def of_seeds(metric: str, labels: np.ndarray, scores: list[np.ndarray]) -> list[Sample]:
    return [sampler_of(metric)(labels, one, 0) for one in scores]


def test_pairs_of_seeds_find_more_and_not_too_much() -> None:
    """What the seed does to both models of a pair is large here, and drops out."""
    n_tasks = N_TASKS["roc_auc"] // 2
    labels, scores = seeds_of_one_method(n_tasks, 6)
    random = np.random.default_rng(0)
    first, second = ([one + 0.3 * random.normal(size=one.shape) for one in scores[:5]] for _ in range(2))
    better = [one + 0.15 * np.nan_to_num(labels) for one in second]
    freedom, smaller = np.full(n_tasks + 1, 39.0), np.full(n_tasks + 1, 40)
    sides = [of_seeds("roc_auc", labels, side) for side in (first, second, better)]
    by_seed, apart = difference_by_seed(*sides[:2], freedom), difference(*sides[:2], freedom)
    p = significance(by_seed, smaller).p[:-1]
    assert (p < 0.05).mean() <= 0.05
    power = [
        (significance(differ(sides[0], sides[2], freedom), smaller).p[:-1] < 0.05).mean()
        for differ in (difference_by_seed, difference)
    ]
    assert power[0] > power[1] + 0.1
    np.testing.assert_allclose(by_seed.values, apart.values)
    assert np.median(by_seed.variance) < 0.6 * np.median(apart.variance)
    backward = difference_by_seed(*sides[1::-1], freedom)
    np.testing.assert_allclose(backward.values, -by_seed.values)
    np.testing.assert_allclose(backward.variance, by_seed.variance)


def test_seeds_that_agree_by_chance_do_not_shorten_the_interval() -> None:
    """The variance is never below that of the mean deviations, DeLong's for the mean model."""
    labels, scores = seeds_of_one_method(200, 7)
    sides = [of_seeds("roc_auc", labels, side) for side in (scores[:2], scores[5:7])]
    means = [np.mean([sample.deviations for sample in side], axis=0) for side in sides]
    least = sums_between((means[1] - means[0]) ** 2, sides[0][0].bounds)
    for differ in (difference, difference_by_seed):
        found = differ(*sides, np.full(201, 39.0))
        assert (found.variance >= least - 1e-15).all()
        assert (found.variance > least + 1e-9).any()


def test_one_pair_is_no_seeds() -> None:
    labels, (first, second) = a_study(20, 80, 3, 6)
    sides = [of_seeds("roc_auc", labels, [one]) for one in (first, second)]
    for one, other in zip(
        difference_by_seed(*sides, np.full(4, 19.0)), difference(*sides, np.full(4, 19.0)), strict=True
    ):
        np.testing.assert_allclose(one, other)


def test_a_run_and_its_copy_are_no_second_seed_in_disguise() -> None:
    """Equal runs on each side have no scatter: what is left is DeLong's variance of two models."""
    labels, (first, second) = a_study(20, 80, 3, 6)
    once, _ = outcome("roc_auc", labels, [first], [second])
    twice, _ = outcome("roc_auc", labels, [first, first], [second, second])
    np.testing.assert_allclose(twice.variance, once.variance)
    np.testing.assert_allclose(twice.values, once.values)


def test_scatter_between_seeds_widens_the_interval() -> None:
    """By hand: AUC 0.5, 0.5 and 1, 0.5, no variance over molecules: s^2 = 0.125 / 2, times 1/2 + 1/2."""
    labels = np.array([[1.0], [1.0], [0.0], [0.0]])
    perfect, constant = labels.copy(), np.zeros_like(labels)
    found, _ = outcome("roc_auc", labels, [constant, constant], [perfect, constant])
    assert found.values[0] == 0.25
    assert found.variance[0] == pytest.approx(0.0625)
    assert found.freedom[0] == pytest.approx(2)
    sides = [of_seeds("roc_auc", labels, side) for side in ([constant, constant], [perfect, constant])]
    by_seed = difference_by_seed(*sides, np.ones(2))
    assert by_seed.variance[0] == pytest.approx(0.125 / 2)  # differences 0.5 and 0
    assert by_seed.freedom[0] == pytest.approx(1)


# --- several splits ----------------------------------------------------------------------------------------


def test_corrected_resampled_t_test_by_hand() -> None:
    """Differences 1, 2, 3 of three splits: mean 2, variance 1, times (1/3 + 1/4)."""
    splits = [
        Difference(np.array([value, 5.0]), np.array([9.0, 4.0]), np.array([7.0, 8.0])) for value in (1, 2, 3)
    ]
    for one in splits[1:]:
        one.values[1] = np.nan  # the second assay has its classes in the first split only
    found = over_splits(splits, 1 / 4)
    np.testing.assert_allclose(found.values, [2, 5])
    np.testing.assert_allclose(found.variance, [1 / 3 + 1 / 4, 4])
    np.testing.assert_allclose(found.freedom, [2, 8])


def test_an_assay_without_any_value_stays_without() -> None:
    nothing = Difference(np.array([np.nan]), np.array([np.nan]), np.array([3.0]))
    assert np.isnan(over_splits([nothing, nothing], 0.1).values).all()


# --- tests at the edge -------------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", METRICS)
def test_a_model_against_itself_is_a_tie(metric: str) -> None:
    labels, (first, _) = a_study(5, 20, 4, 7, missing=0.2)
    found, result = outcome(metric, labels, [first], [first])
    np.testing.assert_array_equal(found.values, 0)
    np.testing.assert_array_equal(result.p, 1)
    np.testing.assert_array_equal([result.low, result.high], 0)


@pytest.mark.parametrize("metric", METRICS)
def test_order_of_the_models_turns_the_sign_alone(metric: str) -> None:
    labels, (first, second) = a_study(8, 40, 5, 8, gain=0.5, missing=0.2)
    one, forward = outcome(metric, labels, [first], [second])
    other, backward = outcome(metric, labels, [second], [first])
    np.testing.assert_allclose(one.values, -other.values)
    np.testing.assert_allclose(forward.p, backward.p)
    np.testing.assert_allclose(forward.low, -backward.high)


@pytest.mark.parametrize("metric", METRICS)
def test_assays_without_two_of_each_class_have_no_test(metric: str) -> None:
    labels = np.array([[1, 1, np.nan, 1], [0, 1, np.nan, 1], [0, 1, np.nan, 0], [0, 1, np.nan, 0]])
    scores = np.random.default_rng(0).random((2, *labels.shape))
    found, result = outcome(metric, labels, [scores[0]], [scores[1]])
    np.testing.assert_array_equal(np.isnan(result.p), [True, True, True, False, False])
    assert not np.isnan(found.values[0])  # one active: a difference, but no test of it
    assert found.values[-1] == pytest.approx(found.values[3])


def test_a_difference_without_variance_is_a_sign_test() -> None:
    """All 6 actives and all 8 inactives favour the second model: p = 2 / 2^6."""
    labels = np.repeat([1.0, 0.0], [6, 8])[:, None]
    _, result = outcome("roc_auc", labels, [np.zeros_like(labels)], [labels])
    assert result.p[0] == 2 / 2**6
    assert np.isnan(result.low[0])


@pytest.mark.parametrize("metric", METRICS)
def test_a_table_without_any_test_is_all_unknown(metric: str) -> None:
    labels = np.full((5, 2), np.nan, np.float32)
    found, result = outcome(metric, labels, [np.zeros((5, 2))], [np.zeros((5, 2))])
    assert np.isnan(result.p).all()
    assert np.isnan(found.values).all()


# --- many tests --------------------------------------------------------------------------------------------


def test_holm_by_hand() -> None:
    """0.01 x 4; 0.02 x 3; 0.03 x 2 = 0.06, which is not below 0.06; 0.5 x 1."""
    np.testing.assert_allclose(adjust(np.array([0.5, 0.01, 0.03, 0.02]), "holm"), [0.5, 0.04, 0.06, 0.06])


def test_benjamini_hochberg_by_hand() -> None:
    """0.01 x 4/1 = 0.04; 0.02 x 4/2 = 0.04; 0.03 x 4/3 = 0.04; 0.5 x 4/4."""
    np.testing.assert_allclose(adjust(np.array([0.5, 0.01, 0.03, 0.02]), "bh"), [0.5, 0.04, 0.04, 0.04])


@pytest.mark.parametrize("name", paired.adjustments.names())
@given(st.lists(st.floats(0, 1), max_size=20))
def test_adjusted_p_values_are_larger_and_in_order(name: str, values: list[float]) -> None:
    p = np.array([*values, np.nan])
    adjusted = adjust(p, name)
    assert np.isnan(adjusted[-1])
    assert (adjusted[:-1] >= p[:-1]).all()
    assert (adjusted[:-1] <= 1).all()
    order = np.argsort(p[:-1])
    assert (np.diff(adjusted[:-1][order]) >= 0).all()
    alone = adjust(np.array([0.03]), name)
    assert alone[0] == 0.03


def test_unknown_names_are_explained() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'holm'"):
        adjust(np.array([0.5]), "hlom")
    with pytest.raises(ConfigError, match="roc_auc"):
        samplers.get("auc")
