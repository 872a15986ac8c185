"""Metrics of real assays against scikit-learn, SciPy, the bootstrap and simulation."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as sklearn_metrics

from screening.metrics.cells import Cells, cells_of
from screening.metrics.concordance import concordance_estimate
from screening.metrics.contract import FIRST_OF_REAL, Outcome, metrics
from screening.metrics.errors_of_values import mae_estimate, r2_estimate, rmse_estimate, share_estimate
from screening.metrics.estimates import estimate, log_interval
from screening.metrics.rank_correlation import kendall_estimate, spearman_estimate
from screening.metrics.ranking import rank
from screening.metrics.roc_auc import delong_interval

NAN = float("nan")
ESTIMATES = {
    "concordance": concordance_estimate,
    "rmse": rmse_estimate,
    "mae": mae_estimate,
    "r2": r2_estimate,
    "spearman": spearman_estimate,
    "kendall": kendall_estimate,
}


def a_table(
    n: int, n_tasks: int, seed: int, *, levels: int = 0, missing: float = 0.0, censoring: float = 0.0
):
    """Values, predictions and signs [n, T]; with `levels` both are rounded, so that many are equal."""
    random = np.random.default_rng(seed)
    labels = random.normal(size=(n, n_tasks))
    scores = 0.7 * labels + 0.6 * random.normal(size=(n, n_tasks))
    if levels:
        labels, scores = np.round(labels * levels / 3), np.round(scores * levels / 3)
    labels[random.random((n, n_tasks)) < missing] = NAN
    signs = random.choice([-1, 1], (n, n_tasks)) * (random.random((n, n_tasks)) < censoring)
    return labels.astype(np.float32), scores.astype(np.float32), signs.astype(np.int8)


tables = st.builds(
    a_table,
    st.integers(0, 40),
    st.integers(1, 4),
    st.integers(0, 10**6),
    levels=st.sampled_from([0, 1, 3, 9]),
    missing=st.sampled_from([0.0, 0.3, 0.9]),
    censoring=st.sampled_from([0.0, 0.3, 1.0]),
)


def of(table) -> Outcome:
    labels, scores, signs = table
    return Outcome(labels, scores, is_real=np.ones(labels.shape[1], bool), censored=signs)


def by_column(function, table, *, varies: bool = True) -> list[float]:
    """`function(values, predictions)` of the exact cells of each column; NaN where values do not vary."""
    numbers = []
    for label, score, sign in zip(*(one.T for one in table), strict=True):
        exact = ~np.isnan(label) & (sign == 0)
        y, p = label[exact].astype(float), score[exact].astype(float)
        numbers.append(function(y, p) if len(np.unique(y)) > varies else NAN)
    return numbers


def correlation(function):
    def value(y: np.ndarray, p: np.ndarray) -> float:
        return float(function(y, p)[0]) if len(np.unique(p)) > 1 else 0.0

    return value


# --- against scikit-learn and SciPy -----------------------------------------------------------------------


@given(tables)
def test_errors_equal_scikit_learn(table) -> None:
    outcome = of(table)
    oracles = {
        "rmse": (sklearn_metrics.root_mean_squared_error, False),
        "mae": (sklearn_metrics.mean_absolute_error, False),
        "r2": (sklearn_metrics.r2_score, True),
        "within_03": (lambda y, p: np.mean(np.abs(y - p) <= 0.3), False),
        "within_1": (lambda y, p: np.mean(np.abs(y - p) <= 1), False),
    }
    for name, (oracle, varies) in oracles.items():
        expected = by_column(oracle, table, varies=varies)
        np.testing.assert_allclose(metrics.get(name).values(outcome), expected, rtol=1e-9, atol=1e-12)


@given(tables)
def test_rank_correlations_equal_scipy(table) -> None:
    outcome = of(table)
    for name, oracle in (("spearman", stats.spearmanr), ("kendall", stats.kendalltau)):
        expected = by_column(correlation(oracle), table)
        np.testing.assert_allclose(metrics.get(name).values(outcome), expected, rtol=1e-9, atol=1e-12)


def test_what_is_0_3_away_on_paper_is_within_0_3() -> None:
    labels = np.array([[6.1], [7.0], [8.3]], np.float32)
    scores = np.array([[6.4], [6.7], [8.61]], np.float32)
    assert metrics.get("within_03")(labels, scores)[0] == pytest.approx(2 / 3)


def test_other_assays_and_kinds_change_nothing() -> None:
    table = a_table(60, 3, 5, missing=0.3, censoring=0.2)
    classes = (np.random.default_rng(0).random((60, 2)) < 0.4).astype(np.float32)
    shares = np.random.default_rng(1).random((60, 2)).astype(np.float32)
    order = [3, 0, 1, 4, 2]
    mixed = Outcome(
        np.hstack([table[0], classes])[:, order],
        np.hstack([table[1], shares])[:, order],
        is_real=np.array([True, True, True, False, False])[order],
        censored=np.hstack([table[2], np.zeros((60, 2), np.int8)])[:, order],
    )
    for name in metrics.names():
        metric = metrics.get(name)
        pieces = [
            metric.values(one) if kind in metric.kinds else np.full(n, NAN)
            for kind, one, n in (("real", of(table), 3), ("binary", Outcome(classes, shares), 2))
        ]
        np.testing.assert_array_equal(metric.values(mixed), np.concatenate(pieces)[order], err_msg=name)


# --- deviations and intervals -----------------------------------------------------------------------------


def reweighed(name: str, y: np.ndarray, p: np.ndarray, place: int, extra: int) -> float:
    """The metric of a table in which one molecule stands `extra` times more among so many copies of all."""
    counts = np.full(len(y), 400)
    counts[place] += extra
    labels, scores = np.repeat(y, counts)[:, None], np.repeat(p, counts)[:, None]
    return float(metrics.get(name).values(of((labels, scores, None)))[0])


@pytest.mark.parametrize("name", ESTIMATES)
def test_deviations_are_the_change_if_a_molecule_weighs_more(name: str) -> None:
    for levels in (0, 3):
        y, p, _ = a_table(25, 1, 3, levels=levels)
        estimated = ESTIMATES[name](cells_of(y, p))
        n = len(y)
        slopes = [
            n * 400 * (reweighed(name, y[:, 0], p[:, 0], place, 2) - estimated.values[0]) / 2
            for place in range(n)
        ]
        expected = np.array(slopes) / np.sqrt(n * (n - 1))
        np.testing.assert_allclose(estimated.deviations, expected, rtol=0.02, atol=2e-4)


@given(tables)
def test_deviations_add_up_to_nothing(table) -> None:
    for name, estimator in ESTIMATES.items():
        estimated = estimator(cells_of(*table))
        sums = np.zeros(len(estimated.values))
        np.add.at(sums, np.repeat(np.arange(len(sums)), estimated.counts), estimated.deviations)
        np.testing.assert_allclose(sums[~np.isnan(sums)], 0, atol=1e-9, err_msg=name)


@pytest.mark.parametrize("name", ESTIMATES)
def test_standard_error_is_that_of_a_bootstrap_over_molecules(name: str) -> None:
    labels, scores, signs = a_table(300, 1, 11, censoring=0.2)
    drawn = np.random.default_rng(2).integers(0, 300, (300, 2000))
    outcome = of((labels[drawn, 0], scores[drawn, 0], signs[drawn, 0]))
    values = metrics.get(name).values(outcome)
    error = ESTIMATES[name](cells_of(labels, scores, signs)).errors[0]
    assert error == pytest.approx(values.std(), rel=0.06)


def test_deviations_of_classes_are_those_of_delong() -> None:
    labels, scores, _ = a_table(80, 3, 4, levels=4)
    labels = (labels > 0).astype(np.float32)
    estimated, expected = (
        concordance_estimate(cells_of(labels, scores)),
        delong_interval(rank(labels, scores)),
    )
    np.testing.assert_allclose(estimated.values, expected.values)
    # n / (n - 1) of all in place of that of each class
    np.testing.assert_allclose(estimated.errors, expected.standard_error, rtol=0.02)


TRUTH = {"concordance": 0.7744, "rmse": 0.6708, "mae": 0.5352, "r2": 0.55, "spearman": 0.7449}
TRUTH |= {"kendall": 0.5488, "within_03": 0.3453, "within_1": 0.8640}
"""For values N(0, 1) and predictions 0.7 y + 0.6 N(0, 1): the error is N(0, 0.45), the correlation 0.7593;
tau = 2 / pi asin(r), Spearman's 6 / pi asin(r / 2)."""


def test_the_truths_of_the_simulation() -> None:
    error, r = stats.norm(0, 0.45**0.5), 0.7 / 0.85**0.5
    by_formula = {
        "rmse": error.std(),
        "mae": error.std() * (2 / np.pi) ** 0.5,
        "r2": 0.55,
        "kendall": 2 / np.pi * np.arcsin(r),
        "concordance": (1 + 2 / np.pi * np.arcsin(r)) / 2,
        "spearman": 6 / np.pi * np.arcsin(r / 2),
        "within_03": 2 * error.cdf(0.3) - 1,
        "within_1": 2 * error.cdf(1) - 1,
    }
    assert by_formula == pytest.approx(TRUTH, abs=2e-3)


@pytest.mark.parametrize(("n", "least"), [(10, 0.88), (50, 0.92), (200, 0.93)])
@pytest.mark.parametrize("name", FIRST_OF_REAL)
def test_interval_covers_the_truth(name: str, n: int, least: float) -> None:
    low, high = metrics.get(name).bounds(of(a_table(n, 1500, n)))
    covered = ((low <= TRUTH[name]) & (TRUTH[name] <= high)).mean()
    assert covered >= least


@given(tables)
@settings(deadline=None)
def test_interval_surrounds_the_value_and_stays_in_range(table) -> None:
    outcome = of(table)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in FIRST_OF_REAL:
            metric = metrics.get(name)
            values, (low, high) = metric.values(outcome), metric.bounds(outcome)
            has = ~np.isnan(low)
            assert (np.isnan(low) == np.isnan(high)).all()
            assert not np.isnan(values[has]).any(), name
            assert (low[has] <= values[has] + 1e-9).all(), name
            assert (high[has] >= values[has] - 1e-9).all(), name
            assert (low[has] >= metric.range[0]).all(), name
            assert (high[has] <= metric.range[1]).all(), name


def test_a_perfect_order_of_few_has_a_wide_interval() -> None:
    labels = np.arange(8.0)[:, None]
    outcome = Outcome(labels, labels, is_real=np.ones(1, bool))
    low, high = metrics.get("concordance").bounds(outcome)
    # Wilson's of 4 out of 4
    assert (low[0], high[0]) == pytest.approx((4 / (4 + 3.8415), 1.0), abs=1e-4)
    low, high = metrics.get("kendall").bounds(outcome)
    assert (low[0], high[0]) == pytest.approx((2 * 4 / (4 + 3.8415) - 1, 1.0), abs=1e-4)
    assert np.isnan(metrics.get("rmse").bounds(outcome)).all()


def test_equal_predictions_have_no_order() -> None:
    labels = np.arange(30.0)[:, None]
    outcome = Outcome(labels, np.ones((30, 1)), is_real=np.ones(1, bool))
    values = {name: metrics.get(name).values(outcome)[0] for name in ("concordance", "spearman", "kendall")}
    assert values == {"concordance": 0.5, "spearman": 0.0, "kendall": 0.0}
    assert (
        metrics.get("spearman").bounds(outcome).low[0] < 0 < metrics.get("spearman").bounds(outcome).high[0]
    )


def test_censored_cells_count_in_the_concordance_alone() -> None:
    labels, scores, signs = a_table(50, 2, 9, censoring=0.4)
    moved = np.where(signs != 0, scores + 10, scores)
    for name in FIRST_OF_REAL:
        one, other = (metrics.get(name).values(of((labels, s, signs))) for s in (scores, moved))
        assert np.array_equal(one, other) == (name != "concordance"), name


def test_the_share_of_no_molecule_has_no_interval() -> None:
    cells = cells_of(np.full((3, 1), NAN), np.zeros((3, 1)))
    assert np.isnan(share_estimate(cells, within=1).values).all()
    assert np.isnan(log_interval(estimate(cells, np.array([NAN]), np.array([])))).all()


def test_assays_without_cells_are_no_trouble() -> None:
    cells = cells_of(np.zeros((0, 0)), np.zeros((0, 0)))
    assert isinstance(cells, Cells)
    for estimator in ESTIMATES.values():
        assert estimator(cells).values.shape == (0,)
