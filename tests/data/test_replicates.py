"""Several measurements as one value, against a plain loop; the order is of no matter."""

import statistics

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from screening.data.replicates import Combined, Spread, combine

MEASUREMENT = st.tuples(
    st.sampled_from([np.nan, 3.0, 4.0, 4.5, 5.0, 5.25, 6.0, 9.0]),
    st.sampled_from([-2, -1, 0, 0, 0, 1, 2]),
    st.integers(0, 3),
)


def plainly(measurements: list[tuple[float, int, int]], group: int) -> tuple[float, int]:
    """Value and censoring of one group as the documentation says it."""
    mine = [(value, relation) for value, relation, its in measurements if its == group and value == value]
    exact = [value for value, relation in mine if relation == 0]
    lower = [value for value, relation in mine if relation > 0]
    upper = [value for value, relation in mine if relation < 0]
    if exact:
        return statistics.median(exact), 0
    if (lower and upper) or not mine:
        return np.nan, 0
    return (max(lower), 1) if lower else (min(upper), -1)


@given(st.lists(MEASUREMENT, max_size=30))
def test_combined_values_are_those_of_a_plain_loop(measurements: list[tuple[float, int, int]]) -> None:
    combined = combined_of(measurements)
    expected = [plainly(measurements, group) for group in range(4)]
    np.testing.assert_array_equal(combined.values, [value for value, _ in expected])
    assert combined.censored.tolist() == [relation for _, relation in expected]


@given(st.lists(MEASUREMENT, max_size=30), st.randoms())
def test_the_order_is_of_no_matter(measurements: list[tuple[float, int, int]], random: object) -> None:
    other = list(measurements)
    random.shuffle(other)  # type: ignore[attr-defined]
    a, b = combined_of(measurements), combined_of(other)
    np.testing.assert_array_equal(a.values, b.values)
    assert a.censored.tolist() == b.censored.tolist()
    assert sorted(a.spread.ranges) == sorted(b.spread.ranges)


def combined_of(measurements: list[tuple[float, int, int]]) -> Combined:
    columns = list(zip(*measurements, strict=True)) or [(), (), ()]
    values, relations, groups = (
        np.array(column, kind) for column, kind in zip(columns, (float, np.int8, int), strict=True)
    )
    return combine(values, relations, groups, 4)


def test_spread_counts_what_was_decided() -> None:
    values = np.array([5.0, 6.5, 5.0, 5.5, 7.0, 4.0, 6.0, 3.0])
    relations = np.array([0, 0, 0, 0, 1, 1, -1, 1], np.int8)
    groups = np.array([0, 0, 1, 1, 1, 2, 2, 3])
    spread = combine(values, relations, groups, 5).spread
    assert sorted(spread.ranges) == [0.5, 1.5]
    assert (spread.n_repeated, spread.n_far) == (2, 1)
    assert (spread.n_replaced, spread.n_outside, spread.n_both) == (1, 1, 1)


def test_nothing_measured_is_missing() -> None:
    combined = combine(np.array([np.nan]), np.zeros(1, np.int8), np.zeros(1, int), 2)
    assert np.isnan(combined.values).all()
    assert isinstance(combined.spread, Spread)
    assert combined.spread.n_repeated == 0
