"""Several measurements as one value, against a plain loop; the order is of no matter."""

import statistics

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from screening.data.assay_kinds import Assay
from screening.data.replicates import Combined, combine, replicate_notes

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
    np.testing.assert_array_equal(a.ranges, b.ranges)


def combined_of(measurements: list[tuple[float, int, int]]) -> Combined:
    columns = list(zip(*measurements, strict=True)) or [(), (), ()]
    values, relations, groups = (
        np.array(column, kind) for column, kind in zip(columns, (float, np.int8, int), strict=True)
    )
    return combine(values, relations, groups, 4)


def test_what_was_decided_is_counted_and_told_by_assay() -> None:
    values = np.array([5.0, 6.5, 5.0, 5.5, 7.0, 4.0, 6.0, 3.0, 0.0, 1.0])
    relations = np.array([0, 0, 0, 0, 1, 1, -1, 1, 0, 0], np.int8)
    groups = np.array([0, 0, 1, 1, 1, 2, 2, 3, 5, 5])
    combined = combine(values, relations, groups, 6)
    np.testing.assert_array_equal(combined.ranges, [1.5, 0.5, np.nan, np.nan, np.nan, 1])
    assert combined.n_replaced.tolist() == [0, 1, 0, 0, 0, 0]
    assert combined.is_outside.tolist() == [False, True, False, False, False, False]
    assert combined.is_between.tolist() == [False, False, True, False, False, False]
    assays = [Assay("A", "real"), Assay("B", "real"), Assay("tox")]
    assert replicate_notes(combined, assays, np.array([0, 1, 1, 0, 0, 2])) == [
        "2 real values are medians of several exact ones: 'A' 1, 'B' 1.",
        "2 of them are in log units: their exact values range over 1 in the middle, over at most 1.4 for "
        "nine in ten, and over more than 1 in 'A' 1.",
        "1 censored measurements gave way to exact ones: 'B' 1.",
        "1 exact values lie outside of a bound (> or <) of the same molecule: 'B' 1.",
        "1 values have bounds in both directions and none exact, and are missing: 'B' 1.",
    ]
    assert not replicate_notes(combined, assays, np.full(6, 2))


def test_ranges_of_percentages_are_in_no_log_units() -> None:
    combined = combine(np.array([5.0, 60.0]), np.zeros(2, np.int8), np.zeros(2, int), 1)
    notes = replicate_notes(combined, [Assay("A", "real", "%")], np.zeros(1, int))
    assert notes == ["1 real values are medians of several exact ones: 'A' 1."]


def test_nothing_measured_is_missing() -> None:
    combined = combine(np.array([np.nan]), np.zeros(1, np.int8), np.zeros(1, int), 2)
    assert np.isnan(combined.values).all()
    assert np.isnan(combined.ranges).all()
