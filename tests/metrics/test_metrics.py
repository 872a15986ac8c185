"""Metrics against scikit-learn, RDKit, slow plain loops and values by hand."""

import itertools
import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rdkit.ML.Scoring import Scoring
from sklearn import metrics as sklearn_metrics

from screening.errors import DataError
from screening.metrics.average_precision import average_precision, pooled_average_precision
from screening.metrics.contract import Outcome, metrics
from screening.metrics.early_recognition import bedroc, enrichment_factor, enrichment_factor_max
from screening.metrics.probabilities import base_entropy, brier, calibration_error, log_loss
from screening.metrics.ranking import placements, rank
from screening.metrics.roc_auc import delong_deviations, delong_interval, roc_auc
from screening.metrics.sums import sums_between
from screening.testing.metrics import CHECKS
from screening.testing.subjects import Check, Subject, statement

NAN = float("nan")
NAMES = metrics.names()


def a_table(
    n: int, n_tasks: int, seed: int, *, measured: float = 0.7, active: float = 0.3, values: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Random labels with gaps, and scores between 0 and 1: of so many `values` (ties), or all different."""
    random = np.random.default_rng(seed)
    labels = (random.random((n, n_tasks)) < active).astype(np.float32)
    labels[random.random((n, n_tasks)) > measured] = np.nan
    scores = (
        0.6 * random.random((n, n_tasks)) + 0.3 * np.nan_to_num(labels) * random.random((n, n_tasks)) + 0.05
    )
    if values:
        scores = np.ceil(scores * values) / (values + 1)
    return labels, scores.astype(np.float32)


tables = st.builds(
    a_table,
    st.integers(1, 60),
    st.integers(1, 5),
    st.integers(0, 10**6),
    measured=st.floats(0, 1),
    active=st.sampled_from([0.0, 0.05, 0.3, 0.9, 1.0]),
    values=st.sampled_from([0, 1, 2, 7]),
)


def measured_columns(labels: np.ndarray, scores: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    return [
        (label[~np.isnan(label)], score[~np.isnan(label)])
        for label, score in zip(labels.T, scores.T, strict=True)
    ]


def by_column(function, labels: np.ndarray, scores: np.ndarray, *, both: bool = True) -> list[float]:
    """`function(labels, scores)` of each column on its own; NaN where a class is missing."""
    return [
        function(label, score) if len(np.unique(label)) > both else NAN
        for label, score in measured_columns(labels, scores)
    ]


# --- against scikit-learn ---------------------------------------------------------------------------------


@given(tables)
def test_roc_auc_equals_scikit_learn(table) -> None:
    np.testing.assert_allclose(
        roc_auc(rank(*table)), by_column(sklearn_metrics.roc_auc_score, *table), atol=1e-12
    )


@given(tables)
def test_average_precision_equals_scikit_learn(table) -> None:
    expected = by_column(sklearn_metrics.average_precision_score, *table)
    np.testing.assert_allclose(average_precision(rank(*table)), expected, atol=1e-12)


@given(tables)
def test_log_loss_and_brier_equal_scikit_learn(table) -> None:
    labels, scores = table[0], table[1].astype(np.float64)
    expected = by_column(
        lambda y, p: sklearn_metrics.log_loss(y, p, labels=[0, 1]), labels, scores, both=False
    )
    np.testing.assert_allclose(log_loss(rank(labels, scores)), expected, rtol=1e-9)
    expected = by_column(lambda y, p: np.mean((y - p) ** 2), labels, scores, both=False)
    np.testing.assert_allclose(brier(rank(labels, scores)), expected, rtol=1e-9)
    expected = by_column(sklearn_metrics.brier_score_loss, labels, scores)
    known = ~np.isnan(expected)
    np.testing.assert_allclose(brier(rank(labels, scores))[known], np.array(expected)[known], rtol=1e-9)


def test_sure_and_wrong_costs_what_scikit_learn_says_for_float32() -> None:
    labels, scores = np.array([[1.0], [0.0]]), np.array([[0.0], [0.0]], dtype=np.float32)
    expected = sklearn_metrics.log_loss(labels[:, 0], scores[:, 0])
    np.testing.assert_allclose(log_loss(rank(labels, scores)), expected, rtol=1e-6)
    np.testing.assert_array_equal(
        log_loss(rank(labels, scores.astype(float))), log_loss(rank(labels, scores))
    )


@given(tables)
def test_pooled_average_precision_is_that_of_all_pairs(table) -> None:
    labels, scores = table
    measured = ~np.isnan(labels)
    if len(np.unique(labels[measured])) == 2:
        expected = sklearn_metrics.average_precision_score(labels[measured], scores[measured])
        assert pooled_average_precision(labels, scores) == pytest.approx(expected)
    else:
        assert math.isnan(pooled_average_precision(labels, scores))


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=2, max_size=30), st.data())
def test_any_finite_scores_are_ordered_exactly(values, data) -> None:
    labels = data.draw(st.lists(st.sampled_from([0.0, 1.0]), min_size=len(values), max_size=len(values)))
    labels = np.array([*labels, 0.0, 1.0])[:, None]
    for dtype in (np.float64, np.float32):
        with np.errstate(over="ignore"):
            scores = np.array([*values, 0.0, -0.0], dtype=dtype)[:, None]
        if np.isfinite(scores).all():
            expected = sklearn_metrics.roc_auc_score(labels[:, 0], scores[:, 0])
            assert roc_auc(rank(labels, scores))[0] == pytest.approx(expected)


def test_differences_below_float32_count_in_float64() -> None:
    labels, scores = np.array([[1.0], [0.0]]), np.array([[0.5 + 1e-12], [0.5]])
    assert roc_auc(rank(labels, scores))[0] == 1
    assert roc_auc(rank(labels, scores.astype(np.float32)))[0] == 0.5


@pytest.mark.parametrize("dtype", [np.float16, np.int8, np.int64, bool])
def test_scores_of_other_types_are_read(dtype) -> None:
    labels, scores = np.array([[1.0], [0.0], [1.0]]), np.array([[1], [0], [0]], dtype=dtype)
    assert roc_auc(rank(labels, scores))[0] == 0.75


# --- the uncertainty of the ROC-AUC -----------------------------------------------------------------------


def slow_placements(label: np.ndarray, score: np.ndarray) -> tuple[list[float], list[float]]:
    """DeLong's structural components by their definition."""
    actives, inactives = score[label == 1], score[label == 0]
    wins = [[float(a > i) + 0.5 * float(a == i) for i in inactives] for a in actives]
    return [sum(row) / len(inactives) for row in wins], [
        sum(c) / len(actives) for c in zip(*wins, strict=True)
    ]


def slow_covariance(label: np.ndarray, models: list[np.ndarray]) -> np.ndarray:
    of_actives, of_inactives = zip(*(slow_placements(label, score) for score in models), strict=True)
    return np.cov(of_actives) / len(of_actives[0]) + np.cov(of_inactives) / len(of_inactives[0])


@settings(max_examples=50, deadline=None)
@given(tables, st.integers(0, 10**6))
def test_delong_equals_the_plain_double_loop(table, seed) -> None:
    labels, first = table
    second = np.random.default_rng(seed).permutation(first)
    models = [delong_deviations(labels, scores) for scores in (first, second)]
    for model, scores in zip(models, (first, second), strict=True):
        np.testing.assert_allclose(model.values, roc_auc(rank(labels, scores)))
    deviations = np.stack([model.deviations for model in models])
    covariance = sums_between(deviations[:, None] * deviations[None, :], models[0].bounds).transpose(2, 0, 1)
    errors = [delong_interval(rank(labels, scores)).standard_error for scores in (first, second)]
    variances = np.array(errors).T ** 2
    for task, label in enumerate(labels.T):
        if min((label == 1).sum(), (label == 0).sum()) < 2:
            assert np.isnan(covariance[task]).all() or not (label == label).any()
            assert np.isnan(variances[task]).all()
        else:
            expected = slow_covariance(label, [first[:, task], second[:, task]])
            np.testing.assert_allclose(covariance[task], expected, atol=1e-12)
            np.testing.assert_allclose(variances[task], np.diag(expected), atol=1e-12)


def test_placements_keep_the_order_of_the_rows() -> None:
    labels = np.array([[1.0], [NAN], [0.0], [1.0], [0.0]])
    scores = np.array([[0.2], [0.9], [0.2], [0.8], [0.1]])
    found = placements(labels, scores)
    np.testing.assert_allclose(found.values, [0.75, 0.75, 1.0, 1.0])
    np.testing.assert_array_equal(found.is_active, [True, False, True, False])


def test_interval_agrees_with_the_bootstrap() -> None:
    random = np.random.default_rng(5)
    labels = np.repeat([1.0, 0.0], [60, 400])
    scores = (random.normal(size=460) + 1.2 * labels).astype(np.float32)
    interval = delong_interval(rank(labels[:, None], scores[:, None]))
    drawn = np.concatenate([random.integers(0, 60, (60, 4000)), random.integers(60, 460, (400, 4000))])
    values = roc_auc(rank(labels[drawn], scores[drawn]))
    assert interval.standard_error[0] == pytest.approx(values.std(), rel=0.05)
    low, high = np.percentile(values, [2.5, 97.5])
    assert interval.low[0] == pytest.approx(low, abs=0.01)
    assert interval.high[0] == pytest.approx(high, abs=0.01)


@pytest.mark.parametrize(
    ("n_actives", "n_inactives", "least"), [(40, 400, 0.935), (10, 300, 0.92), (3, 300, 0.89)]
)
def test_interval_covers_the_truth(n_actives: int, n_inactives: int, least: float) -> None:
    trials, distance = 3000, 2**0.5 * 0.8416212  # normal scores at this distance have an AUC of 0.8
    random = np.random.default_rng(n_actives)
    labels = np.repeat([1.0, 0.0], [n_actives, n_inactives])[:, None] * np.ones(trials)
    interval = delong_interval(rank(labels, random.normal(size=labels.shape) + distance * labels))
    covered = ((interval.low <= 0.8) & (interval.high >= 0.8)).mean()
    assert least <= covered <= 0.97


@given(tables)
def test_interval_surrounds_the_value_and_stays_between_0_and_1(table) -> None:
    ranking = rank(*table)
    interval = delong_interval(ranking)
    known = ranking.has_both
    assert np.isnan(np.array(interval)[:, ~known]).all()
    assert (interval.low[known] >= 0).all()
    assert (interval.high[known] <= 1).all()
    assert (interval.low[known] <= interval.values[known] + 1e-9).all()
    assert (interval.high[known] >= interval.values[known] - 1e-9).all()
    assert (interval.low[known] < interval.high[known]).all()
    wider = delong_interval(ranking, level=0.99)
    assert (wider.low[known] <= interval.low[known]).all()
    assert (wider.high[known] >= interval.high[known]).all()


@given(tables)
def test_interval_is_the_same_with_the_classes_and_the_order_turned_round(table) -> None:
    labels, scores = table
    turned = delong_interval(rank(1 - labels, -scores))
    np.testing.assert_allclose(turned, delong_interval(rank(labels, scores)), atol=1e-12)


@pytest.mark.parametrize(
    ("actives", "inactives", "value", "low", "high"),
    [
        # Wilson's interval of a share of min(m, n) trials; of k out of k it is k / (k + 1.96^2) to 1.
        ([5] * 5, [1] * 50, 1.0, 5 / (5 + 3.8415), 1.0),
        ([1] * 5, [5] * 50, 0.0, 0.0, 1 - 5 / (5 + 3.8415)),
        ([9], range(9), 1.0, 1 / (1 + 3.8415), 1.0),
        # of 2 out of 4: (2 + 1.92 ± 1.96 sqrt(1 + 0.9604)) / (4 + 3.84)
        ([3] * 4, [3] * 40, 0.5, 0.15004, 0.84996),
    ],
)
def test_interval_where_delong_has_none(actives, inactives, value, low, high) -> None:
    labels = np.repeat([1.0, 0.0], [len(actives), len(inactives)])[:, None]
    found = delong_interval(rank(labels, np.array([*actives, *inactives], dtype=float)[:, None]))
    assert (found.values[0], found.low[0], found.high[0]) == pytest.approx((value, low, high), abs=1e-4)


# --- early recognition ------------------------------------------------------------------------------------


def of_ranks(n: int, ranks: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """A table of n molecules where the actives have these ranks, counted from 1 at the top."""
    labels = np.zeros((n, 1))
    labels[np.array(ranks) - 1] = 1
    return labels, -np.arange(n, dtype=np.float32)[:, None]


def test_bedroc_of_the_known_example() -> None:
    assert bedroc(rank(*of_ranks(1000, [3, 50, 400])))[0] == pytest.approx(0.454420, abs=1e-6)


def test_bedroc_of_the_best_and_the_worst_order() -> None:
    assert bedroc(rank(*of_ranks(1000, list(range(1, 11)))))[0] == pytest.approx(1)
    assert bedroc(rank(*of_ranks(1000, list(range(991, 1001)))))[0] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("alpha", [1.0, 20.0, 160.9])
def test_bedroc_equals_rdkit(alpha: float) -> None:
    labels, scores = a_table(300, 6, 1, active=0.1)
    expected = by_column(
        lambda y, s: Scoring.CalcBEDROC(y[np.argsort(-s)][:, None].astype(int), 0, alpha), labels, scores
    )
    np.testing.assert_allclose(bedroc(rank(labels, scores), alpha=alpha), expected, rtol=1e-9)


def test_ties_count_as_the_mean_over_all_orders() -> None:
    scores = np.array([3, 2, 2, 2, 1, 1])
    labels = np.array([0, 1, 0, 1, 1, 0])
    options = [(bedroc, {"alpha": 5.0}), (enrichment_factor, {"fraction": 0.5})]
    for metric, option in options:
        orders = [o for o in itertools.permutations(range(6)) if (np.diff(scores[list(o)]) <= 0).all()]
        ordered = labels[np.array(orders)].T
        each = metric(rank(ordered, np.tile(-np.arange(6.0)[:, None], len(orders))), **option)
        tied = metric(rank(labels[:, None], scores[:, None]), **option)
        assert tied[0] == pytest.approx(each.mean())


@pytest.mark.parametrize(
    ("n", "ranks", "fraction", "value", "greatest"),
    [
        (1000, [1, 2, 500, 900], 0.01, 50.0, 100.0),  # 2 of 4 in the top 10 of 1000: (2/10) / (4/1000)
        (1000, list(range(1, 21)), 0.01, 50.0, 50.0),  # more actives than places
        (150, [2, 3], 0.01, 37.5, 75.0),  # top 2 of 150, rounded up
        (100, [7, 8], 0.07, 100 / 14, 200 / 14),  # 0.07 * 100 is a little above 7 in floating point
        (50, [50], 0.01, 0.0, 50.0),
    ],
)
def test_enrichment_by_hand(n, ranks, fraction, value, greatest) -> None:
    ranking = rank(*of_ranks(n, ranks))
    assert enrichment_factor(ranking, fraction=fraction)[0] == pytest.approx(value)
    assert enrichment_factor_max(ranking, fraction=fraction)[0] == pytest.approx(greatest)


@given(tables)
def test_enrichment_stays_below_its_maximum(table) -> None:
    ranking = rank(*table)
    known = ranking.has_both
    assert (enrichment_factor(ranking)[known] <= enrichment_factor_max(ranking)[known] + 1e-9).all()


def test_random_order_gives_the_base_rate_and_no_enrichment() -> None:
    labels, scores = a_table(20000, 8, 3, active=0.05)
    scores = np.random.default_rng(0).permutation(scores)
    ranking = rank(labels, scores)
    rate = ranking.actives / ranking.counts
    np.testing.assert_allclose(average_precision(ranking), rate, rtol=0.1)
    assert enrichment_factor(ranking).mean() == pytest.approx(1, abs=0.3)
    assert roc_auc(ranking).mean() == pytest.approx(0.5, abs=0.02)


# --- probabilities ----------------------------------------------------------------------------------------


def slow_calibration_error(label: np.ndarray, probability: np.ndarray, bins: int = 10) -> float:
    order = np.argsort(probability)
    edges = len(label) * np.arange(bins + 1) // bins
    parts = [order[start:end] for start, end in itertools.pairwise(edges)]
    return sum(abs((label[part] - probability[part].astype(float)).sum()) for part in parts) / len(label)


@given(tables.filter(lambda table: all(len(np.unique(column)) == len(column) for column in table[1].T)))
def test_calibration_error_equals_the_plain_loop(table) -> None:
    expected = by_column(slow_calibration_error, *table, both=False)
    np.testing.assert_allclose(calibration_error(rank(*table)), expected, atol=1e-9)


def test_calibration_error_does_not_depend_on_the_order_of_ties() -> None:
    labels, scores = a_table(200, 3, 2, values=7)
    order = np.random.default_rng(0).permutation(200)
    np.testing.assert_allclose(
        calibration_error(rank(labels, scores)), calibration_error(rank(labels[order], scores[order]))
    )


def test_predicting_the_base_rate_is_calibrated_and_costs_the_base_entropy() -> None:
    labels = np.array([[1.0], [0.0], [0.0], [0.0]])
    ranking = rank(labels, np.full((4, 1), 0.25))
    assert calibration_error(ranking)[0] == pytest.approx(0)
    assert log_loss(ranking)[0] == pytest.approx(base_entropy(ranking)[0])
    assert base_entropy(ranking)[0] == pytest.approx(-0.25 * math.log(0.25) - 0.75 * math.log(0.75))


def test_mean_of_probabilities_may_be_off_by_rounding() -> None:
    assert brier(rank(np.ones((1, 1)), np.array([[1 + 1e-12]])))[0] == 0


# --- every metric of the registry -------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
@given(table=tables)
@settings(max_examples=30, deadline=None)
def test_value_is_in_range_and_missing_where_the_needs_are_not_met(name: str, table) -> None:
    metric = metrics.get(name)
    is_real = np.full(table[0].shape[1], "binary" not in metric.kinds)
    outcome = Outcome(*table, is_real=is_real)
    values = metric.values(outcome)
    assert values.shape == (table[0].shape[1],)
    assert values.dtype == np.float64
    met = outcome.has(metric.needs)
    np.testing.assert_array_equal(np.isnan(values), ~met)
    assert (values[met] >= metric.range[0] - 1e-9).all()
    assert (values[met] <= metric.range[1] + 1e-9).all()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("check", CHECKS, ids=statement)
def test_contract(name: str, check: Check) -> None:
    check(Subject(name))


def test_nothing_warns_of_missing_classes() -> None:
    labels = np.array([[1, 0, NAN, 1, 1], [1, 0, NAN, 0, NAN], [1, 0, NAN, 0, 0]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in NAMES:
            metrics.get(name)(labels, np.full(labels.shape, 0.5))
        delong_interval(rank(labels, np.full(labels.shape, 0.5)))
        delong_deviations(labels, np.full(labels.shape, 0.5))


def test_every_metric_is_described() -> None:
    assert {"roc_auc", "average_precision", "bedroc", "ef_1pct", "log_loss", "brier"} <= set(NAMES)
    for name in NAMES:
        assert metrics.get(name).description.endswith(".")


# --- mistakes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [NAN, math.inf, -math.inf])
def test_score_that_is_no_number_is_named(wrong: float) -> None:
    labels, scores = np.zeros((5, 3)), np.zeros((5, 3))
    labels[3, 1], scores[3, 1], scores[2, 2] = NAN, wrong, wrong
    with pytest.raises(DataError, match=r"'C', row 2 .*score (nan|inf|-inf) is not a finite number \(1 such"):
        rank(labels, scores, ["A", "B", "C"])
    labels[2, 2] = NAN
    rank(labels, scores)  # what was not measured is not read


@pytest.mark.parametrize("wrong", [2.0, -1.0, 0.5, math.inf])
def test_label_that_is_not_0_or_1_is_named(wrong: float) -> None:
    labels = np.zeros((5, 3))
    labels[4, 0] = wrong
    with pytest.raises(DataError, match=r"'A', row 4 .*label .* is neither 0, 1 nor NaN"):
        rank(labels, np.zeros((5, 3)), ["A", "B", "C"])


@pytest.mark.parametrize("name", [name for name in NAMES if metrics.get(name).reads == "probabilities"])
def test_scores_that_are_no_probabilities_are_refused(name: str) -> None:
    labels = np.array([[NAN, 1.0], [NAN, 0.0]])
    with pytest.raises(DataError, match=r"'task 1': score 1\.5 is not a probability"):
        metrics.get(name)(labels, np.array([[1.5, 1.5], [0.0, 0.0]]))


def test_wrong_calls_are_refused() -> None:
    one = np.zeros((2, 1))
    for labels, scores, tasks in [
        (one, np.zeros((3, 1)), None),
        (one[:, 0], one[:, 0], None),
        (one, one, ["A", "B"]),
    ]:
        with pytest.raises(ValueError, match=r"expected|names"):
            rank(labels, scores, tasks)
    ranking = rank(one, one)
    for call in (
        lambda: delong_interval(ranking, level=95),
        lambda: bedroc(ranking, alpha=0),
        lambda: enrichment_factor(ranking, fraction=1.1),
        lambda: calibration_error(ranking, bins=0),
    ):
        with pytest.raises(ValueError, match="expected"):
            call()


def test_arguments_are_left_as_they_are() -> None:
    labels, scores = a_table(50, 3, 0)
    before = labels.copy(), scores.copy()
    for name in NAMES:
        metrics.get(name)(labels, scores)
    np.testing.assert_array_equal(labels, before[0])
    np.testing.assert_array_equal(scores, before[1])
