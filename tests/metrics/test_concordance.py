"""Concordance against SciPy's tau, ROC-AUC and a plain double loop."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau

from screening.errors import DataError
from screening.metrics import pair_counts
from screening.metrics.cells import cells_of
from screening.metrics.concordance import concordance
from screening.metrics.ranking import rank
from screening.metrics.roc_auc import roc_auc


def a_table(n: int, n_tasks: int, seed: int, *, levels: int, missing: float, censoring: float):
    """Values, predictions and signs [n, T], of so many different values (0 = all different)."""
    random = np.random.default_rng(seed)
    labels = random.normal(size=(n, n_tasks))
    scores = labels + random.normal(size=(n, n_tasks))
    if levels:
        labels, scores = np.round(labels * levels / 3), np.round(scores * levels / 3)
    labels[random.random((n, n_tasks)) < missing] = np.nan
    signs = random.choice([-1, 1], (n, n_tasks)) * (random.random((n, n_tasks)) < censoring)
    return labels.astype(np.float32), scores.astype(np.float32), signs.astype(np.int8)


tables = st.builds(
    a_table,
    st.integers(0, 30),
    st.integers(1, 4),
    st.integers(0, 10**6),
    levels=st.sampled_from([0, 1, 3, 9]),
    missing=st.sampled_from([0.0, 0.3, 0.9]),
    censoring=st.sampled_from([0.0, 0.2, 0.8, 1.0]),
)


def is_below(i: int, j: int, y: np.ndarray, signs: np.ndarray) -> bool:
    """Whether the true value of i is certainly below that of j: every value it may have is."""
    highest = np.inf if signs[i] > 0 else y[i]
    lowest = -np.inf if signs[j] < 0 else y[j]
    return highest < lowest or (highest == lowest and not signs[i] == signs[j] == 0)


def by_double_loop(y: np.ndarray, scores: np.ndarray, signs: np.ndarray) -> np.ndarray:
    """Comparable, right and tied pairs of each molecule [3, n]."""
    counts = np.zeros((3, len(y)), int)
    for i in range(len(y)):
        for j in range(len(y)):
            if i != j and is_below(i, j, y, signs):
                counts[:, [i, j]] += np.array([[1], [scores[i] < scores[j]], [scores[i] == scores[j]]])
    return counts


@given(tables)
def test_pairs_and_concordance_equal_a_double_loop(table) -> None:
    labels, scores, signs = table
    n_tasks = labels.shape[1]
    measured = [np.flatnonzero(~np.isnan(column)) for column in labels.T]
    expected = [by_double_loop(labels[m, t], scores[m, t], signs[m, t]) for t, m in enumerate(measured)]
    np.testing.assert_array_equal(cells_of(*table).pairs, np.concatenate(expected, axis=1))
    with np.errstate(invalid="ignore"):
        shares = [(one[1] + one[2] / 2).sum() / one[0].sum() for one in expected]
    values = concordance(labels, scores, is_real=np.ones(n_tasks, bool), censored=signs)
    np.testing.assert_allclose(values, shares, rtol=1e-12)


@given(tables)
def test_of_classes_alone_it_is_the_roc_auc_to_the_last_bit(table) -> None:
    labels = np.where(np.isnan(table[0]), np.nan, table[0] > 0)
    expected = roc_auc(rank(labels, table[1]))
    np.testing.assert_array_equal(concordance(labels, table[1]), expected)
    none = np.zeros(labels.shape[1], bool)
    np.testing.assert_array_equal(concordance(labels, table[1], is_real=none), expected)


@given(tables)
def test_of_classes_taken_as_values_it_is_the_roc_auc(table) -> None:
    labels = np.where(np.isnan(table[0]), np.nan, table[0] > 0)
    values = concordance(labels, table[1], is_real=np.ones(labels.shape[1], bool))
    np.testing.assert_allclose(values, roc_auc(rank(labels, table[1])), rtol=1e-12)


def test_of_different_values_it_is_kendalls_tau_from_0_to_1() -> None:
    labels, scores, _ = a_table(2000, 3, 0, levels=0, missing=0.2, censoring=0.0)
    measured = ~np.isnan(labels)
    taus = [kendalltau(y[m], s[m])[0] for y, s, m in zip(labels.T, scores.T, measured.T, strict=True)]
    values = concordance(labels, scores, is_real=np.ones(3, bool))
    np.testing.assert_allclose(values, (np.array(taus) + 1) / 2, rtol=1e-6)


def test_assays_of_both_kinds_stand_side_by_side() -> None:
    labels, scores, signs = a_table(60, 4, 1, levels=5, missing=0.2, censoring=0.3)
    is_real = np.array([True, False, True, False])
    labels[:, ~is_real] = np.where(np.isnan(labels[:, ~is_real]), np.nan, labels[:, ~is_real] > 0)
    values = concordance(labels, scores, is_real=is_real, censored=signs)
    np.testing.assert_array_equal(
        values[is_real],
        concordance(
            labels[:, is_real], scores[:, is_real], is_real=np.ones(2, bool), censored=signs[:, is_real]
        ),
    )
    np.testing.assert_array_equal(values[~is_real], concordance(labels[:, ~is_real], scores[:, ~is_real]))


@pytest.mark.parametrize(
    ("labels", "signs", "comparable"),
    [
        ([5, 5], [0, 0], 0),
        ([5, 5], [0, 1], 1),  # 5 and > 5
        ([5, 5], [0, -1], 1),  # 5 and < 5
        ([5, 5], [1, 1], 0),
        ([5, 5], [-1, 1], 1),  # < 5 and > 5
        ([5, 6], [1, 0], 0),  # > 5 and 6
        ([5, 6], [0, -1], 0),  # 5 and < 6
        ([5, 6], [-1, 1], 1),
        ([5, 6], [1, -1], 0),  # > 5 and < 6
    ],
)
def test_a_pair_counts_where_its_order_is_certain(labels, signs, comparable) -> None:
    cells = cells_of(np.array([labels], float).T, np.array([[0.0], [1.0]]), np.array([signs]).T)
    assert cells.pairs.comparable.tolist() == [comparable, comparable]


def test_without_a_comparable_pair_there_is_no_number() -> None:
    labels = np.array([[np.nan, 1.0, 5.0, 2.0], [np.nan, np.nan, 5.0, 3.0]])
    signs = np.array([[0, 0, 0, 1], [0, 0, 0, 1]], np.int8)
    values = concordance(labels, np.zeros((2, 4)), is_real=np.ones(4, bool), censored=signs)
    assert np.isnan(values).all()
    assert concordance(np.zeros((0, 2)), np.zeros((0, 2)), is_real=np.ones(2, bool)).shape == (2,)


@settings(max_examples=20)
@given(tables, st.integers(1, 8))
def test_pieces_make_no_difference(table, size) -> None:
    whole = cells_of(*table).pairs
    before, pair_counts._CELLS_AT_ONCE = pair_counts._CELLS_AT_ONCE, size
    try:
        np.testing.assert_array_equal(cells_of(*table).pairs, whole)
    finally:
        pair_counts._CELLS_AT_ONCE = before


def test_values_that_are_no_numbers_are_refused() -> None:
    labels, scores = np.array([[1.0], [np.inf]]), np.zeros((2, 1))
    with pytest.raises(DataError, match=r"row 1 .* label inf is not a finite number"):
        concordance(labels, scores, is_real=np.ones(1, bool))
    with pytest.raises(DataError, match=r"row 0 .* score nan is not a finite number"):
        concordance(np.ones((2, 1)), np.full((2, 1), np.nan), is_real=np.ones(1, bool))
    with pytest.raises(ValueError, match="same"):
        cells_of(labels, scores[:1])
